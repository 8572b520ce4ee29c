"""`python -m tests.again ARGUMENTS` runs pytest, and the few tests that failed once more by themselves.

Thousands of tests with real containers, clocks and signals share a busy machine, and one that fails by chance
says nothing about the change at hand. It is a defect all the same: its failure is shown in full, it is named
again at the end, and more than `MOST` of them are never taken for chance.
"""

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

MOST = 3
"""Tests that may fail by chance in one run."""


def main(arguments: list[str]) -> int:
    """pytest's exit code; 0, too, where all that failed passes when it is run again."""
    with tempfile.TemporaryDirectory(prefix="e2e-again-") as cache:
        command = [sys.executable, "-m", "pytest", "-o", f"cache_dir={cache}", *arguments]
        code = run(command)
        failed = last_failed(Path(cache))
        # Any other code tells of more than failed tests: broken files, an interrupt, what was left behind.
        if code != pytest.ExitCode.TESTS_FAILED or not 0 < len(failed) <= MOST:
            return code
        say(f"{len(failed)} failed, and run once more by themselves")
        code = run([*command, "-n", "0", "--last-failed"])
        if code == pytest.ExitCode.OK:
            say("FLAKY, as they failed the first time: " + ", ".join(failed))
        return code


def run(command: list[str]) -> int:
    """pytest's exit code; at an interrupt, which the terminal sends to pytest too, it may clean up."""
    signal.signal(signal.SIGINT, lambda *_: None)
    with subprocess.Popen(command) as process:
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        return process.wait()


def last_failed(cache: Path) -> list[str]:
    """The ids that pytest's cache plugin keeps of what failed."""
    try:
        return sorted(json.loads((cache / "v/cache/lastfailed").read_text()))
    except FileNotFoundError:
        return []


def say(line: str) -> None:
    sys.stdout.write(f"\n=== {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
