"""What of the containers' use of the machine cannot be seen here, with cAdvisor, and what helps."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from e2e import cadvisor
from e2e.cli.checks import Finding, Mark

_MACHINE = Path("/")
_BLOCK_IO_1 = "sys/fs/cgroup/blkio/blkio.throttle.io_service_bytes"
_CONTROLLERS_2 = "sys/fs/cgroup/cgroup.controllers"
_PRESSURE = "proc/pressure/cpu"


def check_usage(answer: Mapping[str, Any], machine: Path = _MACHINE) -> Iterator[Finding]:
    """What cAdvisor, as `e2edb.cadvisor` runs it, sees of an engine's containers."""
    engine = answer.get("engine")
    if engine is None:
        return
    if not engine["local_files"]:
        yield _unseen("nothing is known of the machine where the engine runs")
        return
    found = engine["accounting"]
    version = found["cgroup_version"]
    block_io = _counts_block_io(version, machine)
    seen = [name for name in ("CPU", "memory") if found[name.lower()]]
    seen += ["network", *(["block I/O"] if block_io else [])]
    yield Finding(Mark.GOOD, f"cAdvisor: sees {', '.join(seen)} of containers (cgroup version {version})")
    yield from _names(found)
    yield from _places(engine, rootless=found["rootless"])
    if not found["cpu"]:
        yield _unseen("no CPU time: the kernel has no cgroup controller cpu for the engine's containers")
    if not found["memory"]:
        remedy = "boot the kernel with cgroup_enable=memory"
        yield _unseen("no memory: the kernel has no cgroup controller memory", remedy)
    elif not found["swap"]:
        remedy = "boot the kernel with swapaccount=1"
        yield _unseen("no swap, container_memory_swap is always 0: the kernel does not count it", remedy)
    if not block_io:
        lacking = "the kernel does not count it by cgroup"
        yield _unseen(f"no block I/O (container_fs_reads_*, container_fs_writes_*): {lacking}")
    if version == "1":
        yield _unseen("no pressure, container_pressure_* is always 0: it is of cgroup version 2")
    elif not (machine / _PRESSURE).exists():
        yield _unseen("no pressure, container_pressure_* is always 0", "boot the kernel with psi=1")


def _counts_block_io(version: str, machine: Path) -> bool:
    """What cannot be looked at is taken for good.

    Of version 1 the root has a line for each disk, unless nothing is counted: so it is since Linux 6.10 until
    somebody limits a disk.
    """
    try:
        if version == "1":
            return re.search(r"^\d+:\d+ ", (machine / _BLOCK_IO_1).read_text(), re.M) is not None
        return "io" in (machine / _CONTROLLERS_2).read_text().split()
    except OSError:
        return True


def _names(found: Mapping[str, Any]) -> Iterator[Finding]:
    """Without the layers of a container its handler does not begin, and its series have no names."""
    if found["containerd_store"]:
        remedy = 'in /etc/docker/daemon.json: {"features": {"containerd-snapshotter": false}}'
        remedy += "; or monitoring without it: cadvisor=False"
        yield _unseen("no workload by its name: the engine keeps images in containerd's store", remedy)
    elif found["layers"] is False:
        yield _unseen(f"no workload by its name: storage driver {found['storage']} tells of no layers")


def _places(engine: Mapping[str, Any], *, rootless: bool) -> Iterator[Finding]:
    """Whether it is given what it looks for by itself."""
    wrong = {}
    if engine["data_folder"] != cadvisor.ENGINE_DATA:
        wrong["engine_data"] = engine["data_folder"]
    socket = engine["address"].removeprefix("unix://")
    if Path(socket).resolve() != Path(cadvisor.ENGINE_SOCKET).resolve():
        wrong["engine_socket"] = socket
    if wrong:
        kind = "of a rootless engine" if rootless else "of an engine in another place"
        given = ", ".join(f'{name}="{place}"' for name, place in wrong.items())
        yield _unseen(f"containers {kind} only when it is told", f"e2edb.cadvisor(env, name, {given})")


def _unseen(what: str, remedy: str = "") -> Finding:
    return Finding(Mark.WARNING, f"cAdvisor: {what}", remedy)
