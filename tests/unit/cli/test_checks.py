import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from e2e.cli import checks
from e2e.cli.checks import Finding, Mark
from e2e.cli.files import read_manifests

from .conftest import RunE2E
from .fake import CliController

ENGINE = {
    "address": "unix:///var/run/docker.sock",
    "source": "default",
    "version": "20.10.24",
    "api_version": "1.41",
    "operating_system": "Debian",
    "local_files": True,
    "program": "Docker",
    "is_rootless": False,
    "is_remote": False,
    "publish_address": "127.0.0.1",
    "data_folder": "/var/lib/docker",
    "free_bytes": 50 * 10**9,
    "accounting": {
        "cgroup_version": "2",
        "cpu": True,
        "memory": True,
        "swap": True,
        "rootless": False,
        "storage": "overlay2",
        "containerd_store": False,
        "layers": True,
    },
}


def test_an_engine_that_answers() -> None:
    first, second = checks.check_engine({"engine": ENGINE})
    assert first.mark is Mark.GOOD
    assert "unix:///var/run/docker.sock (default), Docker, version 20.10.24, API 1.41" in first.text
    assert second == Finding(Mark.GOOD, "engine's data in /var/lib/docker: 50.0 GB free")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"is_rootless": True}, ["rootless Docker, version", "probed through their published ports"]),
        ({"program": "Podman", "version": "4.3.1"}, ["Podman, version 4.3.1", "docs/engines.md"]),
        ({"publish_address": "0.0.0.0"}, ["bind to 0.0.0.0, not to loopback"]),
        (
            {"address": "ssh://engine", "is_remote": True, "local_files": False},
            ["its files are on another machine: shared directories and host paths are not mounted"],
        ),
        (
            {
                "address": "tcp://engine:2376",
                "is_remote": True,
                "local_files": False,
                "publish_address": "192.0.2.1",
            },
            ["its files are on another machine", "ports bind to 192.0.2.1 there, open to all who reach"],
        ),
    ],
)
def test_engines_with_limits(facts: dict[str, Any], words: list[str]) -> None:
    found = [str(finding) for finding in checks.check_engine({"engine": {**ENGINE, **facts}})]
    for word in words:
        assert any(word in text for text in found), found
    _, *limits, _ = checks.check_engine({"engine": {**ENGINE, **facts}})
    assert {finding.mark for finding in limits} == {Mark.WARNING}


def test_an_engine_that_does_not() -> None:
    (found,) = checks.check_engine({"error": "no socket; start the engine"})
    assert found == Finding(Mark.BAD, "engine: no socket; start the engine")


@pytest.mark.parametrize(("free", "mark"), [(10**8, Mark.BAD), (10**9, Mark.WARNING), (10**10, Mark.GOOD)])
def test_disk_space(free: int, mark: Mark) -> None:
    assert list(checks.check_engine({"engine": {**ENGINE, "free_bytes": free}}))[1].mark is mark


def test_images(tmp_path: Path) -> None:
    names = {"here": "", "never": ", imagePullPolicy: Never", "pulled": "", "refused": ""}
    for name, policy in names.items():
        text = "apiVersion: e2e/v1\nkind: Workload\nmetadata: {name: %s}\nspec: {image: %s%s}"
        (tmp_path / f"{name}.yaml").write_text(text % (name, name, policy))
    wanted = checks.wanted_images(read_manifests([str(tmp_path)], None))
    answer: dict[str, Any] = {
        "images": {
            "here": {"present": True},
            "never": {"present": False, "refusal": ""},
            "pulled": {"present": False, "refusal": ""},
            "refused": {"present": False, "refusal": "no such host"},
        }
    }
    found = {finding.text.split()[1].rstrip(":"): finding for finding in checks.check_images(wanted, answer)}
    assert {name: finding.mark for name, finding in found.items()} == {
        "here": Mark.GOOD,
        "never": Mark.BAD,
        "pulled": Mark.WARNING,
        "refused": Mark.BAD,
    }
    assert "no such host" in found["refused"].text
    assert "docker pull refused" in found["refused"].remedy
    assert {finding.mark for finding in checks.check_images(wanted, {"error": "x"})} == {Mark.WARNING}


def test_inotify_limits(tmp_path: Path) -> None:
    (tmp_path / "max_user_watches").write_text("1000\n")
    (tmp_path / "max_user_instances").write_text("128\n")
    few, enough = checks.check_inotify(tmp_path)
    assert few == Finding(
        Mark.WARNING, "inotify: max_user_watches is 1000", "as root: sysctl fs.inotify.max_user_watches=65536"
    )
    assert enough.mark is Mark.GOOD
    assert list(checks.check_inotify(tmp_path / "nowhere")) == []


def test_a_state_folder_that_is_not_there_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E2E_STATE_DIR", str(tmp_path / "a" / "b"))
    (found,) = checks.check_state()
    assert found.text.startswith(f"state folder {tmp_path}/a/b, writable: ")
    assert list(tmp_path.iterdir()) == []


def test_a_state_folder_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("E2E_STATE_DIR", str(tmp_path / "file" / "state"))
    (found,) = checks.check_state()
    assert found.mark is Mark.BAD
    assert "E2E_STATE_DIR" in found.remedy


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (subprocess.CompletedProcess([], 2, "", "a\n--engine: wrong\n"), "--engine: wrong"),
        (subprocess.CompletedProcess([], 9, "", ""), "ended with 9"),
        (subprocess.TimeoutExpired([], 90), "did not answer within 90 s"),
    ],
)
def test_a_look_at_the_engine_that_fails_is_told(
    monkeypatch: pytest.MonkeyPatch, outcome: Any, said: str
) -> None:
    def run(*_: Any, **__: Any) -> Any:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(subprocess, "run", run)
    assert said in checks.ask_engine([])["error"]


def test_doctor_tells_all_and_ends_with_1_when_something_is_missing(
    controller: CliController, e2e: RunE2E, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("E2E_STATE_DIR", str(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=50 * 10**9))
    monkeypatch.setattr(checks, "ask_engine", lambda _: {"engine": ENGINE, "images": {}})
    code, out, _ = e2e("doctor")
    assert code == 0, out
    assert "✓ controller: unix:" in out
    assert "(as named)" in out
    monkeypatch.setattr(checks, "ask_engine", lambda _: {"error": "no socket; start the engine"})
    code, out, _ = e2e("doctor")
    assert code == 0, out
    assert "! engine, and what cAdvisor sees there: not looked at from here: no socket; start the" in out
    assert "has its own; `e2e doctor` there looks at it" in out
    (tmp_path / "wrong.yaml").write_text("apiVersion: e2e/v1\nkind: Wrongload\n")
    right = "apiVersion: e2e/v1\nkind: Job\nmetadata: {name: a}\nspec: {image: of-the-right-one:1}\n"
    (tmp_path / "right.yaml").write_text(right)
    code, out, _ = e2e("doctor", "-f", tmp_path)
    assert code == 1
    assert "✗ manifests:" in out
    assert "wrong.yaml:2:" in out
    assert "image of-the-right-one:1: not looked for" in out


def test_what_a_controller_elsewhere_does_not_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("E2E_STATE_DIR", str(tmp_path / "file" / "state"))
    (found,) = checks.check_state("e2e:9443")
    assert found.mark is Mark.WARNING
    assert "which is not needed with a controller" in found.text
    monkeypatch.setenv("E2E_CONTROLLER", "e2e:9443")
    assert checks.named_controller(None) == "e2e:9443"
    assert checks.named_controller("other:1") == "other:1"
    monkeypatch.delenv("E2E_CONTROLLER")
    assert checks.named_controller(None) == ""


def test_builds_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    text = "apiVersion: e2e/v1\nkind: Workload\nmetadata: {name: %s}\n"
    text += "spec: {build: {context: ., dockerfile: %s}}\n"
    (tmp_path / "a.yaml").write_text(text % ("a", "Dockerfile"))
    (tmp_path / "b.yaml").write_text(text % ("b", "Missing"))
    good, bad = checks.check_builds(read_manifests([str(tmp_path)], None))
    assert good == Finding(Mark.GOOD, f"build of a from {tmp_path}/Dockerfile: present")
    assert bad.mark is Mark.BAD
    assert "b.yaml:1" in bad.remedy


def test_what_builds_begin_with_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "ARG TAG=1\nFROM --platform=linux/amd64 golang:1.22 AS build\nRUN echo FROM here\n"
        "FROM build as second\nFROM base:$TAG\nFROM scratch\nfrom debian:12\n"
    )
    text = "apiVersion: e2e/v1\nkind: Workload\nmetadata: {name: a}\nspec: {build: {context: .}}\n"
    (tmp_path / "a.yaml").write_text(text)
    wanted = checks.wanted_images(read_manifests([str(tmp_path)], None))
    assert wanted == {"golang:1.22": True, "debian:12": True}


def test_an_image_with_a_recipe_can_be_built(tmp_path: Path) -> None:
    (tmp_path / "busybox").mkdir()
    (tmp_path / "busybox" / "recipe.toml").write_text('reference = "docker.io/library/busybox:1.36"\n')
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "recipe.toml").write_text("[")
    assert "make images" in checks.how_to_get("busybox:1.36", tmp_path)
    assert "E2E_IMAGE_MIRROR" in checks.how_to_get("busybox:1.37", tmp_path)
    mirrored = {"images": {"a:1": {"present": False, "refusal": "", "source": "m/docker.io/library/a:1"}}}
    (found,) = checks.check_images({"a:1": True}, mirrored)
    assert found.text == "image a:1: not there yet; the mirror has it, as m/docker.io/library/a:1"
