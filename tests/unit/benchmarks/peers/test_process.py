import os
import sys
from pathlib import Path

import pytest

from benchmarks.bench import until
from benchmarks.peers.contenders import descendants
from benchmarks.peers.process import DriverProcess, PeerFailedError

DRIVER = """
import subprocess, sys
child = subprocess.Popen(["sleep", "600"])
for line in sys.stdin:
    verb, _, rest = line.strip().partition(" ")
    if verb == "quit":
        break
    if verb == "crash":
        sys.exit("it crashed")
    if verb != "hang":
        print({"echo": f"ok {rest}", "fail": "error it failed"}.get(verb, ""), flush=True)
child.kill() if verb == "quit" else None
"""


@pytest.fixture
def driver(tmp_path: Path) -> DriverProcess:
    return DriverProcess([sys.executable, "-c", DRIVER], tmp_path / "log", {})


def test_an_answer_is_what_stands_behind_ok(driver: DriverProcess) -> None:
    with driver:
        assert driver.ask("echo two words") == "two words"
        assert driver.ask("echo") == ""


def test_what_a_driver_cannot_do_is_told_and_it_goes_on(driver: DriverProcess) -> None:
    with driver:
        with pytest.raises(PeerFailedError, match="it failed"):
            driver.ask("fail")
        assert driver.ask("echo again") == "again"


def test_a_driver_that_ends_says_why(driver: DriverProcess) -> None:
    with driver:
        for _ in range(2):
            with pytest.raises(PeerFailedError, match="it crashed"):
                driver.ask("crash")


def test_a_driver_that_does_not_answer_is_not_waited_for_for_ever(driver: DriverProcess) -> None:
    with driver, pytest.raises(PeerFailedError, match="no answer to 'hang'"):
        driver.ask("hang", seconds=0.1)


@pytest.mark.parametrize("last", ["echo", "crash"])
def test_what_a_driver_started_does_not_outlive_it(driver: DriverProcess, last: str) -> None:
    with driver:
        driver.ask("echo")
        children = descendants(driver.pid)
        assert len(children) == 1
        if last == "crash":
            with pytest.raises(PeerFailedError):
                driver.ask(last)
    until(lambda: not descendants(driver.pid), seconds=5)
    with pytest.raises(ProcessLookupError):
        os.kill(driver.pid, 0)
