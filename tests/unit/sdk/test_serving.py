"""This process' metrics, served to one network's peers."""

import http.client
import os
import threading
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from e2e import Unavailable
from e2e.addresses import Target
from e2e.serving import ControllerPage, MetricsServer, local_address, registry_page

from .fake_controller import FakeController

PEER, STRANGER = "127.0.0.2", "127.1.0.1"


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("tests_run", "Tests that were run.", registry=registry).inc(3)
    return registry


@pytest.fixture
def server(registry: CollectorRegistry) -> Iterator[MetricsServer]:
    pages = {"/metrics": registry_page(registry), "/other-metrics": registry_page(CollectorRegistry())}
    server = MetricsServer("127.0.0.0/16", pages)
    yield server
    server.close()


def get(
    server: MetricsServer, path: str = "/metrics", peer: str = PEER, **headers: str
) -> tuple[int, str, str]:
    """Code, type and body, as somebody at that address is answered."""
    host, _, port = server.address.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60, source_address=(peer, 0))
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type", ""), response.read().decode()
    finally:
        connection.close()


def test_a_peer_reads_the_registry(server: MetricsServer) -> None:
    assert server.address.startswith("127.0.0.1:")
    code, kind, body = get(server)
    assert (code, kind.partition(";")[0]) == (200, "text/plain")
    assert "tests_run_total 3.0\n" in body
    assert get(server, "/other") == (404, "text/plain", "pages: /metrics, /other-metrics\n")


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8,text/plain;version=1.0.0;q=0.4",
    ],
)
def test_names_keep_their_colons_whatever_the_scraper_likes_best(
    server: MetricsServer, registry: CollectorRegistry, accept: str
) -> None:
    Counter("job:tests_run", "As rules name it.", registry=registry).inc()
    code, kind, body = get(server, Accept=accept)
    assert (code, kind.partition(";")[0]) == (200, "text/plain")
    assert "\njob:tests_run_total 1.0\n" in body


@pytest.mark.parametrize("peer", [STRANGER, "127.0.0.1"])
@pytest.mark.parametrize("path", ["/metrics", "/other"])
def test_nobody_else_is_told_anything(server: MetricsServer, peer: str, path: str) -> None:
    code, _, body = get(server, path, peer)
    assert (code, body) == (403, "only for containers of 127.0.0.0/16\n")


def test_the_default_registry() -> None:
    server = MetricsServer("127.0.0.0/16", {"/metrics": registry_page(None)})
    try:
        assert "python_info{" in get(server)[2]
    finally:
        server.close()


def test_a_collector_that_fails_is_told_until_it_does_not(
    server: MetricsServer, registry: CollectorRegistry
) -> None:
    class Broken(Collector):
        broken = False

        def collect(self) -> Iterator[GaugeMetricFamily]:
            if self.broken:
                raise ValueError("no such thing")
            return iter(())

    collector = Broken()
    registry.register(collector)
    collector.broken = True
    assert get(server)[0::2] == (500, "/metrics of this process: ValueError: no such thing\n")
    assert server.trouble == "/metrics of this process: ValueError: no such thing"
    assert get(server, "/other-metrics")[0] == 200
    assert server.trouble == "/metrics of this process: ValueError: no such thing"  # of each page by itself
    collector.broken = False
    assert get(server)[0] == 200
    assert server.trouble == ""


def test_the_controllers_page(controller: FakeController) -> None:
    page = ControllerPage(Target(os.environ["E2E_CONTROLLER"].replace("unix://", "unix:")))
    server = MetricsServer("127.0.0.0/16", {"/controller/metrics": page})
    try:
        code, kind, body = get(server, "/controller/metrics")
        assert (code, kind, body) == (200, "text/plain; version=0.0.4; charset=utf-8", "e2e_leases 1.0\n")
        controller.answers["GetControllerMetrics"] = fails
        code, _, body = get(server, "/controller/metrics")
        assert (code, body) == (502, "not now\n")
    finally:
        server.close()
        page.close()


def fails(_: object) -> Iterator[None]:
    raise Unavailable("not now")


def test_closing_ends_the_thread_and_the_port(server: MetricsServer) -> None:
    server.close()
    server.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "e2e metrics"]
    with pytest.raises(ConnectionRefusedError):
        get(server)


def test_a_network_that_this_machine_is_not_in() -> None:
    with pytest.raises(Unavailable, match=r"no address in the environment's network 198\.51\.100\.0/24 \("):
        local_address("198.51.100.0/24")
