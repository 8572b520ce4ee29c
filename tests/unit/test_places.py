import os
from pathlib import Path

import pytest

from e2e_api.places import default_state_folder
from e2e_controller.settings import Settings


def test_the_controller_and_the_sdk_agree(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("E2E_STATE_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "unix:///other.sock")
    assert Settings().state_dir == default_state_folder(os.environ)
    assert Settings(engine="unix:///third.sock").state_dir != default_state_folder(os.environ)


def test_the_same_engine_is_the_same_folder_however_it_is_named() -> None:
    address = "unix:///x.sock"
    named = [{"DOCKER_HOST": address}, {"E2E_ENGINE": address}, {"E2E_ENGINE": address, "DOCKER_HOST": "y"}]
    found = {default_state_folder(variables) for variables in named} | {default_state_folder({}, address)}
    assert len(found) == 1
    assert default_state_folder({"DOCKER_CONTEXT": "a"}) != default_state_folder({"DOCKER_CONTEXT": "b"})
    assert default_state_folder({"DOCKER_HOST": ""}) == default_state_folder({})
