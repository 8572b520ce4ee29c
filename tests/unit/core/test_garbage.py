"""What is garbage, on an engine in memory that several controllers share."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from e2e_controller.claims import UNATTENDED_SECONDS
from e2e_controller.collector import Collector
from e2e_controller.drivers.base import BuildSpec, ContainerSpec, DriverError, EngineUnavailable, Key, Mount
from e2e_controller.drivers.fake import FakeDriver, FakeEngine
from e2e_controller.drivers.inventory import Owner, Thing, ThingKind
from e2e_controller.garbage import Garbage, Leak, with_known_owners
from e2e_controller.instruments import Instruments
from e2e_controller.marks import Mark, Marks
from e2e_controller.state_folder import OwnerState, StateLock, write_controller_id

IMAGE = "busybox:1.36"
HOST = "machine"


class World:
    """An engine, and controllers with state folders of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.engine = FakeEngine()
        self.driver = FakeDriver("looker", engine=self.engine, images=[IMAGE])
        self.garbage = Garbage(self.driver.inventory, HOST)
        self.stack = ExitStack()

    def state(self, identity: str) -> Path:
        return self.root / identity

    async def add(self, identity: str, environment: str, *, host: str = HOST, live: bool = False) -> None:
        """A controller with a container, a network, a volume, an image and two folders."""
        state = self.state(identity)
        (state / "environments" / environment).mkdir(parents=True)
        (state / "manifests" / environment).mkdir(parents=True)
        write_controller_id(state, identity)
        (state / "lock").touch()
        if live:
            self.stack.enter_context(StateLock(state))
        driver = FakeDriver(identity, engine=self.engine, state_dir=state, host=host)
        tag = f"e2e-build/{environment}.web:0123"
        await driver.ensure_network(environment)
        await driver.build(BuildSpec(tag, "/"), lambda _line: None)
        await driver.create(
            Key(environment, "Workload", "web"), ContainerSpec(tag, mounts=(Mount("data", "/data"),)), "hash"
        )

    def claim(self, identity: str, environment: str, mark: Mark, seconds: float) -> None:
        """As if it were killed so long ago, with a holder."""
        Marks(self.state(identity) / "leases").write(environment, mark)
        ended = time.time() - seconds
        os.utime(self.state(identity) / "lock", (ended, ended))

    async def leaks(self) -> list[str]:
        return [text(leak) for leak in (await self.garbage.find()).leaks]

    async def clean(self, *states: OwnerState) -> dict[str, str]:
        leaks = [leak for leak in (await self.garbage.find()).leaks if leak.state in states]
        return {text(removal.leak): removal.problem for removal in await self.garbage.remove(leaks)}


def text(leak: Leak) -> str:
    thing = leak.thing
    name = Path(thing.name).parent.name if thing.kind is ThingKind.FOLDER else thing.name
    return f"{thing.owner.controller_id} {leak.state} {thing.environment} {thing.kind} {name}"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture(autouse=True)
def _end(world: World) -> object:
    yield
    world.stack.close()


def all_of(identity: str, state: str, environment: str, *folders: str) -> list[str]:
    engine = [
        f"container {environment}.web",
        f"network e2e-{environment}",
        f"volume e2e-{environment}.data",
        f"image e2e-build/{environment}.web:0123",
    ]
    return [
        f"{identity} {state} {environment} {what}" for what in (*engine, *(f"folder {f}" for f in folders))
    ]


async def test_what_a_live_controller_has_is_none(world: World) -> None:
    await world.add("live", "one", live=True)
    survey = await world.garbage.find()
    assert survey.leaks == ()
    assert [owner.controller_id for owner in survey.live] == ["live"]


async def test_what_a_stopped_one_has_goes_with_its_folders_and_its_manifests_stay(world: World) -> None:
    await world.add("stopped", "one")
    await world.add("live", "two", live=True)
    assert await world.leaks() == all_of("stopped", "stopped", "one", "environments")
    assert await world.clean(OwnerState.ORPHANED) == {}
    done = await world.clean(OwnerState.STOPPED)
    assert list(done.values()) == [""] * 5
    assert list(world.engine.containers) == ["two.web"]
    assert list(world.engine.networks) == ["two"]
    assert set(world.engine.images) == {IMAGE, "e2e-build/two.web:0123"}
    assert not (world.state("stopped") / "environments" / "one").exists()
    assert (world.state("stopped") / "manifests" / "one").exists()
    assert (world.state("live") / "environments" / "two").exists()
    assert await world.leaks() == []


async def test_manifests_of_what_a_client_held_go_too_unless_it_is_kept(world: World) -> None:
    for environment in ("held", "kept", "free"):
        (world.state("stopped") / "manifests" / environment).mkdir(parents=True)
    write_controller_id(world.state("stopped"), "stopped")
    marks = Marks(world.state("stopped") / "leases")
    marks.write("held", Mark())
    marks.write("kept", Mark(keep=True))
    assert await world.leaks() == []  # nothing on the engine tells of the folder
    world.garbage = Garbage(world.driver.inventory, HOST, [world.state("stopped"), world.state("nowhere")])
    assert await world.leaks() == ["stopped stopped held folder manifests"]
    assert list((await world.clean(OwnerState.STOPPED)).values()) == [""]
    assert [path.name for path in sorted((world.state("stopped") / "manifests").iterdir())] == [
        "free",
        "kept",
    ]


async def test_labels_alone_make_no_state_folder(world: World) -> None:
    """Anybody may give a container, or an image, labels of a controller that never was."""
    await world.add("forged", "one")
    for name in ("controller-id", "lock"):
        (world.state("forged") / name).unlink()
    await world.clean(OwnerState.ORPHANED)
    assert (world.state("forged") / "environments" / "one").exists()
    assert (world.state("forged") / "manifests" / "one").exists()


async def test_an_orphan_is_one_whose_folder_says_no_more_whose_it_is(world: World) -> None:
    await world.add("orphan", "one")
    (world.state("orphan") / "controller-id").unlink()
    (world.state("orphan") / "environments" / "mine").mkdir()  # of whoever uses the folder now
    assert await world.leaks() == all_of("orphan", "orphaned", "one", "environments")
    await world.clean(OwnerState.ORPHANED)
    assert [path.name for path in (world.state("orphan") / "environments").iterdir()] == ["mine"]
    assert await world.leaks() == []


async def test_what_lived_elsewhere_is_unknown_and_its_folders_are_not_ours(world: World) -> None:
    await world.add("far", "one", host="another machine")
    assert await world.leaks() == all_of("far", "unknown", "one")
    done = await world.clean(OwnerState.UNKNOWN)
    assert list(done.values()) == [""] * 4
    assert (world.state("far") / "environments" / "one").exists()


async def test_one_that_is_started_meanwhile_keeps_everything(world: World) -> None:
    await world.add("stopped", "one")
    await world.add("orphan", "two")
    (world.state("orphan") / "controller-id").unlink()
    survey = await world.garbage.find()
    for identity in ("stopped", "orphan"):
        world.stack.enter_context(StateLock(world.state(identity)))
    removals = await world.garbage.remove(survey.leaks)
    problems = {removal.leak.thing.owner.controller_id: removal.problem for removal in removals}
    assert problems["stopped"] == f"its state folder is in use meanwhile, by process {os.getpid()}"
    assert problems["orphan"] == "its state folder has come back meanwhile"
    assert set(world.engine.containers) == {"one.web", "two.web"}


async def test_a_folder_that_may_not_be_locked(world: World) -> None:
    await world.add("stopped", "one")
    leaks = (await world.garbage.find()).leaks
    (world.state("stopped") / "lock").unlink()
    (world.state("stopped") / "lock").mkdir()
    problems = {removal.problem for removal in await world.garbage.remove(leaks)}
    assert problems == {
        "its controller could be started meanwhile: "
        f"cannot use state folder {world.state('stopped')}: Is a directory"
    }


async def test_no_controller_starts_while_its_things_go(world: World) -> None:
    await world.add("stopped", "one")
    leaks = (await world.garbage.find()).leaks
    refusals: list[str] = []

    def try_to_start(_removal: object) -> None:
        try:
            with StateLock(world.state("stopped")):
                pass
        except Exception as error:
            refusals.append(str(error))

    await world.garbage.remove(leaks, try_to_start)
    assert len(refusals) == 5
    assert "in use by `e2e gc` or a start, which cleans up; try again" in refusals[0]
    try_to_start(None)
    assert len(refusals) == 5


async def test_what_cannot_be_removed_is_told_and_the_rest_goes(world: World) -> None:
    await world.add("stopped", "one")
    world.driver.fail("remove_thing", DriverError("no", remedy="try harder"))
    done = await world.clean(OwnerState.STOPPED)
    assert list(done.values()) == ["no; try harder", "", "", "", ""]
    assert await world.leaks() == ["stopped stopped one container one.web"]


def test_things_of_before_the_labels_are_their_controllers() -> None:
    home, other = Owner("a", "/state", HOST), Owner("b", "/b", HOST)

    def thing(owner: Owner) -> Thing:
        return Thing(owner, "one", ThingKind.CONTAINER, "x", "x")

    found = with_known_owners([thing(Owner("a")), thing(home), thing(Owner("c")), thing(other)])
    assert [one.owner for one in found] == [home, home, Owner("c"), other]
    two = [thing(Owner("a")), thing(home), thing(Owner("a", "/elsewhere", HOST))]
    assert with_known_owners(two) == two


async def collect_failing(world: World, collect: object) -> None:
    world.driver.fail("remove_thing", DriverError("no"), times=100)
    await collect("orphaned")  # type: ignore[operator]


class TestAtStart:
    @pytest.fixture
    async def collect(self, world: World) -> Callable[..., object]:
        await world.add("starts", "own", live=True)
        await world.add("stopped", "one")
        await world.add("orphan", "two")
        await world.add("far", "three", host="another machine")
        (world.state("orphan") / "controller-id").unlink()
        self.instruments = Instruments()

        async def collect(wanted: str) -> set[str]:
            collector = Collector(world.garbage, "starts", self.instruments, began=1000.5)
            await collector.collect(wanted)  # type: ignore[arg-type]
            return set(world.engine.containers)

        return collect

    def metric(self, name: str, **labels: str) -> float:
        return self.instruments.registry.get_sample_value(name, labels) or 0.0

    async def test_orphans_go(self, collect: object, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        assert await collect("orphaned") == {"own.web", "one.web", "three.web"}  # type: ignore[operator]
        assert "stopped controllers hold 5 of controller stopped" in caplog.text
        assert "`e2e gc`" in caplog.text
        assert self.metric("e2e_leaks_found_total", kind="container", state="orphaned") == 1
        assert self.metric("e2e_leaks_found_total", kind="container", state="stopped") == 1
        assert self.metric("e2e_leaks_removed_total", kind="folder", result="success") == 1

    async def test_and_what_stopped_ones_have_where_that_is_asked_for(self, collect: object) -> None:
        assert await collect("stopped") == {"own.web", "three.web"}  # type: ignore[operator]

    @pytest.mark.parametrize(("seconds", "stays"), [(61, False), (20, True)])
    async def test_what_clients_held_of_stopped_ones_goes_once_nobody_attends_to_it(
        self, collect: object, world: World, monkeypatch: pytest.MonkeyPatch, seconds: float, stays: bool
    ) -> None:
        monkeypatch.setattr("e2e_controller.collector.UNATTENDED_SECONDS", 0)  # not to wait in vain
        await world.add("stopped", "held")
        world.claim("stopped", "held", Mark(exclusive=True), seconds)
        await collect("orphaned")  # type: ignore[operator]
        assert ("held.web" in world.engine.containers) is stays
        assert ("held" in world.engine.networks) is stays
        state = world.state("stopped")
        folders = [state / kind / "held" for kind in ("environments", "manifests", "leases")]
        assert [folder.exists() for folder in folders] == [stays] * 3
        assert "one.web" in world.engine.containers  # nobody had claimed that

    async def test_who_may_still_come_back_is_looked_at_once_more(
        self, collect: object, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real_sleep = asyncio.sleep

        async def sleep(seconds: float) -> None:
            if seconds == UNATTENDED_SECONDS:  # as if they had passed
                world.claim("stopped", "held", Mark(exclusive=True), UNATTENDED_SECONDS + 1)
            await real_sleep(min(seconds, 0.01))

        await world.add("stopped", "held")
        world.claim("stopped", "held", Mark(exclusive=True), 0)
        monkeypatch.setattr(asyncio, "sleep", sleep)
        await collect("orphaned")  # type: ignore[operator]
        assert "held.web" not in world.engine.containers
        assert world.driver.calls.count("list_things") == 2

    @pytest.mark.parametrize(
        ("mark", "applied", "goes"),
        [
            (Mark(exclusive=True), False, True),
            (Mark(), True, True),
            (Mark(), False, False),  # a user's file defines it, which nobody has changed
            (Mark(keep=True, exclusive=True), True, False),
            (Mark(since=datetime(2030, 1, 1, tzinfo=UTC), cause="it has failed"), True, False),
        ],
    )
    async def test_only_what_was_there_for_its_holders_alone_goes(
        self, collect: object, world: World, mark: Mark, applied: bool, goes: bool
    ) -> None:
        await world.add("stopped", "held")
        if applied:
            (world.state("stopped") / "manifests" / "held" / "workload.web.json").write_text("{}")
        world.claim("stopped", "held", mark, 3600)
        await collect("orphaned")  # type: ignore[operator]
        assert ("held.web" not in world.engine.containers) is goes

    async def test_a_claim_whose_things_cannot_be_removed_stays(self, collect: object, world: World) -> None:
        await world.add("stopped", "held")
        world.claim("stopped", "held", Mark(exclusive=True), 3600)
        await collect_failing(world, collect)
        assert (world.state("stopped") / "leases" / "held").exists()

    async def test_only_helpers_of_an_earlier_run_go(self, world: World, collect: object) -> None:
        owner = Owner("starts", str(world.state("starts")), HOST)
        things = [
            Thing(owner, "", ThingKind.CONTAINER, name, name, created)
            for name, created in (("before", 999.0), ("in the same second", 1000.0), ("after", 1001.0))
        ]

        async def list_things() -> list[Thing]:
            return things

        removed: list[str] = []

        async def remove_thing(thing: Thing) -> None:
            removed.append(thing.name)

        inventory = SimpleNamespace(list_things=list_things, remove_thing=remove_thing)
        garbage = Garbage(inventory, HOST)  # type: ignore[arg-type]
        await Collector(garbage, "starts", Instruments(), began=1000.5).collect("orphaned")
        assert removed == ["before"]

    async def test_an_engine_that_fails_is_no_reason_to_end(
        self, collect: object, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.driver.fail("list_things", EngineUnavailable("it hangs"))
        await collect("orphaned")  # type: ignore[operator]
        assert "cannot look for it: it hangs" in caplog.text
        world.driver.fail("remove_thing", DriverError("no"))
        await collect("orphaned")  # type: ignore[operator]
        assert "the container two.web stays: no" in caplog.text
        assert self.metric("e2e_leaks_removed_total", kind="container", result="error") == 1

    @pytest.mark.looptime
    async def test_one_that_hangs_ends_some_time(
        self, collect: object, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.driver.hang("remove_thing")
        await collect("orphaned")  # type: ignore[operator]
        assert "not done within 120s" in caplog.text
