"""What kind of engine it is, and what of it this process reaches."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2e_api.callers import IN_CONTAINER_FILES
from e2e_controller.drivers.base import EngineInfo, Guest
from e2e_controller.drivers.docker.endpoint import Endpoint
from e2e_controller.drivers.docker.engine import Engine

_BRIDGE = Path("/sys/class/net/docker0")
_IN_CONTAINER = tuple(map(Path, IN_CONTAINER_FILES))


async def engine_info(engine: Engine, own: Guest | None = None) -> EngineInfo:
    """Asks the engine. `own` is the container of this process, where it runs in one of this engine."""
    info: Mapping[str, Any] = await engine.call("info", lambda client: client.info())
    api_version = await engine.call("info", lambda client: client.api_version)
    return EngineInfo(
        name=str(info.get("Name", "")),
        version=str(info.get("ServerVersion", "")),
        api_version=api_version,
        operating_system=str(info.get("OperatingSystem", "")),
        containers_reachable=joins_networks(own) or containers_reachable(engine.endpoint, info),
        local_files=bool(engine.endpoint.socket_path),
        own=own,
        program="Podman" if engine.is_podman else "Docker",
        is_rootless=is_rootless(info),
        is_remote=not engine.endpoint.is_local,
        socket=engine.endpoint.socket_path,
        published_on=engine.publish_address,
    )


def joins_networks(own: Guest | None) -> bool:
    """Whether this process reaches containers by being in their networks."""
    return own is not None and not own.on_host_network


def is_rootless(info: Mapping[str, Any]) -> bool:
    """Whether the engine runs as a user that is not root."""
    return any("rootless" in str(option) for option in info.get("SecurityOptions") or ())


def containers_reachable(endpoint: Endpoint, info: Mapping[str, Any]) -> bool:
    """Whether the engine's bridges are in this process's network: same kernel, no VM between."""
    return (
        endpoint.is_local
        and platform.system() == "Linux"
        and info.get("KernelVersion") == platform.release()
        and "Docker Desktop" not in str(info.get("OperatingSystem", ""))
        and not is_rootless(info)
        and (_BRIDGE.exists() or not any(path.exists() for path in _IN_CONTAINER))
    )
