"""Reads the answers of Prometheus' HTTP API. Pure."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from e2e.prometheus.results import (
    Alert,
    Matrix,
    QueryResult,
    Range,
    Sample,
    Scalar,
    ScrapeTarget,
    Text,
    Vector,
)
from e2e_api.errors import InvalidArgument, Unavailable

_WRONG_QUERY = "bad_data"


def data_of(content: bytes) -> tuple[Any, tuple[str, ...]]:
    """The data of an answer, and the warnings.

    Raises InvalidArgument where the question was wrong, and Unavailable for any other trouble.
    """
    try:
        answer = json.loads(content)
        if answer["status"] == "success":
            return answer["data"], (*answer.get("warnings", ()), *answer.get("infos", ()))
        kind, said = str(answer["errorType"]), str(answer["error"])
    except (ValueError, KeyError, TypeError):
        raise Unavailable(f"it is no answer of Prometheus: {content[:200]!r}", reason="NoAnswer") from None
    if kind == _WRONG_QUERY:
        raise InvalidArgument(said, reason="BadQuery")
    raise Unavailable(f"{kind}: {said}", reason="QueryFailed")


def result_of(data: Mapping[str, Any], warnings: tuple[str, ...]) -> QueryResult:
    """The result of a query."""
    kind, result = data["resultType"], data["result"]
    if kind == "vector":
        return Vector(tuple(_sample(item) for item in result), warnings)
    if kind == "matrix":
        return Matrix(tuple(_range(item) for item in result), warnings)
    moment, value = result
    if kind == "scalar":
        return Scalar(_moment(moment), float(value), warnings)
    return Text(_moment(moment), str(value), warnings)


def targets_of(data: Mapping[str, Any]) -> list[ScrapeTarget]:
    """The targets that are scraped, by job and instance."""
    found = [_target(item) for item in data["activeTargets"]]
    return sorted(found, key=lambda target: (target.job, target.instance))


def alerts_of(data: Mapping[str, Any]) -> list[Alert]:
    """The alerts that are pending or firing, by name."""
    found = [
        Alert(
            item["labels"].get("alertname", ""),
            item["state"],
            item["labels"],
            item.get("annotations", {}),
            _time(item.get("activeAt", "")),
            float(item["value"]),
        )
        for item in data["alerts"]
    ]
    return sorted(found, key=lambda alert: (alert.name, sorted(alert.labels.items())))


def _sample(item: Mapping[str, Any]) -> Sample:
    moment, value = _plain(item, "value")
    return Sample(item["metric"], _moment(moment), float(value))


def _range(item: Mapping[str, Any]) -> Range:
    pairs = _plain(item, "values")
    times = tuple(_moment(moment) for moment, _ in pairs)
    return Range(item["metric"], times, tuple(float(value) for _, value in pairs))


def _plain(item: Mapping[str, Any], field: str) -> Sequence[Any]:
    """The numbers of a series. Raises InvalidArgument for native histograms."""
    if field not in item:
        name = item["metric"].get("__name__", "the result")
        raise InvalidArgument(
            f"{name} has native histograms: ask for their histogram_count(), histogram_sum() or the like",
            reason="NativeHistogram",
        )
    pairs: Sequence[Any] = item[field]
    return pairs


def _target(item: Mapping[str, Any]) -> ScrapeTarget:
    labels = item["labels"]
    return ScrapeTarget(
        job=labels.get("job", ""),
        instance=labels.get("instance", ""),
        health=item["health"],
        url=item["scrapeUrl"],
        last_error=item["lastError"],
        last_scrape=_time(item["lastScrape"]),
        last_scrape_seconds=float(item["lastScrapeDuration"]),
        labels=labels,
        discovered_labels=item["discoveredLabels"],
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _time(text: str) -> datetime | None:
    """Of RFC 3339; None for Go's zero time, which means never."""
    if not text or text.startswith("0001-"):
        return None
    return datetime.fromisoformat(text)
