"""What clients had claimed of a controller that does not run: theirs alone, and nobody came back for it."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from e2e_controller.directories import Directories
from e2e_controller.drivers.inventory import Owner, Thing, ThingKind
from e2e_controller.marks import Marks
from e2e_controller.objects import CONTAINER_KINDS
from e2e_controller.state_folder import (
    StateFolderError,
    StateFolderInUse,
    StateLock,
    attended_at,
    is_own,
    write_controller_id,
)

log = logging.getLogger(__name__)

UNATTENDED_SECONDS = 60.0
"""Whoever holds an environment restarts its controller sooner, if that is to be."""
ATTENDING_SECONDS = 1.0
"""How often a controller shows that it runs: while its state folder is gone, others take it for dead."""


async def attend(lock: StateLock, identity: str) -> None:
    """Shows that this controller runs, so that its end is known though it may be killed.

    Without a state folder it would be garbage to all others. Raises `StateFolderInUse`.
    """
    while True:
        with suppress(OSError):
            if lock.is_lost():
                await _take_again(lock, identity)
            lock.attend()
        await asyncio.sleep(ATTENDING_SECONDS)


async def _take_again(lock: StateLock, identity: str) -> None:
    try:
        await asyncio.to_thread(lock.renew)
        write_controller_id(lock.folder, identity)
    except StateFolderInUse:
        raise
    except StateFolderError as error:
        log.error("the state folder was removed, and cannot be made again: %s", error)
    else:
        log.warning("the state folder %s was removed; made again, without what was in it", lock.folder)


def is_unattended(owner: Owner, now: Callable[[], float] = time.time) -> bool:
    """Whether the owner, which does not run, has not run for a while either."""
    try:
        return now() - attended_at(Path(owner.state_dir)) > UNATTENDED_SECONDS
    except OSError:
        return False


def claimed_environments(owner: Owner, things: Sequence[Thing]) -> set[str]:
    """Environments of a stopped owner that were there for their holders alone.

    `things` are the owner's. What a user's folder defines is not among them: the owner adopts that when it
    is started again.
    """
    if not is_own(owner):
        return set()
    directories = Directories(Path(owner.state_dir))
    return {
        environment
        for environment, mark in Marks(directories.leases).read().items()
        if mark.is_claim and (mark.exclusive or _is_applied(environment, things, directories))
    }


def _is_applied(environment: str, things: Sequence[Thing], directories: Directories) -> bool:
    """Whether Apply wrote each of its containers, as far as that can be told: there must be some."""
    names = [
        thing.name.removeprefix(f"{environment}.")
        for thing in things
        if thing.environment == environment and thing.kind is ThingKind.CONTAINER
    ]
    return bool(names) and all(
        any(directories.manifest(environment, kind, name).exists() for kind in CONTAINER_KINDS)
        for name in names
    )
