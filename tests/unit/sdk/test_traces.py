"""Traces: Jaeger's answers read, waits, and what a wait in vain tells."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from e2e import (
    AsyncEnvironment,
    AsyncTraces,
    Environment,
    InvalidArgument,
    NotFound,
    NotRunning,
    Traces,
    Unavailable,
    WaitFailed,
    WaitTimeout,
    between,
    equals,
    equals_among_two,
)
from e2e.spans import traces_of
from e2e_api.v1 import wait_service_pb2

from .fake_controller import FakeController, ready_object
from .web_program import runs_at, serving

pytestmark = pytest.mark.usefixtures("patient")


def span(number: int, operation: str, process: str = "p1", parent: int = 0, **tags: Any) -> dict[str, Any]:
    above = [{"refType": "CHILD_OF", "traceID": "abc", "spanID": str(parent)}] if parent else []
    return {
        "traceID": "abc",
        "spanID": str(number),
        "operationName": operation,
        "references": above,
        "startTime": 1_700_000_000_000_000 + number,
        "duration": 1500,
        "tags": [{"key": key, "type": "string", "value": value} for key, value in tags.items()],
        "logs": [],
        "processID": process,
        "warnings": None,
    }


PROCESSES = {
    "p1": {"serviceName": "query-1", "tags": [{"key": "version", "type": "string", "value": "1"}]},
    "p2": {"serviceName": "sidecar-1", "tags": []},
}


def trace(*spans: dict[str, Any]) -> dict[str, Any]:
    return {"traceID": "abc", "spans": list(spans), "processes": PROCESSES, "warnings": None}


class Jaeger:
    """What the fake one knows; `asked` has each question."""

    def __init__(self) -> None:
        self.traces: list[Any] = []
        self.services = ["prometheus", "query-1", "sidecar-1"]
        self.asked: list[dict[str, str]] = []
        self.trouble: list[bytes | tuple[int, bytes]] = []

    def answer(self, path: str, query: dict[str, str]) -> bytes | tuple[int, bytes]:
        if path == "/api/services":
            return json.dumps({"data": self.services}).encode()
        if path == "/api/operations":
            names = ["GET /query", "GET /rules"] if query["service"] in self.services else []
            return json.dumps({"data": [{"name": name, "spanKind": ""} for name in names]}).encode()
        if path == "/api/traces/abc":
            return json.dumps({"data": self.traces}).encode()
        if path != "/api/traces":
            return 404, b'{"data":null,"errors":[{"code":404,"msg":"trace not found"}]}'
        self.asked.append(query)
        if self.trouble:
            return self.trouble.pop(0)
        if query["service"] not in self.services:
            return b'{"data": []}'
        found = self.traces if set(query) == {"service", "limit"} else self.filtered(query)
        return json.dumps({"data": found, "errors": None}).encode()

    def filtered(self, query: dict[str, str]) -> list[Any]:
        wrong = query.get("operation") == "GET /quary" or "404" in query.get("tags", "")
        return [] if wrong else self.traces


@pytest.fixture
def jaeger(controller: FakeController) -> Iterator[Jaeger]:
    found = Jaeger()
    with serving(found.answer) as address:
        runs_at(controller, "jaeger", address)
        yield found


@pytest.fixture
def traces(jaeger: Jaeger) -> Iterator[Traces]:
    with Environment("env", timeout=60) as env:
        yield Traces(env.workload("jaeger", image="x", ports={"http": 16686}))


def test_an_answer_becomes_traces() -> None:
    content = {
        "data": [
            trace(
                span(3, "Series", "p2", parent=1, error=True),
                span(1, "GET /query", code="200"),
                span(2, "select", parent=1),
            ),
            trace(),
        ]
    }
    (found,) = traces_of(json.dumps(content).encode())
    assert (found.id, found.services) == ("abc", ("query-1", "sidecar-1"))
    assert [found.operation for found in found.spans] == ["GET /query", "select", "Series"]
    assert found.root.operation == "GET /query"
    assert found.root.started_at == datetime(2023, 11, 14, 22, 13, 20, 1, tzinfo=UTC)
    assert found.root.tags == {"code": "200"}
    assert found.root.process_tags == {"version": "1"}
    assert found.seconds == pytest.approx(0.001502)
    assert [child.is_error for child in found.children(found.root)] == [False, True]
    assert found.of("query-1", "select") == (found.spans[1],)
    assert str(found).splitlines() == [
        "trace abc",
        "  query-1 GET /query 1.5 ms",
        "    query-1 select 1.5 ms",
        "    sidecar-1 Series 1.5 ms, failed",
    ]


def test_spans_whose_parents_did_not_arrive_or_run_in_circles() -> None:
    content = {"data": [trace(span(1, "a", parent=2), span(2, "b", parent=1), span(3, "c", parent=9))]}
    (found,) = traces_of(json.dumps(content).encode())
    assert found.root.operation == "c"
    assert str(found).splitlines()[1:] == ["  query-1 c 1.5 ms"]


@pytest.mark.parametrize(
    "content",
    [b"<html>", b"[]", b"{}", b'{"data": [1]}', b'{"data": [{"spans": [{}], "processes": {}}]}', b"[" * 9999],
)
def test_what_is_no_answer_of_jaeger(content: bytes) -> None:
    with pytest.raises(Unavailable, match="none of Jaeger's"):
        traces_of(content)


def test_it_is_asked_for_what_is_wanted(traces: Traces, jaeger: Jaeger) -> None:
    jaeger.traces = [trace(span(1, "GET /query"))]
    found = traces.find("query-1", "GET /query", {"code": 200, "internal": True}, limit=7)
    assert [trace.id for trace in found] == ["abc"]
    (asked,) = jaeger.asked
    assert json.loads(asked.pop("tags")) == {"code": "200", "internal": "true"}
    assert asked == {"service": "query-1", "operation": "GET /query", "limit": "7"}
    assert traces.find("query-1", across=["sidecar-1"]) == []
    assert traces.find("query-1", where=lambda trace: len(trace.spans) > 1) == []
    assert traces.services() == ["prometheus", "query-1", "sidecar-1"]
    assert traces.operations("query-1") == ["GET /query", "GET /rules"]
    assert traces.get("abc").id == "abc"
    with pytest.raises(NotFound, match="trace not found"):
        traces.get("def")


def test_what_cannot_be_asked(traces: Traces, jaeger: Jaeger) -> None:
    with pytest.raises(InvalidArgument, match="in hexadecimal"):
        traces.get("../services")
    with pytest.raises(InvalidArgument, match="expected a list of services"):
        traces.find("query-1", across="sidecar-1")
    with pytest.raises(InvalidArgument, match="Jaeger finds traces by service"):
        traces.wait("")
    with pytest.raises(InvalidArgument, match="limit"):
        traces.find("query-1", limit=0)
    with pytest.raises(InvalidArgument, match="exactly two"):
        traces.wait("query-1", expectation=equals_among_two())
    with pytest.raises(InvalidArgument, match=r"expected an expectation such as equals\(5\), .* not 3"):
        traces.wait("query-1", expectation=3)  # type: ignore[arg-type]
    assert jaeger.asked == []


def test_a_wait_goes_on_until_all_spans_are_there(traces: Traces, jaeger: Jaeger) -> None:
    part, rest = span(1, "GET /query"), span(2, "Series", "p2", parent=1)
    jaeger.traces = [trace(part, rest)]
    jaeger.trouble = [(503, b"not yet"), b"<html>", json.dumps({"data": [trace(part)]}).encode()]
    (found,) = traces.wait("query-1", "GET /query", across=["sidecar-1"])
    assert len(found.spans) == 2
    assert len(jaeger.asked) == 4
    assert traces.wait("query-1", "GET /query", expectation=between(1, 3))
    assert traces.wait("query-1", "GET /query", expectation=lambda number: number < 2)
    assert traces.wait("query-1", "GET /quary", where=lambda _: False, expectation=equals(0)) == []


def test_a_wait_in_vain_tells_which_services_there_are(traces: Traces, jaeger: Jaeger) -> None:
    with pytest.raises(WaitTimeout) as raised:
        traces.wait("querry-1", timeout=0.5)
    first, numbers, services = str(raised.value).splitlines()
    assert first.startswith("traces of querry-1 at jaeger did not become greater_or_equal(1): waited ")
    assert re.match(r"  number of traces: \+[\d.]+s 0; looked ", numbers)
    assert services == "  services that jaeger knows: query-1, prometheus, sidecar-1"
    jaeger.services = []
    with pytest.raises(WaitTimeout, match="no spans have reached jaeger yet"):
        traces.wait("querry-1", timeout=0.5)


def test_a_wait_in_vain_tells_which_operations_and_tags_there_are(traces: Traces, jaeger: Jaeger) -> None:
    jaeger.traces = [trace(span(1, "GET /query", code="200", method="GET"))]
    with pytest.raises(WaitTimeout) as raised:
        traces.wait("query-1", "GET /quary", {"code": "404"}, timeout=0.5)
    assert str(raised.value).splitlines()[2:] == [
        "  jaeger has 1 traces of query-1",
        "  operations of query-1: GET /query, GET /rules",
    ]
    with pytest.raises(WaitTimeout) as raised:
        traces.wait("query-1", tags={"code": "404", "methot": "GET"}, timeout=0.5)
    assert "code=404, methot=GET at jaeger did not" in str(raised.value)
    assert str(raised.value).splitlines()[2:] == [
        "  jaeger has 1 traces of query-1",
        "  values of tag code: 200",
        "  no such span has tag methot, but: method, code, version",
    ]


def test_a_wait_in_vain_tells_what_traces_lack(traces: Traces, jaeger: Jaeger) -> None:
    jaeger.traces = [trace(span(1, "GET /query"))]
    with pytest.raises(WaitTimeout) as raised:
        traces.wait("query-1", across=["sidecar-1", "prometheus"], limit=1, timeout=0.5)
    assert str(raised.value).splitlines()[2:] == [
        "  jaeger has 1 traces of query-1",
        "  trace abc has spans of query-1, none of sidecar-1, prometheus",
        "  services that jaeger knows: prometheus, query-1, sidecar-1",
        "  only the newest 1 were looked at: `limit`",
    ]


def test_a_wait_in_vain_tells_the_last_trouble(traces: Traces, jaeger: Jaeger) -> None:
    jaeger.trouble = [(503, b"the store is\nfull")] * 100
    with pytest.raises(
        WaitTimeout, match=r"at last: http://127.*/api/traces answers with 503: the store is full"
    ):
        traces.wait("query-1", timeout=0.5)


def test_a_wait_ends_when_jaeger_does(traces: Traces, controller: FakeController) -> None:
    def exited(request: Any) -> Iterator[Any]:
        condition = {"type": "Failed", "status": "CONDITION_STATUS_TRUE", "reason": "Exited"}
        container = {"state": "exited", "exitCode": 2, "lastLogLines": ["no memory left"]}
        found = ready_object("env", "jaeger", conditions=[condition], container=container)
        controller.answers.clear()  # for the environment's end
        raise WaitFailed("it exited", reason="Exited", details=[wait_service_pb2.WaitFailure(failed=[found])])

    runs_at(controller, "jaeger", "127.0.0.1:1")
    controller.answers["WaitConditions"] = exited
    with pytest.raises(WaitFailed, match="traces of query-1 at jaeger did not become") as raised:
        traces.wait("query-1", timeout=60)
    assert raised.value.reason == "Exited"
    assert "it can no longer be" in str(raised.value)
    assert "\n  jaeger: Exited\n" in str(raised.value)
    assert "no memory left" in str(raised.value)
    assert [found.key.name for found in raised.value.failed] == ["jaeger"]


def test_one_that_does_not_run_is_not_asked(traces: Traces, controller: FakeController) -> None:
    controller.objects.clear()
    with pytest.raises(NotRunning):
        traces.find("query-1")


async def test_the_same_with_asyncio(controller: FakeController, jaeger: Jaeger) -> None:
    jaeger.traces = [trace(span(1, "GET /query"))]
    async with AsyncEnvironment("env", timeout=60) as env:
        traces = AsyncTraces(env.workload("jaeger", image="x", ports={"http": 16686}))
        assert len(await traces.wait("query-1")) == 1
        with pytest.raises(WaitTimeout, match="services that jaeger knows: query-1"):
            await traces.wait("querry-1", timeout=0.5)
