"""The commands that give a user the permission that is missing. Pure."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from e2e.cgroups.errors import NotPermitted
from e2e.cgroups.places import Place, in_the_way

CONTROLLERS, PROCESSES = "cgroup.subtree_control", "cgroup.procs"
_SHOWN = 3


def not_permitted(places: Sequence[Place], user: str, *, is_root: bool, systemd: bool) -> NotPermitted:
    """The error for places of which some cannot be used."""
    unusable = [place for place in places if not place.usable]
    name = f"/e2e/{unusable[0].name}"
    read_only = [place.hierarchy.mount for place in unusable if place.hierarchy.read_only]
    if read_only:
        return NotPermitted(
            f"this process gets no cgroup {name}: the cgroup file system is read-only here. A container "
            "needs `--privileged`, or `--volume /sys/fs/cgroup:/sys/fs/cgroup:rw --cgroupns=host`. Where "
            "it has SYS_ADMIN, run this once in it:",
            [_command("mount", "-o", "remount,bind,rw", mount, is_root=is_root) for mount in read_only],
        )
    cause = "processes beside it keep its cgroup from counting"
    if missing := in_the_way(unusable):
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        cause = f"{user} may not write to {', '.join(map(str, missing[:_SHOWN]))}{more}"
    commands = list(_commands(unusable, user, is_root=is_root))
    if systemd and not is_root and all(place.hierarchy.version == 2 for place in unusable):
        start = "systemd-run --user --scope --property=Delegate=yes COMMAND"
        commands.append(f"# or, with no root, start this program by: {start}")
    return NotPermitted(f"this process gets no cgroup {name}: {cause}. Run this once:", commands)


def _commands(places: Sequence[Place], user: str, *, is_root: bool) -> Iterator[str]:
    for place in places:
        if place.occupied:
            yield from _evacuation(place.base, is_root=is_root)
        if place.enable and (place.occupied or place.base / CONTROLLERS in place.missing):
            words = " ".join(f"+{controller}" for controller in sorted(place.enable))
            yield _shell(f"echo {words} > {shlex.quote(str(place.base / CONTROLLERS))}", is_root=is_root)
    parents = [place.parent for place in places if _has_no_parent(place)]
    if parents:
        yield _command("mkdir", "-p", *parents, is_root=is_root)
        yield _command("chown", "-R", user, *parents, is_root=is_root)
    files = [path for path in in_the_way(places) if path.name == PROCESSES]
    if outside := [path for path in files if not any(map(path.is_relative_to, parents))]:
        yield _command("chown", user, *outside, is_root=is_root)


def _has_no_parent(place: Place) -> bool:
    return any(path == place.base or path.is_relative_to(place.parent) for path in place.missing)


def _evacuation(base: Path, *, is_root: bool) -> Iterator[str]:
    """A cgroup with processes in it cannot hand controllers on, so they go one down."""
    beside = base / "init"
    yield _command("mkdir", "-p", beside, is_root=is_root)
    old, new = (shlex.quote(str(group / PROCESSES)) for group in (base, beside))
    yield _shell(f"for pid in $(cat {old}); do echo $pid > {new}; done", is_root=is_root)


def _command(*words: str | Path, is_root: bool) -> str:
    return shlex.join([*([] if is_root else ["sudo"]), *map(str, words)])


def _shell(script: str, *, is_root: bool) -> str:
    return script if is_root else f"sudo sh -c {shlex.quote(script)}"
