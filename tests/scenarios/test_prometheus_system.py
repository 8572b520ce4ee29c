"""A Prometheus that is configured anew while it runs, and one whose alerts reach an Alertmanager."""

import asyncio

import httpx
import pytest
from apis import SECONDS, firing, query, until

import e2e
import e2edb
from e2e import equals

CONFIG = "/etc/prometheus/prometheus.yml"
RULES = {
    "groups": [
        {
            "name": "tests",
            "rules": [
                {"record": "answer:doubled", "expr": "2 * answer"},
                {"alert": "AnswerIsWrong", "expr": "answer != 42", "labels": {"severity": "page"}},
            ],
        }
    ]
}


def scraping(*targets: str) -> dict[str, object]:
    job = {"job_name": "static", "static_configs": [{"targets": list(targets)}]}
    return {"global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"}, "scrape_configs": [job]}


def test_a_running_prometheus_takes_another_configuration(e2e_environment: e2e.Environment) -> None:
    env = e2e_environment
    static = e2edb.static_metrics(env, "static", "answer 42")
    prometheus = e2edb.prometheus(env, "prometheus-1")
    env.start_and_wait_ready(static, prometheus)
    before = prometheus.status().container

    prometheus.set_config(scraping(static.internal_endpoint("http")), rules=RULES)
    endpoint = prometheus.endpoint("http")
    until(lambda: query(endpoint, "answer:doubled"), lambda found: list(found.values()) == [84.0])
    static.set_metrics("answer 43")
    static.wait_sum_metrics(equals(43), "answer")
    until(lambda: query(endpoint, "answer:doubled"), lambda found: list(found.values()) == [86.0])

    with pytest.raises(e2e.InvalidArgument, match="no_such_field not found"):
        prometheus.set_config("no_such_field: 1")
    with pytest.raises(e2e.InvalidArgument, match="refuses its configuration"):
        prometheus.set_config(
            rules={"groups": [{"name": "tests", "rules": [{"record": "a b", "expr": "1"}]}]}
        )
    # It goes on with what it had, file and all, in the same container.
    prometheus.wait_sum_metrics(equals(1), "prometheus_config_last_reload_successful")
    assert "SUCCESS" in prometheus.exec(["promtool", "check", "config", CONFIG]).stdout_text
    until(lambda: query(endpoint, "answer:doubled"), lambda found: list(found.values()) == [86.0])
    after = prometheus.status().container
    assert before is not None
    assert after is not None
    assert (after.id, after.started_at) == (before.id, before.started_at)


async def test_alerts_reach_the_alertmanager() -> None:
    async with e2e.AsyncEnvironment() as env:
        static = e2edb.static_metrics(env, "static", "answer 41")
        alertmanager = e2edb.alertmanager(env, "alertmanager-1")
        prometheus = e2edb.prometheus(
            env,
            "prometheus-1",
            config=scraping(static.internal_endpoint("http")),
            rules=RULES,
            alertmanagers=[alertmanager],
        )
        await env.start_and_wait_ready(static, alertmanager, prometheus)
        checked = await prometheus.exec(["promtool", "check", "config", CONFIG])
        assert "2 rules found" in checked.stdout_text
        checked = await alertmanager.exec(["amtool", "check-config", "/etc/alertmanager/alertmanager.yml"])
        assert "SUCCESS" in checked.stdout_text

        endpoint = await alertmanager.endpoint("http")
        await asyncio.to_thread(until, lambda: firing(endpoint), lambda found: found == {"AnswerIsWrong"})
        asks = "amtool --alertmanager.url=http://127.0.0.1:9093 alert query | grep AnswerIsWrong"
        asking = f"until {asks}; do sleep 1; done"
        told = await alertmanager.exec(["sh", "-c", asking], timeout=SECONDS)
        assert "AnswerIsWrong" in told.stdout_text


def test_a_page_of_metrics_as_scrapers_want_it(e2e_environment: e2e.Environment) -> None:
    static = e2edb.static_metrics(e2e_environment, "static", "# TYPE answer gauge\nanswer 42")
    static.start_and_wait_ready()
    page = httpx.get(f"http://{static.endpoint('http')}/metrics", follow_redirects=True, timeout=SECONDS)
    assert (page.text, page.headers["content-type"]) == ("# TYPE answer gauge\nanswer 42\n", "text/plain")
    static.stop()
    assert not static.is_running()
