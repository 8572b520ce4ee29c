"""The pytest plugin: environments as fixtures, and their evidence in the report of a failed test.

pytest loads this for every run, so it imports nothing of e2e before a test asks for it.
"""

import sys
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from e2e import Environment


def pytest_configure(config: pytest.Config) -> None:
    """Adds the asynchronous fixture where pytest-asyncio runs it."""
    if config.pluginmanager.hasplugin("asyncio"):
        from e2e.testing import async_fixtures

        config.pluginmanager.register(async_fixtures, "e2e-async-fixtures")


@pytest.fixture
def e2e_environment() -> "Iterator[Environment]":
    """An `e2e.Environment` named after the test, gone when the test ends."""
    from e2e import Environment

    with Environment() as environment:
        yield environment


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Attaches what is known of the environments to the report of a test that failed."""
    report = yield
    live = sys.modules.get("e2e.live")
    if live is None:
        return report
    told, live.failures[:] = list(live.failures), []
    if report.failed:
        known = {environment for environment, _ in told}
        told += [(name, _describe(name, where)) for name, where in live.live.items() if name not in known]
        report.sections += [(f"e2e environment {environment}", text) for environment, text in told]
    return report


def _describe(environment: str, controller: str | None) -> str:
    """The evidence of an environment that is still there; of a failure to get it, why."""
    from e2e import Client, E2EError, evidence

    try:
        with Client.connect(controller) as client:
            return evidence.describe(client.list_objects(environment))
    except E2EError as error:
        return f"nothing is known of it: {error}"
