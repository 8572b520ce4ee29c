"""Signals that wait for the right moment. Importing this takes them in, before anything slow is loaded."""

import signal
import sys
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_SECONDS = 0.05


class Interrupted(BaseException):
    """Ctrl+C, or a signal that asks to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Interrupts:
    """Signals as an exception: once, and only while let through, so that no clean-up is cut short."""

    def __init__(self) -> None:
        self._held = True
        self._raised = False
        self._number = 0
        for number in SIGNALS:
            signal.signal(number, self._arrived)
        signal.signal(signal.SIGALRM, lambda _number, _frame: self._raise_once())
        sys.unraisablehook = self._unheard

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        self._number = number
        self._raise_once()

    def _raise_once(self) -> None:
        if not self._held and not self._raised:
            self.check()

    def _unheard(self, unraisable: "sys.UnraisableHookArgs") -> None:
        """Where a finalizer or a callback ran just then, exceptions get nowhere: it is raised again soon."""
        if unraisable.exc_type is not Interrupted:
            sys.__unraisablehook__(unraisable)
            return
        self._raised = False
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)

    def check(self) -> None:
        """Raises what has arrived while signals were held."""
        if self._number:
            self._raised = True
            raise Interrupted(self._number)

    def let_through(self) -> None:
        """From here on a signal raises `Interrupted`; so does one that has arrived already."""
        self._held = False
        self.check()

    def hold(self) -> None:
        """From here on signals wait."""
        self._held = True

    def ignore(self) -> None:
        """From here to the end of the process there is nothing left to clean up."""
        for number in (*SIGNALS, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)


INTERRUPTS = Interrupts()
