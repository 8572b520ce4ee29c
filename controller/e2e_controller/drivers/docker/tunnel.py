"""The way to an engine that ssh reaches: one connection, which brings its socket and published ports here.

docker-py's own way is a process and a log-in for each connection, and servers refuse many of those at once.
The user's ssh does it, with its configuration, keys and known hosts; it never asks anything.
"""

import asyncio
import logging
import os
import shutil
import socket
import stat
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from e2e_controller.drivers.base import EngineUnavailable
from e2e_controller.drivers.docker.endpoint import DEFAULT_URL, LOOPBACK, Endpoint
from e2e_controller.drivers.docker.ssh_words import explain, refused_channel

_LOG = logging.getLogger(__name__)
_OPTIONS = {
    "BatchMode": "yes",  # it asks for no password
    "ConnectTimeout": "10",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    "ExitOnForwardFailure": "yes",
    "ControlPersist": "no",
    "StreamLocalBindMask": "0177",
    "LogLevel": "INFO",  # tells why a connection through it failed
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
}
_UNTIL_WE_END = "exec cat"
"""Ends with its standard input, however this process ends; then ssh ends, too."""
_PREFIX = "e2e-ssh-"
_POLL = 0.01
_KEPT_LINES = 20
_ENDING, _SURELY_OPEN = 5.0, 60.0
"""Seconds."""
_TO_SAY_WHY, _OF_LATE = 0.1, 5.0
"""Seconds: for its words to come after what they are about, and for which they may be about that."""


class Tunnel:
    """Opens when first needed, and again after it broke; paths here stay the same."""

    def __init__(self, endpoint: Endpoint, within: float) -> None:
        parts = urlsplit(endpoint.url)
        self._endpoint = endpoint
        self._within = within
        port = ("-p", str(parts.port)) if parts.port else ()
        host = parts.netloc.removesuffix(f":{parts.port}").replace("[", "").replace("]", "")
        self._destination = (*port, "--", host)
        self._far_socket = parts.path.rstrip("/") or DEFAULT_URL.removeprefix("unix://")
        sweep(Path(tempfile.gettempdir()))
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))  # for this user only
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._said: deque[tuple[float, str]] = deque(maxlen=_KEPT_LINES)
        self._turn = asyncio.Lock()
        self._ports: set[int] = set()

    @property
    def near_end(self) -> Endpoint:
        """Where the engine's socket is here."""
        return Endpoint(f"unix://{self._folder}/engine", self._endpoint.source)

    @property
    def is_open(self) -> bool:
        """Whether the connection is there, as far as ssh knows."""
        return self._process is not None and self._process.returncode is None

    async def open(self) -> None:
        """Connects, unless it is connected. Raises `EngineUnavailable` with what ssh said."""
        async with self._turn:
            if not self.is_open:
                await self._end()
                await self._start()

    async def close(self) -> None:
        """Ends the connection."""
        async with self._turn:
            await self._end()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def bring(self, ports: Iterable[int], wanted: Iterable[int]) -> bool:
        """Brings published ports to the same ports of this loopback; of others, only the `wanted` stay.

        False where one cannot be had here, such as one that a program of this machine has.
        """
        ports, wanted = set(ports), set(wanted)
        if ports <= self._ports <= ports | wanted:
            return True
        async with self._turn:
            if unwanted := sorted(self._ports - ports - wanted):
                await self._ask("cancel", unwanted)
                self._ports.difference_update(unwanted)
            missing = sorted(ports - self._ports)
            if not missing:
                return True
            refusal = await self._ask("forward", missing)
            if refusal:
                _LOG.warning("ports %s of %s are not reached from here: %s", missing, self._endpoint, refusal)
                return False
            self._ports.update(missing)
            return True

    async def _start(self) -> None:
        self._said.clear()
        self._ports.clear()
        for left in self._folder.iterdir():
            left.unlink()
        command = self._command(
            "-M",
            "-T",
            "-L",
            f"{self.near_end.socket_path}:{self._far_socket}",
            *self._destination,
            _UNTIL_WE_END,
        )
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # Ctrl+C is for us
            )
        except OSError as error:
            raise EngineUnavailable(
                f"the engine at {self._endpoint}: cannot run ssh: {error.strerror or error}",
                remedy="install OpenSSH's client",
            ) from error
        self._listening = asyncio.create_task(self._listen(self._process))
        try:
            async with asyncio.timeout(self._within):
                while not (self._folder / "control").exists() and self.is_open:  # noqa: ASYNC110
                    await asyncio.sleep(_POLL)
        except TimeoutError as error:
            await self._end()
            raise self._failure(f"ssh did not connect within {self._within:g} s") from error
        if not self.is_open:
            await asyncio.wait((self._listening,), timeout=_ENDING)
            raise self._failure("ssh ended")

    async def _end(self) -> None:
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(_ENDING):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._listening is not None:  # to the end of what it says: till then its pipes are open
            await asyncio.wait((self._listening,), timeout=_ENDING)
            self._listening.cancel()
        self._process = None

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None  # noqa: S101 - it was asked for  # nosec B101
        with suppress(ValueError):  # a line without end
            async for line in process.stderr:
                if text := line.decode(errors="replace").strip():
                    self._said.append((time.monotonic(), text))
                    _LOG.debug("ssh: %s", text)

    async def explain(self, what: str) -> EngineUnavailable | None:
        """Why a call just failed, where ssh knows."""
        await asyncio.sleep(_TO_SAY_WHY)
        if not self.is_open:
            return self._failure(f"{what}: the connection broke")
        since = time.monotonic() - _OF_LATE
        of_late = "\n".join(text for when, text in self._said if when > since)
        if refusal := refused_channel(of_late, self._far_socket):
            cause, remedy = refusal
            return EngineUnavailable(f"{what}: the engine at {self._endpoint}: {cause}", remedy=remedy)
        return None

    def _failure(self, what: str) -> EngineUnavailable:
        cause, remedy = explain("\n".join(text for _, text in self._said), self._far_socket)
        return EngineUnavailable(f"the engine at {self._endpoint}: {cause or what}", remedy=remedy)

    async def _ask(self, verb: str, ports: Sequence[int]) -> str:
        """Asks the process that has the connection; what it says where it refuses."""
        forwards = [part for port in ports for part in ("-L", f"{LOOPBACK}:{port}:{LOOPBACK}:{port}")]
        command = self._command("-O", verb, *forwards, *self._destination)
        asking = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(self._within):
                _, words = await asking.communicate()
        except TimeoutError:
            asking.kill()
            await asking.wait()
            return f"ssh did not answer within {self._within:g} s"
        if not asking.returncode:
            return ""
        return words.decode(errors="replace").strip() or f"ssh ended with {asking.returncode}"

    def _command(self, *arguments: str) -> list[str]:
        options = [f"-o{name}={value}" for name, value in _OPTIONS.items()]
        return ["ssh", *options, "-S", str(self._folder / "control"), *arguments]


def sweep(folder: Path) -> None:
    """Removes what killed controllers of this user left there: folders with sockets that nobody serves."""
    for left in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            status = left.lstat()
            old = time.time() - status.st_mtime > _SURELY_OPEN
            if status.st_uid == os.getuid() and stat.S_ISDIR(status.st_mode) and old and not _is_served(left):
                shutil.rmtree(left, ignore_errors=True)


def _is_served(folder: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(str(folder / "engine"))
        except OSError:
            return False
        return True
