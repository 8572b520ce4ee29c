"""Garbage: what controllers left on the engine and on disk that nobody takes care of any more.

Whose it is, the labels say; whether that controller lives, its state folder says.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from e2e_controller.directories import Directories
from e2e_controller.drivers.base import DriverError
from e2e_controller.drivers.inventory import Inventory, Owner, Thing, ThingKind
from e2e_controller.marks import Marks
from e2e_controller.state_folder import (
    OwnerState,
    StateFolderError,
    StateFolderInUse,
    StateLock,
    is_own,
    owner_state,
    read_controller_id,
)

log = logging.getLogger(__name__)

REMOVABLE = frozenset({OwnerState.STOPPED, OwnerState.ORPHANED})
"""What may be removed without being named."""
_PARALLELISM = 8
"""Environments cleaned up at once."""
_ORDER = list(ThingKind)


@dataclass(frozen=True, slots=True)
class Leak:
    """One thing that no live controller owns."""

    thing: Thing
    state: OwnerState


@dataclass(frozen=True, slots=True)
class Survey:
    """What a look found."""

    leaks: tuple[Leak, ...]
    """Sorted by controller and environment, each in the order in which they can be removed."""
    live: frozenset[Owner]
    helpers: tuple[Thing, ...]
    """Containers of live controllers that are in no environment: they remove a folder, or were to."""


@dataclass(frozen=True, slots=True)
class Removal:
    """How the removal of a leak ended: `problem` says why it stays, empty where it is gone."""

    leak: Leak
    problem: str = ""


class Garbage:
    """Finds garbage and removes it. `host` is this machine; `state_dirs` are looked at in any case."""

    def __init__(self, inventory: Inventory, host: str, state_dirs: Iterable[Path] = ()) -> None:
        self._inventory = inventory
        self._host = host
        self._state_dirs = tuple(state_dirs)
        self._slots = asyncio.Semaphore(_PARALLELISM)

    async def find(self) -> Survey:
        """Looks at the engine, and at the state folders that it tells of. Raises `DriverError`."""
        things = with_known_owners(await self._inventory.list_things())
        return await asyncio.to_thread(self._judge, things)

    async def remove(
        self, leaks: Iterable[Leak], told: Callable[[Removal], None] = lambda _removal: None
    ) -> list[Removal]:
        """Removes them; `told` is called for each as it is done."""
        removals = []
        for owner, group in groupby(sorted(leaks, key=_order), key=lambda leak: leak.thing.owner):
            for removal in await self._remove_of(owner, list(group), told):
                removals.append(removal)
        return removals

    async def remove_one(self, leak: Leak) -> Removal:
        """Removes one, without a claim on its owner's state folder."""
        orphaned = leak.state is OwnerState.ORPHANED
        if orphaned and owner_state(leak.thing.owner, self._host) is not OwnerState.ORPHANED:
            return Removal(leak, "its state folder has come back meanwhile")
        try:
            await self._inventory.remove_thing(leak.thing)
        except DriverError as error:
            return Removal(leak, str(error))
        return Removal(leak)

    def _judge(self, things: Sequence[Thing]) -> Survey:
        environments: dict[Owner, set[str]] = {owner: set() for owner in self._local_owners()}
        for thing in things:
            environments.setdefault(thing.owner, set()).add(thing.environment)
        states = {owner: owner_state(owner, self._host) for owner in environments}
        live = frozenset(owner for owner, state in states.items() if state is OwnerState.LIVE)
        # One that lives adopts by its id, whatever else the labels say.
        alive = {owner.controller_id for owner in live}
        folders = (
            thing
            for owner, state in states.items()
            for thing in folders_of(owner, state, environments[owner])
        )
        leaks = [
            Leak(thing, states[thing.owner])
            for thing in (*things, *folders)
            if thing.owner.controller_id not in alive
        ]
        helpers = (
            thing
            for thing in things
            if thing.owner.controller_id in alive
            and thing.kind is ThingKind.CONTAINER
            and not thing.environment
        )
        return Survey(tuple(sorted(leaks, key=_order)), live, tuple(helpers))

    def _local_owners(self) -> Iterator[Owner]:
        for folder in self._state_dirs:
            try:
                identity = read_controller_id(folder)
            except OSError:
                continue
            if identity:
                yield Owner(identity, str(folder), self._host)

    async def _remove_of(
        self, owner: Owner, leaks: Sequence[Leak], told: Callable[[Removal], None]
    ) -> list[Removal]:
        def tell(removal: Removal) -> Removal:
            told(removal)
            return removal

        async def clean(group: Sequence[Leak]) -> list[Removal]:
            async with self._slots:
                return [tell(await self.remove_one(leak)) for leak in group]

        groups = [list(group) for _, group in groupby(leaks, key=lambda leak: leak.thing.environment)]
        try:
            with self._claim(owner, leaks[0].state):
                done = await asyncio.gather(*(clean(group) for group in groups))
                left = {one.leak.thing.environment for group in done for one in group if one.problem}
                _forget_claims(owner, {leak.thing.environment for leak in leaks} - left)
        except StateFolderInUse as error:
            problem = f"its state folder is in use meanwhile, by {error.holder}"
        except (StateFolderError, OSError) as error:
            problem = f"its controller could be started meanwhile: {error}"
        else:
            return [removal for group in done for removal in group]
        return [tell(Removal(leak, problem)) for leak in leaks]

    def _claim(self, owner: Owner, state: OwnerState) -> AbstractContextManager[object]:
        """Keeps the owner from being started while its things go."""
        if state is not OwnerState.STOPPED or not is_own(owner):
            return nullcontext()
        return StateLock(Path(owner.state_dir), "`e2e gc` or a start, which cleans up; try again")


def with_known_owners(things: Sequence[Thing]) -> list[Thing]:
    """Things of before labels told where their owner lives get it from others of the same controller."""
    homes: dict[str, set[Owner]] = {}
    for thing in things:
        if thing.owner.host:
            homes.setdefault(thing.owner.controller_id, set()).add(thing.owner)

    def known(owner: Owner) -> Owner:
        found = homes.get(owner.controller_id, set())
        return next(iter(found)) if not owner.host and len(found) == 1 else owner

    return [replace(thing, owner=known(thing.owner)) for thing in things]


def folders_of(owner: Owner, state: OwnerState, environments: set[str]) -> Iterator[Thing]:
    """The owner's folders that are garbage: shared directories, and manifests that only a lease kept.

    Where nothing says any more that the state folder is one, only what the engine tells of counts.
    """
    if state not in REMOVABLE:
        return
    directories = Directories(Path(owner.state_dir))
    is_its_own = is_own(owner)
    if state is OwnerState.STOPPED and not is_its_own:
        return  # the folder is another controller's by now
    if not is_its_own and not (Path(owner.state_dir) / "lock").is_file():
        return  # the engine's labels alone, which anybody may give, make no state folder of it
    for path in _subfolders(directories.environments):
        if is_its_own or path.name in environments:
            yield _folder(owner, path)
    if is_its_own:
        claims = Marks(directories.leases).claims()
        for path in _subfolders(directories.manifests):
            if path.name in claims:
                yield _folder(owner, path)


def _forget_claims(owner: Owner, environments: set[str]) -> None:
    """Whoever held them is not waited for when the controller is started again."""
    if is_own(owner):
        marks = Marks(Directories(Path(owner.state_dir)).leases)
        for environment in environments & marks.claims():
            marks.remove(environment)


def count_by_owner(leaks: Iterable[Leak]) -> str:
    """How much each controller has, for people."""
    counts = Counter(leak.thing.owner for leak in leaks)
    return ", ".join(
        f"{count} of controller {owner.controller_id} (state folder {owner.state_dir})"
        for owner, count in sorted(counts.items())
    )


def _folder(owner: Owner, path: Path) -> Thing:
    return Thing(owner, path.name, ThingKind.FOLDER, str(path), str(path))


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return []


def _order(leak: Leak) -> tuple[Owner, str, int, str]:
    thing = leak.thing
    return thing.owner, thing.environment, _ORDER.index(thing.kind), thing.name
