"""What a start needs of the engine, and how it ends where it does not get what it needs."""

import asyncio

from e2e_controller.drivers.base import Driver, EngineInfo, EngineUnavailable

ENGINE_PATIENCE = 15.0
"""Seconds in which the engine has to say what it is; a client waits for half a minute at most."""
_ENGINE_HANGS = (
    f"the engine takes calls but did not answer within {ENGINE_PATIENCE:g}s: it hangs or is overloaded; "
    "restart it (Docker Engine before 23.0 can deadlock when containers of one network end at once)"
)


class StartError(Exception):
    """The controller cannot start; the text says why, and what helps."""


async def connect(driver: Driver) -> EngineInfo:
    """What the engine says it is. Raises `StartError`."""
    try:
        async with asyncio.timeout(ENGINE_PATIENCE):
            await driver.start()
            return await driver.info()
    except EngineUnavailable as error:
        raise StartError(str(error)) from error
    except TimeoutError as error:
        raise StartError(_ENGINE_HANGS) from error
