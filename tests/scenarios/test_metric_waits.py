"""Waits on metrics of real programs: several together, over a restart, behind TLS and a password."""

import threading
from collections.abc import Callable

import pytest
from apis import until
from small import web_server

import e2e
import e2edb
from e2e import each, equals, greater, greater_or_equal, increased_by, less_or_equal, rate
from tests.certificates import self_signed

# Of "scrape-me".
_BCRYPT = "$2b$04$9/6BcoHWfhMkao1p.oNowuwXPlg9cQFdeNZB4mCly1t9D.Pp7FuV."
_WEB_CONFIG = f"""\
tls_server_config: {{cert_file: /etc/prometheus/tls/cert.pem, key_file: /etc/prometheus/tls/key.pem}}
basic_auth_users: {{e2e: {_BCRYPT}}}
"""


def test_several_workloads_are_waited_for_together(e2e_environment: e2e.Environment) -> None:
    env = e2e_environment
    webs = [web_server(env, name, root=str(env.shared_dir / name)) for name in ("a", "b", "c")]
    for number, web in enumerate(webs):
        web.write_file("index.html", "")
        web.write_file("metrics", f'loaded{{part="x"}} {number}\n')
    env.start_and_wait_ready(*webs)
    assert env.sum_metrics(webs, "loaded") == {"loaded": 3.0}
    assert env.wait_sum_metrics(["a", "c"], equals(2), "loaded") == {"loaded": 2.0}
    timer = threading.Timer(0.3, lambda: webs[0].write_file("metrics", 'loaded{part="x"} 7\n'))
    timer.start()
    assert env.wait_sum_metrics(webs, equals(10), "loaded", stable_for=0.3) == {"loaded": 10.0}
    timer.join()
    told = in_vain(
        lambda: env.wait_sum_metrics(webs, greater(99), "loaded", timeout=2),
        "loaded = 10 (a 7, b 1, c 2)",
    )
    assert told.startswith("loaded of a, b, c did not become greater(99): waited ")
    assert '    a: loaded{part="x"} 7' in told.splitlines()
    in_vain(
        lambda: env.wait_sum_metrics(webs, greater(0), "loaded", matchers={"parts": "x"}, timeout=2),
        'parts="x": no series of loaded has that label; they have part',
    )
    timer = threading.Timer(0.3, lambda: webs[1].kill())
    timer.start()
    with pytest.raises(e2e.WaitFailed, match=r"(?s)loaded of a, b, c did not become.*b: "):  # no timeout
        env.wait_sum_metrics(webs, greater(99), "loaded", timeout=100)
    timer.join()


def in_vain(wait: Callable[[], object], evidence: str) -> str:
    """What the timeout of a wait says, with that evidence.

    There is none where the controller, or what it asks, stands still until the wait is over.
    """

    def told() -> str:
        with pytest.raises(e2e.WaitTimeout) as late:
            wait()
        return str(late.value)

    return until(told, lambda text: evidence in text)


def test_what_is_counted_over_a_restart(e2e_environment: e2e.Environment) -> None:
    prometheus = e2edb.prometheus(e2e_environment, "prometheus", restart_policy="Always")
    prometheus.start_and_wait_ready()
    requests = "prometheus_http_requests_total"  # each look at its page is one
    on_page = {"handler": "/metrics"}
    assert prometheus.wait_sum_metrics(greater_or_equal(20), requests, matchers=on_page)
    grown = prometheus.wait_sum_metrics(increased_by(greater_or_equal(5)), requests, matchers=on_page)
    assert 5 <= grown[requests] < 20  # what was counted before the wait does not count
    started = prometheus.status().container
    assert started is not None
    prometheus.exec(["sh", "-c", "(sleep 0.5; kill 1) >/dev/null 2>&1 &"])

    def counted() -> object:
        grown = prometheus.wait_sum_metrics(increased_by(greater_or_equal(60)), requests, matchers=on_page)
        assert grown[requests] >= 60
        again = prometheus.status().container
        return again and again.started_at

    until(counted, lambda again: again not in (None, started.started_at))
    before = prometheus.baseline(requests, matchers=on_page)
    prometheus.restart()
    since = increased_by(greater_or_equal(10), since=before)
    assert prometheus.wait_sum_metrics(since, requests, matchers=on_page)[requests] >= 10
    fast = prometheus.wait_sum_metrics(rate(greater(1), over=0.5), requests, matchers=on_page)
    assert fast[requests] > 1
    each_once = each(less_or_equal(1))
    prometheus.wait_sum_metrics(each_once, "prometheus_ready", "prometheus_build_info", stable_for=0.2)


def test_a_page_behind_tls_and_a_password(e2e_environment: e2e.Environment) -> None:
    tls = self_signed("secure")

    def metrics(password: str, trust: e2e.Tls | None) -> e2e.Metrics:
        user = e2e.BasicAuth(username="e2e", password=password)
        return e2e.Metrics(port="https", scheme="https", basic_auth=user, tls=trust)

    secure = e2e_environment.workload(
        "secure",
        image=e2edb.PROMETHEUS_IMAGE,
        command=[
            "--config.file=/etc/prometheus/e2e.yml",
            "--storage.tsdb.path=/tmp/data",
            "--web.config.file=/etc/prometheus/tls/web.yml",
        ],
        files={
            "/etc/prometheus/e2e.yml": "global: {}\n",
            "/etc/prometheus/tls/web.yml": _WEB_CONFIG,
            "/etc/prometheus/tls/cert.pem": tls.certificate,
            "/etc/prometheus/tls/key.pem": tls.key,
        },
        ports={"https": 9090},
        readiness=e2e.TcpProbe(port="https"),
        metrics=metrics("scrape-me", e2e.Tls(ca=tls.certificate)),
    )
    secure.start_and_wait_ready()
    secure.wait_sum_metrics(greater(0), "prometheus_build_info")
    assert "prometheus_build_info{" in secure.metrics_page()
    secure.update(metrics=metrics("scrape-me", None))
    secure.wait_sum_metrics(greater(0), "prometheus_build_info")
    secure.update(metrics=metrics("not-this-one", None))
    refused = in_vain(
        lambda: secure.wait_sum_metrics(greater(0), "prometheus_build_info", timeout=3), "401 Unauthorized"
    )
    assert "not-this-one" not in refused
    secure.update(metrics=metrics("scrape-me", e2e.Tls(ca=tls.certificate, server_name="another")))
    in_vain(
        lambda: secure.wait_sum_metrics(greater(0), "prometheus_build_info", timeout=3),
        "the certificate is not trusted: Hostname mismatch",
    )
    assert "scrape-me" not in repr(e2e_environment.get("secure").manifest)
