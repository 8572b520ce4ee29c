"""Grafana asks the Prometheus that it was given; where its image can be had."""

import httpx
import pytest
from apis import SECONDS, until

import e2e
import e2edb

SECONDS_TO_PULL = 600.0


@pytest.mark.timeout(900)
def test_grafana_asks_its_datasource(e2e_environment: e2e.Environment) -> None:
    env = e2e_environment
    prometheus = e2edb.prometheus(env, "prometheus-1")
    grafana = e2edb.grafana(env, "grafana-1", [prometheus])
    prometheus.start()
    try:
        grafana.start_and_wait_ready(timeout=SECONDS_TO_PULL)
    except e2e.WaitFailed as error:
        if error.reason == "ImagePullFailed":
            pytest.skip(f"{e2edb.GRAFANA_IMAGE} cannot be pulled here")
        raise
    prometheus.wait_ready()
    (source,) = httpx.get(f"http://{grafana.endpoint('http')}/api/datasources", timeout=SECONDS).json()
    assert (source["name"], source["type"], source["isDefault"]) == ("prometheus-1", "prometheus", True)
    url = f"http://{grafana.endpoint('http')}/api/datasources/proxy/uid/prometheus-1/api/v1/query"

    def up() -> list[object]:
        answer = httpx.get(url, params={"query": "up"}, timeout=SECONDS).raise_for_status().json()
        return [series["value"][1] for series in answer["data"]["result"]]

    until(up, lambda found: found == ["1"])
