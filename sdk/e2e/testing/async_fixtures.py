"""The fixture for asynchronous tests; registered where pytest-asyncio is."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from e2e import AsyncEnvironment


@pytest_asyncio.fixture
async def e2e_async_environment() -> "AsyncIterator[AsyncEnvironment]":
    """An `e2e.AsyncEnvironment` named after the test, gone when the test ends."""
    from e2e import AsyncEnvironment

    async with AsyncEnvironment() as environment:
        yield environment
