"""The examples for CI do what they say: by Compose itself, and step by step as GitHub and GitLab do it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from docker.models.containers import Container

from tests.controller_image import ROOT, SECONDS, SOCKET, controller_image, health, until
from tests.engine import docker_client
from tests.free_ports import free_port

EXAMPLES = ROOT / "examples" / "ci"
IMAGE = "e2e-controller:dev"
TOKEN = "a-token-of-32-characters-or-more-for-a-test"
PATIENCE = 300
BIN = Path(sys.executable).parent

pytestmark = pytest.mark.timeout(5 * PATIENCE)


def run(command: list[str], folder: Path = ROOT, **variables: str) -> str:
    """What it printed; it must succeed."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("E2E_")}
    environment |= {"PATH": f"{BIN}:{os.environ['PATH']}", **variables}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("name", "schema"),
    [("compose", "compose-spec"), ("github", "github-workflows"), ("gitlab", "gitlab-ci")],
)
def test_they_are_what_their_schemas_say(name: str, schema: str) -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    run([*check, str(EXAMPLES / f"{name}.yaml")])


@pytest.fixture(scope="session")
def compose() -> list[str]:
    """The command of whichever Compose there is: the plugin of the engine's command line, else a program."""
    plugin = ["docker", "compose"]
    if shutil.which("docker"):
        answer = subprocess.run([*plugin, "version"], capture_output=True, text=True)
        if answer.returncode == 0 and "Compose" in answer.stdout:
            return plugin
    return [shutil.which("docker-compose") or pytest.skip("no Compose here")]


def test_compose(compose: list[str]) -> None:
    variables = {"E2E_IMAGE": controller_image(), "DOCKER_GROUP": str(SOCKET.stat().st_gid)}
    project = f"e2e-compose-{os.getpid()}"
    command = [*compose, "--project-name", project, "--file", str(EXAMPLES / "compose.yaml")]
    try:
        assert "passed" in run([*command, "run", "--rm", "tests"], **variables)
    finally:
        run([*command, "down", "--volumes", "--timeout", str(SECONDS)], **variables)
    with docker_client() as engine:
        ours = {"label": f"com.docker.compose.project={project}"}
        assert engine.containers.list(all=True, filters=ours, ignore_removed=True) == []


def jobs(name: str, **replaced: str) -> dict[str, Any]:
    """The jobs of a file, with this checkout's image and a token."""
    text = (EXAMPLES / f"{name}.yaml").read_text()
    for old, new in {IMAGE: controller_image(), "${{ secrets.E2E_TOKEN }}": TOKEN, **replaced}.items():
        assert old in text or old not in replaced, f"{old} is not in {name}.yaml"
        text = text.replace(old, new)
    document: dict[str, Any] = yaml.safe_load(text)
    return document


@contextmanager
def service(name: str, options: list[str], variables: dict[str, str], image: str) -> Iterator[Container]:
    """A service container, once it is healthy."""
    environment = [word for key, value in variables.items() for word in ("--env", f"{key}={value}")]
    run(["docker", "run", "--detach", "--name", name, *options, *environment, image])
    with docker_client() as engine:
        container = engine.containers.get(name)
        try:
            until(lambda: health(container) == "healthy", container)
            yield container
        finally:
            container.stop(timeout=SECONDS)
            container.remove(v=True)


def steps(job: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and script of each, without what the tests' own environment has already."""
    return (
        (step["name"], step["run"]) for step in job["steps"] if "run" in step and step["name"] != "Install"
    )


def test_github_with_a_service_container() -> None:
    job = jobs("github")["jobs"]["service"]
    wanted = job["services"]["controller"]
    assert wanted["ports"] == ["127.0.0.1:9000:9000"]
    options = [*shlex.split(wanted["options"]), "--publish", "127.0.0.1::9000"]
    for volume in wanted["volumes"]:
        options += ["--volume", volume]
    with service(f"github-service-{os.getpid()}", options, wanted["env"], wanted["image"]) as container:
        container.reload()
        port = container.ports["9000/tcp"][0]["HostPort"]
        variables = {**job["env"], "E2E_CONTROLLER": f"127.0.0.1:{port}"}
        for _, script in steps(job):
            assert "1 passed" in run(["bash", "-ec", script], **variables)
        refused(job, {**variables, "E2E_TOKEN": "another"})


def refused(job: dict[str, Any], variables: dict[str, str]) -> None:
    script = next(script for name, script in steps(job) if name == "Test")
    with pytest.raises(AssertionError, match="token"):
        run(["bash", "-ec", script], **variables)


def test_github_with_tls(tmp_path: Path) -> None:
    name = f"github-tls-{os.getpid()}"
    job = jobs("github", **{"9443": str(free_port())})["jobs"]["guarded"]
    shutil.copytree(EXAMPLES, tmp_path / "examples" / "ci")
    said: dict[str, str] = {}
    with ExitStack() as stack:
        stack.callback(subprocess.run, ["docker", "rm", "--force", "--volumes", name], capture_output=True)
        for step, script in steps(job):
            named = re.sub(r"(?<![\w-])controller\b(?!=)", name, script)
            said[step] = run(["bash", "-ec", named], tmp_path, **job["env"])
    assert "1 passed" in said["Test"]
    assert f"serving gRPC on 0.0.0.0:{job['env']['E2E_CONTROLLER'].partition(':')[2]}" in said["End"]


def test_gitlab() -> None:
    job = jobs("gitlab")["e2e"]
    wanted = job["services"][0]
    network = f"gitlab-{os.getpid()}"
    inside = ["--network", network]
    options = [*inside, "--network-alias", wanted["alias"], "--user", wanted["docker"]["user"]]
    options += ["--volume", f"{SOCKET}:{SOCKET}", "--health-interval", "1s", "--health-timeout", "30s"]
    run(["docker", "network", "create", network])
    try:
        with service(f"{network}-service", options, wanted["variables"], wanted["name"]):
            # In this image, as what `before_script` installs would have to come from somewhere.
            program = ["--entrypoint", "sh", controller_image(), "-ec", "\n".join(job["script"])]
            options = [*inside, "--volume", f"{EXAMPLES}:/build/examples/ci:ro", "--workdir", "/build"]
            variables = [w for key, value in job["variables"].items() for w in ("--env", f"{key}={value}")]
            assert "passed" in run(["docker", "run", "--rm", *options, *variables, *program])
    finally:
        run(["docker", "network", "rm", network])
