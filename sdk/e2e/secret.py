"""Secrets that this process has, for workloads: they are sent to the controller, and shown nowhere."""

import os
from pathlib import Path

from e2e_api.errors import InvalidArgument
from e2e_api.manifests import Secret


def secret_from_env(name: str) -> Secret:
    """The value of a variable of this process, of any name. Raises InvalidArgument where it has none."""
    value = os.environ.get(name)
    if value is None:
        raise InvalidArgument(f"this process has no variable {name}")
    return Secret(value=value)


def secret_from_file(path: str | Path) -> Secret:
    """The text of a file that this process can read, whole. Raises InvalidArgument where it cannot."""
    try:
        return Secret(value=Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise InvalidArgument(f"cannot read a secret from {path}: {why}") from error
