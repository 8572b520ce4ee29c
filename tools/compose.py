"""Print the command that runs Compose files here; Debian's package is installed where there is none.

Exit codes: 0 it is there; 1 it is not, and the message says why.
"""

import shutil
import subprocess
import sys

from setup.debian import PackageError, install
from setup.locks import LockTimeoutError, cache_folder, exclusive

PACKAGE = "docker-compose"
INSTALL_TIMEOUT = 900


def main() -> int:
    """Do it."""
    try:
        with exclusive(cache_folder() / "compose.lock", INSTALL_TIMEOUT):
            print(" ".join(find() or _installed()))
    except (PackageError, LockTimeoutError) as error:
        print(f"compose: {error}", file=sys.stderr)
        return 1
    return 0


def find() -> list[str]:
    """The plugin of the engine's command line, else the program of its own; empty where there is neither."""
    plugin = ["docker", "compose"]
    if shutil.which("docker"):
        answer = subprocess.run([*plugin, "version"], capture_output=True, text=True)
        if answer.returncode == 0 and "Compose" in answer.stdout:
            return plugin
    return [PACKAGE] if shutil.which(PACKAGE) else []


def _installed() -> list[str]:
    install([PACKAGE], "the tests of the examples for CI")
    return find()


if __name__ == "__main__":
    sys.exit(main())
