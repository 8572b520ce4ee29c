"""What a controller does about garbage when it starts."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from e2e_controller.claims import UNATTENDED_SECONDS, claimed_environments, is_unattended
from e2e_controller.drivers.base import DriverError
from e2e_controller.drivers.inventory import Owner
from e2e_controller.garbage import REMOVABLE, Garbage, Leak, Removal, Survey, count_by_owner
from e2e_controller.instruments import Instruments
from e2e_controller.state_folder import OwnerState

log = logging.getLogger(__name__)

PATIENCE = 120.0
"""Seconds; what is not removed by then is left to the next start."""


@dataclass(frozen=True, slots=True)
class Collector:
    """Removes what nobody takes care of any more, and says what else there is.

    `identity` is the controller that starts, which it did at `began`, in seconds since 1970.
    """

    garbage: Garbage
    identity: str
    instruments: Instruments
    began: float

    async def collect(self, wanted: Literal["orphaned", "stopped"]) -> None:
        """Looks, and once more where holders may still come back for what they had claimed.

        With `stopped`, all goes that controllers hold that do not run. An engine that fails is no error.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                recent = await self._collect(wanted)
            if recent:
                await asyncio.sleep(UNATTENDED_SECONDS)
                async with asyncio.timeout(PATIENCE):
                    await self._remove_claimed((await self.garbage.find()).leaks)
        except TimeoutError:
            log.warning("garbage: not done within %gs; `e2e gc` removes the rest", PATIENCE)
        except (DriverError, OSError) as error:
            log.warning("garbage: cannot look for it: %s", error)

    async def _collect(self, wanted: Literal["orphaned", "stopped"]) -> bool:
        """Gives whether there are claims that were attended to only just now."""
        survey = await self.garbage.find()
        for leak in survey.leaks:
            self.instruments.leak_found(leak.thing.kind, leak.state)
        states = REMOVABLE if wanted == "stopped" else {OwnerState.ORPHANED}
        await self._remove(leak for leak in survey.leaks if leak.state in states)
        recent = wanted != "stopped" and await self._remove_claimed(survey.leaks)
        await self._remove_cut_off(survey)
        return recent

    async def _remove_claimed(self, leaks: Iterable[Leak]) -> bool:
        """What clients had claimed of stopped controllers goes, unless one may just be started again."""
        stopped = [leak for leak in leaks if leak.state is OwnerState.STOPPED]
        kept: list[Leak] = []
        recent = False
        for owner, group in groupby(stopped, key=lambda leak: leak.thing.owner):
            of_owner = list(group)
            # Looked at one by one: there is no time for a start, and an end, before the owner is locked.
            claimed, unattended = await asyncio.to_thread(_look_at, owner, of_owner)
            recent = recent or (bool(claimed) and not unattended)
            gone = claimed if unattended else set()
            kept += [leak for leak in of_owner if leak.thing.environment not in gone]
            await self._remove(leak for leak in of_owner if leak.thing.environment in gone)
        if kept:
            log.info("stopped controllers hold %s; `e2e gc` lists and removes it", count_by_owner(kept))
        return recent

    async def _remove_cut_off(self, survey: Survey) -> None:
        """An earlier run of this very controller was killed in the middle of a removal."""
        for thing in survey.helpers:
            if thing.owner.controller_id == self.identity and thing.created < int(self.began):
                self._tell(await self.garbage.remove_one(Leak(thing, OwnerState.STOPPED)))

    async def _remove(self, leaks: Iterable[Leak]) -> None:
        chosen = list(leaks)
        if chosen:
            log.info("garbage: removing %s", count_by_owner(chosen))
            await self.garbage.remove(chosen, self._tell)

    def _tell(self, removal: Removal) -> None:
        thing = removal.leak.thing
        self.instruments.leak_removed(thing.kind, not removal.problem)
        if removal.problem:
            log.warning("garbage: the %s %s stays: %s", thing.kind, thing.name, removal.problem)


def _look_at(owner: Owner, leaks: list[Leak]) -> tuple[set[str], bool]:
    return claimed_environments(owner, [leak.thing for leak in leaks]), is_unattended(owner)
