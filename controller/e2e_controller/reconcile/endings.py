"""How containers ended, in words: exit code, signal, what that commonly means, and what helps. Pure."""

import contextlib
import signal

from e2e_controller.drivers.base import Container
from e2e_controller.objects import ObjectStatus, PastContainer

_MEANINGS = {
    126: "its command is there but cannot be executed: no permission, or built for another kind of machine; "
    "correct entrypoint or command",
    127: "its command, or one that it called, was not found: correct entrypoint, command or image",
    134: "it aborted itself, as programs do when an assertion fails: see its log",
    137: "something outside killed it: `docker kill`, or the kernel when the machine's memory ran out, which "
    "`dmesg` on the engine's host would say",
    139: "it crashed by a memory fault of its own (segmentation fault): see its log, or try another version",
    143: "something outside asked it to end, such as `docker stop`",
}
"""By exit code."""


def signal_name(exit_code: int | None) -> str:
    """The signal that ended it, such as `SIGKILL`; empty where it ended by itself."""
    if exit_code is not None and exit_code > 128:
        with contextlib.suppress(ValueError):
            return signal.Signals(exit_code - 128).name
    return ""


def how_it_ended(container: Container, *, asked: bool = False) -> str:
    """One line; where the end was `asked` for by a manifest, without what it may mean."""
    code = container.exit_code
    text = f"exited with code {code}"
    if name := signal_name(code):
        text += f" ({name})"
    if container.started_at and container.finished_at:
        # The engine writes the two down in two places, and may take the end for the earlier one.
        seconds = max(0.0, (container.finished_at - container.started_at).total_seconds())
        text += f" after {seconds:.1f}s"
    if container.oom_killed:
        text += "; it ran out of memory: raise resources.memory"
    elif code in _MEANINGS and not asked:
        text += f"; {_MEANINGS[code]}"
    if container.error:
        text += f"; {container.error}"
    return text


def lost_container(status: ObjectStatus, container: Container | None) -> PastContainer | None:
    """What is known of a container that was there at the last look, and that somebody else removed."""
    known = status.container
    if known is None or (container is not None and container.id == known.id):
        return None
    lines = status.last_log_lines or ("(it was removed before its log could be read)",)
    return PastContainer(known, status.restart_count, lines)
