"""A controller that is just starting: who starts one says so at once, and who needs one waits for it."""

import fcntl
import os
import socket
import time
from collections.abc import Sequence

from e2e_api.places import START_LOCK, state_folder

STARTING_SECONDS = 5.0
"""How long a command waits for the controller that it is told of."""
_PAUSE = 0.05
_ELSEWHERE = {"--state-dir", "--engine", "--config", "--ready-fd", "--help", "-h"}
"""Options of a controller that may have another state folder, or does not serve."""


def claim_start(arguments: Sequence[str]) -> list[str]:
    """Options more for a controller that is started with those; this process is to become it.

    Until it serves, or has ended, it holds the lock of who starts an embedded controller: whoever needs one
    meanwhile waits for this one, and does not start another that would take its state folder.
    """
    given = {argument.partition("=")[0] for argument in arguments}
    if given & _ELSEWHERE or "E2E_CONFIG" in os.environ:
        return []
    folder = state_folder(os.environ)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / START_LOCK, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        return []  # the controller will say what is wrong with it
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)  # somebody starts one just now, and the folder is theirs
        return []
    os.set_inheritable(descriptor, True)
    return [f"--ready-fd={descriptor}"]  # is closed once it serves, and so is the lock


def wait_serving(address: str) -> None:
    """Waits a while for what listens at gRPC's name of an address; who comes in vain is told by the call."""
    deadline = time.monotonic() + STARTING_SECONDS
    while not _listens(address) and time.monotonic() < deadline:
        time.sleep(_PAUSE)


def _listens(address: str) -> bool:
    kind, _, place = address.partition(":")
    try:
        if kind == "unix":
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(1.0)
                client.connect(place)
        else:
            host, _, port = place.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), timeout=1.0).close()
    except OSError:
        return False
    return True
