"""Samples sent to a hashring of receivers, and rules evaluated by a ruler that asks a querier for them."""

from apis import firing, query, until

import e2e
import e2edb
from e2e import equals, greater

RULES = {
    "groups": [
        {
            "name": "tests",
            "rules": [
                {"record": "job:up:sum", "expr": "sum by (job) (up)"},
                {"alert": "PrometheusIsUp", "expr": 'up{job="myself"} == 1'},
            ],
        }
    ]
}


def test_remote_write_is_received_and_rules_are_evaluated_on_it(e2e_environment: e2e.Environment) -> None:
    env = e2e_environment
    names = ["receive-1", "receive-2"]
    receivers = [e2edb.thanos_receive(env, name, hashring=names) for name in names]
    prometheus = e2edb.prometheus(env, "prometheus-1", remote_write=[receivers[0]])
    alertmanager = e2edb.alertmanager(env, "alertmanager-1")
    rule = e2edb.thanos_rule(env, "rule-1", ["query-1:10902"], RULES, alertmanagers=[alertmanager])
    querier = e2edb.thanos_querier(env, "query-1", [*receivers, rule])
    env.start_and_wait_ready(prometheus, alertmanager, rule, querier, *receivers)
    querier.wait_sum_metrics(equals(3), "thanos_store_nodes_grpc_connections")
    checked = prometheus.exec(["promtool", "check", "config", "/etc/prometheus/prometheus.yml"])
    assert "SUCCESS" in checked.stdout_text
    rule.exec(["thanos", "tools", "rules-check", "--rules=/etc/thanos/rules.yml"])

    endpoint = querier.endpoint("http")
    found = until(lambda: query(endpoint, "up"), bool)
    (labels,) = found
    assert "prometheus=prometheus-1" in labels
    assert "receive=receive-" in labels
    # One of the two was sent everything, and gave the other its share.
    for receiver in receivers:
        receiver.wait_sum_metrics(greater(0), "prometheus_tsdb_head_series")

    until(lambda: query(endpoint, "job:up:sum"), lambda found: found == {"job=myself,rule=rule-1": 1.0})
    until(lambda: firing(alertmanager.endpoint("http")), lambda names: names == {"PrometheusIsUp"})
