"""What happens to a controller between its start and a settled end; told so that it can be interrupted."""

import asyncio
from collections.abc import Iterable
from typing import Any

from e2e_api.conditions import ConditionType
from e2e_api.manifests import KINDS, Workload
from e2e_controller.drivers.base import Container, ContainerPhase, Key
from e2e_controller.drivers.fake import Fault
from e2e_controller.objects import CONTAINER_KINDS, ENVIRONMENT, FILE, Object

from .core import Core, Goal, World

PATIENCE = 1800.0
"""Simulated seconds in which a goal has to be reached, whatever happens once."""
PHASES = {
    "Running": ContainerPhase.RUNNING,
    "Paused": ContainerPhase.PAUSED,
    "Stopped": ContainerPhase.EXITED,
    "Killed": ContainerPhase.EXITED,
}


def document(name: str = "web", kind: str = "Workload", **spec: Any) -> dict[str, Any]:
    defaults = {"image": "busybox:1.36"} if kind != "Environment" and "build" not in spec else {}
    return {"apiVersion": "e2e/v1", "kind": kind, "metadata": {"name": name}, "spec": {**defaults, **spec}}


def key(name: str = "web") -> Key:
    return Key("test", "Workload", name)


class Story:
    """One run of a scenario, over as many lives of the controller as it takes."""

    def __init__(self, world: World, faults: Iterable[Fault] = ()) -> None:
        self.world = world
        self.driver = world.driver(faults)
        self.wanted: dict[str, list[dict[str, Any]]] = {}
        """The user's files, and what each says."""
        self.applied: dict[Key, dict[str, Any]] = {}
        self.lives = 1
        self.calls = 0
        """Driver calls of the first life until all was settled."""
        self.creates = 0
        self.core = Core(world, self.driver)

    async def begin(self) -> None:
        await self.core.start()

    async def end(self) -> None:
        await self.core.kill()
        self.creates += sum(call.startswith("create ") for call in self.core.driver.calls)

    async def restart(self) -> None:
        """The next life, in which nothing goes wrong any more."""
        await self.end()
        self.core = Core(self.world, self.world.driver())
        self.lives += 1
        await self.core.start()

    # What users do

    async def write(self, name: str, *documents: dict[str, Any]) -> None:
        self.wanted[name] = list(documents)
        self.world.write(name, *documents)
        self.core.user.look()

    async def remove(self, name: str) -> None:
        del self.wanted[name]
        (self.world.folder / name).unlink()
        self.core.user.look()

    async def apply(self, given: dict[str, Any]) -> None:
        manifest = Workload.model_validate(given)
        at, manifest = self.core.intake.place(manifest, "test")  # type: ignore[assignment]
        await self.core.intake.write(at, manifest)
        self.applied[at] = given

    async def delete(self, at: Key) -> None:
        await self.core.intake.delete(at)
        self.applied.pop(at)

    # What is waited for

    async def until(self, goal: Goal, what: str) -> None:
        """Lives on until the goal is reached; a crash is followed by the next life."""
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + PATIENCE, 0.01
        while not goal(self.core):
            if self.core.driver.faults.crashed.is_set():
                await self.restart()
            self.core.check_alive()
            if loop.time() > deadline:
                raise AssertionError(f"{what}: not reached\n{describe(self.core)}")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 2.0)

    async def settle(self) -> None:
        """Until all is as the manifests ask, and told so."""
        await self.until(lambda core: is_settled(self, core), "everything as its manifest asks")

    async def rest(self) -> None:
        """A full look at what has settled changes nothing."""
        self.calls = self.driver.faults.count
        await self.core.upkeep.enqueue_all()
        await self.until(lambda core: core.queue.idle, "the queue is empty")
        before = changes(self.core)
        await self.core.upkeep.enqueue_all()
        await self.until(lambda core: core.queue.idle, "the queue is empty")
        assert changes(self.core) == before, "a full look at what had settled changed something"


def changes(core: Core) -> list[str]:
    return [call for call in core.driver.changes if not call.startswith(("ensure_network", "exec"))]


def is_settled(story: Story, core: Core) -> bool:
    """Whether the engine has what the manifests ask for and nothing else, and the statuses say so."""
    if not core.queue.idle or core.driver.faults.crashed.is_set():
        return False
    objects = [object_ for object_ in core.store.select() if object_.key.kind != FILE]
    if any(object_.deleting or not object_.settled for object_ in objects):
        return False
    workloads = {o.key: o for o in objects if o.key.kind != ENVIRONMENT}
    if manifests_of(core) != expected_manifests(story):
        return False
    engine = story.world.engine
    ours = {name: found for name, found in engine.containers.items() if found.owner == "fake"}
    there = {found.view.key: found.view for found in ours.values()}
    return (
        all(name == found.name for name, found in ours.items())
        and there.keys() <= workloads.keys()
        and set(engine.networks) == {o.key.name for o in objects if o.key.kind == ENVIRONMENT}
        and {environment for environment, _ in engine.volumes} <= set(engine.networks)
        and not list(core.world.directories.environments.glob(".*"))  # put aside, to be removed
        and all(is_as_asked(core, o, there.get(o.key)) for o in workloads.values())
    )


def is_as_asked(core: Core, object_: Object, container: Container | None) -> bool:
    desired = core.reconciler._containers._desired(object_)
    assert desired is not None
    if desired.state in ("Stopped", "Killed") and container is None:
        return True
    # Of what is built, the hash depends on the build context as the reconciler has read it.
    spec_hash = object_.status.spec_hash if desired.build else desired.spec_hash
    if container is None and desired.is_job:
        return object_.status.is_true(ConditionType.COMPLETED)
    if container is None or container.spec_hash != spec_hash:
        return False
    if desired.is_job:
        return object_.status.is_true(ConditionType.COMPLETED) and container.exit_code == 0
    if any(core.file(object_.key, file.content.path) != file.content.content for file in desired.live_files):
        return False
    network = core.world.engine.networks.get(object_.key.environment, ("", ""))[0]
    running = object_.status.is_true(ConditionType.RUNNING)
    ready = object_.status.is_true(ConditionType.READY)
    if container.phase is not PHASES[desired.state] or object_.status.container != container:
        return False
    return desired.state != "Running" or (running and ready and container.network_id == network)


def manifests_of(core: Core) -> dict[Key, Any]:
    return {o.key: o.manifest for o in core.store.select() if o.key.kind in CONTAINER_KINDS}


def expected_manifests(story: Story) -> dict[Key, Any]:
    documents = [d for documents in story.wanted.values() for d in documents if d["kind"] in CONTAINER_KINDS]
    by_file = {
        Key("test", d["kind"], d["metadata"]["name"]): KINDS[d["kind"]].model_validate(d) for d in documents
    }
    applied = {}
    for at, given in story.applied.items():
        manifest = Workload.model_validate(given)
        metadata = manifest.metadata.model_copy(update={"environment": at.environment})
        applied[at] = manifest.model_copy(update={"metadata": metadata})
    return {**by_file, **applied}


def describe(core: Core) -> str:
    """What a person needs to see why it did not settle."""
    lines = [f"queue: idle={core.queue.idle} {core.queue._dirty} {core.queue._processing}"]
    for object_ in core.store.select():
        status = object_.status
        lines.append(
            f"{object_.key} generation={object_.generation} observed={status.observed_generation} "
            f"deleting={object_.deleting} {status.summary}: {status.progress}"
        )
    for name, found in core.world.engine.containers.items():
        lines.append(f"container {name} {found.view.phase} hash={found.view.spec_hash}")
    lines.append(f"networks {core.world.engine.networks} volumes {core.world.engine.volumes}")
    return "\n".join([*lines, "last calls:", *core.driver.calls[-15:]])
