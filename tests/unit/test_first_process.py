"""The controller's parent in a container: signals and exit codes go through it. Reaping: tests/scenarios."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

FIRST = """
import os
from e2e_controller import __main__, first_process

def controller():
    {does}

__main__.main = controller
first_process.FIRST = os.getpid()
first_process.main()
"""


def start(does: str) -> "subprocess.Popen[str]":
    does = textwrap.indent(textwrap.dedent(does), "    ").strip()
    program = [sys.executable, "-P", "-c", FIRST.format(does=does)]
    return subprocess.Popen(program, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("does", "code"),
    [
        ("pass", 0),
        ("raise SystemExit(3)", 3),
        ("os.kill(os.getpid(), 9)", 137),
        ("os.kill(os.getpid(), 15)", 143),
        ("if os.fork(): os._exit(4)", 4),  # not that of a grandchild
    ],
)
def test_its_exit_code_is_the_controllers(does: str, code: int) -> None:
    with start(does) as process:
        assert process.wait(120) == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_passes_signals_on(number: signal.Signals) -> None:
    handles = """
    import signal, sys, time
    signal.signal({0}, lambda number, _: sys.exit(number))
    print(signal.pthread_sigmask(signal.SIG_BLOCK, ()), flush=True)
    while True: time.sleep(0.1)  # unlike a pause, it misses nothing that comes just before it
    """
    with start(handles.format(int(number))) as process:
        assert process.stdout
        assert process.stdout.readline() == "set()\n"
        os.kill(process.pid, number)
        assert process.wait(120) == number


def test_elsewhere_there_is_no_parent() -> None:
    program = "import os; from e2e_controller import __main__, first_process as first; pid = os.getpid()\n"
    program += "__main__.main = lambda: print(os.getpid() == pid)\nfirst.main()"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout == "True\n"
