"""Make a container engine answer: use the one that runs, else start Debian's. Quick when one answers.

Exit codes: 0 an engine answers; 1 none does, and the message says what to do.
"""

import sys

from setup import debian, dockerd
from setup.endpoint import Endpoint, EndpointError, find_endpoint, ping
from setup.locks import LockTimeoutError, exclusive

PING_TIMEOUT = 30
LOCK_TIMEOUT = 1200


def main() -> int:
    """Make an engine answer, or say why none does."""
    try:
        endpoint = find_endpoint()
        started = ensure_engine(endpoint)
    except (EndpointError, debian.PackageError, dockerd.DaemonError, LockTimeoutError, OSError) as error:
        print(f"no container engine: {error}", file=sys.stderr)
        return 1
    print(f"engine: {endpoint.host} {'was started' if started else 'answers'}", flush=True)
    return 0


def ensure_engine(endpoint: Endpoint) -> bool:
    """Make the engine answer; return whether it had to be started for that."""
    try:
        ping(endpoint, PING_TIMEOUT)
    except EndpointError as error:
        _refuse_what_must_not_be_started(endpoint, error)
    else:
        return False
    with exclusive(dockerd.STATE / "lock", LOCK_TIMEOUT):
        try:
            ping(endpoint, PING_TIMEOUT)
        except EndpointError:
            dockerd.start(endpoint)
            return True
    return False


def _refuse_what_must_not_be_started(endpoint: Endpoint, error: EndpointError) -> None:
    if not endpoint.is_default:
        raise EndpointError(f"{error}\nStart that engine, or name another one, with DOCKER_HOST for example.")
    if isinstance(error.__cause__, PermissionError):
        raise EndpointError(
            f"{error}\nYou may not open the socket: join its group (`usermod -aG docker $USER`, then log in"
            " again), or set DOCKER_HOST to a rootless engine."
        )
    if not debian.is_root() or not debian.has_apt():
        raise EndpointError(
            f"{error}\nStart Docker (or set DOCKER_HOST to an engine), or run this as root on Debian, where"
            " it installs and starts one by itself."
        )


if __name__ == "__main__":
    sys.exit(main())
