"""When it is asked, and what is told of, on a clock of its own. The probe is a command that takes no time."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from e2e_api.manifests import Readiness
from e2e_controller.probes.schedule import pause

from .probe_helpers import KEY, START, Session, StubDriver, Watch, container_of, exits

MakeWatch = Callable[..., Watch]
EXEC = {"command": ["check"]}


def ready_when(watch: Watch, condition: Callable[[float], bool]) -> list[float]:
    """Makes the command exit with 0 at the times that fulfil the condition; returns when it ran."""
    times: list[float] = []

    def run() -> Session:
        times.append(watch.elapsed)
        return exits(0 if condition(watch.elapsed) else 1, "not yet")

    watch.driver.run = run
    return times


@pytest.mark.looptime
async def test_the_first_attempt_is_at_once_and_the_next_in_proportion(make_watch: MakeWatch) -> None:
    watch = make_watch()
    times = ready_when(watch, lambda now: now >= 5)
    watch.start({"exec": EXEC})
    await asyncio.sleep(5.2)
    assert times[0] == 0
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] == pytest.approx(0.01)
    assert gaps[-1] == pytest.approx(0.015)
    assert all(gap <= max(0.011, 0.051 * time) for gap, time in zip(gaps, times, strict=False))
    assert len(watch.told) == 1
    time, ready, timed_out = watch.told[0]
    assert 5 <= time <= 5.1
    assert (ready, timed_out) == (True, False)


@pytest.mark.parametrize(("crowd", "longest"), [(1, 0.015), (5, 0.015), (10, 0.02), (40, 0.08), (400, 0.1)])
def test_a_crowd_is_asked_less_often(crowd: int, longest: float) -> None:
    readiness = Readiness.model_validate({"exec": EXEC})
    later = pause(readiness, ready=False, failures=9, waited=30, rest=0, crowd=crowd, now=0)
    assert later == pytest.approx(longest)


@pytest.mark.parametrize(("now", "then"), [(0, 10), (0.2, 11), (0.9, 11), (1.0, 11), (7.3, 18)])
def test_what_rests_is_asked_together_with_others(now: float, then: float) -> None:
    readiness = Readiness.model_validate({"exec": EXEC})
    rest = pause(readiness, ready=True, failures=0, waited=0, rest=0, crowd=0, now=now)
    assert now + rest == pytest.approx(then)


@pytest.mark.looptime
async def test_once_ready_it_is_asked_every_period(make_watch: MakeWatch) -> None:
    watch = make_watch()
    times = ready_when(watch, lambda now: True)
    watch.start({"exec": EXEC, "period": "10s"})
    await asyncio.sleep(35)
    assert times == [0, 10, 20, 30]
    assert watch.told == [(0, True, False)]
    assert watch.report.attempts == 4
    assert watch.attempts == [("exec", True)] * 4


@pytest.mark.looptime
async def test_not_ready_after_as_many_failures_in_a_row(make_watch: MakeWatch) -> None:
    watch = make_watch()
    times = ready_when(watch, lambda now: now < 10 or now > 20)
    watch.start({"exec": EXEC, "failureThreshold": 3})
    await asyncio.sleep(25)
    assert times[:5] == [0, 10, 11, 12, pytest.approx(12.01)]  # sooner, once there is a doubt
    (became_ready, lost, found) = watch.told
    assert became_ready == (0, True, False)
    assert lost == (12, False, False)
    assert found[1:] == (True, False)
    assert 20 < found[0] <= 20.11


@pytest.mark.looptime
async def test_a_single_failure_changes_nothing(make_watch: MakeWatch) -> None:
    watch = make_watch()
    ready_when(watch, lambda now: not 10 <= now < 12)
    watch.start({"exec": EXEC, "failureThreshold": 3})
    await asyncio.sleep(11.5)
    assert watch.report.consecutive_failures == 2
    assert watch.report.ready
    await asyncio.sleep(20)
    assert watch.report.consecutive_failures == 0
    assert watch.told == [(0, True, False)]


@pytest.mark.looptime
async def test_the_startup_timeout_is_told_of_once_and_asking_goes_on(make_watch: MakeWatch) -> None:
    watch = make_watch()
    times = ready_when(watch, lambda now: now > 100)
    watch.start({"exec": EXEC, "startupTimeout": "60s"})
    await asyncio.sleep(90)
    assert watch.told == [(60, False, True)]
    assert watch.report.timed_out
    assert times[-1] - times[-2] == pytest.approx(1)
    await asyncio.sleep(20)
    assert [told[1:] for told in watch.told] == [(False, True), (True, False)]


@pytest.mark.looptime
async def test_what_was_ready_once_does_not_time_out(make_watch: MakeWatch) -> None:
    watch = make_watch()
    ready_when(watch, lambda now: now < 5)
    watch.start({"exec": EXEC, "startupTimeout": "20s", "period": "1s", "failureThreshold": 1})
    await asyncio.sleep(100)
    assert watch.told == [(0, True, False), (5, False, False)]


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("age", "timeout", "at"), [(3600, "60s", 5), (58, "60s", 5), (10, "60s", 50), (9, "1s", 1)]
)
async def test_the_time_counts_from_the_start_with_grace_for_what_ran_before(
    make_watch: MakeWatch, age: float, timeout: str, at: float
) -> None:
    watch = make_watch()
    ready_when(watch, lambda now: False)
    watch.container = replace(watch.container, started_at=START - timedelta(seconds=age))
    watch.start({"exec": EXEC, "startupTimeout": timeout})
    await asyncio.sleep(100)
    assert watch.told == [(at, False, True)]


@pytest.mark.looptime
async def test_an_attempt_is_bounded_and_none_overlaps(make_watch: MakeWatch) -> None:
    watch = make_watch()
    sessions: list[Session] = []

    def run() -> Session:
        assert all(session.closed for session in sessions)
        sessions.append(exits(0, delay=60))
        return sessions[-1]

    watch.driver.run = run
    watch.start({"exec": EXEC, "timeout": "500ms"})
    await asyncio.sleep(10)
    assert len(sessions) > 3
    report = watch.report
    assert (report.ready, report.answer) == (False, "timeout after 500ms")
    assert report.attempts == report.consecutive_failures == len(watch.attempts)


@pytest.mark.looptime
async def test_a_costly_command_is_rested_from(make_watch: MakeWatch) -> None:
    watch = make_watch()
    times: list[float] = []

    def run() -> Session:
        times.append(watch.elapsed)
        return exits(1, delay=0.2)

    watch.driver.run = run
    watch.start({"exec": EXEC})
    await asyncio.sleep(2)
    assert times[:3] == [0, pytest.approx(0.6), pytest.approx(1.2)]


@pytest.mark.looptime
async def test_a_fault_in_a_probe_is_an_answer(
    make_watch: MakeWatch, caplog: pytest.LogCaptureFixture
) -> None:
    watch = make_watch()
    watch.driver.run = lambda: LookupError("a bug") if watch.elapsed < 1 else exits(0)
    watch.start({"exec": EXEC})
    await asyncio.sleep(0.5)
    assert watch.report.answer == "the probe failed: LookupError('a bug')"
    assert "probe of default/Workload/web" in caplog.text
    await asyncio.sleep(1)
    assert watch.report.ready


@pytest.mark.looptime
async def test_watching_the_same_again_goes_on(make_watch: MakeWatch) -> None:
    watch = make_watch()
    times = ready_when(watch, lambda now: True)
    for _ in range(5):
        watch.start({"exec": EXEC})
        await asyncio.sleep(1)
    assert times == [0]
    assert watch.report.attempts == 1


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("other", "readiness"),
    [
        (container_of("c2"), {"exec": EXEC}),
        (container_of(started_at=START + timedelta(seconds=1)), {"exec": EXEC}),
        (container_of(), {"exec": EXEC, "period": "5s"}),
        (container_of(), {"exec": {"command": ["other"]}}),
    ],
)
async def test_watching_another_starts_from_scratch(
    make_watch: MakeWatch, other: object, readiness: dict[str, object]
) -> None:
    watch = make_watch()
    ready_when(watch, lambda now: now < 1)
    watch.start({"exec": EXEC})
    await asyncio.sleep(2)
    assert watch.report.ready
    former = watch.container
    watch.container = other  # type: ignore[assignment]
    watch.start(readiness)
    await asyncio.sleep(0.5)
    assert (watch.report.ready, watch.report.container_id) == (False, watch.container.id)
    if former != other:
        assert watch.prober.report(KEY, former) is None


@pytest.mark.looptime
async def test_forgetting_ends_it(make_watch: MakeWatch) -> None:
    watch = make_watch()
    times = ready_when(watch, lambda now: now > 1)
    watch.start({"exec": EXEC, "startupTimeout": "2s"})
    await asyncio.sleep(0.5)
    watch.prober.forget(KEY)
    watch.prober.forget(KEY)
    seen = len(times)
    await asyncio.sleep(10)
    assert len(times) == seen
    assert watch.told == []
    assert watch.prober.report(KEY, watch.container) is None


@pytest.mark.looptime
async def test_before_the_first_answer(make_watch: MakeWatch) -> None:
    watch = make_watch(StubDriver(run=lambda: exits(0, delay=0.5)))
    watch.start({"exec": EXEC})
    report = watch.report
    assert (report.ready, report.timed_out, report.answer, report.time, report.attempts) == (
        False,
        False,
        "",
        None,
        0,
    )
    await asyncio.sleep(0.6)
    assert (watch.report.ready, watch.report.time) == (True, START + timedelta(seconds=0.5))
