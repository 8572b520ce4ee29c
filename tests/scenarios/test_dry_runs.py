"""What `e2e diff` says of a watched folder is what is done when the folder then says so."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from controllers import Controller, names_on_engine
from small import BUSYBOX, until_stopped

E2E = str(Path(sys.executable).with_name("e2e"))


def run(controller: Controller, *arguments: str | Path, code: int = 0) -> str:
    """Runs one command line against the controller; gives what it printed."""
    variables = {**os.environ, "E2E_CONTROLLER": controller.address}
    command = [E2E, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, env=variables)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def write(folder: Path, version: str) -> None:
    """A shop and the data that it needs."""
    for name, depends_on in (("data", []), ("shop", [{"name": "data"}])):
        spec = {
            "image": BUSYBOX,
            "command": until_stopped("touch /there"),
            "env": {"VERSION": version},
            "dependsOn": depends_on,
        }
        if name == "data":
            spec |= {"readiness": {"exec": {"command": ["test", "-e", "/there"]}}}
            spec |= {"volumes": [{"source": "kept", "target": "/kept"}, {"source": "./", "target": "/here"}]}
        manifest = {"apiVersion": "e2e/v1", "kind": "Workload", "metadata": {"name": name}, "spec": spec}
        (folder / f"{name}.json").write_text(json.dumps(manifest))


def test_the_diff_of_an_edited_folder_is_what_is_done_when_it_is_put_in_place(
    controller: Controller, tmp_path: Path
) -> None:
    environment = f"diff-{os.getpid()}"
    folder = tmp_path / environment
    folder.mkdir()
    write(folder, "1")
    new = run(controller, "diff", "-f", tmp_path, code=1)
    assert f"{environment}/Environment/{environment} created (dry run)" in new
    assert "create network: it is not there" in new
    assert "wait: waits for data to be Ready" in new
    assert names_on_engine(environment) == []

    watched = controller.folder / environment
    shutil.copytree(folder, watched)
    run(controller, "wait", "data", "shop", "--env", environment)
    assert run(controller, "diff", "-f", controller.folder) == ""

    edited = controller.folder.parent / "edited"
    shutil.copytree(controller.folder, edited)
    write(edited / environment, "2")
    diff = run(controller, "diff", "-f", edited, code=1)
    assert f"changed (dry run), defined by {watched}/data.json:1: change it there" in diff
    assert "spec.env.VERSION: 1 -> 2" in diff
    shop = diff[diff.index("Workload/shop") :].splitlines()
    plan = [line.strip() for line in shop[shop.index("  plan:") + 1 :]]
    assert [line.split()[0] for line in plan] == ["remove", "wait:"]

    write(watched, "2")
    run(controller, "wait", "data", "shop", "--env", environment)
    events = run(controller, "events", "--env", environment)
    assert plan[0] in events

    gone = run(controller, "delete", "--env", environment, "--all", "--dry-run")
    assert "keep: Workload data stays" in gone  # a file defines it
