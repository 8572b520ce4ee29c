"""Shell scripts that the suite runs in containers, each with what it does in the fake."""

import shlex
from dataclasses import dataclass

from e2e_controller.drivers.fake import FakeDriver, FakeProcess, Program


@dataclass(frozen=True)
class Script:
    shell: str
    fake: Program

    @property
    def command(self) -> tuple[str, ...]:
        return "sh", "-c", self.shell


async def _both_streams(process: FakeProcess) -> int:
    await process.write(b"out\n")
    await process.write(b"err\n", "stderr")
    return 3


async def _trap(process: FakeProcess) -> int:
    await process.write(b"ready\n")
    await process.signal("SIGTERM")
    await process.write(b"asked\n")
    return 7


async def _trap_usr1(process: FakeProcess) -> int:
    await process.write(b"ready\n")
    await process.signal("SIGUSR1")
    await process.write(b"poked\n")
    await process.signal("SIGKILL")
    return 137


async def _end_on_usr1(process: FakeProcess) -> int:
    await process.write(b"ready\n")
    await process.signal("SIGUSR1")
    await process.write(b"poked\n")
    return 8


async def _surroundings(process: FakeProcess) -> int:
    text = f"{process.env['GREETING']}|{process.user}|{process.working_dir}\n"
    await process.write(text.encode())
    return 0


async def _binary(process: FakeProcess) -> int:
    await process.write(bytes(range(256)) * 4)
    return 0


async def _three_lines(process: FakeProcess) -> int:
    await process.write(b"one\ntwo\nthree\n")
    return 0


async def _line_then_wait(process: FakeProcess) -> int:
    await process.write(b"first\n")
    await process.signal("SIGTERM")
    await process.write(b"last\n")
    return 0


async def _ignore_input(process: FakeProcess) -> int:
    return 4


async def _mode(process: FakeProcess) -> int:
    content, mode = process.files["/srv/app/config.txt"]
    await process.write(f"{mode:o} ".encode() + content)
    return 0


BOTH_STREAMS = Script("echo out; echo err >&2; exit 3", _both_streams)
TRAP = Script(
    "trap 'echo asked; exit 7' TERM; echo ready; while :; do sleep 0.05; done",
    _trap,
)
TRAP_USR1 = Script(
    "trap 'echo poked' USR1; echo ready; while :; do sleep 0.05; done",
    _trap_usr1,
)
END_ON_USR1 = Script(
    "trap 'echo poked; exit 8' USR1; echo ready; while :; do sleep 0.05; done",
    _end_on_usr1,
)
SURROUNDINGS = Script('echo "$GREETING|$(id -u)|$(pwd)"', _surroundings)
BINARY = Script(
    "for n in 1 2 3 4; do i=0; while [ $i -lt 256 ]; do "
    'printf "\\\\$(printf %03o $i)"; i=$((i+1)); done; done',
    _binary,
)
THREE_LINES = Script("echo one; echo two; echo three", _three_lines)
LINE_THEN_WAIT = Script(
    "trap 'echo last; exit 0' TERM; echo first; while :; do sleep 0.05; done", _line_then_wait
)
IGNORE_INPUT = Script("exit 4", _ignore_input)
MODE = Script('echo "$(stat -c %a /srv/app/config.txt) $(cat /srv/app/config.txt)"', _mode)

ALL = (
    BOTH_STREAMS,
    TRAP,
    TRAP_USR1,
    END_ON_USR1,
    SURROUNDINGS,
    BINARY,
    THREE_LINES,
    LINE_THEN_WAIT,
    IGNORE_INPUT,
    MODE,
)


def teach(driver: FakeDriver) -> None:
    """The fake's shell knows these scripts."""
    for script in ALL:
        driver.engine.programs[shlex.join(script.command)] = script.fake
