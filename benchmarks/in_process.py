"""A controller in this process, over a driver of one's own. A manager wants a process for itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from e2e.aio import AsyncClient
from e2e_controller.drivers.base import Driver
from e2e_controller.manager import Manager
from e2e_controller.settings import Settings


@asynccontextmanager
async def controller(state: Path, folder: Path, driver: Driver) -> AsyncIterator[AsyncClient]:
    """Serves within the block; gives a client of it."""
    settings = Settings(folder=[folder], state_dir=state, log_level="warning")
    manager = Manager(settings, make_driver=lambda *_: driver)
    running = asyncio.create_task(manager.run())
    started = asyncio.create_task(manager.started.wait())
    await asyncio.wait((running, started), return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    async with await AsyncClient.connect(manager.addresses[0]) as client:
        yield client
    manager.stop()
    await running
