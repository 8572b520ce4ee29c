"""What processes use while nothing happens, and how busy the machine is meanwhile."""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gauge import usage

_STAT = Path("/proc/stat")
_IDLE = (3, 4)
"""Fields of /proc/stat: idle, and waiting for a disk."""
_ACCOUNTED = 8
"""The fields after these are in others of them already."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Memory in MB, in which a shared page counts once; processor in percent of one core."""

    processes: int
    memory: float
    processor: float
    machine: float
    """Of the whole machine: the engine, the containers and everybody else, too."""


def watch(pids: Iterable[int], seconds: float) -> Kept:
    """Over that time."""
    before, busy, began = _processor(pids), _busy(_STAT.read_text()), time.monotonic()
    time.sleep(seconds)
    after, now_busy, passed = _processor(before), _busy(_STAT.read_text()), time.monotonic() - began
    spent = sum(after[pid] - before[pid] for pid in after)
    return Kept(
        processes=len(after),
        memory=sum(map(_memory, after)),
        processor=100 * spent / passed,
        machine=100 * (now_busy - busy) / passed,
    )


def _processor(pids: Iterable[int]) -> dict[int, float]:
    found = {}
    for pid in pids:
        with suppress(OSError):
            found[pid] = usage(pid).processor
    return found


def _memory(pid: int) -> float:
    with suppress(OSError):
        return proportional_mb(Path("/proc", str(pid), "smaps_rollup").read_text())
    return 0.0


def proportional_mb(rollup: str) -> float:
    """Of the kernel's summary of a process' memory."""
    for line in rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def _busy(stat: str) -> float:
    """Seconds of all cores since the machine started."""
    ticks = [int(field) for field in stat.splitlines()[0].split()[1 : _ACCOUNTED + 1]]
    return (sum(ticks) - sum(ticks[field] for field in _IDLE)) / 100
