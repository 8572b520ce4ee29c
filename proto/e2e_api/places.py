"""Where a user's controller keeps its files: one rule for who starts one, and for who looks for it."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

STATE_FOLDER_IN_USE = 4
"""Exit code of a controller that found another one in its state folder."""

START_LOCK = "embedded.lock"
"""The file in a state folder that is locked by whoever starts a controller there, until it serves."""


def state_folder(environment: Mapping[str, str]) -> Path:
    """Where a controller is started that is told nothing else, as an absolute path without `..`."""
    named = environment.get("E2E_STATE_DIR")
    chosen = Path(named) if named else default_state_folder(environment)
    return Path(os.path.abspath(chosen))  # noqa: PTH100 - as the controller names it


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
