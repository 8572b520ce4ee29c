"""The controller's image: what is in it, and how it behaves beside the engine's socket."""

import os
import re
import tarfile
import tempfile
import tomllib

import pytest

from tests.controller_image import ROOT, SECONDS, controller_container, controller_image, ends_with, until
from tests.engine import docker_client

LARGEST = 130 * 10**6
"""Bytes beyond its base."""


def test_it_says_what_it_is() -> None:
    with docker_client() as engine:
        image = engine.images.get(controller_image())
        base = engine.images.get("docker.io/library/python:3.11-slim")
    config = image.attrs["Config"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    labels = {
        name.removeprefix("org.opencontainers.image."): text
        for name, text in image.labels.items()
        if name.startswith("org.opencontainers.image.")
    }
    assert labels["title"] == project["name"]
    assert labels["description"] == project["description"]
    assert labels["licenses"] == project["license"]
    assert labels["version"] == project["version"]
    assert set(labels) >= {"revision", "created", "source", "base.name"}
    assert config["User"] == "65532:65532"
    assert config["StopSignal"] == "SIGTERM"
    assert set(config["Volumes"]) == {"/var/lib/e2e"}
    assert image.attrs["Size"] - base.attrs["Size"] < LARGEST


@pytest.fixture(scope="module")
def content() -> dict[str, tarfile.TarInfo]:
    """What is in it, by path."""
    with docker_client() as engine, tempfile.TemporaryFile() as packed:
        container = engine.containers.create(controller_image())
        try:
            packed.writelines(container.export())
        finally:
            container.remove(v=True)
        packed.seek(0)
        with tarfile.open(fileobj=packed) as archive:
            return {member.name: member for member in archive}


def test_it_has_nothing_that_makes_software(content: dict[str, tarfile.TarInfo]) -> None:
    makers = r"pip|ensurepip|setuptools|hatchling|pytest|cc|ld|make|.*\.whl|pip.*\.dist-info|\.cache"
    assert [name for name in content if re.fullmatch(makers, name.rpartition("/")[2])] == []
    assert [name for name in content if re.search(r"bin/(.*-)?(gcc|g\+\+|cpp|ld|as)(-\d+)?$", name)] == []
    assert "opt/e2e/lib/python3.11/site-packages/e2e_controller/manager.py" in content


def test_its_user_can_change_nothing_but_state_and_certificates(content: dict[str, tarfile.TarInfo]) -> None:
    own = [name for name, member in content.items() if member.uid == 65532 or member.gid == 65532]
    assert set(own) == {"var/lib/e2e", "certs"}
    assert {content[name].uid for name in own} == {65532}
    open_to_all = [n for n, m in content.items() if m.mode & 0o002 and not m.issym() and not m.mode & 0o1000]
    assert open_to_all == []
    assert [name for name, member in content.items() if member.isfile() and member.mode & 0o6000] == []


def test_all_that_it_loads_is_compiled(content: dict[str, tarfile.TarInfo]) -> None:
    sources = [n for n in content if re.search(r"/(e2e_controller|e2e_api)/.*\.py$", n)]
    compiled = [re.sub(r"/([^/]+)\.py$", r"/__pycache__/\1.cpython-311.pyc", name) for name in sources]
    assert len(sources) > 100
    assert [name for name in compiled if name not in content] == []


def test_without_the_sockets_group_it_says_how_to_get_it() -> None:
    with controller_container(f"image-group-{os.getpid()}", group_add=[]) as container:
        code, said = ends_with(container)
    assert code == 3
    assert "--group-add $(stat -c %g /var/run/docker.sock)" in said


def test_it_stops_while_it_starts() -> None:
    with controller_container(f"image-stop-{os.getpid()}") as container:
        until(lambda: len(container.top()["Processes"]) == 2, container)  # the first one listens by now
        container.stop(timeout=SECONDS)
        assert ends_with(container)[0] in (0, 143)  # not 137: it was not killed
