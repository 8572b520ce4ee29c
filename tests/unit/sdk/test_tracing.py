"""The critical path of a start, and the forms in which a trace is shown."""

import json
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st

from e2e.cli.waterfall import trace_lines
from e2e.tracing import IDLE, Span, Trace, chrome_events, critical_path, trace_of
from e2e_api.v1 import object_pb2

BEGAN = datetime(2030, 1, 1, tzinfo=UTC)


def trace(*spans: tuple[str, str, float, float], **dependencies: tuple[str, ...]) -> Trace:
    made = [Span(start, end, object_, name) for object_, name, start, end in spans]
    return Trace("shop", BEGAN, tuple(sorted(made)), dependencies)


def path(found: Trace) -> list[tuple[str, str, float, float]]:
    return [(span.object, span.name, span.start, span.end) for span in critical_path(found)]


def test_the_path_of_one_object_is_its_phases() -> None:
    spans = [("web", "queue", 0, 1), ("web", "create", 1, 2), ("web", "start", 2, 5), ("web", "probe", 5, 6)]
    assert path(trace(*spans)) == spans  # type: ignore[arg-type]


def test_of_parallel_objects_the_last_counts() -> None:
    found = trace(("a", "start", 0, 2), ("b", "start", 0, 5), ("c", "start", 0, 3))
    assert path(found) == [("b", "start", 0, 5)]


def test_a_wait_for_dependencies_leads_through_the_one_that_was_last() -> None:
    found = trace(
        ("db", "start", 0, 2),
        ("db", "probe", 2, 6),
        ("cache", "start", 0, 3),
        ("web", "dependencies", 0, 6.5),
        ("web", "start", 6.5, 8),
        web=("db", "cache"),
    )
    assert path(found) == [
        ("db", "start", 0, 2),
        ("db", "probe", 2, 6),
        ("web", "dependencies", 6, 6.5),
        ("web", "start", 6.5, 8),
    ]


def test_a_wait_for_the_network_leads_through_the_environment() -> None:
    found = trace(("Environment/shop", "network", 0.5, 2), ("web", "network", 0, 2), ("web", "start", 2, 3))
    assert path(found) == [("Environment/shop", "network", 0.5, 2), ("web", "start", 2, 3)]


def test_time_that_no_phase_accounts_for_is_idle() -> None:
    found = trace(("web", "create", 0, 1), ("web", "start", 4, 5))
    assert path(found) == [("web", "create", 0, 1), ("web", IDLE, 1, 4), ("web", "start", 4, 5)]


def test_objects_that_wait_for_each_other_end_it() -> None:
    found = trace(("a", "dependencies", 0, 5), ("b", "dependencies", 0, 5), a=("b",), b=("a",))
    assert len(path(found)) <= 6


def test_nothing_has_no_path() -> None:
    assert path(trace()) == []
    assert trace_of("shop", [object_pb2.Object()]) is None


NAMES = st.sampled_from(["a", "b", "c"])
PHASES = st.sampled_from(["queue", "network", "dependencies", "start", "probe"])
SPANS = st.tuples(NAMES, PHASES, st.integers(0, 50), st.integers(0, 20))


@given(st.lists(SPANS, max_size=12), st.dictionaries(NAMES, st.tuples(NAMES), max_size=3))
def test_a_path_has_no_gaps_and_ends_with_the_last(
    drawn: list[tuple[str, str, int, int]], dependencies: dict[str, tuple[str, ...]]
) -> None:
    spans = [(name, phase, float(start), float(start + length)) for name, phase, start, length in drawn]
    found = critical_path(trace(*spans, **dependencies))
    for one, following in pairwise(found):
        assert one.end == pytest.approx(following.start, abs=0.002)
    assert all(span.start <= span.end for span in found)
    if found:
        assert found[-1].end == max(end for *_, end in spans)


def started(name: str, phases: list[tuple[str, float, float]], kind: str = "Workload", **spec: Any) -> Any:
    told = [
        {"name": phase, "startedAt": f"2030-01-01T00:00:{start:06.3f}Z", "duration": f"{seconds:.3f}s"}
        for phase, start, seconds in phases
    ]
    key = {"environment": "shop", "kind": kind, "name": name}
    document = json.dumps({"kind": kind, "spec": spec})
    return ParseDict({"key": key, "document": document, "status": {"phases": told}}, object_pb2.Object())


def shop() -> Trace:
    found = trace_of(
        "shop",
        [
            started("shop", [("network", 10, 0.5)], "Environment"),
            started("db", [("network", 10, 0.5), ("start", 10.5, 1), ("probe", 11.5, 2)]),
            started(
                "web",
                [("dependencies", 10, 3.5), ("start", 13.5, 0.5)],
                dependsOn=[{"name": "db", "condition": "Ready"}],
            ),
        ],
    )
    assert found is not None
    return found


def test_a_trace_is_made_of_the_objects_phases() -> None:
    found = shop()
    assert found.began.isoformat() == "2030-01-01T00:00:10+00:00"
    assert found.end == 4.0
    assert [(span.object, span.name) for span in critical_path(found)] == [
        ("Environment/shop", "network"),
        ("db", "start"),
        ("db", "probe"),
        ("web", "start"),
    ]


def test_the_waterfall() -> None:
    lines = list(trace_lines(shop()))
    assert lines[0] == "shop: 4.000s from 2030-01-01 00:00:10 UTC; █ works, ░ waits"
    (probe,) = [line for line in lines if "*probe" in line]
    assert probe.split()[:3] == ["*probe", "+1.500s", "2.000s"]
    assert probe.count("█") == 30
    assert "  db                probe    2.000s  50%" in lines


def test_trace_events_for_perfetto() -> None:
    events = chrome_events(shop())["traceEvents"]
    rows = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert rows[0] == "critical path"
    (probe,) = [event for event in events if event["name"] == "probe"]
    assert (rows[probe["tid"]], probe["ts"], probe["dur"], probe["cat"]) == (
        "db",
        1_500_000,
        2_000_000,
        "step",
    )
    assert [event["name"] for event in events if event.get("tid") == 0 and event["ph"] == "X"] == [
        "Environment/shop network",
        "db start",
        "db probe",
        "web start",
    ]
