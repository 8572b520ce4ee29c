"""Profiling with a real Parca, and without one."""

import time
from collections.abc import Callable

import grpc
import pytest
from small import BUSYBOX, until_stopped

import e2e
import e2edb

TARGETS = "/parca.scrape.v1alpha1.ScrapeService/Targets"
VALUES = "/parca.query.v1alpha1.QueryService/Values"
OF_LABEL_WORKLOAD = b"\x0a\x08workload"


def test_a_parca_takes_profiles_of_who_comes_and_forgets_who_goes(e2e_environment: e2e.Environment) -> None:
    env = e2e_environment
    first = e2edb.thanos_querier(env, "query-1")
    first.start_and_wait_ready()
    with e2e.profiling.start(env, scrape_interval=1) as profiling:
        until(lambda: b"http://query-1:10902/debug/pprof/allocs" in ask(profiling, TARGETS))
        second = e2edb.thanos_querier(env, "query-2")
        place = e2e.Profiles(port="http", path="/internal/pprof/")
        other = env.workload(
            "other", image=BUSYBOX, command=until_stopped(), ports={"http": 80}, profiles=place
        )
        env.start_and_wait_ready(second, other)
        until(lambda: b"http://other:80/internal/pprof/allocs" in ask(profiling, TARGETS))
        until(lambda: b"http://query-2:10902/debug/pprof/profile" in ask(profiling, TARGETS))
        # Both are in the store: their profiles were taken, and were real ones.
        until(lambda: count(ask(profiling, VALUES, OF_LABEL_WORKLOAD), b"query-1", b"query-2") == 2)
        first.remove()
        until(lambda: count(ask(profiling, TARGETS), b"http://query-1", b"http://query-2") == 1)
    assert "profiling" not in env.statuses()


def ask(profiling: e2e.profiling.Profiling, method: str, request: bytes = b"") -> bytes:
    """The answer of Parca's gRPC API, whose texts are in it as they are; empty where it has none."""
    with grpc.insecure_channel(profiling.parca.endpoint("http")) as channel:
        try:
            answer = channel.unary_unary(method)(request, timeout=20)
        except grpc.RpcError:  # it is busy, or has nothing to look in yet
            return b""
        assert isinstance(answer, bytes)
        return answer


def count(answer: bytes, *texts: bytes) -> int:
    """How many of the texts are in the answer."""
    return sum(text in answer for text in texts)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline, "it did not become so"
        time.sleep(0.2)


def test_where_no_image_can_be_had_that_is_told(e2e_environment: e2e.Environment) -> None:
    image = "localhost:1/parca-dev/parca:v0.0.0-none"
    with pytest.raises(e2e.WaitFailed, match=f"needs Parca, whose image {image} is not here") as raised:
        e2e.profiling.start(e2e_environment, image=image)
    assert raised.value.reason == "ImagePullFailed"
    assert f"docker pull {image}" in str(raised.value)
    assert e2e_environment.statuses() == {}
