"""A controller of our own for the run, and a look at what is left when it ends.

All workers of a run share one embedded controller, as a user's do. After the last test nothing may be left of
it: no container, network, volume, directory or process. If something is, the run fails and names it.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import dice

# looptime asks for the current loop even around tests that are not async. Where none was ever set, that
# makes one that nobody closes, and its warning fails some later test.
asyncio.set_event_loop(None)
dice.load_profile()

LABEL = "io.e2e.controller"
CONTAINED = "E2E_TEST_CONTROLLER"
"""Names a controller in a container that the scenarios are to use; see `tests/contained.py`."""
FOLDER = "E2E_TEST_FOLDER"
"""Names the folder that such controllers see at the same path."""
NOT_CONTAINED = {
    "test_contained.py": "has controllers of its own in containers",
    "test_policy.py": "has policies and folders that only this machine has",
    "test_image.py": "has controllers of its own in containers",
    "test_sdk_embedded.py": "is about the controller that the SDK starts",
    "test_readme.py": "is about the controller that the SDK starts",
    "test_ci_examples.py": "has controllers of its own in containers",
    "test_cli.py::test_without_an_engine": "is about the controller that the SDK starts",
    "test_evidence.py::test_a_bundle_of_an": "has the log of the controller that the SDK starts",
    "test_process_container.py": "is about this process, and the controller that it starts",
    "test_other_machine.py": "has an engine of its own, and controllers that reach that",
    "test_demo.py": "starts a controller of its own; E2E_DEMO_IMAGE has it in a container",
}
"""Scenarios that are about another way to run the controller, and why."""
IS_BESIDE = not os.environ.get(CONTAINED, "unix:").startswith("unix:")
"""Whether the tests are in a container, too."""
LEFT_BEHIND = 10
"""pytest's exit code when all may have passed, but something is left; see `tests/again.py`."""
SECONDS_TO_SETTLE = 60.0
ENGINE_SECONDS = 60
_state = pytest.StashKey[Path]()
_left = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_left] = []
    # Whoever runs the tests in the background may have told them to ignore interrupts, as do their children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput") and CONTAINED not in os.environ:  # xdist's workers inherit it
        config.stash[_state] = Path(tempfile.mkdtemp(prefix="e2e-"))  # short: a socket's path is
        os.environ["E2E_STATE_DIR"] = str(config.stash[_state])
        os.environ.pop("E2E_CONTROLLER", None)
    if CONTAINED in os.environ:
        os.environ["E2E_CONTROLLER"] = os.environ[CONTAINED]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items if CONTAINED in os.environ else ():
        for start, reason in NOT_CONTAINED.items():
            if item.nodeid.removeprefix("tests/scenarios/").startswith(start):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(trylast=True)  # after xdist's workers have ended
def pytest_sessionfinish(session: pytest.Session) -> None:
    state = session.config.stash.get(_state, None)
    if state is None:
        return
    try:
        owner = state / "controller-id"
        if owner.exists():
            session.config.stash[_left] += look_for_leftovers(state, owner.read_text().strip())
    finally:
        shutil.rmtree(state, ignore_errors=True)
    if session.config.stash[_left]:
        session.exitstatus = LEFT_BEHIND


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    tell_faults(terminalreporter)
    if config.stash[_left]:
        terminalreporter.section("left behind", red=True)
        for line in config.stash[_left]:
            terminalreporter.line(line)


def tell_faults(reporter: pytest.TerminalReporter) -> None:
    """What went wrong on purpose, how often, and what came of it: the fault suite's counts."""
    results = [result for outcome in ("passed", "failed") for result in reporter.getreports(outcome)]
    told = [
        value
        for result in results
        if result.when == "call"
        for name, value in result.user_properties
        if name == "faults"
    ]
    if told:
        reporter.section("faults")
        for line in told:
            reporter.line(str(line))


def look_for_leftovers(state: Path, owner: str) -> list[str]:
    """Gives leases of killed tests time to end, then ends the controller; a line for each thing left."""
    log = state / "controller.log"

    def found() -> list[str]:
        return [*directories_left(state), *(name for name, _ in engine_left(owner, log))]

    problems: list[str] = []
    try:
        settle(lambda: not found())
        problems += found()
    except OSError as error:  # requests' errors are such
        problems.append(f"the engine does not answer, so what is left of {owner} is not known: {error}")
    finally:
        problems += [f"controller process {pid} did not end" for pid in controllers(state) if not end(pid)]
    with contextlib.suppress(OSError):  # told already
        for name, remove in engine_left(owner, log):
            problems += [] if name in problems else [f"{name} (after the controller's end)"]
            remove()
    return problems


def directories_left(state: Path) -> list[str]:
    places = (state / "environments", state / "manifests")
    return [f"directory {path}" for place in places if place.exists() for path in place.iterdir()]


def engine_left(owner: str, log: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """(what, how to remove it) for all that the engine has of this controller, and not for itself."""
    from tests.engine import docker_client, networks_kept  # here: most runs of unit tests need none

    with docker_client(ENGINE_SECONDS) as engine:
        filters = {"label": f"{LABEL}={owner}"}
        for container in engine.containers.list(all=True, filters=filters, ignore_removed=True):
            yield f"container {container.name}", lambda it=container: it.remove(force=True, v=True)
        kept = networks_kept(log.read_text(errors="replace") if log.exists() else "")
        for network in engine.networks.list(filters=filters):
            if network.name not in kept:
                yield f"network {network.name}", network.remove
        for volume in engine.volumes.list(filters=filters):
            yield f"volume {volume.name}", lambda it=volume: it.remove(force=True)
        for image in engine.api.images(filters=filters, quiet=True):  # the other way asks for each again
            yield f"image {image}", lambda it=image: engine.api.remove_image(it, force=True)


def controllers(state: Path) -> list[int]:
    """The embedded controller's process, if it still runs: known by its state directory."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((state / "embedded.pid").read_text())
        if os.fsencode(state) in Path(f"/proc/{pid}/cmdline").read_bytes():
            return [pid]
    return []


def end(pid: int) -> bool:
    """Asks a process to end; kills it when it does not. Whether it ended by itself."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        if not settle(lambda: is_gone(pid)):
            os.kill(pid, signal.SIGKILL)
            return False
    return True


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def settle(holds: Callable[[], bool]) -> bool:
    """Waits until it holds, at most `SECONDS_TO_SETTLE`."""
    deadline = time.monotonic() + SECONDS_TO_SETTLE
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
