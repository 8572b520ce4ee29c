"""What file events said, until the event loop takes it.

Hints may be lost, late or wrong: scans are the truth.
"""

import threading
from collections.abc import Callable

from e2e_controller.sources.settling import Word

MOST = 20_000


class Hints:
    """Watchers' threads fill it, the event loop takes.

    A set of paths, not a queue of events: a file that changes a thousand times is one hint.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._words: dict[str, Word] = {}
        self._scan = False

    def add(self, path: str, word: Word) -> None:
        """The file is to be looked at. What was said before is unsaid only by a word that says more."""
        with self._lock:
            was_empty = not self._words and not self._scan
            if len(self._words) >= MOST:
                self._words.clear()
                self._scan = True
            before = self._words.get(path, Word.NOTHING)
            if word in (Word.NOTHING, Word.CREATED) and before is not Word.REMOVED:
                self._words[path] = word if before is Word.NOTHING else before
            else:
                self._words[path] = word
        if was_empty:
            self._wake()

    def scan(self) -> None:
        """The folder is to be walked again."""
        with self._lock:
            was_empty = not self._words and not self._scan
            self._scan = True
        if was_empty:
            self._wake()

    def take(self) -> tuple[dict[str, Word], bool]:
        """The files to look at, and whether to walk the folder."""
        with self._lock:
            taken = self._words, self._scan
            self._words, self._scan = {}, False
        return taken
