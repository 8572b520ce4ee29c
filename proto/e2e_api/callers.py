"""Where a caller runs, as it tells the controller with each call. Pure: what is read is given."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

CALLER_HEADER = "e2e-caller"
"""The metadata that tells it: `host`, `container`, or `container <id> <id>...`."""
MARGIN_HEADER = "e2e-deadline-margin"
"""The metadata that tells how many seconds before its call's deadline a wait is to end."""
IN_CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv")
"""What engines put into every container."""
MOUNTS_FILE, CGROUPS_FILE = "/proc/self/mountinfo", "/proc/self/cgroup"

_ID = "[0-9a-f]{64}"
_MOST_IDS = 4
_NAME_FILES = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")


@dataclass(frozen=True, slots=True)
class CallerPlace:
    """Where a caller says that it runs.

    `ids` are those that its container may have, the likeliest first; empty where it does not know.
    """

    in_container: bool = False
    ids: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(("container", *self.ids)) if self.in_container else "host"


def read_caller(text: str) -> CallerPlace:
    """From the header's text; nothing said is the host. Raises ValueError."""
    kind, *ids = text.split()[: _MOST_IDS + 1] or ["host"]
    if kind not in ("host", "container") or not all(re.fullmatch("[0-9a-f]{12,64}", id_) for id_ in ids):
        raise ValueError("expected `host`, `container`, or `container <id>`")
    return CallerPlace(kind == "container", tuple(ids))


def container_ids(mounts: str, cgroups: str, hostname: str) -> tuple[str, ...]:
    """Ids that the container may have that these are of; none outside of containers.

    Each is only a hint: a network that is shared with another container brings that one's files; a cgroup
    namespace hides the own name; and a host may have any name. The engine tells whether it is so.

    Args:
        mounts: the text of `MOUNTS_FILE`.
        cgroups: the text of `CGROUPS_FILE`.
        hostname: the host's name.
    """
    found = [*_in_cgroups(cgroups), *_in_mounts(mounts)]
    if re.fullmatch("[0-9a-f]{12}", hostname):
        found.append(hostname)
    return tuple(dict.fromkeys(found))[:_MOST_IDS]


def _in_cgroups(text: str) -> Iterable[str]:
    for line in text.splitlines():
        last = line.rpartition("/")[2]
        if match := re.search(rf"(?:^|-)({_ID})(?:\.scope)?$", last):
            yield match[1]


def _in_mounts(text: str) -> Iterable[str]:
    """Engines mount a container's own files for its names from the container's folder."""
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > 4 and fields[4] in _NAME_FILES and (match := re.search(rf"/({_ID})/", fields[3])):
            yield match[1]
