"""When a file is complete: the witnesses, and what they are worth."""

from e2e_api.conditions import Reason
from e2e_api.problems import Problem
from e2e_controller.sources.reading import Reading
from e2e_controller.sources.scan import Signature
from e2e_controller.sources.settling import (
    EVENT_LAG,
    GRACE,
    LONGEST,
    QUIET,
    RELOOK,
    SECOND_LOOK,
    STALE_WRITER,
    Pending,
    Word,
    is_settled,
)
from e2e_controller.sources.writers import Writer

ONE, TWO = Signature(1, 1, 1, 1), Signature(2, 2, 1, 2)


def content(writer: Writer, signature: Signature = ONE, age: float = 0.0, fingerprint: str = "f") -> Reading:
    return Reading("a", signature=signature, fingerprint=fingerprint, writer=writer, age=age)


def pending() -> Pending:
    return Pending(since=0, due=0)


def test_nobody_writes() -> None:
    assert is_settled(pending(), content(Writer.NONE), 0)


def test_somebody_writes_until_nothing_changes_for_long() -> None:
    entry = pending()
    assert not is_settled(entry, content(Writer.PRESENT, fingerprint=""), 0)
    assert (entry.due, entry.settling) == (RELOOK, False)
    assert not is_settled(entry, content(Writer.PRESENT, TWO, fingerprint=""), 5)
    assert not entry.insists(STALE_WRITER)
    assert entry.insists(5 + STALE_WRITER)
    assert is_settled(entry, content(Writer.PRESENT, TWO), 5 + STALE_WRITER)


def test_a_stale_file_that_changes_under_the_last_look_is_not_delivered() -> None:
    entry = pending()
    assert not is_settled(entry, content(Writer.PRESENT, fingerprint=""), 0)
    assert not is_settled(entry, content(Writer.PRESENT, TWO), STALE_WRITER)


def test_events_decide_where_the_kernel_does_not_say() -> None:
    entry = pending()
    entry.hear(Word.WRITING, 0)
    assert not is_settled(entry, content(Writer.UNKNOWN, age=60), 0.01)
    assert (entry.due, entry.settling) == (EVENT_LAG, True)  # the close may be on its way
    assert not is_settled(entry, content(Writer.UNKNOWN, age=60), EVENT_LAG)
    assert not entry.settling
    entry.hear(Word.CLOSED, 3)
    assert is_settled(entry, content(Writer.UNKNOWN), 3)


def test_time_decides_where_events_are_silent() -> None:
    entry = pending()
    assert is_settled(pending(), content(Writer.UNKNOWN, age=1.5), 0)
    assert not is_settled(entry, content(Writer.UNKNOWN), 0)
    assert (entry.due, entry.settling) == (SECOND_LOOK, True)
    assert not is_settled(entry, content(Writer.UNKNOWN, TWO), SECOND_LOOK)
    assert is_settled(entry, content(Writer.UNKNOWN, TWO), 2 * SECOND_LOOK)


def test_a_clock_that_is_ahead() -> None:
    entry = pending()
    assert not is_settled(entry, content(Writer.UNKNOWN, age=-3600), 0)
    assert is_settled(entry, content(Writer.UNKNOWN, age=-3600), SECOND_LOOK)


def test_an_unreadable_file_is_looked_at_twice() -> None:
    entry = pending()
    reading = Reading("a", fingerprint="p", problem=Problem("x"), reason=Reason.READ_ERROR)
    assert not is_settled(entry, reading, 0)
    assert (entry.due, entry.settling) == (GRACE, True)
    assert is_settled(entry, reading, entry.due)


def test_the_same_content_needs_no_settling() -> None:
    same = Reading("a", signature=TWO, fingerprint="f", writer=Writer.UNKNOWN, unchanged=True)
    assert is_settled(pending(), same, 0)
    entry = pending()
    entry.hear(Word.WRITING, 0)
    assert not is_settled(entry, same, 0)


def test_when_to_look() -> None:
    entry = Pending(since=0, due=9)
    entry.hear(Word.WRITING, 0)
    assert entry.due == RELOOK
    entry.hear(Word.CLOSED, 0.01)
    assert entry.due == 0.01 + QUIET
    entry.hear(Word.CLOSED, 0.099)
    assert entry.due == LONGEST
    entry.hear(Word.WRITING, 0.1)
    assert entry.due == 0.1 + RELOOK
    entry.hear(Word.NOTHING, 0.1)
    assert (entry.due, entry.word) == (0.1 + QUIET, Word.WRITING)
    entry.hear(Word.ARRIVED, 0.2)
    assert entry.due == 0.2
