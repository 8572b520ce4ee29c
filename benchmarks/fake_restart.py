"""A controller in this process, restarted over the fake driver's containers, which outlive it.

The fake engine answers at once, so what is left is the controller's own work. Run as a program, since a
manager wants a process for itself; prints JSON.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from benchmarks.in_process import controller
from e2e.values import Goal
from e2e_api.v1 import object_pb2
from e2e_controller.drivers.fake import FakeDriver, FakeEngine

_SECONDS = 120.0
_LOOKS = "ensure_network"
"""On a network that is there it only looks."""


async def restarts(folder: Path, state: Path, image: str, times: int) -> dict[str, list[float]]:
    """Seconds until settled, and number of changes, of each start; the first makes the containers."""
    engine, keys = FakeEngine(), _keys(folder)
    found: dict[str, list[float]] = {"seconds": [], "changes": []}
    for _ in range(times + 1):
        driver = FakeDriver(engine=engine, images=[image], state_dir=state)
        found["seconds"].append(await _live(folder, state, driver, keys))
        found["changes"].append(sum(not call.startswith(_LOOKS) for call in driver.changes))
    return found


def _keys(folder: Path) -> list[object_pb2.ObjectKey]:
    return [
        object_pb2.ObjectKey(environment=path.parent.name, kind="Workload", name=path.stem)
        for path in sorted(folder.glob("*/*.yaml"))
    ]


async def _live(folder: Path, state: Path, driver: FakeDriver, keys: list[object_pb2.ObjectKey]) -> float:
    began = time.perf_counter()
    async with controller(state, folder, driver) as client:
        await client.wait(keys, Goal.READY, _SECONDS)
        return time.perf_counter() - began


if __name__ == "__main__":
    _folder, _state, _image, _times = sys.argv[1:]
    print(json.dumps(asyncio.run(restarts(Path(_folder), Path(_state), _image, int(_times)))))
