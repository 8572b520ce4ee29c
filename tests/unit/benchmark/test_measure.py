import pytest

import e2e
from e2e.benchmark import AsyncMeasuredPhase, measure
from tests.unit.benchmark.fake_prometheus import (
    BEGIN,
    FakeAsyncMonitoring,
    FakeMonitoring,
    FakeTime,
    Known,
    matrix,
    vector,
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    clock = FakeTime()

    async def pass_by(seconds: float) -> None:
        clock.pass_by(seconds)

    for module, pause in (("e2e._sync.benchmark", clock.pass_by), ("e2e.aio.benchmark", pass_by)):
        monkeypatch.setattr(f"{module}.time", clock)
        monkeypatch.setattr(f"{module}.pause", pause)
    return clock


@pytest.fixture
def known(clock: FakeTime) -> Known:
    known = Known(clock)
    known.tell("container_cpu_usage_seconds_total", lambda at: at / 2, workload="web", id="/docker/web")
    known.tell("container_memory_working_set_bytes", lambda at: at, workload="web", id="/docker/web")
    known.tell("process_cpu_seconds_total", lambda at: at / 10, job="test-process", instance="test-process")
    return known


def test_a_phase_is_measured(known: Known, clock: FakeTime) -> None:
    known.now["rate(requests_total[5s])"] = known.now["up"] = vector(1)
    known.over_time["rate(requests_total[5s])"] = matrix(ok=7.0)
    clock.pass_by(0.25)
    with measure(
        FakeMonitoring(known), "load", queries={"requests": "rate(requests_total[5s])"}, settle=5.0
    ) as phase:
        began = clock.now
        clock.pass_by(8.5)
    report = phase.report
    assert (report.name, report.environment) == ("load", "shop")
    assert report.seconds == pytest.approx(8.5)
    assert report.started.timestamp() == pytest.approx(began)
    assert BEGIN + 1 <= began < BEGIN + 1.25
    assert report.of("web").cpu_seconds == pytest.approx(8.5 / 2)
    assert report.of("web").memory_peak_bytes == BEGIN + 10
    assert report.of("test-process").cpu_seconds == pytest.approx(0.85)
    assert report.queries[0].series[0].mean == 7.0
    assert report.notes == ()
    assert "rate(requests_total[5s]) 1001 1010 1.0" in known.asked


@pytest.mark.parametrize("seconds", [0.0, 0.3, 1.0, 1.7, 5.0])
@pytest.mark.parametrize("burnt", [0.0, 0.25, 1.4])
def test_what_is_used_at_the_begin_or_the_end_is_told(
    known: Known, clock: FakeTime, seconds: float, burnt: float
) -> None:
    """Beside what is used all the time, a tenth of a core; before it and after it, none of the phase's is."""
    bursts: list[tuple[float, float]] = []

    def told(at: float) -> float:
        return at / 10 + sum(burst for moment, burst in bursts if moment <= at)

    known.tell("container_cpu_usage_seconds_total", told, workload="busy", id="/docker/busy")
    clock.pass_by(0.6)
    bursts.append((clock.now, 3.0))
    with measure(FakeMonitoring(known)) as phase:
        bursts.append((clock.now, burnt))
        clock.pass_by(seconds)
        bursts.append((clock.now, burnt))
    assert phase.report.of("busy").cpu_seconds == pytest.approx(seconds / 10 + 2 * burnt)
    assert any("too short" in note for note in phase.report.notes) == (seconds < 1)


def test_it_waits_until_all_were_looked_at_before_and_twice_after(known: Known, clock: FakeTime) -> None:
    clock.pass_by(0.5)
    with measure(FakeMonitoring(known)) as phase:
        assert BEGIN + 1 <= clock.now < BEGIN + 1.25
        clock.pass_by(3.5)
    assert BEGIN + 6 <= clock.now < BEGIN + 6.25
    assert phase.report.of("web").cpu_seconds == pytest.approx(3.5 / 2)


def test_where_looks_are_rare_it_waits_longer(known: Known, clock: FakeTime) -> None:
    known.look_every = 20
    clock.pass_by(61.5)
    with measure(FakeMonitoring(known)) as phase:
        assert BEGIN + 80 <= clock.now < BEGIN + 80.25
        clock.pass_by(15)
    assert BEGIN + 120 <= clock.now < BEGIN + 120.25
    assert phase.report.of("web").cpu_seconds == pytest.approx(7.5)
    assert [note.partition(",")[0] for note in phase.report.notes] == ["too short for a look within it"]


def test_without_patience_it_does_not_wait(known: Known, clock: FakeTime) -> None:
    clock.pass_by(0.5)
    with measure(FakeMonitoring(known), settle=0) as phase:
        assert clock.now < BEGIN + 0.75
        clock.pass_by(3.5)
    assert clock.now < BEGIN + 4.5
    assert [note.partition(":")[0] for note in phase.report.notes] == [
        "not looked at before the phase",
        "not looked at after the phase",
    ]


def test_what_ended_in_the_phase_is_told(known: Known, clock: FakeTime) -> None:
    known.tell(
        "container_cpu_usage_seconds_total",
        lambda at: at if at < BEGIN + 2 else None,
        workload="killed",
        id="/docker/killed",
    )
    with measure(FakeMonitoring(known)) as phase:
        clock.pass_by(3.5)
    assert phase.report.notes == ("ended before the phase did: killed",)
    assert phase.report.of("killed").cpu_seconds == 1.0
    assert clock.now < BEGIN + 6


def test_what_ended_before_the_first_look_in_the_phase_is_told_too(known: Known, clock: FakeTime) -> None:
    killed = BEGIN + 1.2
    known.tell(
        "container_cpu_usage_seconds_total",
        lambda at: at if at < killed else None,
        workload="killed",
        id="/docker/killed",
    )
    clock.pass_by(0.5)
    with measure(FakeMonitoring(known)) as phase:
        assert BEGIN + 1 < clock.now < killed
        clock.pass_by(2)
    assert phase.report.notes == ("ended before the phase did: killed",)
    assert phase.report.of("killed").cpu_seconds == 0


def test_what_is_not_looked_at_again_is_told_after_the_patience(known: Known, clock: FakeTime) -> None:
    with measure(FakeMonitoring(known), settle=4.0) as phase:
        known.looks_until = BEGIN + 3
        clock.pass_by(3.5)
    assert phase.report.notes == ("not looked at after the phase: test-process, web",)
    assert phase.report.of("web").cpu_seconds == 1.5
    assert BEGIN + 7 < clock.now < BEGIN + 9


def test_a_query_for_the_whole_phase_is_asked_at_its_end(known: Known, clock: FakeTime) -> None:
    known.now["increase(x[1000ms])"] = known.now["increase(x[2500ms])"] = vector(42)
    with measure(FakeMonitoring(known), queries={"requests": "increase(x[$__range])"}) as phase:
        clock.pass_by(2.5)
    assert phase.report.figures["requests"] == 42


def test_a_wrong_query_is_told_before_the_phase(known: Known) -> None:
    phase = measure(FakeMonitoring(known), queries={"requests": "rate("})
    with pytest.raises(e2e.InvalidArgument, match="query 'requests': parse error"), phase:
        pytest.fail("the phase began")


def test_a_query_that_fails_or_has_no_values_loses_nothing(known: Known, clock: FakeTime) -> None:
    known.now["x"] = known.now["y"] = known.now["z"] = vector(1)
    known.over_time |= {"x": matrix(ok=1), "y": matrix()}
    with measure(FakeMonitoring(known), queries={"x": "x", "none": "y", "broken": "z"}) as phase:
        clock.pass_by(2)
    assert phase.report.of("web").cpu_seconds == pytest.approx(1)
    assert [len(query.series) for query in phase.report.queries] == [1, 0, 0]
    assert phase.report.notes == ("query none: no value in the phase", "query broken: too many points")


def test_another_environment_s_workload_of_the_same_name_is_not_ours(known: Known, clock: FakeTime) -> None:
    cpu = "container_cpu_usage_seconds_total"
    known.tell(cpu, lambda at: at / 4, workload="db", environment="shop", id="/docker/ours")
    known.tell(cpu, lambda at: at, workload="db", environment="bank", id="/docker/theirs")
    with measure(FakeMonitoring(known)) as phase:
        clock.pass_by(2)
    assert phase.report.of("db").cpu_seconds == pytest.approx(0.5)


def test_a_step_of_nothing_is_refused(known: Known) -> None:
    with pytest.raises(e2e.InvalidArgument, match="step"):
        measure(FakeMonitoring(known), step=0)


def test_there_is_no_report_of_a_phase_that_failed(known: Known) -> None:
    phase = measure(FakeMonitoring(known), "load")
    with pytest.raises(e2e.NotFound, match="phase load"):
        _ = phase.report
    with pytest.raises(ZeroDivisionError), phase:
        raise ZeroDivisionError
    with pytest.raises(e2e.NotFound, match="ended by an error"):
        _ = phase.report


def test_that_nobody_told_anything_is_told(clock: FakeTime) -> None:
    with measure(FakeMonitoring(Known(clock))) as phase:
        clock.pass_by(1)
    (note,) = phase.report.notes
    assert "is there a cAdvisor" in note


async def test_the_same_awaited(known: Known, clock: FakeTime) -> None:
    phase = measure(FakeAsyncMonitoring(known), "load")
    assert isinstance(phase, AsyncMeasuredPhase)
    async with phase:
        clock.pass_by(2)
    assert phase.report.of("web").cpu_seconds == pytest.approx(1)
