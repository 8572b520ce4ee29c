"""Waits for metrics, judged by the controller, on pages that are really served."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from e2e_api.errors import InvalidArgument, NotFound, Unavailable, WaitFailed, WaitTimeout
from e2e_api.v1 import metric_service_pb2 as pb
from e2e_controller.drivers.base import Key
from e2e_controller.server import metric_service

from .conftest import LATE, Client, Harness, MetricsPage, checked, document, eventually, key

EQUALS = pb.EXPECTATION_TYPE_EQUALS
GREATER_OR_EQUAL = pb.EXPECTATION_TYPE_GREATER_OR_EQUAL
INCREASE = pb.METRIC_MEASURE_INCREASE


def wait_for(
    *names: str,
    of: Sequence[str] = ("web",),
    type_: Any = EQUALS,
    operand: float | None = None,
    stable_for: float = 0,
    measure: Any = 0,
    window: float = 0,
    each: bool = False,
    **selection: Any,
) -> pb.WaitMetricsRequest:
    operands = [] if operand is None else [operand]
    expectation = pb.Expectation(type=type_, operands=operands, measure=measure, each=each)
    request = pb.WaitMetricsRequest(
        selection=pb.MetricSelection(names=names, **selection), expectation=expectation
    )
    if window:
        request.expectation.window.FromMilliseconds(int(window * 1000))
    if stable_for:
        request.stable_for.FromMilliseconds(int(stable_for * 1000))
    if len(of) == 1:
        request.selection.key.CopyFrom(key(of[0]))
    else:
        request.selection.keys.extend(key(name) for name in of)
    return request


async def waited(client: Client, request: pb.WaitMetricsRequest, timeout: float = 60) -> pb.MetricSample:
    return (await checked(client.metrics.WaitMetrics(request, timeout=timeout + LATE))).sample


async def in_vain(client: Client, request: pb.WaitMetricsRequest) -> pb.MetricFailure:
    """The evidence of a wait that has looked at least once, for which a busy machine may need its time."""
    for seconds in (1, 5, 25):
        with pytest.raises(WaitTimeout) as late:
            await waited(client, request, timeout=seconds)
        if late.value.metrics is not None and late.value.metrics.scrapes:
            break
    assert late.value.metrics is not None
    return late.value.metrics


async def scrapes(page: MetricsPage, more: int = 2) -> None:
    """Returns after so many more looks."""
    until = page.scrapes + more
    await eventually(lambda: page.scrapes >= until)


def matcher(name: str, value: str) -> pb.LabelMatcher:
    return pb.LabelMatcher(name=name, type=pb.LABEL_MATCH_TYPE_EQUAL, value=value)


async def test_several_workloads_are_summed_in_one_wait(client: Client, page: MetricsPage) -> None:
    page.texts = {"a": "m 1\n", "b": "m 2\n", "c": "other 1\n"}
    for name in "abc":
        await page.workload(client, name)
    waiting = asyncio.create_task(waited(client, wait_for("m", of="abc", operand=7)))
    await scrapes(page, 6)
    assert not waiting.done()
    page.texts["c"] = "m 4\n"
    sample = await waiting
    assert sample.sums[0] == pb.MetricSum(name="m", value=7, series=3)
    assert [(part.workload, part.sums[0].value) for part in sample.workloads] == [
        ("a", 1),
        ("b", 2),
        ("c", 4),
    ]
    request = pb.SumMetricsRequest(selection=wait_for("m", of="ab").selection)
    response = await checked(client.metrics.SumMetrics(request, timeout=60))
    assert response.sample.sums[0].value == 3
    assert page.scrapes > 6


async def test_what_one_of_several_does_not_have_is_absent_or_skipped(
    client: Client, page: MetricsPage
) -> None:
    page.texts = {"a": "m 1\n", "b": "other 1\n"}
    for name in "ab":
        await page.workload(client, name)
    skip = wait_for("m", of="ab", operand=1, absent=pb.ABSENT_POLICY_SKIP)
    assert (await waited(client, skip)).sums[0].series == 1
    fail = wait_for("m", of="ab", operand=1, absent=pb.ABSENT_POLICY_FAIL)
    with pytest.raises(NotFound, match=r"^b: metric m is absent"):
        await waited(client, fail)


async def test_a_wait_on_several_fails_as_soon_as_one_ends(
    client: Client, harness: Harness, page: MetricsPage
) -> None:
    page.text = "m 1\n"
    for name in "ab":
        await page.workload(client, name)
    waiting = asyncio.create_task(waited(client, wait_for("m", of="ab", operand=7)))
    await scrapes(page, 4)
    harness.driver.exit(Key("test", "Workload", "b"), 3)
    text = (
        r"waited for m of test/Workload/a, test/Workload/b to be: equals 7; .*exited with code 3"
        r".*; last: (2 \(2 series, a: 1, b: 1\)|b: .*)"  # a look during which it ends fails
    )
    with pytest.raises(WaitFailed, match=text) as failed:
        await waiting
    assert [found.key.name for found in failed.value.failed] == ["b"]
    assert failed.value.metrics is not None
    *_, sample = (sample for sample in failed.value.metrics.history if not sample.error)
    assert [part.workload for part in sample.workloads] == ["a", "b"]


async def test_a_failed_look_at_one_of_several_names_it(client: Client, page: MetricsPage) -> None:
    page.texts = {"a": "m 1\n", "b": "<html>"}
    for name in "ab":
        await page.workload(client, name)
    request = pb.SumMetricsRequest(selection=wait_for("m", of="ab").selection)
    with pytest.raises(Unavailable, match=r"b: GET .* not a metrics page"):
        await checked(client.metrics.SumMetrics(request, timeout=60))
    late = await in_vain(client, wait_for("m", of="ab", operand=1))
    assert late.history[-1].error.startswith("b: GET http")


@pytest.mark.parametrize(
    ("of", "problem"),
    [((), "either the key of one workload, or the keys of several"), (("a", "a"), "named twice")],
)
async def test_whose_sums_must_be_plain(client: Client, of: Sequence[str], problem: str) -> None:
    with pytest.raises(InvalidArgument, match=problem) as caught:
        await waited(client, wait_for("m", of=of, operand=1))
    assert caught.value.violations[0][0] == "selection.keys"


async def test_what_is_removed(client: Client, page: MetricsPage) -> None:
    page.text = 'm{a="1"} 0\nm{a="2"} 0\nn 1\n'
    await page.workload(client)
    request = wait_for(
        "m", "n", type_=pb.EXPECTATION_TYPE_ABSENT, matchers=[matcher("a", "1")], absent=pb.ABSENT_POLICY_SKIP
    )
    waiting = asyncio.create_task(waited(client, request))
    await scrapes(page)
    assert not waiting.done()
    page.text = 'm{a="2"} 0\nn{a="1"} 1\n'
    await scrapes(page)
    assert not waiting.done()
    page.text = 'm{a="2"} 0\nn 1\n'
    await waiting
    page.text = ""
    await waited(client, wait_for("m", type_=pb.EXPECTATION_TYPE_ABSENT))


async def test_what_is_removed_of_several_is_so_of_all(client: Client, page: MetricsPage) -> None:
    page.texts = {"a": "m 1\n", "b": "other 1\n"}
    for name in "ab":
        await page.workload(client, name)
    request = wait_for("m", of="ab", type_=pb.EXPECTATION_TYPE_ABSENT)
    waiting = asyncio.create_task(waited(client, request))
    await scrapes(page, 4)
    assert not waiting.done()
    page.texts["a"] = "other 1\n"
    await waiting


@pytest.mark.parametrize("breaks", ["m 1\n", "other 1\n", "<html>"])
async def test_what_must_stay_begins_anew_after_a_break(
    client: Client, page: MetricsPage, breaks: str
) -> None:
    page.text = "m 2\n"
    await page.workload(client)
    loop = asyncio.get_running_loop()
    waiting = asyncio.create_task(waited(client, wait_for("m", operand=2, stable_for=8)))
    await scrapes(page)
    page.text = breaks
    await scrapes(page)
    page.text, since = "m 2\n", loop.time()
    await waiting
    assert loop.time() - since >= 8


async def test_a_timeout_tells_how_long_it_held(client: Client, page: MetricsPage) -> None:
    page.text = "m 2\n"
    await page.workload(client)
    waiting = asyncio.create_task(waited(client, wait_for("m", operand=2, stable_for=8), timeout=12))
    await scrapes(page, 5)
    page.text = "m 3\n"
    with pytest.raises(WaitTimeout, match=r"to be: equals 2 for 8s without a break; not in time") as late:
        await waiting
    assert late.value.metrics is not None
    assert 0 < late.value.metrics.longest_held.ToMilliseconds() < 8000


async def test_nothing_stays_beyond_the_deadline(client: Client, page: MetricsPage) -> None:
    await page.workload(client)
    rate = {"measure": pb.METRIC_MEASURE_RATE, "window": 60}
    for more, field in (({"stable_for": 60}, "stable_for"), (rate, "expectation.window")):
        with pytest.raises(InvalidArgument, match="nothing can be seen for 1m before the call's") as caught:
            await waited(client, wait_for("m", operand=2, **more), timeout=20)  # type: ignore[arg-type]
        assert caught.value.violations[0][0] == field


async def test_a_wait_whose_time_is_over_before_it_begins_is_a_timeout(
    client: Client, page: MetricsPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await page.workload(client)
    monkeypatch.setattr(metric_service, "time_limit", lambda _: asyncio.get_running_loop().time() - 1)
    with pytest.raises(WaitTimeout, match="it was never scraped"):
        await waited(client, wait_for("m", operand=2))


async def test_an_increase_is_judged_against_the_begin(client: Client, page: MetricsPage) -> None:
    page.text = "m 100\n"
    await page.workload(client)
    request = wait_for("m", "late", type_=GREATER_OR_EQUAL, operand=5, measure=INCREASE)
    waiting = asyncio.create_task(waited(client, request))
    await scrapes(page)
    page.text = "m 3\nlate 5\n"  # a reset
    await scrapes(page)
    assert not waiting.done()
    page.text = "m 5\nlate 5\n"
    sample = await waiting
    assert [(found.value, found.change) for found in sample.sums] == [(5, 5), (5, 5)]


async def test_an_increase_may_count_from_an_earlier_baseline(client: Client, page: MetricsPage) -> None:
    page.texts = {"a": 'm{x="1"} 100\n', "b": 'm{x="1"} 7\n'}
    for name in "ab":
        await page.workload(client, name)
    request = wait_for("m", of="ab", operand=7, measure=INCREASE)
    asked = pb.GetBaselineRequest(selection=request.selection)
    response = await checked(client.metrics.GetBaseline(asked, timeout=60))
    request.baseline.CopyFrom(response.baseline)
    page.texts = {"a": 'm{x="1"} 102\n', "b": 'm{x="1"} 3\nm{x="2"} 2\n'}  # one was reset
    assert (await waited(client, request)).sums[0].change == 7
    for change, problem in (
        ({"measure": 0}, "baseline: has no effect but for an increase"),
        ({"names": ("n",)}, "baseline: it is one of other metrics, labels or workloads"),
        ({"of": "ba"}, "baseline: it is one of other metrics, labels or workloads"),
    ):
        given = {"names": ("m",), "of": "ab", "measure": INCREASE, **change}
        wrong = wait_for(*given.pop("names"), operand=7, **given)  # type: ignore[misc, arg-type]
        wrong.baseline.CopyFrom(response.baseline)
        with pytest.raises(InvalidArgument, match=problem):
            await waited(client, wrong)
    page.status = 503
    with pytest.raises(Unavailable, match="503"):
        await checked(client.metrics.GetBaseline(asked, timeout=60))


async def test_an_increase_counts_all_of_a_container_that_was_started_anew(
    client: Client, harness: Harness, page: MetricsPage
) -> None:
    page.text = "m 100\n"
    await page.workload(client)
    request = wait_for("m", type_=GREATER_OR_EQUAL, operand=150, measure=INCREASE)
    waiting = asyncio.create_task(waited(client, request))
    await scrapes(page)
    page.status = 503
    await scrapes(page)
    await page.workload(client, env={"A": "2"})  # its container is replaced
    page.text, page.status = "m 150\n", 200
    assert (await waiting).sums[0].change == 150


async def test_a_rate_is_known_after_its_window(client: Client, page: MetricsPage) -> None:
    page.text = "m 100\n"
    await page.workload(client)
    loop, started = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    request = wait_for("m", operand=0, measure=pb.METRIC_MEASURE_RATE, window=0.5)
    sample = await waited(client, request)
    assert loop.time() - started >= 0.5
    assert sample.sums[0].change == 0


async def test_each_series_may_have_to_be_so(client: Client, page: MetricsPage) -> None:
    page.text = 'm{a="1"} 2\nm{a="2"} 2\nm{a="3"} 5\n'
    await page.workload(client)
    with pytest.raises(WaitTimeout, match="to be: each equals 2; not in time"):
        await waited(client, wait_for("m", operand=2, each=True), timeout=1)
    late = await in_vain(client, wait_for("m", operand=2, each=True))
    assert late.matched[0].labels == {"a": "3"}  # the culprit first
    assert late.matched_count == 3
    page.text = 'm{a="1"} 2\nm{a="2"} 2\n'
    assert (await waited(client, wait_for("m", operand=2, each=True))).sums[0].value == 4


async def test_a_timeout_tells_which_series_match_and_what_may_have_been_meant(
    client: Client, page: MetricsPage
) -> None:
    page.text = 'requests{code="200",path="/"} 1\nrequests{code="404",path="/"} 2\n'
    await page.workload(client)
    found = await in_vain(client, wait_for("requests", operand=7))
    assert [(line.name, line.labels["code"], line.value) for line in found.matched] == [
        ("requests", "200", 1),
        ("requests", "404", 2),
    ]
    matchers = [matcher("cod", "200"), matcher("path", "/x")]
    found = await in_vain(client, wait_for("requests", "request", operand=7, matchers=matchers))
    assert list(found.similar) == ["requests"]
    assert list(found.label_misses) == [
        pb.LabelMiss(name="requests", matcher='cod="200"', unknown_label=True, there=["code", "path"]),
        pb.LabelMiss(name="requests", matcher='path="/x"', unknown_label=False, there=["/"]),
    ]


async def test_a_watch_in_vain_has_the_same_evidence(client: Client, page: MetricsPage) -> None:
    """What only the caller can judge is no reason to tell it less."""
    page.text = 'm{code="200"} 1\n'
    await page.workload(client, "web")

    async def watched(name: str, **more: Any) -> pb.MetricFailure:
        request = pb.WatchMetricsRequest(selection=wait_for(name, **more).selection)

        async def to_its_end(seconds: float) -> None:
            async for _ in client.metrics.WatchMetrics(request, timeout=seconds + LATE):
                pass

        for seconds in (1, 5, 25):  # a busy machine may need its time to look twice
            with pytest.raises((WaitTimeout, NotFound)) as raised:
                await checked(to_its_end(seconds))
            found = raised.value.metrics
            if isinstance(raised.value, NotFound) or (found is not None and found.scrapes > 1):
                break
        assert found is not None
        return found

    failure = await watched("m")
    assert [(found.name, dict(found.labels), found.value) for found in failure.matched] == [
        ("m", {"code": "200"}, 1)
    ]
    assert failure.scrapes > len(failure.history) == 1
    failure = await watched("m", matchers=[matcher("code", "500")])
    assert [(miss.matcher, list(miss.there)) for miss in failure.label_misses] == [('code="500"', ["200"])]
    page.text = "requests_total 1\n"
    assert list((await watched("request_total")).similar) == ["requests_total"]
    absent = await watched("request_total", absent=pb.ABSENT_POLICY_FAIL)
    assert (list(absent.similar), absent.scrapes) == (["requests_total"], 1)
    once = wait_for("request_total", absent=pb.ABSENT_POLICY_FAIL).selection
    with pytest.raises(NotFound, match="test/Workload/web: metric request_total is absent") as raised:
        await checked(client.metrics.SumMetrics(pb.SumMetricsRequest(selection=once), timeout=60))
    assert raised.value.metrics is not None
    assert list(raised.value.metrics.similar) == ["requests_total"]
    once.absent = pb.ABSENT_POLICY_SKIP
    response = await checked(client.metrics.SumMetrics(pb.SumMetricsRequest(selection=once), timeout=60))
    assert not response.sample.sums[0].HasField("value")
    page.text = "<html>"
    assert "not a metrics page" in (await watched("m")).history[-1].error


async def test_the_last_failed_look_is_told(client: Client, harness: Harness, page: MetricsPage) -> None:
    page.text = "<html>"
    await page.workload(client)
    waiting = asyncio.create_task(waited(client, wait_for("m", operand=-1)))
    await scrapes(page)
    for number in range(25):
        page.text = f"m {number}\n"
        await scrapes(page, 1)
    harness.driver.exit(Key("test", "Workload", "web"), 3)
    with pytest.raises(WaitFailed) as failed:
        await waiting
    found = failed.value.metrics
    assert found is not None
    told = [sample.error for sample in found.history if sample.error] or [found.last_error.error]
    assert "not a metrics page" in told[0]


async def test_credentials_reach_the_page_and_no_text(client: Client, page: MetricsPage) -> None:
    page.text = "m 1\n"
    await page.workload(client, metrics={"bearerToken": "t0ps3cret"})
    await waited(client, wait_for("m", operand=1))
    assert page.authorizations == {"Bearer t0ps3cret"}
    found = await client.get()
    assert "t0ps3cret" not in str(found)
    assert '"bearerToken": "********"' in found.document
    page.text, page.status = "who is t0ps3cret", 401
    with pytest.raises(Unavailable, match=r"401 Unauthorized: who is \*\*\*\*") as failed:
        await checked(client.metrics.GetMetrics(pb.GetMetricsRequest(key=key()), timeout=60))
    assert "t0ps3cret" not in str(failed.value)


async def test_the_page_as_it_is_served(client: Client, page: MetricsPage) -> None:
    page.text = "# a comment\nm  1\n"
    await page.workload(client)
    response = await checked(client.metrics.GetMetricsPage(pb.GetMetricsPageRequest(key=key()), timeout=60))
    assert (response.text, response.content_type) == (page.text, "text/plain; charset=utf-8")
    await client.apply(document("plain"))
    request = pb.GetMetricsPageRequest(key=key("plain"))
    with pytest.raises(InvalidArgument, match="plain serves no metrics"):
        await checked(client.metrics.GetMetricsPage(request, timeout=60))
