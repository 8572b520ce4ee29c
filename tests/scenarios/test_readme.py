"""What the README shows is run as it stands there."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from controllers import names_on_engine

import e2e
from e2e_api.places import START_LOCK
from tests.conftest import end

README = Path(__file__).parents[2] / "README.md"
SECONDS = 250


def block(heading: str, language: str) -> str:
    """The first block of code of that language below the heading."""
    section = README.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = re.search(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.fixture
def home() -> Iterator[Path]:
    """A home, and in it the folder of manifests; what was made in it goes."""
    with tempfile.TemporaryDirectory(prefix="e2e-") as directory:
        (Path(directory) / "manifests").mkdir()
        yield Path(directory)


def environment(home: Path) -> dict[str, str]:
    """As in a fresh shell: no variable of ours, and the programs on the path."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("E2E_")}
    path = f"{Path(sys.executable).parent}:{variables['PATH']}"
    return {**variables, "PATH": path, "XDG_STATE_HOME": str(home), "HOME": str(home)}


@pytest.mark.parametrize("attempt", range(3))
def test_the_yaml_way(home: Path, attempt: int) -> None:
    """Several times, as the first command starts while the controller still does.

    Only what nobody types as fast is not left to chance: that the controller has begun by then.
    """
    name = f"hello-{os.getpid()}-{attempt}"
    manifest = block("The YAML way", "yaml").replace("environment: hello", f"environment: {name}")
    (home / "manifests" / "web.yaml").write_text(manifest)
    commands = block("The YAML way", "sh").replace("--env hello", f"--env {name}")
    assert commands.count(name) == 3
    begun = f"until test -e e2e*/{START_LOCK}; do sleep 0.01; done"
    commands = commands.replace(" &", f" --delete-on-exit & {begun}", 1)
    script = f"set -e\ntrap 'kill %1; wait %1' EXIT\n{commands}"
    ended = subprocess.run(
        ["bash", "-c", script],
        cwd=home,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(rf"^{name} +web +Workload +Ready .*http=127\.0\.0\.1:\d+$", ended.stdout, re.MULTILINE)
    assert names_on_engine(name) == []


def test_a_controller_by_hand_beside_an_embedded_one_is_told_what_to_do(home: Path) -> None:
    variables = environment(home)
    subprocess.run(["e2e", "get"], cwd=home, env=variables, check=True, timeout=SECONDS, capture_output=True)
    process = int((home / "e2e" / "embedded.pid").read_text())
    used = e2e.Environment(f"used-{os.getpid()}", controller=f"unix://{home}/e2e/controller.sock")
    try:
        with used:  # else it may end before the other one has begun
            ended = subprocess.run(
                ["e2e", "controller", "--folder", "manifests"],
                cwd=home,
                env=variables,
                capture_output=True,
                text=True,
                timeout=SECONDS,
            )
    finally:
        end(process)  # else it may write in its folder while that is removed
    assert ended.returncode == 4
    assert f"is in use by process {process}, which a test or an `e2e` command has started" in ended.stderr
    assert "ends by itself when it is unused for 10s; end it, or give this one its own" in ended.stderr


def test_the_schema_is_where_the_manifest_says() -> None:
    named = re.search(r"\$schema=(\S+)", block("The YAML way", "yaml"))
    assert named is not None
    assert (README.parent / "manifests" / named[1]).resolve().is_file()
