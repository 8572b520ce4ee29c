"""What is read from files that somebody renews while the controller runs: certificates, tokens, a policy.

Files are looked at again and again, as every way of renewing them then counts: a rename, a link that points
elsewhere, a file written in place. What is wrong with the new ones leaves the old ones in force, and is told.
"""

import asyncio
import logging
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between looks."""


class RenewalError(Exception):
    """The files cannot be used; the text says why, and never what is secret in them."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells a file from the one that stood there before."""

    values: tuple[tuple[int, ...] | None, ...]

    @classmethod
    def of(cls, paths: Iterable[Path]) -> "Stamp":
        """That of the files as they are now."""
        return cls(tuple(map(_values, paths)))


def _values(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return ()  # a pipe, as of a shell's `<(...)`, says all that it has to say once
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def read_bounded(path: Path, longest: int, what: str) -> bytes:
    """The bytes of a file that should be `what`. Raises `RenewalError`."""
    try:
        with path.open("rb") as file:
            data = file.read(longest + 1)
    except OSError as error:
        raise RenewalError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > longest:
        raise RenewalError(f"{path} is no {what}: it is longer than {longest} bytes")
    return data


class Renewable(Protocol):
    """What can be read again."""

    is_secret: bool
    """Whether only their owner should be able to read the files."""

    @property
    def files(self) -> Sequence[Path]:
        """Those that only their owner, and nobody else, should be able to change."""

    def renew(self) -> bool:
        """Reads the files again where they have changed; whether they had. Raises `RenewalError`."""


class Renewal:
    """Reads again what has changed."""

    def __init__(
        self, parts: Sequence[Renewable], renewed: Callable[[], None], told: Callable[[bool], None]
    ) -> None:
        """`renewed` is called after each change, `told` for each attempt with whether it succeeded."""
        self._parts = parts
        self._renewed = renewed
        self._told = told
        self._troubles: dict[int, str] = {}
        """Of the last look, so that one that finds files half exchanged says nothing."""
        self._logged: dict[int, str] = {}
        for part in parts:
            _warn_of_readers(part)

    async def run(self) -> None:
        """Goes on until it is cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            self.look()

    def look(self) -> None:
        """One look at all of them."""
        for number, part in enumerate(self._parts):
            try:
                changed = part.renew()
            except RenewalError as error:
                self._trouble(number, str(error))
                continue
            self._troubles.pop(number, None)
            self._logged.pop(number, None)
            if changed:
                log.info("read again: %s", ", ".join(map(str, part.files)))
                _warn_of_readers(part)
                self._told(True)
                self._renewed()

    def _trouble(self, number: int, text: str) -> None:
        if self._troubles.get(number) == text and self._logged.get(number) != text:
            self._logged[number] = text
            self._told(False)
            log.error("what was read before stays in force: %s", text)
        self._troubles[number] = text


def _warn_of_readers(part: Renewable) -> None:
    for path in part.files:
        try:
            mode = path.stat().st_mode
        except OSError:
            continue
        if part.is_secret and mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
            log.warning("%s is secret, and others can read or change it: chmod 600 %s", path, path)
        elif mode & stat.S_IWOTH:
            log.warning("%s says what is allowed, and others can change it: chmod o-w %s", path, path)
