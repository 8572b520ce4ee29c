"""Live progress: a line for each object, with what goes on and for how long.

On a terminal the lines are redrawn in place; elsewhere each change is a line of its own, as logs want it.
It is fed by a watch of its own, in a thread, beside whatever the caller waits for.
"""

import re
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.style import Style
from rich.table import Table
from rich.text import Text

from e2e import Client, E2EError, Goal
from e2e.cli.keys import Key
from e2e.cli.output import span
from e2e.evidence import object_lines, reason_line
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
_RETRY_SECONDS = 0.5


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
    endpoints: tuple[str, ...] = ()
    """`port=host:port` for each that can be reached from here."""
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
        line = self._set(key, status.summary or "Pending", status.progress, _phases(status))
        self.lines[key].endpoints = tuple(
            f"{endpoint.port}={endpoint.external}" for endpoint in status.endpoints if endpoint.external
        )
        return line

    def gone(self, key: Key) -> Line | None:
        """Nothing is left of it."""
        return self._set(key, "Gone", "", "") if key in self.lines else None

    def _set(self, key: Key, word: str, detail: str, phases: str) -> Line | None:
        now = self._clock()
        ended = now if word in _REST else None
        line = self.lines.get(key)
        if line is None:
            line = self.lines[key] = Line(key, word, detail, now, ended, phases, told=now)
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
        keys: Collection[Key] | None = None,
        console: Console | None = None,
        footer: str = "",
    ) -> None:
        """Shows the objects of these keys; with None all workloads and files of the environment.

        Without an environment, objects of all are watched. With a `footer`, which stands below them, the
        keys may change meanwhile; endpoints are shown too, and the evidence of what fails.
        """
        environments = {environment} if keys is None or footer else {key.environment for key in keys}
        self._environment = environments.pop() if len(environments) == 1 else ""
        self._client = client
        self._watcher = Client(client.target)
        self._console = console or Console(stderr=True, highlight=False)
        self._began = time.perf_counter()

        def wanted(key: Key) -> bool:
            return key.kind != "Environment" if keys is None else key in keys

        self.board = Board(wanted, time.perf_counter)
        self._lock = threading.Lock()
        self._live: Live | None = None
        self._thread = threading.Thread(target=self._follow, name="e2e-progress", daemon=True)
        self._spinner = Spinner("dots")
        self._over = threading.Event()
        self._footer = footer

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._shown,
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
        self._over.set()
        self._watcher.close()
        self._thread.join(timeout=2.0)
        self._catch_up()
        if self._live is not None:
            self._live.stop()

    def _follow(self) -> None:
        manifests = self._watcher.transport.manifests
        request = manifest_service_pb2.WatchRequest(environment=self._environment)
        while not self._over.is_set():
            try:
                with self._watcher.transport.stream(manifests.Watch, request, None) as responses:
                    for response in responses:
                        self._take(response)
                    return
            except (E2EError, ValueError):  # the end of the block, or of a controller that may come back
                self._over.wait(_RETRY_SECONDS)

    def _take(self, response: manifest_service_pb2.WatchResponse) -> None:
        if response.HasField("object"):
            self._show(response.object)
        elif response.HasField("gone"):
            with self._lock:
                self._tell(self.board.gone(Key.of(response.gone)))

    def _catch_up(self) -> None:
        """The wait may have ended before the watch had told the end of it."""
        try:
            objects = self._client.list_objects(self._environment)
        except E2EError:
            return
        for found in objects:
            self._show(found)
        with self._lock:
            there = {Key.of(found.key) for found in objects}
            for key in [key for key in self.board.lines if key not in there]:
                self._tell(self.board.gone(key))

    def say(self, text: str) -> None:
        """Writes a text that stays, above the lines on a terminal."""
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)

    def _show(self, found: object_pb2.Object) -> None:
        with self._lock:
            line = self.board.show(found)
            self._tell(line)
        # Without the lock, as the display asks for its lines while it holds one that writing needs.
        if line is not None and line.word in _BAD and self._footer:
            reason = reason_line(found, Goal.READY)
            self.say("\n".join([reason, *(f"  {text}" for text in object_lines(found, reason))]))

    def _tell(self, line: Line | None) -> None:
        if line is None or self._live is not None:
            return
        seconds = time.perf_counter() - self._began
        where = f"  {' '.join(line.endpoints)}" if self._footer and line.word in _GOOD else ""
        self.say(f"{seconds:6.1f}s  {line.key.name}: {line.text()}{where.rstrip()}")

    def _shown(self) -> RenderableType:
        with self._lock:
            table = Table.grid(padding=(0, 2))
            for cells in self._rows():
                table.add_row(*cells)
        return Group(table, Text(self._footer, style="dim")) if self._footer else table

    def _rows(self) -> Iterator[list[RenderableType]]:
        now = time.perf_counter()
        lines = sorted(self.board.lines.values(), key=lambda line: line.key)
        if self._footer:
            lines = [line for line in lines if line.word != "Gone"]
        several = self._footer and len({line.key.environment for line in lines}) > 1
        for line in lines:
            name = f"{line.key.environment}/{line.key.name}" if several else line.key.name
            cells: list[RenderableType] = [self._mark(line), name, *_cells(line, now)]
            yield [*cells, _links(line.endpoints)] if self._footer else cells

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


def _links(endpoints: Iterable[str]) -> Text:
    """Addresses, of which a terminal may make links."""
    texts = []
    for endpoint in endpoints:
        port, _, address = endpoint.partition("=")
        is_page = port.startswith(("http", "web", "ui"))
        texts.append(Text(f"{port}={address}", _link(f"http://{address}") if is_page else ""))
    return Text(" ", overflow="fold").join(texts)


@lru_cache
def _link(address: str) -> Style:
    """The same in each frame, as terminals know a link by a number that it gets here."""
    return Style(link=address)


def _phases(status: object_pb2.ObjectStatus) -> str:
    """`pull 3.2s, create 0.1s, ...` of the last start, without waits that nobody notices."""
    timed = [(phase.name, phase.duration.ToMilliseconds() / 1000) for phase in status.phases]
    shown = [(name, seconds) for name, seconds in timed if name not in WAITS or seconds >= _NOTICED]
    return ", ".join(f"{name} {span(seconds)}" for name, seconds in shown)
