"""One fleet on the fake driver: dropped as files, each file changed, all files removed.

The fake engine answers at once, so what is left is the controller's own work for each object. Run as a
program, so that the memory is of that fleet alone; prints JSON.
"""

import asyncio
import json
import os
import shutil
import sys
import time
from pathlib import Path

from benchmarks.gauge import peak_resident, usage
from benchmarks.in_process import controller
from e2e.values import Goal
from e2e_api.v1 import object_pb2
from e2e_controller.drivers.fake import FakeDriver, FakeEngine

_SECONDS = 600.0
_ENVIRONMENT = "scale"


async def live(folder: Path, image: str, count: int) -> dict[str, float]:
    """Seconds for each of the three, and MB."""
    manifests = folder / "manifests"
    objects = manifests / _ENVIRONMENT
    objects.mkdir(parents=True)
    names = [f"workload-{number}" for number in range(count)]
    keys = [object_pb2.ObjectKey(environment=_ENVIRONMENT, kind="Workload", name=name) for name in names]
    found: dict[str, float] = {}
    state = folder / "state"
    driver = FakeDriver(engine=FakeEngine(), images=[image], state_dir=state)
    async with controller(state, manifests, driver) as client:
        found["empty_mb"] = usage(os.getpid()).resident
        for what, generation in (("create", 1), ("change", 2)):
            began = time.perf_counter()
            _write(objects, image, names, generation)
            await _until_made(driver, generation * count)
            await client.wait(keys, Goal.READY, _SECONDS)
            found[f"{what}_s"] = time.perf_counter() - began
        found["full_mb"] = usage(os.getpid()).resident
        began = time.perf_counter()
        shutil.rmtree(objects)
        await client.wait(keys, Goal.DELETED, _SECONDS)
        found["remove_s"] = time.perf_counter() - began
    found["peak_mb"] = peak_resident()
    return found


def _write(folder: Path, image: str, names: list[str], generation: int) -> None:
    for name in names:
        document = {
            "apiVersion": "e2e/v1",
            "kind": "Workload",
            "metadata": {"name": name},
            "spec": {"image": image, "env": {"GENERATION": str(generation)}},
        }
        (folder / f"{name}.yaml").write_text(json.dumps(document))


async def _until_made(driver: FakeDriver, count: int) -> None:
    """Until so many containers were made in all: of an object of the future nothing can be waited for."""
    deadline = time.monotonic() + _SECONDS
    while sum(call.startswith("create ") for call in driver.calls) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"fewer than {count} containers were made")
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    _folder, _image, _count = sys.argv[1:]
    print(json.dumps(asyncio.run(live(Path(_folder), _image, int(_count)))))
