"""Parts of requirements.lock: what some packages need, with the pins and hashes that stand there."""

import re
from collections.abc import Iterable
from importlib.metadata import requires

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

_BLOCK = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==.*\n(?:[ \t]+.*\n?)*", re.MULTILINE)
_HASHED = re.compile(r"^\S+==\S+|--hash=\S+", re.MULTILINE)


def subset(lock: str, roots: Iterable[str]) -> str:
    """The lines of `lock` for `roots` and all that they need; raises KeyError for what it does not pin."""
    pins = {canonicalize_name(block["name"]): block[0] for block in _BLOCK.finditer(lock)}
    return "".join(_without_comments(pins[name]) for name in sorted(closure(roots)))


def closure(roots: Iterable[str]) -> set[NormalizedName]:
    """Names of all packages that `roots` need here, themselves included; each is installed."""
    found: set[tuple[NormalizedName, str]] = set()
    waiting = [(canonicalize_name(r.name), extra) for r in map(Requirement, roots) for extra in _extras(r)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in found:
            continue
        found.add((name, extra))
        for needed in map(Requirement, requires(name) or ()):
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(needed.name), part) for part in _extras(needed)]
    return {name for name, _ in found}


def _extras(requirement: Requirement) -> set[str]:
    return {"", *requirement.extras}


def _without_comments(block: str) -> str:
    return " \\\n    ".join(_HASHED.findall(block)) + "\n"
