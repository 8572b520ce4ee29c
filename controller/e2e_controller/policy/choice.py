"""Which policy a controller has, and what it has to know for its judge."""

from collections.abc import Iterable
from pathlib import Path

from e2e_controller.policy.model import Policy
from e2e_controller.policy.paths import Guarded, HostPaths, SameMachine, View
from e2e_controller.policy.presets import PRESETS
from e2e_controller.policy.reading import load_policy
from e2e_controller.policy.rules import LOOPBACK, Judge

ENGINE_SOCKETS = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/crio/crio.sock",
)
"""Where engines listen by default; whoever reaches one is root."""


def choose_policy(given: str, addresses: Iterable[str], *, in_container: bool, embedded: bool) -> Policy:
    """The one that is given; else restricted where others than the user may reach it, as `--policy` tells."""
    if given:
        return load_policy(given)
    beyond = any(not address.startswith("unix:") for address in addresses)
    return PRESETS["restricted" if beyond or (in_container and not embedded) else "permissive"]


def make_judge(
    policy: Policy,
    state: Path,
    folders: Iterable[Path] = (),
    *,
    engine_socket: str = "",
    published_on: str = LOOPBACK,
    view: View | None = None,
) -> Judge:
    """The judge of a controller with that state folder, and these watched ones."""
    sockets = dict.fromkeys([*([engine_socket] if engine_socket else ()), *ENGINE_SOCKETS])
    guarded = [Guarded("the engine's socket", path) for path in sockets]
    guarded.append(Guarded("the controller's state folder", str(state)))
    paths = HostPaths(view or SameMachine(), guarded, state / "environments")
    return Judge(policy, paths, folders, published_on)
