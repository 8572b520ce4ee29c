"""A driver that only knows commands and logs, and values to watch."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from e2e_api.manifests import Port, Readiness
from e2e_controller.drivers.base import (
    Container,
    ContainerPhase,
    Driver,
    EngineInfo,
    ExitCode,
    Health,
    Key,
    Output,
)
from e2e_controller.probes import Prober, ProbeReport

KEY = Key("default", "Workload", "web")
START = datetime(2024, 5, 1, tzinfo=UTC)


class Session:
    """A command that has written something, and ends when told."""

    def __init__(self, pieces: Sequence[Output | ExitCode], delay: float = 0.0) -> None:
        self._pieces = pieces
        self._delay = delay
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[Output | ExitCode]:
        await asyncio.sleep(self._delay)
        for piece in self._pieces:
            yield piece

    async def close(self) -> None:
        self.closed = True


def exits(code: int, output: str = "", delay: float = 0.0) -> Session:
    """A command that writes a text and exits."""
    return Session([Output("stdout", output.encode()), ExitCode(code)], delay)


@dataclass
class StubDriver:
    """Answers `exec` and `logs` with what a test put in."""

    run: Callable[[], Session | Exception] = lambda: exits(0)
    commands: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    output: asyncio.Queue[Output | Exception | None] = field(default_factory=asyncio.Queue)
    """What is logged; None ends the stream."""
    followed_since: list[datetime | None] = field(default_factory=list)
    following: int = 0

    async def exec(self, container_id: str, command: Sequence[str]) -> Session:
        self.commands.append((container_id, tuple(command)))
        session = self.run()
        if isinstance(session, Exception):
            raise session
        return session

    async def logs(
        self, container_id: str, *, follow: bool = False, since: datetime | None = None
    ) -> AsyncIterator[Output]:
        assert follow
        self.followed_since.append(since)
        self.following += 1
        try:
            while (piece := await self.output.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.following -= 1

    def log(self, text: str, stream: Any = "stdout") -> None:
        self.output.put_nowait(Output(stream, text.encode()))


class Watch:
    """A prober of one workload, what it told, and a clock that goes with the event loop's."""

    def __init__(self, driver: StubDriver | None = None, *, reachable: bool = True) -> None:
        self.driver = driver or StubDriver()
        self.told: list[tuple[float, bool, bool]] = []
        """(seconds, ready, timed out) whenever it told of a change."""
        self.attempts: list[tuple[str, bool]] = []
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self.container = container_of()
        self.prober = Prober(
            cast("Driver", self.driver), engine(reachable), self._changed, self.now, self._attempted
        )

    @property
    def elapsed(self) -> float:
        return self._loop.time() - self._began

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed)

    def start(self, readiness: dict[str, Any], ports: dict[str, int] | None = None) -> None:
        given = {name: Port(container_port=number) for name, number in (ports or {}).items()}
        self.prober.watch(KEY, self.container, Readiness.model_validate(readiness), given)

    @property
    def report(self) -> ProbeReport:
        report = self.prober.report(KEY, self.container)
        assert report is not None
        return report

    async def until(self, condition: Callable[[ProbeReport], bool]) -> ProbeReport:
        """The first report that is so; the test's own time limit ends it where none is."""
        while not condition(self.report):  # noqa: ASYNC110 - attempts tell nobody
            await asyncio.sleep(0.005)
        return self.report

    def _changed(self, key: Key) -> None:
        assert key == KEY
        report = self.prober.report(KEY, self.container)
        assert report is not None
        self.told.append((round(self.elapsed, 3), report.ready, report.timed_out))

    def _attempted(self, kind: str, seconds: float, ready: bool) -> None:
        assert seconds >= 0
        self.attempts.append((kind, ready))


def engine(reachable: bool) -> EngineInfo:
    return EngineInfo("stub", "1", "1", "Linux", containers_reachable=reachable, local_files=True)


def container_of(
    id_: str = "c1",
    *,
    started_at: datetime | None = START,
    finished_at: datetime | None = None,
    health: Health = Health.NONE,
    address: str = "127.0.0.1",
    host_ports: dict[str, int] | None = None,
) -> Container:
    return Container(
        id=id_,
        key=KEY,
        spec_hash="hash",
        image="image",
        phase=ContainerPhase.RUNNING,
        created_at=START,
        started_at=started_at,
        finished_at=finished_at,
        health=health,
        address=address,
        host_ports=host_ports or {},
    )
