"""What a process uses, as the kernel tells it."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds since the process began; memory in MB (10^6 bytes)."""

    processor: float
    resident: float
    threads: int


def usage(pid: int) -> Usage:
    """Of one process, its threads included."""
    folder = Path("/proc", str(pid))
    # The second field is the program's name in parentheses, and may hold anything.
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    ticks, threads = int(fields[11]) + int(fields[12]), int(fields[17])
    pages = int((folder / "statm").read_text().split()[1])
    return Usage(ticks / _TICKS, pages * os.sysconf("SC_PAGE_SIZE") / 1e6, threads)


def machine_processor() -> float:
    """Seconds that all cores have worked since the machine began: for programs and for the kernel."""
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    idle, waiting = fields[3:5]
    return (sum(map(int, fields[:8])) - int(idle) - int(waiting)) / _TICKS


def peak_resident() -> float:
    """The most memory in MB that this process ever had; `getrusage` may tell that of its parent."""
    fields = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return next(int(field[1]) for field in fields if field[0] == "VmHWM:") * 1024 / 1e6
