"""The `e2e` command: manifests, waits, logs and commands from a terminal or a script."""

from e2e.cli.program import main

__all__ = ["main"]
