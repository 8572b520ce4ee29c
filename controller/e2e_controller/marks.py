"""Marks of held environments: files that tell the next start, or who cleans up, what somebody had claimed."""

import json
import logging
import re
from pathlib import Path

from e2e_controller.atomic_file import replace_file

log = logging.getLogger(__name__)

_ENVIRONMENT = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LARGEST = 4096


class Marks:
    """A file for each environment that is held, named after it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, environment: str, *, keep: bool) -> None:
        """Marks an environment as held; `keep`: its holder wants it to stay. Raises OSError."""
        mark = {"environment": environment, "keep": keep}
        replace_file(self._folder / environment, json.dumps(mark) + "\n")

    def remove(self, environment: str) -> None:
        """Takes the mark away. Raises OSError."""
        (self._folder / environment).unlink(missing_ok=True)

    def read(self) -> dict[str, bool]:
        """Each marked environment, and whether it is to be kept.

        A mark whose content is torn or nonsense is one all the same; what is no mark is passed over.
        """
        try:
            found = sorted(self._folder.iterdir())
        except FileNotFoundError:
            return {}
        except OSError as error:
            log.warning("cannot read which environments were held: %s", error)
            return {}
        return {path.name: _asks_to_keep(path) for path in found if _is_mark(path)}


def _is_mark(path: Path) -> bool:
    return _ENVIRONMENT.fullmatch(path.name) is not None and path.is_file()


def _asks_to_keep(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_LARGEST))
        return content["keep"] is True
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        log.warning("the mark %s cannot be read, so its environment is not kept: %s", path, error)
        return False
