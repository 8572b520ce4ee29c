"""Marks of held environments: files that tell the next start, or who cleans up, what somebody had claimed."""

import json
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from e2e_controller.atomic_file import replace_file

log = logging.getLogger(__name__)

_ENVIRONMENT = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LARGEST = 4096


@dataclass(frozen=True, slots=True)
class Mark:
    """What a mark says. `keep`: a holder wanted the environment to stay.

    `exclusive`: its controller watches no folder of a user's, so all that is in it is its holders'.
    `since`: nobody has held it since then, and it is kept for its `ttl`, for a `cause`.
    """

    keep: bool = False
    since: datetime | None = None
    cause: str = ""
    exclusive: bool = False

    @property
    def is_claim(self) -> bool:
        """Whether the environment is there only as long as somebody holds it."""
        return not self.keep and self.since is None


class Marks:
    """A file for each environment that is held, named after it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, environment: str, mark: Mark) -> None:
        """Marks an environment. Raises OSError."""
        document: dict[str, Any] = {
            "environment": environment,
            "keep": mark.keep,
            "exclusive": mark.exclusive,
        }
        if mark.since is not None:
            document |= {"since": mark.since.isoformat(), "cause": mark.cause}
        replace_file(self._folder / environment, json.dumps(document) + "\n")

    def remove(self, environment: str) -> None:
        """Takes the mark away. Raises OSError."""
        (self._folder / environment).unlink(missing_ok=True)

    def read(self) -> dict[str, Mark]:
        """The mark of each environment that has one.

        A mark whose content is torn or nonsense is one all the same; what is no mark is passed over.
        """
        try:
            found = sorted(self._folder.iterdir())
        except FileNotFoundError:
            return {}
        except OSError as error:
            log.warning("cannot read which environments were held: %s", error)
            return {}
        return {path.name: _read(path) for path in found if _is_mark(path)}

    def claims(self) -> set[str]:
        """Environments that are there only as long as somebody holds them."""
        return {name for name, mark in self.read().items() if mark.is_claim}


def _is_mark(path: Path) -> bool:
    return _ENVIRONMENT.fullmatch(path.name) is not None and path.is_file()


def _read(path: Path) -> Mark:
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_LARGEST))
        keep = content["keep"] is True
        if "since" not in content:
            return Mark(keep, exclusive=content.get("exclusive") is True)
        return Mark(keep, datetime.fromisoformat(content["since"]).astimezone(UTC), str(content["cause"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        log.warning("the mark %s cannot be read, so its environment is not kept: %s", path, error)
        return Mark()
