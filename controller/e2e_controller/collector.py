"""What a controller does about garbage when it starts."""

import asyncio
import logging
from typing import Literal

from e2e_controller.drivers.base import DriverError
from e2e_controller.garbage import REMOVABLE, Garbage, Leak, Removal, Survey, count_by_owner
from e2e_controller.instruments import Instruments
from e2e_controller.state_folder import OwnerState

log = logging.getLogger(__name__)

PATIENCE = 120.0
"""Seconds; what is not removed by then is left to the next start."""


async def collect_at_start(
    garbage: Garbage, identity: str, wanted: Literal["orphaned", "stopped"], instruments: Instruments
) -> None:
    """Removes what nobody can adopt any more, and says what else there is. An engine that fails is no error.

    `identity` is the controller that starts; with `stopped`, what other controllers hold goes too that do
    not run.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            survey = await garbage.find()
            for leak in survey.leaks:
                instruments.leak_found(leak.thing.kind, leak.state)
            await _remove_all(garbage, survey, identity, wanted, instruments)
    except TimeoutError:
        log.warning("garbage: not done within %gs; `e2e gc` removes the rest", PATIENCE)
    except (DriverError, OSError) as error:
        log.warning("garbage: cannot look for it: %s", error)


async def _remove_all(
    garbage: Garbage,
    survey: Survey,
    identity: str,
    wanted: Literal["orphaned", "stopped"],
    instruments: Instruments,
) -> None:
    states = REMOVABLE if wanted == "stopped" else {OwnerState.ORPHANED}
    leaks = [leak for leak in survey.leaks if leak.state in states]
    # An earlier run of this very controller was killed in the middle of a removal.
    cut_off = [thing for thing in survey.helpers if thing.owner.controller_id == identity]
    kept = [leak for leak in survey.leaks if leak.state is OwnerState.STOPPED and leak.state not in states]
    if kept:
        log.info("stopped controllers hold %s; `e2e gc` lists and removes it", count_by_owner(kept))
    if leaks:
        log.info("garbage: removing %s", count_by_owner(leaks))
    await garbage.remove(leaks, lambda removal: _tell(removal, instruments))
    for thing in cut_off:
        _tell(await garbage.remove_one(Leak(thing, OwnerState.STOPPED)), instruments)


def _tell(removal: Removal, instruments: Instruments) -> None:
    thing = removal.leak.thing
    instruments.leak_removed(thing.kind, not removal.problem)
    if removal.problem:
        log.warning("garbage: the %s %s stays: %s", thing.kind, thing.name, removal.problem)
