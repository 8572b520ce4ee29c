"""Where and with what was measured: no figure means anything without it."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from docker import APIClient

PACKAGES = ("docker", "grpcio", "protobuf", "aiohttp", "pydantic", "watchdog")


def describe(engine: APIClient) -> dict[str, Any]:
    """What a reader of the figures has to know."""
    about = engine.version()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 10**6,
        "kernel": platform.release(),
        "engine": about["Version"],
        "engine_api": about["ApiVersion"],
        "python": platform.python_version(),
        "e2e": version("e2e-controller"),
        "packages": {name: version(name) for name in PACKAGES},
        "load_before": list(os.getloadavg()),
        "foreign_containers": len(engine.containers()),
    }
