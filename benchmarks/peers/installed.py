"""Which peers there are: what tools/peers.py wrote down."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parents[2] / ".cache" / "peers" / "installed.json"
COMPOSE, TESTCONTAINERS, EFFICIENTGO = "compose", "testcontainers", "efficientgo"
NAMES = (COMPOSE, TESTCONTAINERS, EFFICIENTGO)
_NEVER_INSTALLED = "not installed: `make bench-peers` does that"


@dataclass(frozen=True, slots=True)
class Installed:
    """A peer's commands and version; or why it is missing."""

    command: tuple[str, ...] = ()
    version: str = ""
    missing: str = ""


def installed(file: Path = FILE) -> Mapping[str, Installed]:
    """Every peer, by name."""
    found = json.loads(file.read_text()) if file.exists() else {}
    return {name: _installed(found.get(name, {"missing": _NEVER_INSTALLED})) for name in NAMES}


def _installed(found: Mapping[str, object]) -> Installed:
    command = found.get("command")
    return Installed(
        command=tuple(map(str, command)) if isinstance(command, list) else (),
        version=str(found.get("version", "")),
        missing=str(found.get("missing", "")),
    )
