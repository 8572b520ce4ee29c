"""The controller is killed at random moments; what it makes is neither lost, doubled nor made again."""

import time
from collections.abc import Callable

import pytest

from .engine import TIMEOUT, Controller, Engine, chances, running, soak, until, workload

NUMBER = 20
Record = Callable[[str, object], None]

pytestmark = pytest.mark.timeout(TIMEOUT)


def write_all(controller: Controller, environment: str, **spec: object) -> None:
    for number in range(NUMBER):
        controller.write(f"w{number}.json", workload(f"w{number}", environment, **spec))


def hashes(engine: Engine, owner: str) -> dict[str, str]:
    return {name: c["Labels"]["io.e2e.spec-hash"] for name, c in engine.containers(owner).items()}


def test_kills_at_random_moments(controller: Controller, engine: Engine, record_property: Record) -> None:
    """Half of the kills come while containers are made, half while they are changed."""
    dice, owner, environment = chances(record_property), controller.identity, controller.environment
    kills = soak("KILLS", 8)
    for number in range(kills):
        if number % 4 == 0:
            write_all(controller, environment, env={"ROUND": str(number)})
        time.sleep(dice.uniform(0, 1.2))
        controller.restart()
    until(lambda: controller.is_true("Ready", NUMBER), "all are ready", controller.log)
    there = engine.containers(owner)
    assert sorted(there) == sorted(f"{environment}.w{number}" for number in range(NUMBER))
    assert len(set(hashes(engine, owner).values())) == 1
    assert {o.status.spec_hash for o in controller.objects() if o.key.kind == "Workload"} == set(
        hashes(engine, owner).values()
    )
    ids = {name: found["Id"] for name, found in there.items()}
    for _ in range(2):
        controller.restart()
        until(lambda: controller.is_true("Ready", NUMBER), "all are ready again", controller.log)
    assert {name: found["Id"] for name, found in engine.containers(owner).items()} == ids
    assert running(engine, owner) == NUMBER
    record_property("faults", f"{kills} kills while {NUMBER} workloads converged: {len(ids)} adopted, 0 lost")


def test_kills_while_all_is_deleted(controller: Controller, engine: Engine, record_property: Record) -> None:
    dice, owner, environment = chances(record_property), controller.identity, controller.environment
    controller.write("all.json", *(workload(f"w{n}", environment) for n in range(8)))
    until(lambda: running(engine, owner) == 8, "all run", controller.log)
    (controller.folder / "all.json").unlink()
    kills = soak("DELETE_KILLS", 3)
    for _ in range(kills):
        time.sleep(dice.uniform(0, 0.5))
        controller.restart()
    until(lambda: not engine.left(owner, controller.whole_log()), "nothing is left", controller.log)
    environments = controller.state / "environments"
    until(lambda: not list(environments.iterdir()), "no directory is left", controller.log)
    record_property("faults", f"{kills} kills while 8 workloads were deleted: nothing left")
