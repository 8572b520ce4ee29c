"""The source: keeps the store told what the manifest files of one folder say.

One task in the event loop takes the hints, walks when a walk is due, and looks at the files that are due;
walking, reading and parsing happen in two threads. Only `ingest` looks beside it.
"""

import asyncio
import contextlib
import logging
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from e2e_controller.sources import settling
from e2e_controller.sources.hints import Hints
from e2e_controller.sources.ledger import Ledger
from e2e_controller.sources.reading import Reading, SourceFile, read_file
from e2e_controller.sources.scan import DEFAULT_LIMITS, Limits, Scan, Signature, is_manifest, scan_folder
from e2e_controller.sources.watcher import Watcher, watch

logger = logging.getLogger(__name__)

_THREADS = 2
_CHUNK = 8
_WINDOW = 2 * _THREADS
_SYNC_LIMIT = 2.0
_SCAN_SHARE = 4
"""After a scan, none for an event's sake for this many times as long as it took."""


@dataclass(slots=True)
class _Sync:
    """A caller who waits. `unsure`: what a walk for him found, and could not judge; None before it."""

    done: asyncio.Future[None]
    unsure: frozenset[str] | None = None
    deadline: float = math.inf
    """Known once the first walk has ended; another one follows it, with which he has to be content."""
    is_content: bool = False


class FolderSource:
    """Delivers each manifest file of a folder, whole, whenever what it says has changed.

    `changed` and `gone` are called in the event loop. `folder_problem(relative, problem)` says what is wrong
    with a folder itself ("" is the root), and with None that it is no longer. A folder that comes later is
    no error. `writable`: the folder is ours, and is made when it is missing. `events=False`: rescans only.
    """

    def __init__(
        self,
        root: Path,
        changed: Callable[[SourceFile], None],
        gone: Callable[[str], None],
        *,
        folder_problem: Callable[[str, str | None], None] | None = None,
        rescan_interval: float = 5.0,
        writable: bool = False,
        events: bool = True,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.root = os.path.abspath(root)  # noqa: PTH100 - resolve() would follow links
        self.writable = writable
        self._folder_problem = folder_problem
        self._interval = rescan_interval
        self._events = events
        self._limits = limits
        self._ledger = Ledger(self.root, limits.files, changed, gone, self._now)
        self._problems: dict[str, str] = {}
        self._syncs: list[_Sync] = []
        self._scan_due = 0.0
        self._scan_allowed = 0.0
        self._ingesting = asyncio.Lock()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="source")
        self._wake = asyncio.Event()
        self._hints = Hints(self._wake_from_thread)
        self._watcher: Watcher | None = None
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop

    @property
    def problems(self) -> Mapping[str, str]:
        """What is wrong with folders, by their path below the root; "" is the root."""
        return MappingProxyType(self._problems)

    async def start(self) -> None:
        """Begins to watch. All that is there has been delivered when this returns."""
        self._loop = asyncio.get_running_loop()
        if self.writable:
            await asyncio.to_thread(os.makedirs, self.root, exist_ok=True)
        self._watcher = watch(self.root, self._hints) if self._events else None
        self._task = self._loop.create_task(self._run(), name=f"source {self.root}")
        await self.sync()

    async def sync(self) -> None:
        """Takes a fresh look: what was completely written before the call has been delivered afterwards.

        Files that somebody has open for writing are left out. Calls share their walks. It takes a walk (some
        ms for 1,000 files), 0.1 s more when files are gone or unreadable (see `settling.GRACE`), and at most
        2 s more where nobody can tell whether a file is complete.
        """
        if self._task is None or self._task.done():
            raise RuntimeError("the source is not running")
        done: asyncio.Future[None] = self._loop.create_future()
        self._syncs.append(_Sync(done))
        self._wake.set()
        await done

    async def ingest(self, path: Path) -> None:
        """Delivers a file that we just wrote (by rename) or removed, without waiting for anything else.

        Raises ValueError for what is no manifest file below the root.
        """
        if not str(path).startswith(self.root + "/") or not is_manifest(path.name):
            raise ValueError(f"{path} is no manifest file below {self.root}")
        async with self._ingesting:
            while not await self._look_at_once(str(path)):
                pass
        self._wake.set()

    async def _look_at_once(self, path: str) -> bool:
        number = self._ledger.number()
        question = self._ledger.question(path)
        reading = await self._loop.run_in_executor(self._pool, read_file, *question)
        return self._ledger.settle_at_once(reading, number)

    async def close(self) -> None:
        """Ends watching; delivers nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._fail_syncs(RuntimeError("the source was closed"))
        # A walk that is under way must not reach for a closed watcher; one that hangs must not hold us.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(self._pool.shutdown, cancel_futures=True), 5)
        if self._watcher is not None:
            await asyncio.to_thread(self._watcher.close)

    def _now(self) -> float:
        return self._loop.time()

    def _wake_from_thread(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed before the watcher
            self._loop.call_soon_threadsafe(self._wake.set)

    async def _run(self) -> None:
        while True:
            await self._until_due()
            try:
                if self._must_scan():
                    await self._scan()
                else:
                    await self._look(self._ledger.due())
            except Exception as error:
                logger.exception("cannot scan %s", self.root)
                self._fail_syncs(error)
                await asyncio.sleep(self._interval)

    def _must_scan(self) -> bool:
        is_due = min(self._scan_due, self._ledger.next_scan()) <= self._now()
        return is_due or any(sync.unsure is None for sync in self._syncs)

    async def _until_due(self) -> None:
        while True:
            self._wake.clear()
            self._take_hints()
            self._finish_syncs()
            if self._must_scan():
                return
            due = [self._scan_due, self._ledger.next_scan(), self._ledger.next_look()]
            delay = min([*due, *(sync.deadline for sync in self._syncs)]) - self._now()
            if delay <= 0:
                return
            # Not wait_for: before Python 3.12 it forgets a cancellation that comes with the wake-up.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._wake.wait()

    def _take_hints(self) -> None:
        words, scan = self._hints.take()
        self._ledger.hear(words)
        if scan:
            self._scan_due = min(self._scan_due, max(self._now() + settling.QUIET, self._scan_allowed))

    async def _scan(self) -> None:
        callers = [sync for sync in self._syncs if sync.unsure is None]
        started, number = self._now(), self._ledger.number()
        signatures = self._ledger.signatures()
        found, changed, missing = await self._loop.run_in_executor(self._pool, self._survey, signatures)
        ended = self._now()
        self._scan_due = ended + self._interval
        self._scan_allowed = ended + _SCAN_SHARE * (ended - started)
        self._report(found.problems)
        if not self._ingesting.locked():
            self._ledger.prune()
        self._ledger.miss(missing, started)
        await self._look({*changed, *self._ledger.pending()})
        self._take_hints()
        self._ledger.bury(missing, started, number)
        unsure = frozenset(self._ledger.unsure())
        for sync in callers:
            sync.unsure = unsure
            sync.deadline = min(sync.deadline, self._now() + _SYNC_LIMIT)

    def _survey(self, known: Mapping[str, Signature | None]) -> tuple[Scan, list[str], set[str]]:
        """Runs in a thread."""
        watcher = self._watcher
        if watcher is None:
            found = scan_folder(self.root, self._limits)
        else:
            found = scan_folder(self.root, self._limits, watcher.enter)
            watcher.retain(found.folders)
        return found, *found.compare(known)

    def _report(self, problems: dict[str, str]) -> None:
        before, self._problems = self._problems, problems
        for relative in sorted(before.keys() | problems.keys()):
            problem = problems.get(relative)
            if problem != before.get(relative):
                logger.warning("%s: %s", Path(self.root, relative), problem or "the folder is well again")
                if self._folder_problem is not None:
                    self._folder_problem(relative, problem)

    async def _look(self, paths: Iterable[str]) -> None:
        """Reads the files, a few at a time, and takes them in, in order of their paths."""
        number = self._ledger.number()
        ordered = sorted(paths)
        window: deque[asyncio.Future[list[Reading]]] = deque()
        for start in range(0, len(ordered), _CHUNK):
            questions = [self._ledger.question(path) for path in ordered[start : start + _CHUNK]]
            window.append(self._loop.run_in_executor(self._pool, _read_all, questions))
            if len(window) >= _WINDOW:
                self._take_in(await window.popleft(), number)
        while window:
            self._take_in(await window.popleft(), number)

    def _take_in(self, readings: list[Reading], number: int) -> None:
        for reading in readings:
            self._ledger.take_in(reading, number)

    def _finish_syncs(self) -> None:
        unsure = set(self._ledger.unsure())
        for sync in list(self._syncs):
            if sync.unsure is not None and (not sync.unsure & unsure or self._is_over(sync)):
                self._syncs.remove(sync)
                if not sync.done.done():
                    sync.done.set_result(None)

    def _is_over(self, sync: _Sync) -> bool:
        """Whether he is told although not all is sure.

        Where the machine stopped for a while, time is over and nobody has looked: a last walk comes first.
        """
        if self._now() < sync.deadline:
            return False
        if not sync.is_content:
            sync.is_content, sync.unsure = True, None
            return False
        return True

    def _fail_syncs(self, error: Exception) -> None:
        for sync in self._syncs:
            if not sync.done.done():
                sync.done.set_exception(error)
        self._syncs.clear()


def _read_all(questions: list[tuple[str, str, bool]]) -> list[Reading]:
    return [read_file(*question) for question in questions]
