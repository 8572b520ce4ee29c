"""`e2e policy`: the real controller's side, and no engine."""

import json
from pathlib import Path

import pytest

from e2e_controller.policy import PRESETS, parse_policy

from .conftest import RunE2E

GOOD = "apiVersion: e2e/v1\nkind: Workload\nmetadata: {name: good}\nspec: {image: busybox}\n"
BAD = GOOD.replace("good", "bad").replace("busybox", "busybox, security: {privileged: true}")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("E2E_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    monkeypatch.delenv("E2E_POLICY", raising=False)
    (tmp_path / "manifests" / "shop").mkdir(parents=True)
    (tmp_path / "manifests" / "shop" / "a.yaml").write_text(f"{GOOD}---\n{BAD}")
    return tmp_path / "manifests"


def test_each_object_is_told_of(e2e: RunE2E, folder: Path) -> None:
    code, out, err = e2e("policy", "check", "-f", folder)
    assert code == 1
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["shop", "Workload", "bad", "denied"],
        ["shop", "Workload", "good", "allowed"],
    ]
    assert f"{folder}/shop/a.yaml:6: policy rule privileged denies spec.security.privileged" in err
    assert not (folder.parent / "state").exists()


def test_all_is_allowed(e2e: RunE2E, folder: Path) -> None:
    code, out, _ = e2e("policy", "check", "-f", folder, "--policy", "permissive", "-o", "json")
    assert code == 0
    assert {found["result"] for found in json.loads(out)} == {"allowed"}


def test_what_is_counted_is_counted(e2e: RunE2E, folder: Path) -> None:
    policy = folder.parent / "policy.yaml"
    policy.write_text("extends: permissive\nobjects: {total: 1}\n")
    code, _, err = e2e("policy", "check", "-f", folder, "--policy", policy)
    assert code == 1
    assert "policy rule objects.total denies" in err


def test_what_is_no_manifest_is_an_error(e2e: RunE2E, folder: Path) -> None:
    (folder / "b.yaml").write_text("apiVersion: e2e/v1\nkind: Pod\n")
    assert e2e("policy", "check", "-f", folder)[0] == 2


def test_a_wrong_policy_is_an_error(e2e: RunE2E, folder: Path) -> None:
    policy = folder.parent / "policy.yaml"
    policy.write_text("privileged: sure\n")
    code, _, err = e2e("policy", "check", "-f", folder, "--policy", policy)
    assert code == 2
    assert f"{policy}:1:13: privileged: expected true or false" in err


def test_nothing_to_check_is_wrong_usage(e2e: RunE2E, folder: Path) -> None:
    assert e2e("policy", "check")[0] == 2
    assert e2e("policy", "check", "-f", folder / "absent")[0] == 2


def test_what_is_shown_can_be_given(e2e: RunE2E, folder: Path) -> None:
    for name, preset in PRESETS.items():
        code, out, _ = e2e("policy", "show", "--policy", name)
        assert code == 0
        assert parse_policy(out.encode()) == (preset, ())
    assert json.loads(e2e("policy", "show", "-o", "json")[1])["extends"] == "restricted"
