"""What manifests may ask for: the policy, its judge, and the guard before the engine."""

from e2e_controller.policy.choice import choose_policy, make_judge
from e2e_controller.policy.guard import guarded
from e2e_controller.policy.model import Policy
from e2e_controller.policy.overlaps import Place, overlaps
from e2e_controller.policy.paths import Guarded, HostPaths, OtherMachine, OwnMounts, SameMachine, View
from e2e_controller.policy.presets import PRESETS
from e2e_controller.policy.reading import load_policy, parse_policy
from e2e_controller.policy.rules import Denial, Judge
from e2e_controller.policy.wanted import Wanted, wanted_of_manifest, wanted_of_spec

__all__ = [
    "PRESETS",
    "Denial",
    "Guarded",
    "HostPaths",
    "Judge",
    "OtherMachine",
    "OwnMounts",
    "Place",
    "Policy",
    "SameMachine",
    "View",
    "Wanted",
    "choose_policy",
    "guarded",
    "load_policy",
    "make_judge",
    "overlaps",
    "parse_policy",
    "wanted_of_manifest",
    "wanted_of_spec",
]
