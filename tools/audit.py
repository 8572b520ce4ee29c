"""Look for known weaknesses: in what requirements.lock pins, in our own code, and in the controller's image.

Also whether all that the image is made of is there for each kind of machine.
What cannot be asked here is said, and is no failure: a database that does not answer, a scanner that is not
installed. Exit codes: 0 nothing was found where it could be looked for; 1 something was.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("proto", "controller", "sdk", "e2edb")
TIMEOUT = 90
SCAN_TIMEOUT = 900
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
SCANNERS: Mapping[str, Sequence[str]] = {
    "trivy": ("image", "--quiet", "--exit-code", "1", "--severity", "HIGH,CRITICAL", "--ignore-unfixed"),
    "grype": ("--quiet", "--fail-on", "high", "--only-fixed"),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one look gave."""

    text: str
    found: bool = False


def main() -> int:
    """Does all of it, and tells."""
    parser = argparse.ArgumentParser(description="Look for known weaknesses.")
    parser.add_argument("--image", default="e2e-controller:dev", help="to scan (default %(default)s)")
    image = parser.parse_args().image
    looks: dict[str, Callable[[], Outcome]] = {"requirements.lock": dependencies, "code": code}
    looks |= {f"linux/{name}": lambda name=name: wheels(name) for name in MACHINES}  # type: ignore[misc]
    looks |= {name: lambda name=name: scanned(name, image) for name in SCANNERS}  # type: ignore[misc]
    found = False
    for name, look in looks.items():
        outcome = look()
        found = found or outcome.found
        print(f"{name}: {outcome.text}", flush=True)
    return 1 if found else 0


def dependencies() -> Outcome:
    """What PyPI knows of the locked versions."""
    options = ["--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    options += ["--timeout", "5"]
    done = _run([sys.executable, "-m", "pip_audit", "--requirement", "requirements.lock", *options])
    try:
        return judged(json.loads(done.stdout)["dependencies"])
    except (ValueError, KeyError):
        return Outcome(f"not audited: {_last_line(done.stderr)}")


def judged(packages: Sequence[Mapping[str, Any]]) -> Outcome:
    """From pip-audit's list; what it skips, it takes for safe."""
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    weak = [
        f"{package['name']} {package['version']}: {weakness['id']}, fixed in {weakness['fix_versions']}"
        for package in packages
        for weakness in package.get("vulns", ())
    ]
    if len(skipped) == len(packages):
        return Outcome("not audited: the database knows none of them, as where only a mirror answers")
    left_out = f"; not audited: {', '.join(skipped)}" if skipped else ""
    known = "\n".join(["known weaknesses:", *weak]) if weak else "no known weaknesses"
    return Outcome(f"{known} in {len(packages) - len(skipped)} packages{left_out}", bool(weak))


def code() -> Outcome:
    """What bandit says of our own."""
    done = _run([sys.executable, "-m", "bandit", "--quiet", "--recursive", *SOURCES], SCAN_TIMEOUT)
    return Outcome("clean" if done.returncode == 0 else done.stdout, done.returncode != 0)


def wheels(machine: str) -> Outcome:
    """Whether all that the image is made of is there for that machine, of the locked versions and hashes."""
    platforms = [f"manylinux{version}_{MACHINES[machine]}" for version in ("2014", "_2_17", "_2_28")]
    command = [sys.executable, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", "install"]
    command += [
        "--dry-run",
        "--target",
        "build/none",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--require-hashes",
    ]
    command += [word for platform in platforms for word in ("--platform", platform)]
    command += [word for lock in ("build", "runtime") for word in ("--requirement", f"image/{lock}.lock")]
    done = _run(command)
    return Outcome("all wheels are there" if done.returncode == 0 else f"not sure: {_last_line(done.stderr)}")


def scanned(scanner: str, image: str) -> Outcome:
    """What a scanner of images says, where it is installed."""
    if shutil.which(scanner) is None:
        return Outcome("not installed, so the image is not scanned by it")
    done = _run([scanner, *SCANNERS[scanner], image], SCAN_TIMEOUT)
    return Outcome(done.stdout + done.stderr or "clean", done.returncode != 0)


def _run(command: Sequence[str], timeout: float = TIMEOUT) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {timeout} s")


def _last_line(text: str) -> str:
    return next(reversed(text.strip().splitlines()), "no answer")


if __name__ == "__main__":
    sys.exit(main())
