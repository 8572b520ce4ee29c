"""Which command opens an address where; each is a script that writes down what it was given."""

import os
import time
from pathlib import Path

import pytest

import e2e
from e2e import browser

from .fake_controller import FakeController, ready_object


class Machine:
    """A machine with only these programs."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self._log = folder / "opened"

    def install(self, name: str, then: str = "") -> Path:
        path = self.bin / name
        path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$0" "$@" > {self._log}.new\n{then}\n: > {self._log}\n')
        path.chmod(0o755)
        return path

    def opened(self) -> list[str]:
        """The words of the command that was started: its name, then what it was given."""
        deadline = time.monotonic() + 30
        while not self._log.exists():
            assert time.monotonic() < deadline, "nothing was started"
            time.sleep(0.005)
        command, *words = Path(f"{self._log}.new").read_text().splitlines()
        return [Path(command).name, *words]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine(tmp_path)
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(found.bin))
    monkeypatch.setattr(browser.sys, "platform", "linux")
    monkeypatch.setattr(browser, "_KERNEL", tmp_path / "none")
    return found


def test_without_a_browser_the_address_is_printed(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.install("xdg-open")  # of no use without a display
    assert not e2e.open_in_browser("http://127.0.0.1:9090/graph")
    assert capsys.readouterr().out == "to be opened in a browser: http://127.0.0.1:9090/graph\n"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("mine", ["mine", "http://a/?x=1&y=2"]),
        ("mine --new '%s' end", ["mine", "--new", "http://a/?x=1&y=2", "end"]),
        ("mine --url=%s &", ["mine", "--url=http://a/?x=1&y=2"]),
        ("missing:mine", ["mine", "http://a/?x=1&y=2"]),
        ("mine 'open end", ["mine", "'open", "end", "http://a/?x=1&y=2"]),
    ],
)
def test_the_users_own_choice(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, value: str, words: list[str]
) -> None:
    machine.install("mine")
    machine.install("xdg-open")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("BROWSER", value)
    assert e2e.open_in_browser("http://a/?x=1&y=2")
    assert machine.opened() == words


@pytest.mark.parametrize("display", ["DISPLAY", "WAYLAND_DISPLAY"])
@pytest.mark.parametrize(
    ("program", "words"), [("xdg-open", []), ("gio", ["open"]), ("firefox", []), ("chromium", [])]
)
def test_a_linux_desktop(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, display: str, program: str, words: list[str]
) -> None:
    machine.install(program)
    monkeypatch.setenv(display, "0")
    assert e2e.open_in_browser("127.0.0.1:9090")
    assert machine.opened() == [program, *words, "http://127.0.0.1:9090"]


def test_macos(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.install("open")
    monkeypatch.setattr(browser.sys, "platform", "darwin")
    assert e2e.open_in_browser("http://a/b c")
    assert machine.opened() == ["open", "http://a/b%20c"]


@pytest.mark.parametrize("told_by", ["variable", "kernel"])
@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("wslview", ["http://a/?x=%221%22&y=%41"]),
        ("cmd.exe", ["/c", "start", "", "http://a/?x=^%221^%22^&y=^%41"]),
    ],
)
def test_windows_linux(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, told_by: str, program: str, words: list[str]
) -> None:
    machine.install(program)
    if told_by == "variable":
        monkeypatch.setenv("WSL_DISTRO_NAME", "Debian")
    else:
        browser._KERNEL.write_text("5.15.90.1-microsoft-standard-WSL2\n")
    assert e2e.open_in_browser('http://a/?x="1"&y=%41')
    assert machine.opened() == [program, *words]


def test_it_does_not_wait_for_the_browser(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.install("slow", then="exec 3< $0.go")  # it waits for who writes
    os.mkfifo(machine.bin / "slow.go")
    monkeypatch.setenv("BROWSER", "slow")
    assert e2e.open_in_browser("http://a")
    assert not (machine.bin.parent / "opened").exists()
    (machine.bin / "slow.go").write_text("")
    assert machine.opened() == ["slow", "http://a"]


def test_a_browser_that_fails_leaves_the_address(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    machine.install("broken", then="echo noise; echo noise >&2; exit 3")
    monkeypatch.setenv("BROWSER", "broken")
    assert e2e.open_in_browser("http://a")
    deadline = time.monotonic() + 30
    told = ""
    while "\n" not in told and time.monotonic() < deadline:
        told += capfd.readouterr().out
        time.sleep(0.005)
    assert told == "to be opened in a browser: http://a\n"
    assert capfd.readouterr().err == ""


def test_one_that_cannot_be_run_is_as_none(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (machine.bin / "wrong").write_bytes(b"\x7fELF is what it is not")
    (machine.bin / "wrong").chmod(0o755)
    monkeypatch.setenv("BROWSER", "wrong")
    assert not e2e.open_in_browser("http://a")
    assert capsys.readouterr().out == "to be opened in a browser: http://a\n"


@pytest.mark.parametrize("wrong", ["", "http://", "--help://", "://a", "/etc/passwd"])
def test_what_is_no_address(machine: Machine, wrong: str) -> None:
    with pytest.raises(e2e.InvalidArgument, match="is no address: expected http://host:port/path"):
        e2e.open_in_browser(wrong)


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({}, "http://127.0.0.1:21000/"),
        ({"path": "/graph?g0.expr=up{}"}, "http://127.0.0.1:21000/graph?g0.expr=up%7B%7D"),
        ({"path": "status", "port": "admin"}, "https://127.0.0.1:21001/status"),
    ],
)
def test_a_workloads_page(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    controller: FakeController,
    options: dict[str, str],
    url: str,
) -> None:
    machine.install("mine")
    monkeypatch.setenv("BROWSER", "mine")
    with e2e.Environment("shop") as env:
        probe = e2e.HttpProbe(port="admin", path="/-/ready", scheme="HTTPS")
        web = env.workload("web", image="img:1", ports={"http": 80, "admin": 81}, readiness=probe)
        with pytest.raises(e2e.NotRunning):
            web.open_in_browser()
        endpoints = [
            {"port": name, "internal": f"web:{80 + at}", "external": f"127.0.0.1:{21000 + at}"}
            for at, name in enumerate(("http", "admin"))
        ]
        controller.objects[("shop", "Workload", "web")] = ready_object("shop", "web", endpoints=endpoints)
        assert web.open_in_browser(**options)
        with pytest.raises(e2e.NotFound, match="has no port 'grpc'"):
            web.open_in_browser(port="grpc")
    assert machine.opened() == ["mine", url]
