import subprocess
import sys

import click
import pytest

from e2e.cli import program, starting
from e2e.cli.commands import get
from e2e_api.errors import WaitFailed

from .conftest import RunE2E
from .fake import CliController

HELP = "import sys\nfrom e2e.cli.program import run\nrun(['--help'])\nprint(sorted(sys.modules))"


def test_help_lists_the_verbs_and_loads_nothing_heavy(e2e: RunE2E) -> None:
    code, out, _ = e2e("--help")
    assert code == 0
    for verb, text in program.VERBS.items():
        assert f"{verb} " in out
        assert text in out
    modules = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True).stdout
    for heavy in ("'grpc'", "'pydantic'", "'rich'", "'yaml'"):
        assert heavy not in modules


@pytest.mark.parametrize("verb", [verb for verb in program.VERBS if verb != "controller"])
def test_each_verb_has_the_help_that_the_list_says(e2e: RunE2E, verb: str) -> None:
    code, out, _ = e2e(verb, "--help")
    assert code == 0
    assert out.startswith(f"Usage: e2e {verb}")
    command = program.program.get_command(click.Context(program.program), verb)
    assert command is not None
    assert command.get_short_help_str(100) == program.VERBS[verb]


def test_version(e2e: RunE2E) -> None:
    code, out, _ = e2e("--version")
    assert (code, out.split()[0]) == (0, "e2e")


@pytest.mark.parametrize(
    "line",
    [
        ["nonsense"],
        ["get", "--nonsense"],
        ["get", "-o", "xml"],
        ["apply"],
        ["delete"],
        ["delete", "--all"],
        ["delete", "web", "-f", "x.yaml"],
        ["wait"],
        ["wait", "web", "-f", "x.yaml"],
        ["wait", "--timeout", "soon", "web"],
        ["exec", "web"],
        ["logs", "web", "--since", "31-31-31"],
        ["exec", "-e", "novalue", "--env", "e", "web", "--", "true"],
    ],
)
def test_wrong_usage_ends_with_2(controller: CliController, e2e: RunE2E, line: list[str]) -> None:
    code, out, err = e2e(*line)
    assert (code, out) == (2, "")
    assert "Usage: e2e" in err
    assert "Error: " in err


def test_an_error_is_its_message_and_exit_code_1(e2e: RunE2E, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise WaitFailed("web is not ready:\n  exited with code 3")

    monkeypatch.setattr(get, "connect", fail)
    assert e2e("get") == (1, "", "error: web is not ready:\n  exited with code 3\n")


def test_an_interrupt_ends_with_130(e2e: RunE2E, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(get, "connect", interrupt)
    assert e2e("get")[0] == 130


def test_a_fault_of_ours_is_not_hidden(e2e: RunE2E, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(get, "connect", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        e2e("get")


def test_a_controller_that_is_not_there_is_told(e2e: RunE2E, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "STARTING_SECONDS", 0.1)
    code, _, err = e2e("--controller", "unix:///nonexistent/e2e.sock", "get")
    assert code == 1
    assert err.startswith("error: the controller at unix:/nonexistent/e2e.sock does not answer")


def test_an_address_that_is_none_is_told(e2e: RunE2E) -> None:
    code, _, err = e2e("--controller", "http://x", "get")
    assert code == 1
    assert "is not a controller's address" in err
