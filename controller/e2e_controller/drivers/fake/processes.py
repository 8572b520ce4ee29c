"""Programs that "run" in the fake's containers."""

import asyncio
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from e2e_controller.drivers.base import ExitCode, Output

Stream = Literal["stdout", "stderr"]
NOT_FOUND = 127


@dataclass(slots=True)
class FakeProcess:
    """What a program sees: its arguments, its surroundings, its streams, its signals."""

    arguments: tuple[str, ...]
    env: Mapping[str, str]
    user: str
    working_dir: str
    files: MutableMapping[str, tuple[bytes, int]]
    """Content and mode of each file in the container."""
    output: Callable[[Output], Awaitable[None]]
    input: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(1))
    """Pieces of standard input; an empty one ends it."""
    traps: dict[str, asyncio.Event] = field(default_factory=dict)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _at_end: bool = False

    async def write(self, data: bytes, stream: Stream = "stdout") -> None:
        """Writes to an output; waits while nobody reads."""
        await self.output(Output(stream, data))

    async def read(self) -> bytes:
        """The next piece of standard input; none at its end."""
        if self._at_end:
            return b""
        data = await self.input.get()
        self._at_end = not data
        return data

    async def signal(self, name: str) -> None:
        """Waits for a signal, and from now on does not end by it."""
        await self.traps.setdefault(name, asyncio.Event()).wait()


Program = Callable[[FakeProcess], Awaitable[int]]
"""Runs until the exit code that it returns."""


async def _true(_process: FakeProcess) -> int:
    return 0


async def _false(_process: FakeProcess) -> int:
    return 1


async def _sleep(process: FakeProcess) -> int:
    """Until it is killed; as a container's first process it is deaf to other signals."""
    await process.signal("SIGKILL")
    return 137


async def _echo(process: FakeProcess) -> int:
    await process.write(" ".join(process.arguments[1:]).encode() + b"\n")
    return 0


async def _cat(process: FakeProcess) -> int:
    for path in process.arguments[1:]:
        if path not in process.files:
            await process.write(f"cat: can't open '{path}': No such file or directory\n".encode(), "stderr")
            return 1
        await process.write(process.files[path][0])
    while len(process.arguments) == 1 and (data := await process.read()):
        await process.write(data)
    return 0


async def _missing(process: FakeProcess) -> int:
    text = f'exec: "{process.arguments[0]}": executable file not found in $PATH\n'
    await process.write(text.encode(), "stderr")
    return NOT_FOUND


PROGRAMS: Mapping[str, Program] = {
    "true": _true,
    "false": _false,
    "sleep": _sleep,
    "echo": _echo,
    "cat": _cat,
}
"""By name, or by whole command line as a shell would be given it."""


def find_program(programs: Mapping[str, Program], arguments: Sequence[str]) -> Program | None:
    """The program for a command line."""
    name = arguments[0].rsplit("/", 1)[-1] if arguments else ""
    return programs.get(shlex.join(arguments)) or programs.get(name)


class FakeExec:
    """A running command; see `drivers.base.ExecSession`."""

    def __init__(self, program: Program | None, process: FakeProcess) -> None:
        self._process = process
        self._pieces: asyncio.Queue[Output | ExitCode] = asyncio.Queue(1)
        self._killed: int | None = None
        process.output = self._pieces.put
        self._task = asyncio.get_running_loop().create_task(self._run(program))

    async def __aiter__(self) -> AsyncIterator[Output | ExitCode]:
        piece: Output | ExitCode | None = None
        while not isinstance(piece, ExitCode):
            piece = await self._pieces.get()
            yield piece

    async def write(self, data: bytes) -> None:
        """Sends a piece of standard input; a command that has ended takes it in silence."""
        if data:
            await self._send(data)

    async def close_stdin(self) -> None:
        """Ends standard input."""
        await self._send(b"")

    async def close(self) -> None:
        """Leaves the command."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def kill(self, code: int) -> None:
        """Ends the command with that exit code."""
        self._killed = code
        self._task.cancel()

    async def _send(self, data: bytes) -> None:
        put = asyncio.ensure_future(self._process.input.put(data))
        ended = asyncio.ensure_future(self._process.ended.wait())
        try:
            await asyncio.wait({put, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            put.cancel()
            ended.cancel()

    async def _run(self, program: Program | None) -> None:
        try:
            code = await (program or _missing)(self._process)
        except asyncio.CancelledError:
            if self._killed is None:
                raise
            code = self._killed
        self._process.ended.set()
        await self._pieces.put(ExitCode(code))
