"""Where paths of the host lead, and what of the controller's own they would show. It only looks."""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from e2e_api.manifests.texts import is_below

_KINDS = (
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISFIFO, "a named pipe"),
)


@dataclass(frozen=True, slots=True)
class Guarded:
    """Something that only gets into a container where the policy lists it by its own path."""

    what: str
    path: str
    """As this process sees it."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where a path leads."""

    path: str
    """Of the host, without links."""
    problem: str = ""
    """Why that cannot be known."""
    special: str = ""
    """What it is, if neither a folder nor a file."""
    holds: tuple[Guarded, ...] = ()
    """What is guarded and is it, or is in it."""
    inside: tuple[Guarded, ...] = ()
    """What is guarded and has it."""


class View(Protocol):
    """How the files of the engine's machine are seen from here."""

    @property
    def blind(self) -> str:
        """Why a path of the host is not seen from here, and what helps."""

    def here(self, path: str) -> str | None:
        """Where this process sees a path of the host; None where it does not."""

    def there(self, path: str) -> str | None:
        """The path of the host that this process sees there; None where it is none."""


class SameMachine:
    """This process sees the engine's machine as the engine does."""

    blind = ""

    def here(self, path: str) -> str | None:
        """The same."""
        return path

    def there(self, path: str) -> str | None:
        """The same."""
        return path


@dataclass(frozen=True, slots=True)
class OwnMounts:
    """This process is in a container, and sees what is mounted into it.

    `mounts` has a pair of paths each: on the host, and here.
    """

    mounts: tuple[tuple[str, str], ...] = ()

    @property
    def blind(self) -> str:
        """Without a mount of it."""
        return (
            "the controller's container does not see it; mount it there at the same path, and list it in "
            "the policy"
        )

    def here(self, path: str) -> str | None:
        """By the mount that is nearest to the path."""
        return _moved(path, self.mounts)

    def there(self, path: str) -> str | None:
        """By the mount that the path is in."""
        return _moved(path, [(here, there) for there, here in self.mounts])


class OtherMachine:
    """This process sees nothing of the engine's machine."""

    blind = "the engine is on another machine, whose folders cannot be looked at from here"

    def here(self, path: str) -> str | None:  # noqa: ARG002 - one answer for all
        """Nowhere."""
        return None

    def there(self, path: str) -> str | None:  # noqa: ARG002
        """None of its."""
        return None


def _moved(path: str, pairs: Iterable[tuple[str, str]]) -> str | None:
    fitting = [pair for pair in pairs if is_below(path, pair[0])]
    if not fitting:
        return None
    source, target = max(fitting, key=lambda pair: len(pair[0]))
    rest = path[len(source.rstrip("/")) :].rstrip("/")
    return (target.rstrip("/") + rest) or "/"


class HostPaths:
    """Looks at paths of the host."""

    def __init__(self, view: View, guarded: Iterable[Guarded], shared: Path) -> None:
        """`shared` is the folder of the environments' shared directories, as this process sees it."""
        self._view = view
        self._things = tuple(guarded)
        by_place = {view.there(os.path.realpath(it.path)) or it.path: it for it in reversed(self._things)}
        self._guarded = [(thing, place) for place, thing in by_place.items()]
        self._shared = shared

    def local(self) -> "HostPaths":
        """The same for paths of the machine, or container, that this process is in."""
        return HostPaths(SameMachine(), self._things, self._shared)

    def shared(self, environment: str) -> str:
        """Path on the host of the environment's shared directory, without links."""
        own = os.path.realpath(self._shared / environment)
        return self._view.there(own) or own

    def listed(self, path: str) -> str:
        """A path of the policy as paths are compared."""
        found = self.look(path)
        return os.path.normpath(path) if found.problem else found.path

    def place(self, thing: Guarded) -> str:
        """Its path on the host."""
        return next(place for other, place in self._guarded if other == thing)

    def context(self, path: str) -> str:
        """Where this process finds what an image is built of, which may be given as a path of the host."""
        return path if Path(path).exists() else self._view.here(path) or path

    def is_unlisted(self, thing: Guarded, places: Iterable[str]) -> bool:
        """Whether none of the places is the guarded thing itself, or in it."""
        return not any(is_below(place, self.place(thing)) for place in places)

    def look(self, path: str, *, own: bool = False) -> Found:
        """Where a path of the host leads now, or with `own` one of this process. Links are followed."""
        plain = "/" + path.lstrip("/")
        here = plain if own else self._view.here(plain)
        if here is None:
            return Found(path, self._view.blind)
        try:
            real = os.path.realpath(here)
        except OSError as error:  # a link of another process's, in /proc
            return Found(path, f"the controller cannot follow it: {error.strerror}")
        there = self._view.there(real)
        if there is None:
            return Found(path, f"it leads to {real} in the controller's container, which is no mount of its")
        try:
            status: os.stat_result | None = os.lstat(real)
        except FileNotFoundError:
            status = None
        except OSError as error:
            return Found(there, f"the controller cannot look at it: {error.strerror}")
        if status is not None and stat.S_ISLNK(status.st_mode):
            return Found(there, "its links lead nowhere")
        return Found(
            there,
            special=_special(status),
            holds=tuple(
                thing
                for thing, place in self._guarded
                if is_below(place, there) or _shows(real, status, thing)
            ),
            inside=tuple(
                thing for thing, place in self._guarded if place != there and is_below(there, place)
            ),
        )


def _shows(path: str, status: os.stat_result | None, thing: Guarded) -> bool:
    """Whether it is the thing, or a folder that has it, under another name: as mounts give them."""
    if status is None:
        return False
    real = Path(os.path.realpath(thing.path))
    if any(os.path.samestat(status, other) for other in map(_status, (real, *real.parents)) if other):
        return True
    own = _status(real)
    below = (Path(path, *real.parts[start:]) for start in range(1, len(real.parts)))
    return own is not None and any(os.path.samestat(own, other) for other in map(_status, below) if other)


def _special(status: os.stat_result | None) -> str:
    if status is None:
        return ""
    return next((name for test, name in _KINDS if test(status.st_mode)), "")


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
