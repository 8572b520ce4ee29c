"""Events: equal ones count, and one that fails for ever leaves room for others."""

from datetime import timedelta

from e2e_controller.events import MAX_EVENTS, MAX_OF_ONE, EventLog

from .builders import NOW, key


def test_the_same_again_counts_and_moves_to_the_end() -> None:
    times = iter(range(10))
    log = EventLog(lambda: NOW + timedelta(seconds=next(times)))
    log.record(key(), "Start", "a")
    log.record(key(), "Exited", "b", warning=True)
    log.record(key(), "Start", "a")
    exited, start = log.kept()
    assert (exited.reason, exited.count) == ("Exited", 1)
    assert (start.count, start.first_time, start.last_time) == (2, NOW, NOW + timedelta(seconds=2))


def test_one_object_cannot_push_the_others_out() -> None:
    log = EventLog(lambda: NOW)
    log.record(key("quiet"), "Start")
    for number in range(3 * MAX_EVENTS):
        log.record(key("loud"), "Exited", f"after {number}s")
    kept = log.kept()
    assert len(kept) == MAX_OF_ONE + 1
    assert kept[0].key == key("quiet")
    assert kept[-1].message == f"after {3 * MAX_EVENTS - 1}s"


def test_all_together_are_bounded() -> None:
    log = EventLog(lambda: NOW)
    for number in range(MAX_EVENTS + 500):
        log.record(key(f"w{number}"), "Start")
    assert len(log.kept()) == MAX_EVENTS
    assert log.kept()[0].key == key("w500")
    assert len(log._of_one) == MAX_EVENTS
