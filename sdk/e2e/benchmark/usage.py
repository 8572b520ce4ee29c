"""What each workload used in a phase, from what cAdvisor and the programs themselves tell. Pure."""

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from e2e.benchmark.curves import Curve, Point, increase, slopes, total

TEST_PROCESS = "test-process"
"""The job, and here the name, of this process where it is in no cgroup of its own."""
_CONTAINERS = {
    "container_cpu_usage_seconds_total": "cpu",
    "container_memory_working_set_bytes": "memory",
    "container_network_receive_bytes_total": "received",
    "container_network_transmit_bytes_total": "sent",
    "container_fs_reads_bytes_total": "read",
    "container_fs_writes_bytes_total": "written",
    "container_start_time_seconds": "born",
}
_PROCESSES = {
    "process_cpu_seconds_total": "cpu",
    "process_resident_memory_bytes": "memory",
    "process_start_time_seconds": "born",
}
SELECTORS = (
    f'{{__name__=~"{"|".join(_CONTAINERS)}",job="cadvisor",workload!=""}}',
    f'{{__name__=~"{"|".join(_PROCESSES)}",job!~"e2e-controller|cadvisor"}}',
)
"""Queries for all that is needed; the first is cAdvisor's."""
_COUNTED = ("cpu", "received", "sent", "read", "written")
_LOOPBACK = "lo"
_PROCESS = re.compile(r"/e2e/[^/]+$")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a workload or the test process used in a phase. None is what nobody told."""

    name: str
    source: str
    """Who told: `cadvisor` of its container, `process` itself of its one process."""
    cpu_seconds: float | None = None
    memory_peak_bytes: float | None = None
    """Of the working set, where cAdvisor told; else of what is resident. The most of all looks."""
    memory_mean_bytes: float | None = None
    network_received_bytes: float | None = None
    network_sent_bytes: float | None = None
    disk_read_bytes: float | None = None
    disk_written_bytes: float | None = None
    cpu_curve: tuple[Point, ...] = field(default=(), repr=False)
    """Seconds since the phase began, and the cores in use since the look before."""
    memory_curve: tuple[Point, ...] = field(default=(), repr=False)
    """Seconds since the phase began, and bytes."""

    @property
    def figures(self) -> Mapping[str, float | None]:
        """All numbers, by name."""
        return {name: getattr(self, name) for name in FIGURES}


FIGURES = (
    "cpu_seconds",
    "memory_peak_bytes",
    "memory_mean_bytes",
    "network_received_bytes",
    "network_sent_bytes",
    "disk_read_bytes",
    "disk_written_bytes",
)


def usages(series: Iterable[Curve], start: float, end: float, own: Collection[str] = ()) -> tuple[Usage, ...]:
    """One for each workload and for the test process, by name. Times are seconds since 1970.

    `own` are the paths of this process' cgroups; other processes in a cgroup of their own are left out.
    """
    found: dict[tuple[str, str], dict[str, list[Curve]]] = {}
    for curve in series:
        place = _place(curve)
        if place is not None and curve.latest >= start and not _is_foreign(curve, own):
            name, source, what = place
            found.setdefault((name, source), {}).setdefault(what, []).append(curve)
    # What cAdvisor tells of a workload is of all its processes, so it goes before what one says of itself.
    told = {name for name, source in found if source == "cadvisor"}
    return tuple(
        _usage(name, source, curves, start, end)
        for (name, source), curves in sorted(found.items())
        if source == "cadvisor" or name not in told
    )


class Unseen(NamedTuple):
    """Whose last look was before the end of a phase; names, separated by commas."""

    late: str
    """Those that are there, and will be looked at again."""
    ended: str
    """Those that are not, and were in the phase."""


def unseen_after(series: Iterable[Curve], there: Iterable[Curve], start: float, end: float) -> Unseen:
    """Who has not been looked at after the phase; `there` is what is told now, `series` all looks."""
    known = {frozenset(curve.labels.items()) for curve in there}
    late, ended, seen = set[str](), set[str](), set[str]()
    for curve in series:
        name = curve.labels.get("workload") or curve.labels.get("job", "")
        if curve.latest >= end:
            seen.add(name)
        elif frozenset(curve.labels.items()) in known:
            late.add(name)
        elif curve.latest >= start:
            ended.add(name)
    return Unseen(", ".join(sorted(late)), ", ".join(sorted(ended - seen)))


def _place(curve: Curve) -> tuple[str, str, str] | None:
    """(whose it is, who tells, what)."""
    metric, labels = curve.labels.get("__name__", ""), curve.labels
    if metric in _CONTAINERS and labels.get("workload") and labels.get("interface") != _LOOPBACK:
        return labels["workload"], "cadvisor", _CONTAINERS[metric]
    name = labels.get("workload") or (TEST_PROCESS if labels.get("job") == TEST_PROCESS else "")
    if metric in _PROCESSES and name:
        return name, "process", _PROCESSES[metric]
    return None


def _is_foreign(curve: Curve, own: Collection[str]) -> bool:
    """Whether it is another process', in a cgroup as `e2e.cgroups` makes it."""
    group = curve.labels.get("id", "")
    # In a container, the kernel names a cgroup from the container's own on.
    return _PROCESS.search(group) is not None and not any(group.endswith(path) for path in own)


def _usage(name: str, source: str, curves: Mapping[str, list[Curve]], start: float, end: float) -> Usage:
    born = {_container(curve): curve.points[-1][1] for curve in curves.get("born", ())}

    def grown(curve: Curve) -> float:
        return increase(curve, start, end, from_zero=born.get(_container(curve), 0.0) > start)

    counted = {what: math.fsum(map(grown, curves[what])) for what in _COUNTED if what in curves}
    memory = total([curve.between(start, end) or curve.points[-1:] for curve in curves.get("memory", ())])
    values = [value for _, value in memory]
    cores = total([slopes(curve.points) for curve in curves.get("cpu", ()) if len(curve.points) > 1])
    return Usage(
        name=name,
        source=source,
        cpu_seconds=counted.get("cpu"),
        memory_peak_bytes=max(values, default=None),
        memory_mean_bytes=sum(values) / len(values) if values else None,
        network_received_bytes=counted.get("received"),
        network_sent_bytes=counted.get("sent"),
        disk_read_bytes=counted.get("read"),
        disk_written_bytes=counted.get("written"),
        cpu_curve=_since(start, [point for point in cores if start <= point[0] <= end]),
        memory_curve=_since(start, memory),
    )


def _container(curve: Curve) -> tuple[str, str]:
    """What tells one container or process of a workload from the next."""
    return curve.labels.get("id", ""), curve.labels.get("instance", "")


def _since(start: float, points: Sequence[Point]) -> tuple[Point, ...]:
    return tuple((moment - start, value) for moment, value in points)
