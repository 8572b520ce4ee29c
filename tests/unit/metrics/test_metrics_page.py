"""Finding and parsing lines, beside prometheus_client's parsers."""

import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.core import (
    CollectorRegistry,
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import generate_latest as to_text
from prometheus_client.openmetrics.exposition import generate_latest as to_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as from_openmetrics
from prometheus_client.parser import text_string_to_metric_families as from_text
from prometheus_client.registry import Collector

from e2e_api.errors import LimitExceeded
from e2e_controller.metrics import (
    LabelMatcher,
    MatchType,
    Page,
    ScrapeError,
    Series,
    Sum,
    ValueType,
    select,
    selection,
    series,
    similar_names,
)
from e2e_controller.metrics.page import Patience, decode, ensure_metrics, find

OPENMETRICS = Page("""\
# HELP http_requests Requests.
# TYPE http_requests counter
# UNIT http_requests requests
http_requests_total{code="200"} 17.0 # {trace_id="a } b"} 0.5 1520879607.789
http_requests_created{code="200"} 1.6e9
http_requests_total{code="500"} 3 1520879607.789
# TYPE latency_seconds histogram
latency_seconds_bucket{le="0.1"} 8 # {trace_id="K#"} 0.05
latency_seconds_bucket{le="+Inf"} 10
latency_seconds_count 10
latency_seconds_sum 4.5
latency_seconds_created 1.6e9
# TYPE queue gaugehistogram
queue_bucket{le="+Inf"} 7
queue_gcount 7
queue_gsum 70
# TYPE build info
build_info{version="1.2"} 1
# TYPE feature stateset
feature{feature="a"} 1
feature{feature="b"} 0
# EOF
""")
TEXT = Page("""\
# TYPE http_requests_total counter
http_requests_total{code="200"} 17
http_requests_total{code="500"} 3
# TYPE rpc_seconds summary
rpc_seconds{quantile="0.5"} NaN
rpc_seconds_sum 8
rpc_seconds_count 4
untyped_thing 5
""")


def values(page: Page, *names: str, value_type: ValueType = ValueType.VALUE) -> list[float | None]:
    return [sum_.value for sum_ in select(page, names, value_type=value_type)]


@pytest.mark.parametrize(
    ("page", "name", "value", "count"),
    [
        (OPENMETRICS, "http_requests", 20, 2),
        (OPENMETRICS, "http_requests_total", 20, 2),
        (TEXT, "http_requests", 20, 2),
        (TEXT, "http_requests_total", 20, 2),
        (OPENMETRICS, "latency_seconds", 4.5, 10),
        (OPENMETRICS, "latency_seconds_count", 10, 1),
        (OPENMETRICS, "latency_seconds_bucket", 18, 2),
        (OPENMETRICS, "queue", 70, 7),
        (OPENMETRICS, "build", 1, 1),
        (OPENMETRICS, "build_info", 1, 1),
        (OPENMETRICS, "feature", 1, 2),
        (TEXT, "rpc_seconds", 8, 4),
        (TEXT, "untyped_thing", 5, 1),
        (TEXT, "untyped", None, None),
        (TEXT, "rpc", None, None),
        (Page(""), "anything", None, None),
        (Page("# EOF\n"), "anything", None, None),
    ],
)
def test_a_metric_is_found_by_its_family_or_its_name_on_the_page(
    page: Page, name: str, value: float | None, count: float | None
) -> None:
    assert values(page, name) == [value]
    assert values(page, name, value_type=ValueType.COUNT) == [count]


@pytest.mark.parametrize(
    ("line", "labels", "value"),
    [
        ("m 1", {}, 1),
        ("m\t1\t1520879607789", {}, 1),
        ("  m{} +Inf  ", {}, math.inf),
        ('m{a="1"}-Inf', {"a": "1"}, -math.inf),
        ("m 1e-3\r", {}, 0.001),
        ('m { a = "3" , b="4" , } 1', {"a": "3", "b": "4"}, 1),
        ('m{a="},{ # x=\\"y\\" \\\\ \\n z"} 2', {"a": '},{ # x="y" \\ \n z'}, 2),
        ('m{a=""} 2', {"a": ""}, 2),
        ('m{"a.b"="c"} 2', {"a.b": "c"}, 2),
        ('{"m"} 3', {}, 3),
        ('{"m", a="1"} 3', {"a": "1"}, 3),
        ('m{a="日本\u2028"} 4 # {id="x"} 1', {"a": "日本\u2028"}, 4),
    ],
)
def test_lines(line: str, labels: dict[str, str], value: float) -> None:
    page = Page(f"other 1\n{line}\nothers 1")
    assert series(page, ["m"]) == [Series("m", "m", labels, value)]
    assert series(page)[1] == Series("m", "m", labels, value)
    assert values(page, "m") == [value]


@pytest.mark.parametrize(
    "line",
    [
        "m",
        "m ",
        "m one",
        "m 1_000",
        "m 1 2 3",
        "m{a=1} 1",
        'm{a="1} 1',
        'm{a="1"b="2"} 1',
        'm{a="1",a="2"} 1',
        "m{,} 1",
        'm{"n"} 1',
        "m {} {}",
        "m 0x1F",
    ],
)
def test_a_bad_line_of_an_asked_family_is_named(line: str) -> None:
    page = Page(f"# TYPE m gauge\nother 1\n{line}\n")
    if line.startswith(("m ", "m{")):
        with pytest.raises(ScrapeError, match="line 3 of the metrics page is not a metric: m"):
            select(page, ["m"])
    with pytest.raises(ScrapeError, match="line 3 "):
        series(page)


def test_garbage_elsewhere_does_not_hurt() -> None:
    page = Page('}{ "\n<html>\nm 1\nother{a=} x\n\x00\x01 # TYPE m counter\n m_x 1\n')
    assert values(page, "m") == [1]
    assert series(page, ["m"]) == [Series("m", "m", {}, 1)]


def test_series_of_a_histogram() -> None:
    found = series(OPENMETRICS, ["latency_seconds"], [LabelMatcher("__name__", MatchType.REGEX, ".*_bucket")])
    assert found == [
        Series("latency_seconds", "latency_seconds_bucket", {"le": "0.1"}, 8),
        Series("latency_seconds", "latency_seconds_bucket", {"le": "+Inf"}, 10),
    ]


def test_a_suffix_is_not_taken_from_another_family() -> None:
    page = Page("# TYPE jobs gauge\njobs 1\n# TYPE jobs_count gauge\njobs_count 7\n")
    assert [one.name for one in series(page, ["jobs"])] == ["jobs"]
    assert values(page, "jobs", "jobs_count") == [1, 7]


@pytest.mark.parametrize(
    ("text", "content_type", "message"),
    [
        ("<!DOCTYPE html>\n<p>hello", "text/html", "text/html, line 1 is: <!DOCTYPE html>"),
        ('\n\n{"error": "no"}', "application/json", 'application/json, line 3 is: {"error": "no"}'),
        ("# Title\n\nSome text.\n", "", "no content type, line 3 is: Some text."),
    ],
)
def test_another_kind_of_page_is_told(text: str, content_type: str, message: str) -> None:
    with pytest.raises(ScrapeError, match="not a metrics page: ") as caught:
        ensure_metrics(Page(text, content_type))
    assert str(caught.value).endswith(message)


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# EOF", "# a comment\n", "nonsense?\nm 1\n", "# TYPE m gauge\n"]
)
def test_a_metrics_page_may_be_empty_or_have_faults(text: str) -> None:
    ensure_metrics(Page(text, "text/html"))


@pytest.mark.parametrize(
    ("name", "similar"),
    [
        ("http_request_total", ["http_requests_total"]),
        ("requests", ["http_requests_total"]),
        ("rpc_second", ["rpc_seconds"]),
        ("untyped_thing", []),
        ("req", []),
        ("zzz", []),
    ],
)
def test_similar_names(name: str, similar: list[str]) -> None:
    assert similar_names(TEXT, name) == similar


NAMES = st.from_regex(r"m[a-d_]{0,3}", fullmatch=True).filter(lambda name: not name.endswith("_"))
LABEL_VALUES = st.text(st.characters(codec="utf-8"), max_size=6)
LABELS = st.dictionaries(st.sampled_from(["a", "b", "le_", "zone"]), LABEL_VALUES, max_size=3)
NUMBERS = st.floats(allow_nan=False, min_value=0)


@st.composite
def families(draw: st.DrawFn) -> list[Metric]:
    result: list[Metric] = []
    for name in draw(st.lists(NAMES, unique=True, max_size=5)):
        kind = draw(st.sampled_from([_counter, _gauge, _histogram, _summary]))
        result.append(kind(name, draw(st.lists(LABELS, max_size=3, unique_by=_items)), draw(NUMBERS)))
    return result


def _items(labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _counter(name: str, labels: Iterable[dict[str, str]], value: float) -> Metric:
    family = CounterMetricFamily(name, "help")
    for one in labels:
        family.add_sample(f"{name}_total", one, value)
    return family


def _gauge(name: str, labels: Iterable[dict[str, str]], value: float) -> Metric:
    family = GaugeMetricFamily(name, "help \\ \n # TYPE x counter")
    for one in labels:
        family.add_sample(name, one, -value)
    return family


def _histogram(name: str, labels: Iterable[dict[str, str]], value: float) -> Metric:
    family = HistogramMetricFamily(name, "help")
    for one in labels:
        for bound, number in (("0.5", 1), ("+Inf", 3)):
            family.add_sample(f"{name}_bucket", {**one, "le": bound}, number)
        family.add_sample(f"{name}_count", one, 3)
        family.add_sample(f"{name}_sum", one, value)
    return family


def _summary(name: str, labels: Iterable[dict[str, str]], value: float) -> Metric:
    family = SummaryMetricFamily(name, "help")
    for one in labels:
        family.add_sample(name, {**one, "quantile": "0.5"}, value)
        family.add_sample(f"{name}_count", one, 3)
        family.add_sample(f"{name}_sum", one, value)
    return family


class _Fixed(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


@pytest.mark.parametrize(("render", "oracle"), [(to_text, from_text), (to_openmetrics, from_openmetrics)])
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(metrics=families())
def test_asked_families_are_the_whole_page_filtered(
    render: Callable[[CollectorRegistry], bytes],
    oracle: Callable[[str], Iterable[Metric]],
    metrics: list[Metric],
) -> None:
    registry = CollectorRegistry()
    registry.register(_Fixed(metrics))
    page = Page(render(registry).decode())
    everything = series(page)
    parsed = {family.name: family for family in oracle(page.text)}
    for name, family in parsed.items():
        expected = [(sample.name, dict(sample.labels), sample.value) for sample in family.samples]
        found = series(page, [name])
        assert [tuple(one[1:]) for one in found] == expected
        assert [one for one in everything if one.family in (name, f"{name}_total")] == found
        (sum_,) = select(page, [name])
        assert sum_.value == _oracle_sum(family)


def _oracle_sum(family: Metric) -> float | None:
    suffix = {"counter": "_total", "histogram": "_sum", "summary": "_sum"}.get(family.type, "")
    counted = [sample.value for sample in family.samples if sample.name == family.name + suffix]
    return sum(counted) if counted else None


LINES = st.lists(
    st.one_of(
        st.text(),
        st.from_regex(r"#? ?(TYPE )?m(_sum|_total)?[{ ]?.*", fullmatch=True),
        st.text(alphabet='m{}"=,\\ \t#1.eTYP\n', max_size=30),
    )
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LINES.map("\n".join) | st.binary().map(lambda data: data.decode("utf-8", "replace")))
def test_nothing_but_scrape_errors(text: str) -> None:
    page = Page(text)
    attempts: list[Callable[[], Any]] = [
        lambda: ensure_metrics(page),
        lambda: select(page, ["m", "m_sum", text[:5] or "x"]),
        lambda: series(page, ["m"]),
        lambda: series(page),
    ]
    for attempt in attempts:
        with suppress(ScrapeError):
            attempt()
    assert len(similar_names(page, "m")) <= 5


@pytest.mark.parametrize(
    "text", [" " * 10**6, "m" * 10**6, 'm{a="' * 10**5, 'm{a="' + "\\" * 10**6, "# TYPE " * 10**5]
)
def test_no_page_takes_for_ever(text: str) -> None:
    """What is quadratic would take hours here."""
    test_nothing_but_scrape_errors.hypothesis.inner_test(text)  # type: ignore[attr-defined]


def test_a_page_of_many_windows_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "Patience", lambda: Patience(600))  # a slow machine may need much of it
    lines = [f'm{{x="{number:030}"}} 1\n' for number in range(30_000)]
    page = Page("# TYPE m counter\n" + "".join(lines) + "other 5\nm 3")
    assert select(page, ["m", "other"]) == [Sum("m", 30_003, 30_001), Sum("other", 5, 1)]
    assert len(series(page)) == 30_002


def test_a_line_without_end_is_named() -> None:
    page = Page("m 1\n" + "x" * (2 * 2**20) + "\nm 2\n")
    with pytest.raises(ScrapeError, match="line 2 of the metrics page is longer than 1048576 characters"):
        select(page, ["m"])


def test_the_time_for_a_page_is_bounded() -> None:
    with pytest.raises(ScrapeError, match="takes more than 0s to read: it is too large"):
        find(Page("m 1\n"), ["m"], Patience(0))


def test_more_series_than_anybody_reads_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "MOST_SERIES", 2)
    assert len(series(Page("m 1\nn 1\n"))) == 2
    with pytest.raises(LimitExceeded, match="more than 2 series match: name families, or labels"):
        series(Page("m 1\nn 1\no 1\n"))


@pytest.mark.parametrize("size", [2**20 - 1, 2**20, 2**20 + 1])
def test_letters_are_not_torn_by_decoding_in_pieces(size: int) -> None:
    text = "a" * (size - 1) + "ä€😀"
    assert decode(b"\xef\xbb\xbf" + text.encode() + b"\xff") == text + "\ufffd"
