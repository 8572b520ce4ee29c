"""Decides when a file is complete, so that half a manifest is never delivered. Pure.

Three witnesses, the best one first. The kernel, asked for a lease, knows whether a writer has the file open.
Where it does not say (another user's file, a network mount), the events do: modified, then closed or moved
into place. Where they are silent too, a file is complete that was not modified for a second, or looks the
same twice. The price: a writer that pauses for longer than that on such a mount is delivered in pieces.
"""

from dataclasses import dataclass
from enum import Enum

from e2e_api.conditions import Reason
from e2e_controller.sources.reading import Reading
from e2e_controller.sources.scan import Signature
from e2e_controller.sources.writers import Writer

QUIET = 0.006
"""After a close, so that appends in a row count as one change."""
LONGEST = 0.1
"""A file that never gets quiet is looked at this often."""
RELOOK = 0.25
"""Between looks at a file that is being written, in case its last event is lost."""
EVENT_LAG = 0.05
"""How late an event may come."""
SETTLED_AGE = 1.0
SECOND_LOOK = 0.5
STALE_WRITER = 10.0
"""A file that somebody keeps open, and nobody changes for this long, is read as it is."""
GRACE = 0.1
"""How long a file must be gone, or unreadable, to be reported so: editors move files away for a moment."""


class Word(Enum):
    """What the last event said about a file."""

    NOTHING = "nothing"
    CREATED = "created"
    """A link is complete then; of any other file more will be heard."""
    WRITING = "writing"
    CLOSED = "closed"
    ARRIVED = "arrived"
    """Renamed into place: complete."""
    REMOVED = "removed"


@dataclass(slots=True)
class Pending:
    """A file that has to be looked at. Times are the event loop's."""

    since: float
    """Since the last look, or the first event where there was none."""
    due: float
    word: Word = Word.NOTHING
    heard: float = 0.0
    seen: Signature | None = None
    seen_since: float | None = None
    settling: bool = False
    """The last look could not tell whether the file is complete; time will. (False: it is being written.)"""

    def hear(self, word: Word, now: float) -> None:
        """Takes an event in, and decides when to look."""
        if word in (Word.NOTHING, Word.CREATED):
            self.due = min(self.due, now + QUIET)
            self.word = word if self.word is Word.NOTHING else self.word
            return
        self.word, self.heard = word, now
        if word is Word.WRITING:
            self.due = now + RELOOK
        elif word is Word.CLOSED:
            self.due = min(now + QUIET, self.since + LONGEST)
        else:
            self.due = now

    def insists(self, now: float) -> bool:
        """Whether the file is to be read although somebody has it open."""
        return self.seen_since is not None and now - self.seen_since >= STALE_WRITER


def is_settled(pending: Pending, reading: Reading, now: float) -> bool:
    """Whether what was read can be delivered; if not, `pending` says when to look again."""
    if pending.seen_since is None or reading.signature != pending.seen:
        pending.seen, pending.seen_since = reading.signature, now
    unchanged_for = now - pending.seen_since
    pending.since = now
    if reading.unchanged and reading.writer is not Writer.PRESENT:
        return reading.writer is Writer.NONE or pending.word is not Word.WRITING
    if reading.reason == Reason.READ_ERROR:
        return _or_look(pending, unchanged_for >= GRACE, settling=True, due=pending.seen_since + GRACE)
    if reading.fingerprint and unchanged_for >= STALE_WRITER:
        return True
    if reading.writer is Writer.PRESENT:
        return _or_look(pending, False, settling=False, due=now + RELOOK)
    if reading.writer is Writer.NONE or pending.word in (Word.CLOSED, Word.ARRIVED):
        return True
    is_begun = pending.word is Word.CREATED and reading.signature is not None and not reading.signature.size
    if pending.word is Word.WRITING or is_begun:
        # The event of a close may be on its way.
        late = now - pending.heard >= EVENT_LAG
        due = now + RELOOK if late else pending.heard + EVENT_LAG
        return _or_look(pending, False, settling=not late, due=due)
    settled = reading.age >= SETTLED_AGE or unchanged_for >= SECOND_LOOK
    return _or_look(pending, settled, settling=True, due=pending.seen_since + SECOND_LOOK)


def _or_look(pending: Pending, settled: bool, *, settling: bool, due: float) -> bool:
    pending.settling, pending.due = settling, due
    return settled
