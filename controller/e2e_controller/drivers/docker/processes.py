"""Commands in containers, and what containers write."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import datetime
from typing import Any

from docker import APIClient

from e2e_controller.drivers.base import ContainerGone, ExitCode, NoSuchPath, Output
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.docker.frames import outputs
from e2e_controller.drivers.docker.hijack import Hijacked
from e2e_controller.drivers.docker.known import Known
from e2e_controller.drivers.docker.wording import plain

_REFUSED = (b"OCI runtime exec failed", b"unable to find user", b"unable to find group")
_NOT_FOUND = (b"executable file not found", b"no such file or directory")
_FIRST_PAUSE, _LAST_PAUSE = 0.001, 1.0


class DockerExec:
    """A running command; see `drivers.base.ExecSession`."""

    def __init__(self, engine: Engine, exec_id: str, stream: Hijacked, environment: str) -> None:
        self._engine = engine
        self._environment = environment
        self._exec_id = exec_id
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[Output | ExitCode]:
        return self._pieces()

    async def write(self, data: bytes) -> None:
        """Sends a piece of standard input; a command that has ended takes it in silence."""
        with suppress(OSError):
            await self._stream.write(data)

    async def close_stdin(self) -> None:
        """Ends standard input."""
        with suppress(OSError):
            await self._stream.close_write()

    async def close(self) -> None:
        """Leaves the command; the engine cannot kill it."""
        self._stream.close()

    async def _pieces(self) -> AsyncGenerator[Output | ExitCode, None]:
        refusal = b""
        try:
            with suppress(OSError):
                async for piece in outputs(self._stream.reader):
                    # The engine puts its own words where the command's output would be.
                    if piece.data.startswith(_REFUSED):
                        words = plain(piece.data.decode(errors="replace").rstrip())
                        refusal, piece = piece.data, Output("stderr", f"{words}\n".encode())
                    yield piece
            code = await self._exit_code()
            if code == 126 and any(text in refusal for text in _NOT_FOUND):
                code = 127
            yield ExitCode(code)
        finally:
            self._stream.close()

    async def _exit_code(self) -> int:
        """The output may end a moment before the engine has noticed the exit, or long before the command."""
        pause = _FIRST_PAUSE
        while True:
            code = await self._engine.call("inspect exec", self._look, environment=self._environment)
            if code is not None:
                return code
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE)

    def _look(self, client: APIClient) -> int | None:
        found = client.exec_inspect(self._exec_id)
        return None if found["Running"] or found["ExitCode"] is None else int(found["ExitCode"])


class Processes:
    """Runs commands in containers and reads their logs."""

    def __init__(self, engine: Engine, known: Known) -> None:
        self._engine = engine
        self._known = known

    async def execute(
        self,
        container_id: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        user: str,
        working_dir: str,
        stdin: bool,
    ) -> DockerExec:
        """Starts a command."""

        def create(client: APIClient) -> str:
            made = client.exec_create(
                container_id,
                list(command),
                stdin=stdin,
                user=user,
                environment=dict(env),
                workdir=working_dir or None,
            )
            return str(made["Id"])

        what, environment = f"exec {command[0] if command else ''}", self._known.environment(container_id)
        exec_id = await self._engine.call("create exec", create, what, environment=environment)
        stream = await self._engine.upgrade(
            "start exec", f"/exec/{exec_id}/start", {"Detach": False, "Tty": False}
        )
        return DockerExec(self._engine, exec_id, stream, environment)

    async def logs(
        self, container_id: str, *, follow: bool, tail: int | None, since: datetime | None, timestamps: bool
    ) -> AsyncGenerator[Output, None]:
        """What the container wrote."""
        params: dict[str, Any] = {
            "stdout": 1,
            "stderr": 1,
            "follow": int(follow),
            "tail": "all" if tail is None else tail,
            "timestamps": int(timestamps),
        }
        if since is not None:
            params["since"] = f"{since.timestamp():.6f}"
        path = f"/containers/{container_id}/logs"
        async with (
            self._engine.request("logs", "GET", path, params=params) as response,
            aclosing(outputs(response.content)) as pieces,
        ):
            async for piece in pieces:
                yield piece

    async def copy_in(self, container_id: str, directory: str, tar: AsyncIterator[bytes]) -> None:
        """Unpacks a tar below a directory."""
        path, params = f"/containers/{container_id}/archive", {"path": directory}
        # First asks for the directory: an early refusal could be lost while the tar is still being sent.
        try:
            async with self._engine.request("stat", "HEAD", path, params=params):
                pass
        except ContainerGone as error:
            raise NoSuchPath(f"there is no container, or no {directory} in it, to copy to") from error
        limit = self._engine.call_timeout * 10
        async with self._engine.request(
            "copy in", "PUT", path, params=params, data=tar, within=limit, what=f"copy to {directory}"
        ):
            pass

    async def copy_out(self, container_id: str, path: str) -> AsyncGenerator[bytes, None]:
        """A tar of a path."""
        archive = f"/containers/{container_id}/archive"
        async with self._engine.request(
            "copy out", "GET", archive, params={"path": path}, what=f"copy of {path}"
        ) as response:
            async for data in response.content.iter_chunked(64 * 1024):
                yield data
