"""What is done inside the fake's containers: commands, logs and files."""

import asyncio
import posixpath
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from e2e_api.manifests.texts import is_below
from e2e_controller.drivers.base import (
    LABEL_ENVIRONMENT,
    ContainerNotRunning,
    ContainerPhase,
    FileContent,
    NoSuchPath,
    Output,
    ReadOnly,
    SpecRefused,
)
from e2e_controller.drivers.fake import archives
from e2e_controller.drivers.fake.control import Control
from e2e_controller.drivers.fake.processes import FakeExec, find_program


class Insides(Control):
    """The part of the fake driver that is about what a container holds and runs."""

    async def put_files(self, container_id: str, files: Sequence[FileContent]) -> None:
        """Adds them to the container's files."""
        container = await self.enter_container("put_files", container_id)
        container.files |= {posixpath.normpath(file.path): (file.content, file.mode) for file in files}

    async def describe(self, container_id: str) -> Mapping[str, Any]:
        """As much as the fake knows."""
        container = await self.enter_container("describe", container_id)
        env = [f"{name}={value}" for name, value in container.spec.env.items()]
        spec, environment = container.spec, container.view.key.environment
        labels = {**spec.labels, LABEL_ENVIRONMENT: environment}
        mounts = [
            {"Type": "bind", "Source": mount.source, "Target": mount.target, "ReadOnly": mount.read_only}
            for mount in spec.mounts
            if mount.is_host_path
        ]
        return {
            "Id": container_id,
            "Config": {"Env": env, "Labels": labels, "Image": spec.image},
            "HostConfig": {
                "Privileged": spec.privileged,
                "CapAdd": list(spec.capabilities),
                "UsernsMode": spec.userns,
                "Mounts": mounts,
            },
        }

    async def exec(
        self,
        container_id: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        user: str = "",
        working_dir: str = "",
        stdin: bool = False,
    ) -> FakeExec:
        """Runs a program of the engine's `programs`."""
        container = await self.enter_container("exec", container_id, " ".join(command))
        if container.view.phase is not ContainerPhase.RUNNING:
            raise ContainerNotRunning(f"exec in {container.view.key}: it is not running")
        process = self.engine.process(container, command)
        process.env = {**process.env, **(env or {})}
        process.user, process.working_dir = user or process.user, working_dir or process.working_dir
        session = FakeExec(find_program(self.engine.programs, command), process)
        container.sessions.append(session)
        await asyncio.sleep(0)
        if not stdin:
            await session.close_stdin()
        return session

    async def logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        timestamps: bool = False,
    ) -> AsyncGenerator[Output, None]:
        """What was logged, line by line."""
        container = await self.enter_container("logs", container_id)
        shown = len(container.log) if tail == 0 else max(0, len(container.log) - (tail or len(container.log)))
        while True:
            changed, lives = container.changed, container.lives
            while shown < len(container.log):
                time, output = container.log[shown]
                shown += 1
                if since is None or time >= since:
                    stamp = f"{time.isoformat()} ".encode() if timestamps else b""
                    yield replace(output, data=stamp + output.data)
            if not follow or not lives:
                return
            await changed.wait()

    async def copy_in(self, container_id: str, directory: str, tar: AsyncIterator[bytes]) -> None:
        """Unpacks a tar stream."""
        container = await self.enter_container("copy_in", container_id, directory)
        if any(mount.read_only and is_below(directory, mount.target) for mount in container.spec.mounts):
            raise ReadOnly(f"copy to {directory}: mounted volume is marked read-only")
        if posixpath.normpath(directory) not in archives.directories(container.files):
            raise NoSuchPath(f"there is no {directory} in {container.view.key} to copy to")
        data = b"".join([piece async for piece in tar])
        try:
            container.files |= archives.unpack(directory, data)
        except tarfile.TarError as error:
            raise SpecRefused(f"copy to {directory}: {error}") from error

    async def copy_out(self, container_id: str, path: str) -> AsyncGenerator[bytes, None]:
        """A tar stream of a path."""
        container = await self.enter_container("copy_out", container_id, path)
        packed = archives.pack(container.files, path)
        if packed is None:
            raise NoSuchPath(f"there is no {path} in {container.view.key}")
        yield packed
