"""Environments that run until somebody asks for their end."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import httpx
import pytest

import e2e
from e2e import endings
from tests.free_ports import free_port

from .fake_controller import FakeController

SECONDS = 60.0
HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SCRIPT = """
import asyncio, signal, e2e
{before}
{kind}
print("ended", signal.getsignal(signal.SIGINT) is signal.default_int_handler, flush=True)
"""
SYNC = """
with e2e.Environment("shop") as env:
    env.{call}
"""
ASYNC = """
async def main():
    async with e2e.AsyncEnvironment("shop") as env:
        await env.{call}
asyncio.run(main())
"""
KINDS = {"sync": SYNC, "async": ASYNC}
# Whatever the runner's are: in the background it may ignore interrupts, under `nohup` hangups.
USUAL = """
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
"""
ELSEWHERE = """
import sys, threading
def arrive():
    sys.stdin.readline()
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    threading.Event().wait()
threading.Thread(target=arrive, daemon=True).start()
"""
"""A signal that another thread than the main one is interrupted by."""


@contextmanager
def running(kind: str, call: str, before: str = "") -> Iterator[subprocess.Popen[str]]:
    """A program with an environment, which has said that it runs; what it said is in `said`."""
    script = SCRIPT.format(kind=KINDS[kind].format(call=call), before=before)
    command = [sys.executable, "-c", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def end_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    rest, _ = process.communicate(timeout=SECONDS)
    return process.returncode, rest


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("call", "number"),
    [
        *(("run_until_interrupted()", number) for number in HANDLED),
        ("run_until_endpoint_hit()", signal.SIGTERM),
    ],
)
def test_a_signal_ends_the_block_as_usual(
    controller: FakeController, kind: str, number: signal.Signals, call: str
) -> None:
    with running(kind, call, USUAL) as process:
        assert said(process).startswith("environment shop runs until ")
        assert controller.held == ["shop"]
        process.send_signal(number)
        code, rest = end_of(process)
    assert (code, rest) == (0, "ended True\n")
    assert len(controller.requests) > 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", ["run_until_interrupted()", "run_until_endpoint_hit()"])
def test_a_signal_that_interrupts_no_wait_ends_it_too(
    controller: FakeController, kind: str, call: str
) -> None:
    """As one that comes just before the main thread blocks."""
    with running(kind, call, ELSEWHERE) as process:
        said(process)
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert end_of(process)[0] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_that_it_runs(controller: FakeController, kind: str) -> None:
    with running(kind, "run_until_interrupted()") as process:
        assert said(process) == "environment shop runs until interrupted (Ctrl+C)\n"
        process.terminate()
        assert end_of(process)[0] == 0


def test_a_hangup_that_is_ignored_stays_so(controller: FakeController) -> None:
    before = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"  # as `nohup` starts it
    with running("sync", "run_until_interrupted()", before) as process:
        said(process)
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        process.terminate()
        assert end_of(process)[0] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_get_of_the_printed_address_ends_it(controller: FakeController, kind: str) -> None:
    with running(kind, "run_until_endpoint_hit()") as process:
        first = said(process)
        found = re.fullmatch(
            r"environment shop runs until (http://127\.0\.0\.1:\d+/end-shop) is requested, or interrupted "
            r"\(Ctrl\+C\)\n",
            first,
        )
        assert found is not None, first
        url = found[1]
        base = url.rpartition("/")[0]
        with httpx.Client(trust_env=False, timeout=SECONDS) as client, idle_connection(base):
            for path in ("", "/", "/favicon.ico", "/end", "/end-shop/"):
                assert client.get(base + path).status_code == 404
            assert client.head(url).status_code == 501
            assert client.post(url).status_code == 501
            assert process.poll() is None
            answer = client.get(f"{url}?from=here")
        assert (answer.status_code, answer.text) == (200, "environment shop ends\n")
        code, rest = end_of(process)
    assert code == 0
    assert rest.startswith("ended")


@contextmanager
def idle_connection(base: str) -> Iterator[None]:
    """As browsers keep one at hand."""
    host, _, port = base.removeprefix("http://").rpartition(":")
    with closing(socket.create_connection((host, int(port)), timeout=SECONDS)):
        yield


def test_the_port_may_be_named(controller: FakeController, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken, e2e.Environment("shop") as env:
        port = taken.getsockname()[1]
        with pytest.raises(e2e.Conflict, match=f"port {port} cannot be listened on: Address already in use"):
            env.run_until_endpoint_hit(port)
        taken.close()
        asking = threading.Thread(target=until_answered, args=(f"http://127.0.0.1:{port}/end-shop",))
        asking.start()
        env.run_until_endpoint_hit(port)
        asking.join()
    assert f"http://127.0.0.1:{port}/end-shop" in capfd.readouterr().out


def until_answered(url: str) -> None:
    transport = httpx.HTTPTransport(retries=100)
    with httpx.Client(trust_env=False, timeout=SECONDS, transport=transport) as client:
        assert client.get(url).status_code == 200


@pytest.mark.parametrize("port", [-1, 65536])
def test_what_is_no_port(controller: FakeController, port: int) -> None:
    with e2e.Environment("shop") as env, pytest.raises(e2e.InvalidArgument, match="expected 0 to 65535"):
        env.run_until_endpoint_hit(port)


def in_thread(function: Callable[[], None]) -> BaseException | None:
    """What the function raises in a thread of its own."""
    raised: list[BaseException] = []

    def call() -> None:
        try:
            function()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive()
    return raised[0] if raised else None


def test_in_another_thread_only_the_address_ends_it(
    controller: FakeController, capfd: pytest.CaptureFixture[str]
) -> None:
    with e2e.Environment("shop") as env:
        error = in_thread(env.run_until_interrupted)
        assert isinstance(error, e2e.InvalidArgument)
        assert "needs the main thread" in str(error)
        port = free_port()
        asking = threading.Thread(target=until_answered, args=(f"http://127.0.0.1:{port}/end-shop",))
        asking.start()
        assert in_thread(lambda: env.run_until_endpoint_hit(port)) is None
        asking.join()


def test_before_the_start(controller: FakeController) -> None:
    before = [signal.getsignal(number) for number in HANDLED]
    env = e2e.Environment("shop")
    for call in (env.run_until_interrupted, env.run_until_endpoint_hit):
        with pytest.raises(e2e.NotRunning):
            call()
    assert [signal.getsignal(number) for number in HANDLED] == before


async def test_cancelled_it_leaves_the_signals_as_they_were(
    controller: FakeController, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = asyncio.Event()
    monkeypatch.setattr(endings, "announce", lambda _text: runs.set())
    before = [signal.getsignal(number) for number in HANDLED]
    async with e2e.AsyncEnvironment("shop") as env:
        task = asyncio.create_task(env.run_until_endpoint_hit())
        await runs.wait()
        assert [signal.getsignal(number) for number in HANDLED] != before
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [signal.getsignal(number) for number in HANDLED] == before
