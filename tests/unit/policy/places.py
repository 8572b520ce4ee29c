"""A host in a temporary folder, and judges that know it."""

from pathlib import Path
from typing import Any

import yaml

from e2e_api.manifests import EnvironmentSpec, Manifest
from e2e_api.parsing import parse_documents
from e2e_controller.policy import Guarded, HostPaths, Judge, Policy, View, parse_policy
from e2e_controller.policy.paths import SameMachine
from e2e_controller.policy.wanted import wanted_of_manifest


def policy(text: str = "") -> Policy:
    found, problems = parse_policy(f"extends: restricted\n{text}".encode())
    assert problems == ()
    return found


class Host:
    """`/data`, `/secret`, `/run/engine.sock` and a state folder, somewhere else."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        for name in ("data/sub", "secret", "run", "state/environments/env", "state/environments/other"):
            (self.root / name).mkdir(parents=True)
        self.socket = self.root / "run" / "engine.sock"
        self.socket.touch()
        self.state = self.root / "state"

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def paths(self, view: View | None = None) -> HostPaths:
        guarded = [Guarded("the engine's socket", str(self.socket)), Guarded("the state", str(self.state))]
        return HostPaths(view or SameMachine(), guarded, self.state / "environments")

    def judge(self, text: str = "", view: View | None = None, folders: tuple[Path, ...] = ()) -> Judge:
        """`HOST` in the text is the root."""
        return Judge(policy(text.replace("HOST", str(self.root))), self.paths(view), folders)


def manifest(kind: str = "Workload", **spec: Any) -> Manifest:
    image = {} if kind == "Environment" or "build" in spec else {"image": "busybox:1.36"}
    document = {
        "apiVersion": "e2e/v1",
        "kind": kind,
        "metadata": {"name": "web" if kind != "Environment" else "env"},
        "spec": {**image, **spec},
    }
    (found,) = parse_documents(yaml.safe_dump(document).encode())
    assert found.manifest is not None, found.problems
    return found.manifest


def denied(
    judge: Judge,
    kind: str = "Workload",
    *,
    folder: str = "/",
    watched: bool = False,
    defaults: EnvironmentSpec | None = None,
    **spec: Any,
) -> list[str]:
    """Names of the rules that deny a manifest."""
    wanted = wanted_of_manifest(
        manifest(kind, **spec), "env", Path(folder), defaults or EnvironmentSpec(), watched=watched
    )
    return [denial.rule for denial in judge.judge(wanted)]
