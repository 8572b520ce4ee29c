"""The environments of this process, for the pytest plugin: which are live, and what failed ones had to say.

Imports next to nothing, so that asking costs nothing.
"""

from typing import Any

live: dict[str, Any] = {}
"""The controller, as it was given, by the name of each started environment; None is the default one."""

failures: list[tuple[str, str]] = []
"""(environment, evidence) of environments that were closed because of an exception; the plugin empties it."""

_MOST = 20


def note_failure(environment: str, text: str) -> None:
    """Keeps the evidence of the last few failures."""
    failures.append((environment, text))
    del failures[:-_MOST]
