"""The pytest plugin: environments as fixtures, and their evidence in the report of a failed test.

pytest loads this for every run, so it imports nothing of e2e before a test asks for it.
"""

import os
import sys
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from e2e.testing import benchmark
from e2e.testing.benchmark import e2e_benchmark

__all__ = ["e2e_benchmark"]

if TYPE_CHECKING:
    from e2e import Environment


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--e2e-bundle-dir` and `--e2e-benchmark-dir`, also as settings."""
    text = "folder for an evidence bundle of each environment whose test failed (also E2E_BUNDLE_DIR)"
    parser.getgroup("e2e").addoption("--e2e-bundle-dir", metavar="DIR", help=text)
    parser.addini("e2e_bundle_dir", text)
    text = "folder for the reports of the fixture e2e_benchmark"
    parser.getgroup("e2e").addoption("--e2e-benchmark-dir", metavar="DIR", help=text)
    parser.addini("e2e_benchmark_dir", text)


def pytest_configure(config: pytest.Config) -> None:
    """Adds the asynchronous fixture where pytest-asyncio runs it; passes on where bundles go."""
    setting = config.getini("e2e_bundle_dir")
    folder = config.getoption("e2e_bundle_dir") or (setting and str(config.rootpath / setting))
    if folder:
        os.environ["E2E_BUNDLE_DIR"] = os.path.abspath(folder)  # noqa: PTH100 - pathlib is loaded later
    benchmark.configure(config)
    if config.pluginmanager.hasplugin("asyncio"):
        from e2e.testing import async_fixtures

        config.pluginmanager.register(async_fixtures, "e2e-async-fixtures")


@pytest.fixture
def e2e_environment() -> "Iterator[Environment]":
    """An `e2e.Environment` named after the test, gone when the test ends."""
    from e2e import Environment

    with Environment() as environment:
        yield environment


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps benchmarks from disturbing each other."""
    if config.pluginmanager.hasplugin("xdist"):
        benchmark.group(items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows what the run's benchmarks measured."""
    benchmark.tell(terminalreporter)


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


def _describe(environment: str, controller: Any) -> str:
    """The evidence of an environment that is still there, and a bundle if asked; why not, of a failure."""
    from e2e import Client, E2EError, bundles, evidence

    text = ""
    try:
        with Client.connect(controller) as client:
            text = evidence.describe(client.list_objects(environment))
            if path := bundles.automatic_path(environment):
                text += f"\nevidence bundle: {client.bundle(environment, path)}"
    except E2EError as error:
        missing = "there is no evidence bundle" if text else "nothing is known of it"
        text = f"{text}\n{missing}: {error}".lstrip()
    return text
