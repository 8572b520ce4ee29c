"""Live progress: a line for each object, with what goes on and for how long.

On a terminal the lines are redrawn in place; elsewhere each change is a line of its own, as logs want it.
It is fed by a watch of its own, in a thread, beside whatever the caller waits for.
"""

import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from e2e import Client, E2EError
from e2e.cli.keys import Key
from e2e.cli.output import span
from e2e.tracing import WAITS
from e2e_api.v1 import manifest_service_pb2, object_pb2

_GOOD = frozenset({"Ready", "Running", "Completed", "Gone"})
_BAD = frozenset({"Failed", "Rejected"})
_QUIET = frozenset({"Stopped", "Killed", "Paused"})
_REST = _GOOD | _BAD | _QUIET
_DETAILED = _BAD | {
    *("Pulling", "Building", "NotReady", "Restarting", "Retrying", "WaitingForDependencies"),
    *("ImagePullFailed", "ImageBuildFailed", "PortTaken", "NameConflict", "EngineUnavailable", "EngineError"),
}
_NOTHING_YET = "not probed yet"
_PLAIN_INTERVAL = 5.0
_FRAMES_A_SECOND = 10
_NOTICED = 0.05
_LONGEST_DETAIL = 200


@dataclass(slots=True)
class Line:
    """One object: what it does, and since when."""

    key: Key
    word: str
    detail: str
    began: float
    ended: float | None
    """When it came to rest; None while it is under way."""
    phases: str = ""
    told: float = 0.0

    def text(self) -> str:
        """What is said of it."""
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", self.word).lower()
        word = {"NotReady": "not ready yet"}.get(self.word, words)
        if self.word in _DETAILED and self.detail not in ("", _NOTHING_YET):
            detail = self.detail.splitlines()[0][:_LONGEST_DETAIL]
            return detail if detail.lower().startswith(word) else f"{word}: {detail}"
        return f"{word} ({self.phases})" if self.phases and self.word in _GOOD else word

    def seconds(self, now: float) -> float:
        """How long it has taken, or took."""
        return (now if self.ended is None else self.ended) - self.began


class Board:
    """All lines. Knows nothing of terminals; `clock` gives seconds."""

    def __init__(self, wanted: Callable[[Key], bool], clock: Callable[[], float]) -> None:
        self._wanted = wanted
        self._clock = clock
        self.lines: dict[Key, Line] = {}

    def show(self, found: object_pb2.Object) -> Line | None:
        """Takes a new state in; gives the line where there is something new to tell."""
        key = Key.of(found.key)
        if not self._wanted(key):
            return None
        status = found.status
        return self._set(key, status.summary or "Pending", status.progress, _phases(status))

    def gone(self, key: Key) -> Line | None:
        """Nothing is left of it."""
        return self._set(key, "Gone", "", "") if key in self.lines else None

    def _set(self, key: Key, word: str, detail: str, phases: str) -> Line | None:
        now = self._clock()
        ended = now if word in _REST else None
        line = self.lines.get(key)
        if line is None:
            line = self.lines[key] = Line(key, word, detail, now, ended, phases, now)
            return line
        changed = line.word != word
        if changed and line.ended is not None:
            line.began = now  # it was at rest: something new goes on
        if changed or line.ended is None:
            line.ended = ended
        line.word, line.detail, line.phases = word, detail, phases
        if changed or (word in ("Pulling", "Building") and now - line.told >= _PLAIN_INTERVAL):
            line.told = now
            return line
        return None


class Progress:
    """Shows the progress of objects for as long as its block lasts.

        with Progress(client, environment="thanos"):
            client.wait(keys, Goal.READY, 60)

    At the end of the block the last state is shown, also where the watch had not told it yet.
    """

    def __init__(
        self,
        client: Client,
        *,
        environment: str = "",
        keys: Iterable[Key] | None = None,
        console: Console | None = None,
    ) -> None:
        """Shows the objects of these keys; with None all workloads and files of the environment.

        Without an environment, objects of all are watched.
        """
        chosen = None if keys is None else set(keys)
        environments = {environment} if chosen is None else {key.environment for key in chosen}
        self._environment = environments.pop() if len(environments) == 1 else ""
        self._client = client
        self._watcher = Client(client.target)
        self._console = console or Console(stderr=True, highlight=False)
        self._began = time.perf_counter()

        def wanted(key: Key) -> bool:
            return key.kind != "Environment" if chosen is None else key in chosen

        self.board = Board(wanted, time.perf_counter)
        self._lock = threading.Lock()
        self._live: Live | None = None
        self._thread = threading.Thread(target=self._follow, name="e2e-progress", daemon=True)
        self._spinner = Spinner("dots")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._table,
                console=self._console,
                refresh_per_second=_FRAMES_A_SECOND,
                redirect_stderr=False,
                redirect_stdout=False,
            )
            self._live.start()
        self._thread.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._watcher.close()
        self._thread.join(timeout=2.0)
        self._catch_up()
        if self._live is not None:
            self._live.stop()

    def _follow(self) -> None:
        manifests = self._watcher.transport.manifests
        request = manifest_service_pb2.WatchRequest(environment=self._environment)
        try:
            with self._watcher.transport.stream(manifests.Watch, request, None) as responses:
                for response in responses:
                    self._take(response)
        except (E2EError, ValueError):
            return  # the end of the block, or of the controller, which whoever waits is told too

    def _take(self, response: manifest_service_pb2.WatchResponse) -> None:
        with self._lock:
            if response.HasField("object"):
                self._tell(self.board.show(response.object))
            elif response.HasField("gone"):
                self._tell(self.board.gone(Key.of(response.gone)))

    def _catch_up(self) -> None:
        """The wait may have ended before the watch had told the end of it."""
        try:
            objects = self._client.list_objects(self._environment)
        except E2EError:
            return
        with self._lock:
            for found in objects:
                self._tell(self.board.show(found))
            there = {Key.of(found.key) for found in objects}
            for key in [key for key in self.board.lines if key not in there]:
                self._tell(self.board.gone(key))

    def _tell(self, line: Line | None) -> None:
        if line is not None and self._live is None:
            seconds = time.perf_counter() - self._began
            self._console.print(
                f"{seconds:6.1f}s  {line.key.name}: {line.text()}", soft_wrap=True, markup=False
            )

    def _table(self) -> Table:
        with self._lock:
            table = Table.grid(padding=(0, 2))
            now = time.perf_counter()
            for line in sorted(self.board.lines.values(), key=lambda line: line.key):
                table.add_row(self._mark(line), line.key.name, *_cells(line, now))
            return table

    def _mark(self, line: Line) -> Spinner | Text:
        if line.word in _BAD:
            return Text("✗", style="red")
        if line.word in _REST:
            return Text("✓", style="green" if line.word in _GOOD else "dim")
        return self._spinner


def _cells(line: Line, now: float) -> tuple[Text, Text]:
    style = "red" if line.word in _BAD else "green" if line.word in _GOOD else ""
    text = Text(line.text(), style=style, overflow="ellipsis", no_wrap=line.word not in _BAD)
    return Text(f"{line.seconds(now):5.1f} s", style="dim"), text


def _phases(status: object_pb2.ObjectStatus) -> str:
    """`pull 3.2s, create 0.1s, ...` of the last start, without waits that nobody notices."""
    timed = [(phase.name, phase.duration.ToMilliseconds() / 1000) for phase in status.phases]
    shown = [(name, seconds) for name, seconds in timed if name not in WAITS or seconds >= _NOTICED]
    return ", ".join(f"{name} {span(seconds)}" for name, seconds in shown)
