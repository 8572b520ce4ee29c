"""The engine itself is restarted in mid-convergence: one of our own, so that no other test is hurt."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.own_dockerd import OwnDockerd, own_dockerd

from .engine import IMAGE, TIMEOUT, Controller, Engine, chances, open_engine, running, soak, until, workload

Record = Callable[[str, object], None]
NUMBER = 6

pytestmark = pytest.mark.timeout(TIMEOUT)


@pytest.fixture
def own_engine(base: Path, engine: Engine) -> Iterator[OwnDockerd]:
    with own_dockerd(base, b"".join(engine.client.api.get_image(IMAGE))) as own:
        yield own


def test_an_engine_that_restarts(own_engine: OwnDockerd, base: Path, record_property: Record) -> None:
    """By SIGTERM, which ends the containers, and by SIGKILL, which leaves them to themselves."""
    dice = chances(record_property)
    controller = Controller(
        base, own_engine.url, address_pool="10.213.0.0/16", engine_timeout="10s", resync_interval="5s"
    )
    controller.start()
    restarts, environment = soak("ENGINE_RESTARTS", 2), controller.environment
    try:
        for number in range(restarts):
            variables = {"ROUND": str(number)}
            for index in range(NUMBER):
                document = workload(f"w{index}", environment, env=variables, restartPolicy="Always")
                controller.write(f"w{index}.json", document)
            time.sleep(dice.uniform(0, 2))
            own_engine.end(kill=number % 2 == 1)
            own_engine.start()
            own_engine.wait()

        def evidence() -> str:
            return f"{controller.log()}\n{own_engine.last_words()}"

        with open_engine(own_engine.url) as opened:
            owner = controller.identity

            def is_whole() -> bool:  # what was ready before the engine ended is told so until it is back
                there = running(opened, owner) == NUMBER == len(opened.containers(owner))
                return there and controller.is_true("Ready", NUMBER)

            until(is_whole, "all are ready", evidence)
            for file in controller.folder.iterdir():
                file.unlink()
            until(lambda: not opened.left(owner, controller.whole_log()), "nothing is left", evidence)
        record_property("faults", f"{restarts} restarts of an engine while {NUMBER} workloads converged")
    finally:
        controller.stop()
