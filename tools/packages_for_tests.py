"""Debian's packages for tests: of other ways to an engine (Podman, ssh), and of Compose files.

Only on a machine whose engine these tools have set up, too; elsewhere, and where the packages cannot be had,
those tests are skipped. Exit code: 0.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from setup import debian, dockerd
from setup.locks import LockTimeoutError, exclusive

# Podman's last two give containers names.
PACKAGES = {
    "sshd": ["openssh-server"],
    "podman": ["podman", "netavark", "aardvark-dns"],
    "ip": ["iproute2"],
    "docker-compose": ["docker-compose"],
}
POLICY = Path("/usr/sbin/policy-rc.d")
LOCK_TIMEOUT = 900


def main() -> int:
    """Install what is missing, where that is ours to do."""
    if not (dockerd.STATE.is_dir() and debian.is_root() and debian.has_apt()):
        return 0
    try:
        with exclusive(dockerd.STATE / "packages.lock", LOCK_TIMEOUT):
            missing = [name for program, names in PACKAGES.items() if not _is_here(program) for name in names]
            if missing:
                with _no_service_starts():
                    debian.install(missing, "tests")
    except (debian.PackageError, LockTimeoutError, OSError) as error:
        print(f"tests that need {', '.join(PACKAGES)} are skipped: {error}", file=sys.stderr)
    return 0


def _is_here(program: str) -> bool:
    return shutil.which(program, path="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin") is not None


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian asks this file whether a package may start its service; ours are started by the tests."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
