"""Names of environments: valid, short, and the same for the same test in every run.

A stable name lets the next run find and remove what an interrupted one left.
"""

import hashlib
import os
import re
import sys
import threading
from types import FrameType

from e2e_api.errors import InvalidArgument

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_READABLE = 40

_lock = threading.Lock()
_taken: set[str] = set()


def check_label(name: str, what: str) -> str:
    """Gives the name back. Raises InvalidArgument when it is no DNS label."""
    if not isinstance(name, str) or not DNS_LABEL.fullmatch(name):
        raise InvalidArgument(
            f"{name!r} is not a name for {what}: expected at most 63 lowercase letters, digits and '-', "
            "not beginning or ending with '-'"
        )
    return name


def stable_name(readable: str, identity: str) -> str:
    """A DNS label of at most 49 characters: what is readable, and a hash of what makes it one of its kind."""
    slug = re.sub(r"[^a-z0-9]+", "-", readable.lower()).strip("-")[:_READABLE].strip("-") or "e2e"
    return f"{slug}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"


def calling_test_name() -> str:
    """The stable name for whoever calls the SDK: the running test, else the function.

    The working directory is part of it, so that two clones of one project do not meet.
    """
    running = os.environ.get("PYTEST_CURRENT_TEST")
    if running:
        test = running.rpartition(" (")[0] or running
        readable = test.rpartition("::")[2]
        return stable_name(readable.partition("[")[0], f"{os.getcwd()}\0{test}")  # noqa: PTH109
    code = _calling_frame().f_code
    return stable_name(code.co_qualname.replace("<module>", ""), f"{code.co_filename}\0{code.co_qualname}")


def _calling_frame() -> FrameType:
    frame = sys._getframe()
    while frame.f_back is not None and _is_own(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    return frame


def _is_own(module: str) -> bool:
    return module == "e2e" or module.startswith("e2e.")


def claim(wanted: str) -> str:
    """A name that no other unnamed environment of this process has now: a second one gets `-2` behind it."""
    with _lock:
        name = wanted
        number = 2
        while name in _taken:
            name = f"{wanted}-{number}"
            number += 1
        _taken.add(name)
        return name


def release(name: str) -> None:
    """Gives a claimed name free again; an unclaimed one is no error."""
    with _lock:
        _taken.discard(name)
