"""Conditions: one of each type, and the transition time tells when the status last changed."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from e2e_api.conditions import (
    Condition,
    ConditionType,
    Reason,
    Status,
    find_condition,
    is_true,
    set_condition,
)

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
READY = Condition(ConditionType.READY, Status.TRUE, Reason.PROBE_SUCCEEDED)


def test_a_new_condition() -> None:
    (found,) = set_condition((), READY, NOON)
    assert found.last_transition_time == NOON
    assert is_true((found,), ConditionType.READY)
    assert not is_true((found,), ConditionType.RUNNING)
    assert find_condition((found,), ConditionType.RUNNING) is None


def test_the_time_stays_while_the_status_does() -> None:
    conditions = set_condition((), READY, NOON)
    conditions = set_condition(conditions, Condition(READY.type, Status.TRUE, Reason.NO_PROBE, "x"), LATER)
    assert conditions == (Condition(READY.type, Status.TRUE, Reason.NO_PROBE, "x", NOON),)
    conditions = set_condition(conditions, Condition(READY.type, Status.FALSE, Reason.PROBE_FAILED), LATER)
    assert conditions[0].last_transition_time == LATER
    assert not is_true(conditions, ConditionType.READY)


def test_a_condition_without_a_time_gets_one() -> None:
    (found,) = set_condition((READY,), READY, NOON)
    assert found.last_transition_time == NOON


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ConditionType), st.sampled_from(Status)), max_size=20))
def test_there_is_one_of_each_type_and_the_last_one_counts(
    changes: list[tuple[ConditionType, Status]],
) -> None:
    conditions: tuple[Condition, ...] = ()
    for minute, (type_, status) in enumerate(changes):
        before = conditions
        now = NOON + timedelta(minutes=minute)
        conditions = set_condition(conditions, Condition(type_, status, Reason.VALID), now)
        assert [one for one in conditions if one.type != type_] == [
            one for one in before if one.type != type_
        ]
        found, old = find_condition(conditions, type_), find_condition(before, type_)
        assert found is not None
        changed = old is None or old.status is not status
        assert found.last_transition_time == (now if changed or old is None else old.last_transition_time)
    assert {one.type: one.status for one in conditions} == dict(changes)
    assert len({one.type for one in conditions}) == len(conditions)


def test_no_reason_is_declared_that_nobody_tells() -> None:
    controller = Path(__file__).parents[3] / "controller"
    text = "\n".join(path.read_text() for path in controller.rglob("*.py"))
    untold = [reason for reason in Reason if not re.search(rf"Reason\.{reason.name}\b|\b{reason}\b", text)]
    assert untold == []
