"""`python -m e2e_controller.doctor --json [IMAGE ...]`: what can be said of the engine, for `e2e doctor`.

A process of its own, since only the controller's side talks to an engine.
"""

import argparse
import asyncio
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from e2e_controller.drivers.base import DriverError
from e2e_controller.drivers.docker.about import engine_info, is_rootless
from e2e_controller.drivers.docker.engine import Engine
from e2e_controller.drivers.docker.images import Images
from e2e_controller.settings import Settings, describe

_PARALLELISM = 8
_CALL_SECONDS = 15.0


def main() -> None:
    """Writes one JSON document; what is wrong is in it, and the exit code is 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", required=True, help="the only form there is")
    parser.add_argument("images", nargs="*", help="references to look for")
    arguments = parser.parse_args()
    print(json.dumps(asyncio.run(examine(arguments.images))))  # noqa: T201 - what it is for


async def examine(images: list[str]) -> dict[str, Any]:
    """The engine, or why there is none, and of each image whether it is there or can be had."""
    try:
        settings = Settings()
    except ValidationError as error:
        return {"error": f"not looked for, as a setting is wrong: {describe(error)}"}
    engine = Engine(
        settings.engine or None, _PARALLELISM, _CALL_SECONDS, None, publish_address=settings.publish_address
    )
    here = Images(engine, mirror=settings.image_mirror)
    try:
        about = await _about(engine)
        found = await asyncio.gather(*(_image(engine, here, reference) for reference in images))
        return {"engine": about, "images": dict(zip(images, found, strict=True))}
    except DriverError as error:
        return {"error": str(error)}
    finally:
        await engine.close()


async def _about(engine: Engine) -> dict[str, Any]:
    await engine.connect()
    info = await engine_info(engine)
    told: dict[str, Any] = await engine.call("info", lambda client: client.info())
    folder = str(told.get("DockerRootDir", ""))
    return {
        "address": engine.endpoint.url,
        "source": engine.endpoint.source,
        "name": info.name,
        "version": info.version,
        "api_version": info.api_version,
        "operating_system": info.operating_system,
        "local_files": info.local_files,
        "program": info.program,
        "is_rootless": info.is_rootless,
        "is_remote": info.is_remote,
        "publish_address": engine.publish_address,
        "data_folder": folder,
        "free_bytes": _free_bytes(folder) if info.local_files else None,
        "accounting": _accounting(told, folder if info.local_files else None),
    }


def _accounting(told: Mapping[str, Any], folder: str | None) -> dict[str, Any]:
    """What decides on what can be told of the use of its containers; `folder`: its own, where it is here."""
    driver, details = str(told.get("Driver", "")), dict(told.get("DriverStatus") or ())
    return {
        "cgroup_version": str(told.get("CgroupVersion", "1")),
        "cpu": bool(told.get("CPUShares", True)),
        "memory": bool(told.get("MemoryLimit", True)),
        "swap": bool(told.get("SwapLimit", True)),
        "rootless": is_rootless(told),
        "storage": driver,
        "containerd_store": "containerd" in str(details.get("driver-type", "")),
        "layers": _is_there(Path(folder, "image", driver, "layerdb")) if folder else None,
    }


def _is_there(folder: Path) -> bool | None:
    """None where it is not for this user to know."""
    try:
        return folder.is_dir()
    except OSError:
        return None


def _free_bytes(folder: str) -> int | None:
    """None where the engine's own folder is not to be seen from here."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


async def _image(engine: Engine, here: Images, reference: str) -> dict[str, Any]:
    """Whether the image is here; else what the registry it is pulled from says, "" where that has it."""
    source = here.source(reference)
    absent = {"present": False, "source": source, "refusal": ""}
    try:
        if await here.present(reference):
            return {"present": True}
        await engine.call(
            "distribution",
            lambda client: client.inspect_distribution(source),  # type: ignore[no-untyped-call]
            f"look for {source}",
        )
    except DriverError as error:
        return {**absent, "refusal": str(error)}
    return absent


if __name__ == "__main__":
    main()
