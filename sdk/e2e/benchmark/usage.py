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
"""Queries for all that is needed."""
TARGETS = "up"
"""The query for the looks themselves, of all targets."""
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
    """Of the working set, where cAdvisor told; else of what is resident. The most of all looks, from the last
    one before the phase to the first one after it: what comes and goes between two looks is not seen."""
    memory_mean_bytes: float | None = None
    """Of the same looks."""
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


def is_ours(curve: Curve, environment: str, own: Collection[str]) -> bool:
    """Whether it is of that environment, and of no other process in a cgroup as `e2e.cgroups` makes it.

    `own` are the paths of this process' cgroups.
    """
    if curve.labels.get("environment", environment) != environment:
        return False
    # In a container, the kernel names a cgroup from the container's own on.
    group = _process_group(curve)
    return not group or any(group.endswith(path) for path in own)


def usages(series: Iterable[Curve], start: float, end: float, since: float = math.inf) -> tuple[Usage, ...]:
    """One for each workload and for the test process, by name. Times are seconds since 1970.

    What was looked at from `since` on was there when the phase began; it may have ended before the next look.
    """
    found: dict[tuple[str, str], dict[str, list[Curve]]] = {}
    # What cAdvisor tells of a workload is of all its processes, so it goes before what one says of itself.
    told: set[str] = set()
    for curve in series:
        place = _place(curve)
        if place is None or curve.latest < min(start, since):
            continue
        name, source, what = place
        found.setdefault((name, source), {}).setdefault(what, []).append(curve)
        if source == "cadvisor":
            told |= {name, TEST_PROCESS} if _process_group(curve) else {name}
    used = (
        _usage(name, source, curves, start, end)
        for (name, source), curves in sorted(found.items())
        if source == "cadvisor" or name not in told
    )
    return tuple(usage for usage in used if usage is not None)


class Unseen(NamedTuple):
    """Who was not looked at often enough from some time on; names, separated by commas."""

    late: str
    """Those that are there, and will be looked at again."""
    ended: str
    """Those that are not, and were at `start` or later; no look at them was after the time."""


def unseen_after(
    series: Iterable[Curve], there: Iterable[Curve], start: float, moment: float, looks: int = 1
) -> Unseen:
    """Who was not looked at that often from `moment` on; `there` is what is told now, `series` all looks.

    A target that did not answer the last time is there, too.
    """
    known, silent = set[frozenset[tuple[str, str]]](), set[tuple[str, ...]]()
    for curve in there:
        known.add(frozenset(curve.labels.items()))
        if curve.labels.get("__name__") == TARGETS and not curve.points[-1][1]:
            silent.add(_target(curve))
    late, ended, seen = set[str](), set[str](), set[str]()
    for curve in series:
        name = curve.labels.get("workload") or curve.labels.get("job", "")
        count = sum(at >= moment for at, _ in curve.points)
        is_there = frozenset(curve.labels.items()) in known or _target(curve) in silent
        if is_there and count < looks:
            late.add(name)
        elif curve.labels.get("__name__") == TARGETS:
            continue
        elif count:
            seen.add(name)
        elif curve.latest >= start:
            ended.add(name)
    return Unseen(", ".join(sorted(late)), ", ".join(sorted(ended - seen - late)))


def never_within(series: Iterable[Curve], start: float, end: float) -> str:
    """Who has not been looked at between these times, but before and after; names, separated by commas."""
    names: dict[str, bool] = {}
    for curve in series:
        place = _place(curve)
        if place is not None and curve.points[0][0] <= start and curve.latest >= end:
            within = any(start < moment < end for moment, _ in curve.points)
            names[place[0]] = names.get(place[0], False) or within
    return ", ".join(sorted(name for name, within in names.items() if not within))


def _target(curve: Curve) -> tuple[str, ...]:
    return curve.labels.get("job", ""), curve.labels.get("instance", "")


def _place(curve: Curve) -> tuple[str, str, str] | None:
    """(whose it is, who tells, what)."""
    metric, labels = curve.labels.get("__name__", ""), curve.labels
    if metric in _CONTAINERS and labels.get("workload") and labels.get("interface") != _LOOPBACK:
        return labels["workload"], "cadvisor", _CONTAINERS[metric]
    name = labels.get("workload") or (TEST_PROCESS if labels.get("job") == TEST_PROCESS else "")
    if metric in _PROCESSES and name:
        return name, "process", _PROCESSES[metric]
    return None


def _process_group(curve: Curve) -> str:
    """The cgroup of a process, as `e2e.cgroups` makes it; empty where it is a container's."""
    group = curve.labels.get("id", "")
    return group if _PROCESS.search(group) else ""


def _usage(
    name: str, source: str, curves: Mapping[str, list[Curve]], start: float, end: float
) -> Usage | None:
    """None where all that is told began after the end."""
    born = {_container(curve): curve.points[-1][1] for curve in curves.get("born", ())}
    curves = {
        what: there
        for what, told in curves.items()
        if (there := [curve for curve in told if born.get(_container(curve), 0.0) <= end])
    }
    if not curves:
        return None

    def grown(curve: Curve) -> float:
        return increase(curve, start, end, from_zero=born.get(_container(curve), 0.0) > start)

    counted = {what: math.fsum(map(grown, curves[what])) for what in _COUNTED if what in curves}
    memory = total([curve.about(start, end) for curve in curves.get("memory", ())])
    values = [value for _, value in memory]
    cores = total(
        [slopes(curve.about(start, end)) for curve in curves.get("cpu", ()) if len(curve.points) > 1]
    )
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
        cpu_curve=_since(start, cores),
        memory_curve=_since(start, memory),
    )


def _container(curve: Curve) -> tuple[str, str]:
    """What tells one container or process of a workload from the next."""
    return curve.labels.get("id", ""), curve.labels.get("instance", "")


def _since(start: float, points: Sequence[Point]) -> tuple[Point, ...]:
    return tuple((moment - start, value) for moment, value in points)
