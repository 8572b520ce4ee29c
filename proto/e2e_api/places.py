"""Where a user's controller keeps its files: one rule for who starts one, and for who looks for it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

STATE_FOLDER_IN_USE = 4
"""Exit code of a controller that found another one in its state folder."""


def default_state_folder(environment: Mapping[str, str], engine: str = "") -> Path:
    """`e2e` in the user's state directory; with an engine's name behind it where one was chosen.

    So that nobody is served by a controller that runs containers on another engine than the one asked for.
    `engine` is the address that was set; else the variables choose.
    """
    base = environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    chosen = engine or environment.get("E2E_ENGINE") or environment.get("DOCKER_HOST")
    if not chosen and environment.get("DOCKER_CONTEXT"):
        chosen = f"context {environment['DOCKER_CONTEXT']}"
    suffix = f"-{hashlib.sha256(chosen.encode()).hexdigest()[:8]}" if chosen else ""
    return Path(base) / f"e2e{suffix}"
