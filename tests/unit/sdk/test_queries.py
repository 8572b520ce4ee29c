"""Queries: Prometheus' answers read, waits, and what a wait in vain tells."""

import json
import math
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import e2e
from e2e import (
    AsyncEnvironment,
    AsyncQueries,
    Environment,
    Queries,
    between,
    equals,
    equals_among_two,
    greater,
)
from e2e.monitoring import Matrix, QueryResult, Range, Sample, Scalar, Text, Vector
from e2e_api.v1 import wait_service_pb2

from .conftest import Later
from .fake_controller import FakeController, ready_object
from .web_program import runs_at, serving

pytestmark = pytest.mark.usefixtures("patient")

AT = 1_700_000_000.5
WHEN = datetime.fromtimestamp(AT, UTC)


def vector(*samples: tuple[dict[str, str], str]) -> dict[str, Any]:
    result = [{"metric": labels, "value": [AT, value]} for labels, value in samples]
    return {"resultType": "vector", "result": result}


class Prometheus:
    """Answers what it is told to; `asked` has each question."""

    def __init__(self) -> None:
        self.data: Any = vector(({"__name__": "up", "job": "web"}, "1"))
        self.more: dict[str, Any] = {}
        self.trouble: list[bytes | tuple[int, bytes]] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.last_told: Callable[[], None] = lambda: None
        """Called before the last of several answers."""

    def answer(self, path: str, query: dict[str, str]) -> bytes | tuple[int, bytes]:
        self.asked.append((path, query))
        if self.trouble:
            return self.trouble.pop(0)
        data = self.data
        if isinstance(data, list):
            if len(data) == 1:
                self.last_told()
            data = data.pop(0) if len(data) > 1 else data[0]
        return json.dumps({"status": "success", "data": data, **self.more}).encode()


def refusal(code: int, kind: str, text: str) -> tuple[int, bytes]:
    return code, json.dumps({"status": "error", "errorType": kind, "error": text}).encode()


@pytest.fixture
def prometheus(controller: FakeController) -> Iterator[Prometheus]:
    found = Prometheus()
    with serving(found.answer) as address:
        runs_at(controller, "prometheus", address)
        controller.objects["env", "Workload", "prometheus"].document = json.dumps(
            {
                "apiVersion": "e2e/v1",
                "kind": "Workload",
                "metadata": {"name": "prometheus", "environment": "env"},
                "spec": {"image": "prometheus", "ports": {"http": 9090}},
            }
        )
        yield found


@pytest.fixture
def queries(prometheus: Prometheus) -> Iterator[Queries]:
    with Environment.attach("env", timeout=60) as env:
        yield Queries(env.get("prometheus"))


def test_a_vector(prometheus: Prometheus, queries: Queries) -> None:
    prometheus.data = vector(({"job": "web"}, "1.5"), ({"job": "db", "zone": 'a"b'}, "+Inf"), ({}, "NaN"))
    prometheus.more = {"warnings": ["w"], "infos": ["i"]}
    found = queries.query("up", WHEN)
    assert isinstance(found, Vector)
    assert prometheus.asked == [("/api/v1/query", {"query": "up", "time": "1700000000.5"})]
    assert found.samples[0] == Sample({"job": "web"}, WHEN, 1.5)
    assert (len(found), found.values[:2], found.warnings) == (3, (1.5, math.inf), ("w", "i"))
    assert math.isnan(found.values[2])
    assert str(found).splitlines()[:2] == ['{job="web"} 1.5', '{job="db", zone="a\\"b"} +Inf']
    assert list(found.by("job")) == ["web", "db", ""]
    with pytest.raises(e2e.InvalidArgument, match=r"expected one value, not 3:\n{job=\"web\"} 1\.5"):
        _ = found.value
    with pytest.raises(e2e.InvalidArgument, match="several values have region=''"):
        found.by("region")


def test_one_value_and_none(prometheus: Prometheus, queries: Queries) -> None:
    found = queries.query("up", 5)
    assert isinstance(found, Vector)
    assert found.value == 1
    assert prometheus.asked[-1][1]["time"] == "5.0"
    prometheus.data = vector()
    nothing = queries.query("up")
    assert isinstance(nothing, Vector)
    assert "time" not in prometheus.asked[-1][1]
    assert (str(nothing), nothing.samples) == ("nothing", ())
    with pytest.raises(e2e.InvalidArgument, match="expected one value, not 0:\nnothing"):
        _ = nothing.value


def test_a_matrix(prometheus: Prometheus, queries: Queries) -> None:
    series = {"metric": {"job": "web"}, "values": [[AT, "1"], [AT + 1, "2.5"]]}
    prometheus.data = {"resultType": "matrix", "result": [series]}
    found = queries.query_range("up", WHEN, AT + 1, timedelta(milliseconds=1500))
    times = (WHEN, WHEN + timedelta(seconds=1))
    assert found == Matrix((Range({"job": "web"}, times, (1, 2.5)),))
    asked = {"query": "up", "start": "1700000000.5", "end": "1700000001.5", "step": "1.5"}
    assert prometheus.asked == [("/api/v1/query_range", asked)]
    assert str(found) == '{job="web"} 1 2.5'
    with pytest.raises(e2e.InvalidArgument, match="step: expected seconds above 0, not 0"):
        queries.query_range("up", 0, 1, 0)


def test_a_scalar_and_a_text(prometheus: Prometheus, queries: Queries) -> None:
    prometheus.data = {"resultType": "scalar", "result": [AT, "-Inf"]}
    assert queries.query("scalar(up)") == Scalar(WHEN, -math.inf)
    prometheus.data = {"resultType": "string", "result": [AT, "hello"]}
    assert queries.query('"hello"') == Text(WHEN, "hello")


def test_native_histograms_are_no_numbers(prometheus: Prometheus, queries: Queries) -> None:
    item = {"metric": {"__name__": "h"}, "histogram": [AT, {"count": "1", "sum": "2"}]}
    prometheus.data = {"resultType": "vector", "result": [item]}
    with pytest.raises(e2e.InvalidArgument, match=r"h has native histograms: ask for their histogram_count"):
        queries.query("h")


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (refusal(400, "bad_data", "1:3: parse error"), e2e.InvalidArgument, "^1:3: parse error$"),
        (refusal(422, "execution", "many-to-many"), e2e.Unavailable, "execution: many-to-many"),
        (refusal(503, "timeout", "too slow"), e2e.Unavailable, "timeout: too slow"),
        ((500, b"oops"), e2e.Unavailable, "answers with 500: oops"),
        ((404, b"gone"), e2e.NotFound, "answers with 404: gone"),
        (b"<html>", e2e.Unavailable, "no answer of Prometheus: b'<html>'"),
        (b'["a"]', e2e.Unavailable, "no answer of Prometheus"),
        (refusal(400, "bad_data", "x" * 9000), e2e.InvalidArgument, "x{9000}"),
    ],
)
def test_what_can_go_wrong(
    prometheus: Prometheus, queries: Queries, answer: Any, error: type[Exception], text: str
) -> None:
    prometheus.trouble = [answer]
    with pytest.raises(error, match=text):
        queries.query("up{")


def test_targets(prometheus: Prometheus, queries: Queries) -> None:
    common = {"discoveredLabels": {"__address__": "a:1"}, "scrapePool": "p", "globalUrl": ""}
    up = {
        "labels": {"job": "web", "instance": "web:80"},
        "scrapeUrl": "http://web:80/metrics",
        "lastError": "",
        "lastScrape": "2026-01-02T03:04:05.123456789Z",
        "lastScrapeDuration": 0.25,
        "health": "up",
    }
    new = {**up, "labels": {"job": "db", "instance": "db:80"}, "health": "unknown"}
    new["lastScrape"] = "0001-01-01T00:00:00Z"
    down = {**up, "labels": {"job": "x", "instance": "x:80"}, "health": "down", "lastError": "refused"}
    prometheus.data = {"activeTargets": [up | common, new | common, down | common]}
    db, web, x = queries.targets()
    assert [target.is_up for target in (db, web, x)] == [False, True, False]
    assert (db.job, db.last_scrape) == ("db", None)
    assert web.last_scrape == datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)
    assert (web.url, web.last_scrape_seconds) == ("http://web:80/metrics", 0.25)
    assert web.discovered_labels == {"__address__": "a:1"}
    assert str(x) == "x x:80 down: refused"


def test_alerts(prometheus: Prometheus, queries: Queries) -> None:
    item = {
        "labels": {"alertname": "Down", "job": "web"},
        "annotations": {"summary": "it is"},
        "state": "firing",
        "activeAt": "2026-01-02T03:04:05+01:00",
        "value": "1e+00",
    }
    prometheus.data = {"alerts": [item, {**item, "labels": {"alertname": "Alas"}, "state": "pending"}]}
    alas, down = queries.alerts()
    assert (alas.name, alas.state, down.name, down.state, down.value) == (
        "Alas",
        "pending",
        "Down",
        "firing",
        1,
    )
    assert down.annotations == {"summary": "it is"}
    assert down.active_at == datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)


def test_pandas(prometheus: Prometheus, queries: Queries) -> None:
    pandas = pytest.importorskip("pandas")
    prometheus.data = vector(({"job": "web", "time": "noon"}, "1.5"), ({"zone": "a"}, "2"))
    found = queries.query("up").to_pandas()
    assert list(found.columns) == ["job", "label_time", "zone", "time", "value"]
    assert found["job"].tolist() == ["web", ""]
    assert found["value"].tolist() == [1.5, 2]
    assert found["time"].tolist() == [pandas.Timestamp(WHEN)] * 2
    prometheus.data = vector()
    nothing = queries.query("up").to_pandas()
    assert list(nothing.columns) == ["time", "value"]
    assert nothing.empty
    series = {"metric": {"job": "web"}, "values": [[AT, "1"], [AT + 1, "2"]]}
    prometheus.data = {"resultType": "matrix", "result": [series, {**series, "metric": {"job": "db"}}]}
    many = queries.query_range("up", 0, 1, 1).to_pandas()
    assert many.pivot(index="time", columns="job", values="value")["db"].tolist() == [1, 2]
    assert Scalar(WHEN, 2.0).to_pandas()["value"].tolist() == [2.0]
    assert Text(WHEN, "a").to_pandas()["value"].tolist() == ["a"]


def test_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(e2e.InvalidArgument, match="needs pandas: `pip install pandas`"):
        Scalar(WHEN, 1.0).to_pandas()


def test_a_wait_ends_when_each_value_is_as_expected(prometheus: Prometheus, queries: Queries) -> None:
    both = vector(({"job": "a"}, "2"), ({"job": "b"}, "2"))
    prometheus.data = [vector(), vector(({"job": "a"}, "2"), ({"job": "b"}, "1")), both]
    found = queries.wait_query("sum(up)", equals(2))
    assert isinstance(found, Vector)
    assert found.values == (2, 2)
    assert len(prometheus.asked) == 3


@pytest.mark.parametrize(
    ("expectation", "data"),
    [
        (equals_among_two(), vector(({"job": "a"}, "2"), ({"job": "b"}, "2"))),
        (lambda found: found.by("job") == {"a": 2}, vector(({"job": "a"}, "2"))),
        (between(1, 3), {"resultType": "scalar", "result": [AT, "2"]}),
        (lambda found: found.text == "x", {"resultType": "string", "result": [AT, "x"]}),
        (lambda found: len(found) == 0, vector()),
    ],
)
def test_what_expectations_judge(
    prometheus: Prometheus, queries: Queries, expectation: Any, data: dict[str, Any]
) -> None:
    prometheus.data = data
    assert str(queries.wait_query("q", expectation, timeout=60))


def test_two_sums_are_waited_for(prometheus: Prometheus, queries: Queries) -> None:
    prometheus.data = [
        vector(),
        vector(({"job": "a"}, "2")),
        vector(({"job": "a"}, "2"), ({"job": "b"}, "2")),
    ]
    assert len(queries.wait_query("q", equals_among_two()).values) == 2


def test_what_an_expectation_cannot_judge_ends_the_wait(prometheus: Prometheus, queries: Queries) -> None:
    prometheus.data = {"resultType": "matrix", "result": []}
    with pytest.raises(
        e2e.InvalidArgument, match=r"equals\(1\) judges one value for each series, and the query"
    ):
        queries.wait_query("up[5m]", equals(1))
    prometheus.trouble = [refusal(400, "bad_data", "parse error")]
    with pytest.raises(e2e.InvalidArgument, match="parse error"):
        queries.wait_query("up{", equals(1))
    with pytest.raises(e2e.InvalidArgument, match=r"expected an expectation such as equals\(5\), .* not 1"):
        queries.wait_query("up", 1)  # type: ignore[arg-type]


def test_a_wait_in_vain_tells_the_last_results(
    prometheus: Prometheus, queries: Queries, later: Later
) -> None:
    one, two = vector(({"job": "web"}, "1")), vector(({"job": "db"}, "0"), ({"job": "web"}, "1"))
    prometheus.data = [vector(), one, one, two]
    prometheus.more = {"warnings": ["it may be a gauge"]}
    prometheus.last_told = lambda: setattr(later, "seconds", 60)
    with pytest.raises(e2e.WaitTimeout) as failed:
        queries.wait_query("up", greater(1))
    lines = str(failed.value).splitlines()
    assert lines[0].startswith("up did not become greater(1): waited ")
    assert lines[1].startswith("  last results that differed, of ")
    assert [line.partition("s  ")[2] for line in lines[2:5]] == ["nothing", '{job="web"} 1', '{job="db"} 0']
    assert [line.strip() for line in lines[5:]] == ['{job="web"} 1', "Prometheus notes: it may be a gauge"]


def test_a_wait_outlasts_trouble_and_tells_the_last(prometheus: Prometheus, queries: Queries) -> None:
    prometheus.trouble = [refusal(422, "execution", "many-to-many"), (500, b"oops"), b""]
    assert queries.wait_query("up", equals(1)).values == (1,)
    prometheus.trouble = [refusal(422, "execution", "many-to-many")] * 1000
    with pytest.raises(e2e.WaitTimeout, match=r"become as (?s:.*)\n  at last: execution: many-to-many"):
        queries.wait_query("up", lambda _: True, timeout=1)


def test_a_wait_ends_when_prometheus_has_died(
    prometheus: Prometheus, queries: Queries, controller: FakeController
) -> None:
    failed = {"type": "Failed", "status": "CONDITION_STATUS_TRUE", "reason": "Exited", "message": "code 1"}
    dead = ready_object("env", "prometheus", conditions=[failed], container={"state": "exited"})

    def fail(_: Any) -> Iterator[Any]:
        yield wait_service_pb2.WaitConditionsResponse(object=dead)
        raise e2e.WaitFailed("never", details=[wait_service_pb2.WaitFailure(failed=[dead])])

    controller.answers["WaitConditions"] = fail
    prometheus.trouble = [(500, b"shutting down")]
    with pytest.raises(e2e.WaitFailed, match="it can no longer be, known after") as error:
        queries.wait_query("up", equals(1))
    assert "prometheus: Exited: code 1" in str(error.value)


async def test_the_asynchronous_twin(prometheus: Prometheus) -> None:
    async with AsyncEnvironment.attach("env", timeout=60) as env:
        queries = AsyncQueries(await env.get("prometheus"))
        expected: Callable[[QueryResult], bool] = lambda found: isinstance(found, Vector)  # noqa: E731
        assert await queries.wait_query("up", expected) == await queries.query("up")
        prometheus.data = {"resultType": "matrix", "result": []}
        assert len(await queries.query_range("up", 0, 1, 1)) == 0
        prometheus.data = {"alerts": [], "activeTargets": []}
        assert (await queries.alerts(), await queries.targets()) == ([], [])
