"""Asks the controller that serves `E2E_HEALTH_SOCKET` whether it can do its work: a container's health check.

Prints the answer. Exit codes: 0 it can; 1 it cannot, or does not answer within `PATIENCE` seconds.
"""

import os
import socket
import sys

PATIENCE = 4.0
WELL = "ok"
_LONGEST_ANSWER = 4096


def main() -> int:
    """Gives the exit code."""
    path = os.environ.get("E2E_HEALTH_SOCKET", "")
    try:
        answer = ask(path)
    except OSError as error:
        answer = f"no answer at {path or 'E2E_HEALTH_SOCKET, which names no socket'}: {error}"
    sys.stdout.write(f"{answer}\n")
    return 0 if answer == WELL else 1


def ask(path: str) -> str:
    """`ok`, or the reason why the controller cannot do its work. Raises OSError."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(path)
        return connection.makefile("rb").read(_LONGEST_ANSWER).decode(errors="replace").strip()


if __name__ == "__main__":
    sys.exit(main())
