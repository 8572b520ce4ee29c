"""A fake driver that misbehaves at chosen calls, as engines and machines do."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from e2e_controller.drivers.base import (
    BuildSpec,
    Container,
    ContainerEvent,
    ContainerPhase,
    ContainerSpec,
    Copied,
    FileContent,
    Key,
    ListedContainer,
    Output,
    PullProgress,
)
from e2e_controller.drivers.fake.driver import FakeDriver
from e2e_controller.drivers.fake.faults import Fault, Faults, for_ever
from e2e_controller.drivers.fake.processes import FakeExec


class FaultyDriver(FakeDriver):
    """A `FakeDriver` to which faults happen. Numbers every call but those that connect it."""

    def __init__(
        self, controller_id: str = "fake", *, faults: Iterable[Fault] = (), pace: float = 0.0, **options: Any
    ) -> None:
        """`pace`: how long each call takes, in seconds."""
        super().__init__(controller_id, **options)
        self.faults = Faults(faults, pace)

    async def events(self) -> AsyncGenerator[ContainerEvent, None]:
        """What happens, as far as it is told."""
        async for event in super().events():
            if self.faults.crashed.is_set():
                await for_ever()
            if event.key is not None and self.faults.lost_events:
                self.faults.lost_events -= 1
                continue
            yield event
            if event.key is not None and self.faults.repeated_events:
                self.faults.repeated_events -= 1
                yield event

    async def list_containers(self) -> Sequence[ListedContainer]:
        """Or none, or one that is not there."""
        ghost = [ListedContainer(Key("ghost", "Workload", "ghost"), "ghost", ContainerPhase.RUNNING)]
        return await self.faults.ask(
            "list_containers", "", super().list_containers, lambda true: [] if true else ghost
        )

    async def list_environments(self) -> Mapping[str, str]:
        """Or none, or one that is not there."""
        return await self.faults.ask(
            "list_environments", "", super().list_environments, lambda true: {} if true else {"ghost": ""}
        )

    async def inspect(self, key: Key) -> Container | None:
        """Or nothing, or what is not there."""
        look = super().inspect
        return await self.faults.ask(
            "inspect", str(key), lambda: look(key), lambda true: None if true else _ghost(key)
        )

    async def ensure_network(self, environment: str) -> str:
        """Or another network's id."""
        ensure = super().ensure_network
        return await self.faults.ask(
            "ensure_network", environment, lambda: ensure(environment), lambda _: "f" * 64
        )

    async def inspect_network(self, environment: str) -> str | None:
        """Or none, or another network's id."""
        look = super().inspect_network
        return await self.faults.ask(
            "inspect_network", environment, lambda: look(environment), lambda true: None if true else "f" * 64
        )

    async def remove_environment(self, environment: str) -> None:
        """Or not."""
        remove = super().remove_environment
        await self.faults.change("remove_environment", lambda: remove(environment))

    async def image_present(self, reference: str, environment: str = "") -> bool:
        """Or the opposite."""
        look = super().image_present
        return await self.faults.ask(
            "image_present", reference, lambda: look(reference, environment), lambda true: not true
        )

    async def pull(self, reference: str, progress: PullProgress) -> None:
        """Or not."""
        pull = super().pull
        await self.faults.change("pull", lambda: pull(reference, progress))

    async def build(self, spec: BuildSpec, progress: PullProgress) -> None:
        """Or not."""
        build = super().build
        await self.faults.change("build", lambda: build(spec, progress))

    async def create(
        self, key: Key, spec: ContainerSpec, spec_hash: str, copied: Copied | None = None
    ) -> str:
        """Or not."""
        create = super().create
        return await self.faults.change("create", lambda: create(key, spec, spec_hash, copied), "f" * 64)

    async def put_files(self, container_id: str, files: Sequence[FileContent]) -> None:
        """Or not."""
        put = super().put_files
        await self.faults.change("put_files", lambda: put(container_id, files))

    async def start_container(self, container_id: str) -> None:
        """Or not."""
        start = super().start_container
        await self.faults.change("start", lambda: start(container_id))

    async def stop(self, container_id: str, grace: float) -> None:
        """Or not."""
        stop = super().stop
        await self.faults.change("stop", lambda: stop(container_id, grace))

    async def kill(self, container_id: str, signal: str = "SIGKILL") -> None:
        """Or not."""
        kill = super().kill
        await self.faults.change("kill", lambda: kill(container_id, signal))

    async def pause(self, container_id: str) -> None:
        """Or not."""
        pause = super().pause
        await self.faults.change("pause", lambda: pause(container_id))

    async def unpause(self, container_id: str) -> None:
        """Or not."""
        unpause = super().unpause
        await self.faults.change("unpause", lambda: unpause(container_id))

    async def remove(self, container_id: str) -> None:
        """Or not."""
        remove = super().remove
        await self.faults.change("remove", lambda: remove(container_id))

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
        """Fails, or hangs; about a command nothing is made up."""
        run = super().exec

        def begin() -> Awaitable[FakeExec]:
            return run(container_id, command, env=env, user=user, working_dir=working_dir, stdin=stdin)

        return await self.faults.change("exec", begin)

    async def logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        timestamps: bool = False,
    ) -> AsyncGenerator[Output, None]:
        """Fails, or hangs, at its beginning."""
        await self.faults.change("logs", lambda: asyncio.sleep(0))
        lines = super().logs(container_id, follow=follow, tail=tail, since=since, timestamps=timestamps)
        async for output in lines:
            yield output

    async def remove_tree(self, path: str) -> None:
        """Or not."""
        remove = super().remove_tree
        await self.faults.change("remove_tree", lambda: remove(path))


def _ghost(key: Key) -> Container:
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    container = Container("f" * 64, key, "no-hash", "no-image", ContainerPhase.EXITED, long_ago)
    return replace(container, started_at=long_ago, finished_at=long_ago, exit_code=0)
