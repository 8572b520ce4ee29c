"""HTTP APIs of systems, as a user's program asks them."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

SECONDS = 60.0
"""How long anything may take on a busy machine."""

_T = TypeVar("_T")


def until(look: Callable[[], _T], holds: Callable[[_T], object]) -> _T:
    """Looks until it holds; gives what was seen then, and tells the last that was seen if it never does."""
    deadline = time.monotonic() + SECONDS
    while True:
        found = look()
        if holds(found):
            return found
        assert time.monotonic() < deadline, f"still, after {SECONDS:g} s: {found}"
        time.sleep(0.1)


def query(endpoint: str, promql: str, at: float | None = None) -> dict[str, float]:
    """The value of each series, by its labels as text; `endpoint` has Prometheus' query API."""
    parameters = {"query": promql} if at is None else {"query": promql, "time": str(at)}
    answer = httpx.get(f"http://{endpoint}/api/v1/query", params=parameters, timeout=SECONDS).json()
    assert answer["status"] == "success", answer
    return {_text(series["metric"]): float(series["value"][1]) for series in answer["data"]["result"]}


def query_range(endpoint: str, promql: str, start: float, end: float, step: float) -> list[float]:
    """The values of the one series that there is."""
    parameters: dict[str, Any] = {"query": promql, "start": start, "end": end, "step": step}
    answer = httpx.get(f"http://{endpoint}/api/v1/query_range", params=parameters, timeout=SECONDS).json()
    assert answer["status"] == "success", answer
    (series,) = answer["data"]["result"]
    return [float(value) for _, value in series["values"]]


def firing(endpoint: str) -> set[str]:
    """The names of the alerts that an Alertmanager has."""
    answer = httpx.get(f"http://{endpoint}/api/v2/alerts", timeout=SECONDS).raise_for_status().json()
    return {alert["labels"]["alertname"] for alert in answer}


def _text(labels: dict[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()) if name != "__name__")
