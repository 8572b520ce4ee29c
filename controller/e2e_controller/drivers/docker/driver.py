"""The Docker driver: the parts, put together."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from e2e_controller.drivers import base
from e2e_controller.drivers.base import BuildSpec, ContainerSpec, Copied, Key, PullProgress
from e2e_controller.drivers.docker.about import engine_info
from e2e_controller.drivers.docker.builds import Builds
from e2e_controller.drivers.docker.contexts import context_digest
from e2e_controller.drivers.docker.deaths import Deaths
from e2e_controller.drivers.docker.engine import Engine, Observe
from e2e_controller.drivers.docker.events import Events
from e2e_controller.drivers.docker.guests import Guests
from e2e_controller.drivers.docker.images import PULL_SILENCE, Images
from e2e_controller.drivers.docker.inventory import DockerInventory
from e2e_controller.drivers.docker.known import Known
from e2e_controller.drivers.docker.lifecycle import Lifecycle
from e2e_controller.drivers.docker.looks import Looks
from e2e_controller.drivers.docker.networks import Networks
from e2e_controller.drivers.docker.own_paths import OwnPaths
from e2e_controller.drivers.docker.ports import PortChooser
from e2e_controller.drivers.docker.processes import DockerExec, Processes
from e2e_controller.drivers.docker.temporary import TemporaryImages
from e2e_controller.drivers.docker.trees import Trees
from e2e_controller.drivers.docker.volumes import Volumes, refuse_host_paths
from e2e_controller.drivers.inventory import Inventory, Owner
from e2e_controller.own_container import own_hints


class DockerDriver:
    """Runs containers on a Docker Engine; implements `drivers.base.Driver`, where each method is described.

    `host` is the machine that `state_dir` is on; with it, what is made says where its owner lives.
    `engine` overrides where the engine is found. `call_timeout` bounds every call, in seconds.
    `publish_address` is the one of the engine's machine that ports bind to; by default loopback, or for an
    engine that is reached over the network the one by which it is reached.
    `image_mirror` is the registry that images are pulled from, whichever their own is.
    `discreet`: messages about one environment's objects name nothing of another's.
    `observe` is told each call's name, its seconds, and whether it was answered without an error.
    """

    def __init__(
        self,
        controller_id: str,
        *,
        state_dir: Path,
        host: str = "",
        engine: str | None = None,
        parallelism: int = 16,
        call_timeout: float = 60.0,
        pull_silence: float = PULL_SILENCE,
        image_mirror: str = "",
        address_pool: str = "10.201.0.0/16",
        subnet_prefix: int = 24,
        publish_address: str = "",
        observe: Observe | None = None,
        ports: PortChooser | None = None,
        discreet: bool = False,
    ) -> None:
        known, deaths, owner = Known(), Deaths(), Owner(controller_id, str(state_dir), host)
        self._engine = Engine(engine, parallelism, call_timeout, observe, publish_address)
        self._images = Images(self._engine, pull_silence, image_mirror)
        self._builds = Builds(self._engine, owner)
        self._events = Events(self._engine, known, deaths, controller_id)
        self._networks = Networks(self._engine, known, owner, address_pool, subnet_prefix)
        self._guests = Guests(self._engine, self._networks)
        self._volumes = Volumes(self._engine, owner)
        self._looks = Looks(self._engine, known, deaths, controller_id)
        self._lifecycle = Lifecycle(
            self._engine,
            self._images,
            self._networks,
            self._looks,
            known,
            deaths,
            owner,
            ports or PortChooser(binds=self._engine.binds),
            discreet=discreet,
        )
        self._processes = Processes(self._engine, known)
        self._paths = OwnPaths()
        self._trees = Trees(self._engine, owner, state_dir, self._paths)
        self._temporary = TemporaryImages(self._engine, owner)
        self._inventory = DockerInventory(self._engine)

    @property
    def inventory(self) -> Inventory:
        """What all controllers have on this engine."""
        return self._inventory

    async def start(self) -> None:
        """Connects."""
        await self._engine.connect()

    async def close(self) -> None:
        """Ends all that runs in this process; containers stay."""
        await self._images.close()
        await self._engine.close()

    async def info(self) -> base.EngineInfo:
        """About the engine."""
        self._paths.own = await self._guests.find_own(await self._engine.in_thread(own_hints))
        return await engine_info(self._engine, self._paths.own)

    def events(self) -> AsyncIterator[base.ContainerEvent]:
        """What happens to our objects."""
        return self._events.follow()

    async def list_containers(self) -> Sequence[base.ListedContainer]:
        """All our containers."""
        return await self._looks.listed()

    async def list_environments(self) -> Mapping[str, str]:
        """Environments that have a network, a volume or an image of ours."""
        networks = await self._networks.environments()
        others = await self._volumes.environments() | await self._temporary.environments()
        return {name: networks.get(name, "") for name in sorted(networks.keys() | others)}

    async def inspect(self, key: Key) -> base.Container | None:
        """A fresh look."""
        return await self._looks.inspect(key)

    async def ensure_network(self, environment: str) -> str:
        """The id of the environment's network."""
        return await self._networks.ensure(environment)

    async def inspect_network(self, environment: str) -> str | None:
        """The id of the environment's network, if it is there."""
        return await self._networks.inspect(environment)

    def subnet(self, environment: str) -> str:
        """The address range of the environment's network."""
        return self._networks.subnet(environment)

    async def remove_environment(self, environment: str) -> None:
        """Removes what was built, the network and the named volumes."""
        await self._temporary.remove(environment)
        await self._networks.remove(environment)
        await self._volumes.remove(environment)

    async def find_guest(self, ids: Sequence[str], address: str = "") -> base.Guest | None:
        """A container that is not ours."""
        return await self._guests.find(ids, address)

    async def admit(self, environment: str, container_id: str) -> None:
        """Takes it into the environment's network."""
        await self._guests.admit(environment, container_id)

    async def dismiss(self, environment: str, container_id: str) -> None:
        """Takes it out again."""
        await self._guests.dismiss(environment, container_id)

    async def image_present(self, reference: str, environment: str = "") -> bool:
        """Whether the image is there."""
        return await self._images.present(reference, environment)

    async def pull(self, reference: str, progress: PullProgress) -> None:
        """Pulls an image."""
        await self._images.pull(reference, progress)

    async def build(self, spec: BuildSpec, progress: PullProgress) -> None:
        """Builds and tags an image."""
        self._temporary.expect(spec.tag)
        await self._builds.build(self._paths.context(spec), progress, self._paths.missing(spec.context))

    async def context_digest(self, spec: BuildSpec) -> str:
        """Of what a build would be made of."""
        return await self._engine.in_thread(lambda: context_digest(self._paths.context(spec)))

    async def create(
        self, key: Key, spec: ContainerSpec, spec_hash: str, copied: Copied | None = None
    ) -> str:
        """Creates the container and its volumes."""
        if not self._engine.endpoint.is_local:
            refuse_host_paths(spec.mounts, self._engine.endpoint)
        spec = replace(spec, mounts=self._paths.mounts(spec.mounts))
        await self._volumes.ensure(key.environment, spec.mounts)
        return await self._lifecycle.create(key, spec, spec_hash, copied)

    async def describe(self, container_id: str) -> Mapping[str, Any]:
        """The engine's inspect."""
        return await self._looks.describe(container_id)

    async def put_files(self, container_id: str, files: Sequence[base.FileContent]) -> None:
        """Writes files into it."""
        await self._lifecycle.put_files(container_id, files)

    async def start_container(self, container_id: str) -> None:
        """Starts, or starts again."""
        await self._lifecycle.start(container_id)

    async def stop(self, container_id: str, grace: float) -> None:
        """Asks it to end, kills it after the grace period."""
        await self._lifecycle.stop(container_id, grace)

    async def kill(self, container_id: str, signal: str = "SIGKILL") -> None:
        """Sends a signal."""
        await self._lifecycle.kill(container_id, signal)

    async def pause(self, container_id: str) -> None:
        """Freezes all processes."""
        await self._lifecycle.pause(container_id)

    async def unpause(self, container_id: str) -> None:
        """Thaws them."""
        await self._lifecycle.unpause(container_id)

    async def remove(self, container_id: str) -> None:
        """Removes the container."""
        await self._lifecycle.remove(container_id)

    async def exec(
        self,
        container_id: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        user: str = "",
        working_dir: str = "",
        stdin: bool = False,
    ) -> DockerExec:
        """Runs a command inside."""
        return await self._processes.execute(
            container_id, command, env=env or {}, user=user, working_dir=working_dir, stdin=stdin
        )

    def logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
        timestamps: bool = False,
    ) -> AsyncGenerator[base.Output, None]:
        """What the container wrote."""
        return self._processes.logs(
            container_id, follow=follow, tail=tail, since=since, timestamps=timestamps
        )

    async def copy_in(self, container_id: str, directory: str, tar: AsyncIterator[bytes]) -> None:
        """Unpacks a tar stream below a directory."""
        await self._processes.copy_in(container_id, directory, tar)

    def copy_out(self, container_id: str, path: str) -> AsyncGenerator[bytes, None]:
        """A tar stream of a path."""
        return self._processes.copy_out(container_id, path)

    async def remove_tree(self, path: str) -> None:
        """Removes a directory below the state folder."""
        await self._trees.remove(path)


def _conforms(driver: DockerDriver) -> base.Driver:
    return driver  # for the type checker
