from collections.abc import AsyncIterator, Callable

import pytest

from .probe_helpers import StubDriver, Watch


@pytest.fixture
async def make_watch() -> AsyncIterator[Callable[..., Watch]]:
    """Makes a prober of one workload, closed at the end; in the test, so that it has the test's clock."""
    made: list[Watch] = []

    def make(driver: StubDriver | None = None, *, reachable: bool = True) -> Watch:
        made.append(Watch(driver, reachable=reachable))
        return made[-1]

    yield make
    for watch in made:
        await watch.prober.aclose()
