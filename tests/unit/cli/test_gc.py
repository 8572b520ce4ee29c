"""`e2e gc`, with the controller's side stood in for."""

import json
from typing import Any

import pytest

from e2e.cgroups import CgroupError
from e2e.cli.commands import gc

from .conftest import RunE2E


def thing(controller: str, state: str, result: str, reason: str = "", environment: str = "one") -> Any:
    found = {"controller": controller, "state": state, "stateDirectory": "/state", "environment": environment}
    return found | {"kind": "network", "name": "e2e-one", "result": result, "reason": reason}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the controller's side was asked; its first element is replaced by the answer."""
    calls: list[Any] = [{"things": []}]

    def ask(module: str, *arguments: str, seconds: float) -> Any:
        calls.append((module, *arguments))
        return calls[0]

    monkeypatch.setattr(gc, "ask", ask)
    monkeypatch.setattr(gc, "find_leftovers", list)
    return calls


class FakeLeftover:
    path, environment = "/e2e/shop.test-process", "shop"

    def __init__(self) -> None:
        self.problem = ""
        self.removed = 0

    def remove(self) -> None:
        if self.problem:
            raise CgroupError(self.problem)
        self.removed += 1


def test_cgroups_of_killed_processes(e2e: RunE2E, asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    left = FakeLeftover()
    monkeypatch.setattr(gc, "find_leftovers", lambda: [left])
    assert e2e("gc", "--controller", "abc")[2] == "nothing is left behind\n"
    code, out, _ = e2e("gc", "--dry-run")
    assert (code, left.removed) == (0, 0)
    assert out.splitlines()[1].split() == ["-", "orphaned", "shop", "cgroup", left.path, "found"]
    code, out, _ = e2e("gc", "-o", "json")
    assert (code, left.removed) == (0, 1)
    assert json.loads(out) == [
        {**thing("-", "orphaned", "removed", environment="shop"), "stateDirectory": ""}
        | {"kind": "cgroup", "name": left.path}
    ]
    left.problem = "it is busy"
    code, _, err = e2e("gc")
    assert (code, err) == (1, "cgroup /e2e/shop.test-process stays: it is busy\n")


def test_nothing(e2e: RunE2E, asked: list[Any]) -> None:
    assert e2e("gc") == (0, "", "nothing is left behind\n")
    assert e2e("gc", "--dry-run", "--controller", "abc")[0] == 0
    assert asked[1:] == [("gc", "--remove"), ("gc", "--controller", "abc")]


def test_a_table_and_the_reasons(e2e: RunE2E, asked: list[Any]) -> None:
    asked[0] = {
        "things": [
            thing("a", "stopped", "removed"),
            thing("b", "orphaned", "failed", "it is in use; let go"),
            thing("c", "unknown", "found", environment=""),
        ]
    }
    code, out, err = e2e("gc")
    assert code == 1
    assert [line.split() for line in out.splitlines()] == [
        ["CONTROLLER", "STATE", "ENVIRONMENT", "KIND", "NAME", "RESULT"],
        ["a", "stopped", "one", "network", "e2e-one", "removed"],
        ["b", "orphaned", "one", "network", "e2e-one", "not", "removed"],
        ["c", "unknown", "-", "network", "e2e-one", "found"],
    ]
    assert "network e2e-one stays: it is in use; let go" in err
    assert "whether c runs cannot be seen from here" in err
    assert "`e2e gc --controller ID` removes it" in err


def test_what_is_left_on_purpose_is_no_failure(e2e: RunE2E, asked: list[Any]) -> None:
    asked[0] = {"things": [thing("c", "unknown", "found")]}
    assert e2e("gc")[0] == 0


def test_for_machines(e2e: RunE2E, asked: list[Any]) -> None:
    asked[0] = {"things": [thing("a", "stopped", "found")]}
    code, out, err = e2e("gc", "--dry-run", "-o", "json")
    assert (code, json.loads(out), err) == (0, asked[0]["things"], "")
    assert e2e("gc", "--dry-run", "-o", "yaml")[1].startswith("- controller: a\n")
    asked[0] = {"things": []}
    assert json.loads(e2e("gc", "-o", "json")[1]) == []


def test_what_is_wrong_is_one_line(e2e: RunE2E, asked: list[Any]) -> None:
    asked[0] = {"error": "controller a runs (state folder /state); end it first"}
    code, out, err = e2e("gc", "--controller", "a")
    assert (code, out) == (1, "")
    assert err == "error: controller a runs (state folder /state); end it first\n"


def test_where_no_engine_is_reached_cgroups_are_looked_at_and_the_rest_is_named(
    e2e: RunE2E, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("E2E_CONTROLLER", raising=False)
    asked[0] = {"error": "there is no socket; start the engine"}
    left = FakeLeftover()
    monkeypatch.setattr(gc, "find_leftovers", lambda: [left])
    code, out, err = e2e("gc")
    assert (code, left.removed) == (1, 1)
    assert "removed" in out
    unseen = "containers, networks, volumes, images and folders were not looked at: there is no socket"
    assert err == f"error: {unseen}; start the engine\n"
    monkeypatch.setattr(gc, "find_leftovers", list)
    monkeypatch.setenv("E2E_CONTROLLER", "e2e:9443")
    code, out, err = e2e("gc")
    assert (code, out) == (1, "")
    assert "the controller at e2e:9443 has an engine: `e2e gc` there looks at it" in err
    assert "nothing is left behind" not in err
