"""The controller where it may be a container's first process, which passes signals on, and reaps.

The kernel drops the signals that such a process has no handler for yet, and gives it all orphans. So it only
attends to the controller, which is its child.
"""

import os
import signal
import sys

_PASSED_ON = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
_AWAITED = _PASSED_ON | {signal.SIGCHLD}
FIRST = 1


def main() -> None:
    """As `e2e-controller`, with its options and exit codes; 128 + the number where a signal ended it."""
    if os.getpid() == FIRST:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
        child = os.fork()
        if child:
            sys.exit(attend(child))
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    from e2e_controller.__main__ import main

    main()


def attend(child: int) -> int:
    """Passes signals on until the child has ended, and reaps whatever else ends. `_AWAITED` are blocked."""
    while True:
        number = signal.sigwait(_AWAITED)
        if number != signal.SIGCHLD:
            os.kill(child, number)  # it is there, or a zombie until it is reaped below
        elif (code := _reap(child)) is not None:
            return code


def _reap(child: int) -> int | None:
    """The child's exit code where it is among those that have ended."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        if pid == 0:
            return None


if __name__ == "__main__":
    main()
