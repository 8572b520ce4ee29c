"""Ready-made manifests: systems that packages offer under names, for folders.

A package offers its own by an entry point of the group `e2e.catalog`, which names a sequence of `System`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points

from e2e.blueprint import Blueprint
from e2e_api.errors import NotFound

GROUP = "e2e.catalog"


@dataclass(frozen=True, slots=True)
class System:
    """One entry of the catalog."""

    name: str
    summary: str
    """One line on what it is."""
    define: Callable[[Blueprint], object]
    """Defines its workloads and jobs on a blueprint."""


def systems() -> list[System]:
    """All that installed packages offer, by name; of two with one name, the first."""
    found: dict[str, System] = {}
    for entry_point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        for system in entry_point.load():
            found.setdefault(system.name, system)
    return sorted(found.values(), key=lambda system: system.name)


def manifests(name: str, environment: str = "") -> str:
    """The manifests of a system, in YAML. Raises NotFound for a name that nobody offers."""
    known = {system.name: system for system in systems()}
    if name not in known:
        raise NotFound(f"the catalog has no {name!r}, only {', '.join(known) or 'nothing'}")
    blueprint = Blueprint(environment)
    known[name].define(blueprint)
    return f"# {name}: {known[name].summary}\n{blueprint.to_yaml()}"
