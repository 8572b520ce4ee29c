"""Make `.venv` hold what requirements.lock pins, and this project, editable. Quick when it does.

Exit codes: 0 the environment is ready; 1 it is not, and the message says what to do.
"""

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from setup.debian import PackageError, install
from setup.locks import LockTimeoutError, exclusive
from setup.tries import patiently

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv"
PYTHON = FOLDER / "bin" / "python"
STAMP = FOLDER / ".stamp"
TIMEOUT = 1200


class SetUpError(Exception):
    """A step failed; its own words went to the terminal."""


def main() -> int:
    """Make the environment ready."""
    try:
        with exclusive(ROOT / ".cache" / "python-environment.lock", TIMEOUT):
            make_ready()
    except (SetUpError, PackageError, LockTimeoutError, OSError) as error:
        print(f"python environment: {error}", file=sys.stderr)
        return 1
    return 0


def make_ready() -> None:
    """Install what the stamp does not vouch for."""
    wanted = _digest()
    if not _is_made_of(wanted):
        _create()
        _install()
    # Written anew in any case: make compares its time with the lock file's.
    STAMP.write_text(wanted)


def _digest() -> str:
    content = sha256(sys.version.encode())
    for name in ("requirements.lock", "pyproject.toml"):
        content.update((ROOT / name).read_bytes())
    return content.hexdigest()


def _is_made_of(wanted: str) -> bool:
    return PYTHON.exists() and STAMP.exists() and STAMP.read_text() == wanted


def _create() -> None:
    STAMP.unlink(missing_ok=True)
    if importlib.util.find_spec("ensurepip") is None:
        install(["python3-venv"], "this Python cannot make virtual environments")
    print("making .venv from requirements.lock", flush=True)
    # A link to a Python that is gone cannot be repaired in place.
    clear = ["--clear"] if PYTHON.is_symlink() and not PYTHON.exists() else []
    _run([sys.executable, "-m", "venv", *clear, str(FOLDER)])


def _install() -> None:
    pip = [str(PYTHON), "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", "install"]
    patiently(lambda: _run([*pip, "--require-hashes", "--requirement", "requirements.lock"]), SetUpError)
    _run([*pip, "--no-deps", "--no-build-isolation", "--editable", "."])


def _run(command: Sequence[str]) -> None:
    try:
        finished = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, timeout=TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise SetUpError(f"`{' '.join(command)}` did not end within {TIMEOUT} s") from error
    if finished.returncode:
        raise SetUpError(f"`{' '.join(command)}` ended with {finished.returncode}")


if __name__ == "__main__":
    sys.exit(main())
