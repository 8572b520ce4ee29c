"""The fake driver: `drivers.base.Driver` on a `FakeEngine`."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from e2e_controller.drivers import base
from e2e_controller.drivers.base import (
    BuildSpec,
    Container,
    ContainerEvent,
    ContainerGone,
    ContainerNotRunning,
    ContainerPhase,
    ContainerSpec,
    Copied,
    EngineInfo,
    Guest,
    ImageFailed,
    Key,
    ListedContainer,
    NameTaken,
    PullProgress,
)
from e2e_controller.drivers.fake import archives, creation
from e2e_controller.drivers.fake.engine import KILLED, TERMINATED, FakeEngine, FakeImage
from e2e_controller.drivers.fake.insides import Insides
from e2e_controller.drivers.fake.inventory import FakeInventory, remove_tree
from e2e_controller.drivers.fake.processes import find_program
from e2e_controller.drivers.inventory import Inventory, Owner
from e2e_controller.drivers.labels import environment_of_tag


class FakeDriver(Insides):
    """Runs nothing, keeps all in memory.

    `engine` may be shared with a driver of before (a restart), or with one of another controller.
    """

    def __init__(
        self,
        controller_id: str = "fake",
        *,
        engine: FakeEngine | None = None,
        images: Iterable[str] = (),
        pullable: Iterable[str] = (),
        state_dir: Path | None = None,
        host: str = "",
        latency: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(controller_id, engine or FakeEngine(), latency)
        self.pullable = set(pullable)
        """References that a pull finds."""
        self.missing_paths: set[str] = set()
        """Host paths that are not there."""
        self._state_dir = state_dir
        self.engine.owners[controller_id] = Owner(controller_id, str(state_dir or ""), host)
        self._inventory = FakeInventory(self.engine, self.enter)
        for reference in images:
            self.engine.images.setdefault(reference, FakeImage())

    @property
    def inventory(self) -> Inventory:
        """What all controllers have on the same engine."""
        return self._inventory

    async def start(self) -> None:
        """Connects."""
        await self.enter("connect")

    async def close(self) -> None:
        """Stops telling events."""

    async def info(self) -> EngineInfo:
        """About the fake."""
        await self.enter("info")
        reachable = self.containers_reachable
        return EngineInfo("fake", "0", "0", "memory", reachable, local_files=True, own=self.own)

    async def events(self) -> AsyncGenerator[ContainerEvent, None]:
        """What happens to this controller's objects."""
        queue: asyncio.Queue[ContainerEvent] = asyncio.Queue()
        follower = (self.controller_id, queue)
        self.engine.followers.append(follower)
        try:
            yield ContainerEvent(None, "connected")
            while True:
                yield await queue.get()
        finally:
            self.engine.followers.remove(follower)

    async def list_containers(self) -> Sequence[ListedContainer]:
        """This controller's containers."""
        await self.enter("list_containers")
        return [
            ListedContainer(
                it.view.key, it.view.id, it.view.phase, it.view.network_id, is_stray=name != it.name
            )
            for name, it in self.engine.containers.items()
            if self._is_ours(it.owner)
        ]

    async def list_environments(self) -> Mapping[str, str]:
        """Environments with a network, a volume or an image."""
        await self.enter("list_environments")
        networks = {name: id_ for name, (id_, owner) in self.engine.networks.items() if self._is_ours(owner)}
        volumes = {name for (name, _), owner in self.engine.volumes.items() if self._is_ours(owner)}
        images = {image.environment for image in self.engine.images.values() if self._is_ours(image.owner)}
        return {name: networks.get(name, "") for name in sorted(networks.keys() | volumes | images - {""})}

    async def inspect(self, key: Key) -> Container | None:
        """A fresh look."""
        await self.enter("inspect", str(key))
        found = self.engine.containers.get(creation.container_name(key))
        if found is None:
            return None
        if not self._is_ours(found.owner) or found.view.key != key:
            raise creation.name_taken(found)
        return found.view if found.finished else replace(found.view, spec_hash="")

    async def ensure_network(self, environment: str) -> str:
        """The network's id."""
        await self.enter("ensure_network", environment)
        if (found := self._network(environment)) is not None:
            return found
        network_id = self.engine.new_id()
        self.engine.networks[environment] = network_id, self.controller_id
        return network_id

    async def inspect_network(self, environment: str) -> str | None:
        """The network's id, if it is there."""
        await self.enter("inspect_network", environment)
        return self._network(environment)

    def subnet(self, environment: str) -> str:
        """An address range that nobody has."""
        return "198.51.100.0/24" if environment in self.engine.networks else ""

    async def remove_environment(self, environment: str) -> None:
        """Removes what was built, network and volumes."""
        await self.enter("remove_environment", environment)
        for reference, image in list(self.engine.images.items()):
            if image.environment == environment and self._is_ours(image.owner):
                del self.engine.images[reference]
        network = self.engine.networks.get(environment)
        if network is not None and self._is_ours(network[1]):
            del self.engine.networks[environment]
            self.engine.admitted.pop(environment, None)
        for name, owner in list(self.engine.volumes.items()):
            if name[0] == environment and self._is_ours(owner):
                del self.engine.volumes[name]

    async def find_guest(self, ids: Sequence[str], address: str = "") -> Guest | None:
        """One of `engine.guests`."""
        await self.enter("find_guest", " ".join(ids))
        by_id = (found for id_ in ids for found in self.engine.guests.values() if found.id.startswith(id_))
        at_address = (found for found in self.engine.guests.values() if address in found.addresses)
        return next(by_id, None) or next(at_address, None)

    async def admit(self, environment: str, container_id: str) -> None:
        """Notes it in `engine.admitted`."""
        await self.enter("admit", f"{environment} {container_id}")
        if self._network(environment) is None or container_id not in self.engine.guests:
            raise ContainerGone(f"admit {container_id}: no such container or network")
        self.engine.admitted.setdefault(environment, set()).add(container_id)

    async def dismiss(self, environment: str, container_id: str) -> None:
        """Takes it out of `engine.admitted`."""
        await self.enter("dismiss", f"{environment} {container_id}")
        self.engine.admitted.get(environment, set()).discard(container_id)

    async def image_present(self, reference: str, environment: str = "") -> bool:  # noqa: ARG002
        """Whether the image is there."""
        await self.enter("image_present", reference)
        return reference in self.engine.images

    async def pull(self, reference: str, progress: PullProgress) -> None:
        """Finds what is in `pullable`."""
        await self.enter("pull", reference)
        progress("pulling (0 of 1 layers)")
        if reference not in self.pullable:
            raise ImageFailed(f"pull of {reference} failed: manifest unknown", retry=False)
        self.engine.images.setdefault(reference, FakeImage())

    async def build(self, spec: BuildSpec, progress: PullProgress) -> None:
        """Always works, unless told to `fail`."""
        await self.enter("build", spec.tag)
        progress("building: Step 1/1 : FROM scratch")
        environment = environment_of_tag(spec.tag)
        self.engine.images.setdefault(spec.tag, FakeImage(owner=self.controller_id, environment=environment))

    async def context_digest(self, spec: BuildSpec) -> str:
        """Of names and contents of all files. It asks no engine, so no fault happens to it."""
        return archives.digest_of(Path(spec.context))

    async def create(
        self, key: Key, spec: ContainerSpec, spec_hash: str, copied: Copied | None = None
    ) -> str:
        """Creates a container."""
        await self.enter("create", str(key))
        creation.check(self.engine, key, spec, self.missing_paths)
        for mount in spec.mounts:
            if not mount.is_host_path:
                self.engine.volumes.setdefault((key.environment, mount.source), self.controller_id)
        if spec.files and copied is not None:
            seconds = self.latency.get("copy", 0)
            await asyncio.sleep(seconds)
            copied(seconds)
        return creation.add(self.engine, self.controller_id, key, spec, spec_hash, finished=True).view.id

    async def start_container(self, container_id: str) -> None:
        """Starts, or starts again."""
        container = await self.enter_container("start", container_id)
        if container.view.phase is ContainerPhase.RUNNING:
            return
        if container.view.phase is ContainerPhase.PAUSED:
            raise ContainerNotRunning(f"start {container.view.key}: cannot start a paused container")
        network = self.engine.networks.get(container.view.key.environment)
        if network is None:
            raise ContainerGone(f"start {container.view.key}: its network is not there")
        creation.check_start(self.engine, container)
        self.engine.run(container, network[0])
        await asyncio.sleep(0)

    async def stop(self, container_id: str, grace: float) -> None:
        """Ends the process; at once, whatever the grace period, unless a program waits for the signal."""
        container = await self.enter_container("stop", container_id)
        if not container.lives or container.process is None:
            return
        heard = await self.engine.signal(container, container.spec.stop_signal)
        if heard:
            try:
                await asyncio.wait_for(container.process.ended.wait(), grace)
            except TimeoutError:
                self.engine.end(container, KILLED)
            return
        is_deaf = find_program(self.engine.programs, container.arguments) is not None
        self.engine.end(container, KILLED if is_deaf else TERMINATED)

    async def kill(self, container_id: str, signal: str = "SIGKILL") -> None:
        """Sends a signal."""
        container = await self.enter_container("kill", container_id, signal)
        if not container.lives:
            return
        if signal == "SIGKILL":
            container.signals.append(signal)
            self.engine.end(container, KILLED)
        else:
            await self.engine.signal(container, signal)
            await asyncio.sleep(0)

    async def pause(self, container_id: str) -> None:
        """Changes the phase."""
        container = await self.enter_container("pause", container_id)
        if not container.lives:
            raise ContainerNotRunning(f"pause {container.view.key}: it is not running")
        container.set(ContainerPhase.PAUSED)
        self.engine.emit(container, "pause")

    async def unpause(self, container_id: str) -> None:
        """Changes the phase back."""
        container = await self.enter_container("unpause", container_id)
        if container.view.phase is ContainerPhase.PAUSED:
            container.set(ContainerPhase.RUNNING)
            self.engine.emit(container, "unpause")

    async def remove(self, container_id: str) -> None:
        """Forgets the container."""
        container = self.engine.find(container_id)
        await self.enter("remove", str(container.view.key) if container else container_id)
        if container is not None:
            creation.drop(self.engine, container)

    async def remove_tree(self, path: str) -> None:
        """Really removes it, if there is a state folder and it is below."""
        await self.enter("remove_tree", path)
        if self._state_dir is None:
            return
        remove_tree(self._state_dir, path)

    def _is_ours(self, owner: str) -> bool:
        return owner == self.controller_id

    def _network(self, environment: str) -> str | None:
        network_id, owner = self.engine.networks.get(environment, ("", self.controller_id))
        if not self._is_ours(owner):
            raise NameTaken(f"the network e2e-{environment} belongs to {owner or 'something else'}")
        return network_id or None


def _conforms(driver: FakeDriver) -> base.Driver:
    return driver  # for the type checker
