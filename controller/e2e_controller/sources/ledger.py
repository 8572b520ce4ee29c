"""What has been delivered of each file, and which files have to be looked at, when. No I/O.

Each look has a number, so that an older look never overwrites what a newer one delivered. A file is gone
only when two scans, `settling.GRACE` apart, did not find it (or when `settle_at_once` says so).
"""

import itertools
import logging
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from e2e_controller.sources import settling
from e2e_controller.sources.reading import Reading, SourceFile
from e2e_controller.sources.scan import Signature
from e2e_controller.sources.settling import Pending, Word

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """What was delivered of a file. No signature: the next scan looks at it again."""

    signature: Signature | None
    fingerprint: str


class Ledger:
    """Takes readings and events in, and calls `changed` and `gone` when there is something to tell."""

    def __init__(
        self,
        root: str,
        most_files: int,
        changed: Callable[[SourceFile], None],
        gone: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._root = root
        self._most_files = most_files
        self._changed = changed
        self._gone = gone
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._pending: dict[str, Pending] = {}
        self._absent: dict[str, float] = {}
        """Known files that were not found, since when. Subset of `_known`."""
        self._numbers = itertools.count(1)
        self._latest: dict[str, int] = {}
        """The number of the look that a file's state comes from."""

    def number(self) -> int:
        """The number for a look that begins now."""
        return next(self._numbers)

    def signatures(self) -> dict[str, Signature | None]:
        """What the delivered files looked like from outside."""
        return {path: file.signature for path, file in self._known.items()}

    def question(self, path: str) -> tuple[str, str, bool]:
        """What a look at that file needs: `read_file`'s arguments."""
        known, pending = self._known.get(path), self._pending.get(path)
        insist = pending is not None and pending.insists(self._clock())
        return path, known.fingerprint if known else "", insist

    def hear(self, words: Mapping[str, Word]) -> None:
        """Takes in what events said."""
        now = self._clock()
        for path, word in words.items():
            if word is not Word.REMOVED:
                self._mark(path, now + settling.QUIET).hear(word, now)
                continue
            self._pending.pop(path, None)
            if path in self._known:
                self._absent.setdefault(path, now)

    def due(self) -> list[str]:
        """The files to look at now."""
        now = self._clock()
        return [path for path, pending in self._pending.items() if pending.due <= now]

    def pending(self) -> Collection[str]:
        """All files that have to be looked at sooner or later."""
        return self._pending.keys()

    def next_look(self) -> float:
        """When the next file is due."""
        return min((pending.due for pending in self._pending.values()), default=math.inf)

    def next_scan(self) -> float:
        """When a scan can tell whether the files that were not found are gone."""
        return min(self._absent.values(), default=math.inf) + settling.GRACE

    def unsure(self) -> Iterator[str]:
        """Files that may be complete, unreadable or gone, which a moment will tell."""
        yield from self._absent
        yield from (path for path, pending in self._pending.items() if pending.settling)

    def miss(self, missing: Collection[str], started: float) -> None:
        """A scan that began at `started` did not find these, and found or cannot judge all others."""
        absent = dict.fromkeys(missing, started) | self._absent
        self._absent = {
            path: since
            for path, since in absent.items()
            if path in self._known and (since >= started or path in missing)
        }

    def bury(self, missing: Collection[str], started: float, number: int) -> None:
        """Reports those of the missing that were missing long enough, and were not seen since."""
        for path in sorted(missing):
            since = self._absent.get(path, math.inf)
            is_newer = path in self._pending or self._latest.get(path, 0) > number
            if not is_newer and started >= since + settling.GRACE:
                self._forget(path)

    def take_in(self, reading: Reading, number: int) -> None:
        """Delivers what was read, if it is new and settled."""
        path, now = reading.path, self._clock()
        if number < self._latest.get(path, 0):
            self._mark(path, now)
            return
        self._latest[path] = number
        if reading.absent:
            self._pending.pop(path, None)
            if path in self._known:
                self._absent.setdefault(path, now)
            return
        self._absent.pop(path, None)
        if settling.is_settled(self._mark(path, now), reading, now):
            self._deliver(reading)

    def settle_at_once(self, reading: Reading, number: int) -> bool:
        """Delivers what was read, whatever time or events may still say.

        False where other looks came in between, which may wait for time: another look is needed.
        """
        if number < self._latest.get(reading.path, 0):
            return False
        self._latest[reading.path] = number
        if reading.absent:
            self._forget(reading.path)
        elif reading.fingerprint:
            return self._deliver(reading)
        else:  # somebody else writes it already
            self._mark(reading.path, self._clock())
        return True

    def prune(self) -> None:
        """Forgets the numbers of files that are no more; only while no look is under way."""
        self._latest = {path: number for path, number in self._latest.items() if path in self._known}

    def _mark(self, path: str, due: float) -> Pending:
        return self._pending.setdefault(path, Pending(since=self._clock(), due=due))

    def _deliver(self, reading: Reading) -> bool:
        """Whether what was read could be compared with what is known."""
        path = reading.path
        self._pending.pop(path, None)
        self._absent.pop(path, None)
        known = self._known.get(path)
        is_new = known is None or known.fingerprint != reading.fingerprint
        if is_new and reading.unchanged:  # against what was known when the look began
            self._mark(path, self._clock())
            return False
        if known is None and len(self._known) >= self._most_files:
            return True  # a scan reports it
        self._known[path] = _Known(None if reading.racy else reading.signature, reading.fingerprint)
        if is_new:
            self._call(self._changed, reading.to_source_file(self._root))
        return True

    def _forget(self, path: str) -> None:
        self._pending.pop(path, None)
        self._absent.pop(path, None)
        if self._known.pop(path, None) is not None:
            self._call(self._gone, path)

    def _call(self, callback: Callable[..., None], value: object) -> None:
        try:
            callback(value)
        except Exception:
            logger.exception("a callback of the source of %s failed", self._root)
