"""Probes that ask the engine: commands, log lines, HEALTHCHECK; and where a port is reached."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from e2e_api.manifests import Port
from e2e_controller.drivers.base import Container, ContainerGone, ExitCode, Health, Output
from e2e_controller.probes import Target, address_of
from e2e_controller.probes.log import logs_since

from .probe_helpers import START, Session, StubDriver, Watch, container_of, engine, exits

MakeWatch = Callable[..., Watch]


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("session", "ready", "answer"),
    [
        (exits(0, "fine\n"), True, "exit code 0"),
        (exits(1, "one\ntwo\n\n"), False, "exit code 1: two"),
        (exits(3), False, "exit code 3"),
        (exits(1, "x" * 5000), False, "exit code 1: " + "x" * 197 + "..."),
        (Session([Output("stderr", b"\xff no\r\n"), ExitCode(126)]), False, "exit code 126: \ufffd no"),
        (Session([]), False, "the command's exit code is not known"),
        (ContainerGone("no such container"), False, "no such container"),
    ],
)
async def test_commands(
    make_watch: MakeWatch, session: Session | Exception, ready: bool, answer: str
) -> None:
    watch = make_watch(StubDriver(run=lambda: session))
    watch.start({"exec": {"command": ["pg_isready", "-U", "a b"]}})
    await asyncio.sleep(0.001)
    report = watch.report
    assert (report.ready, report.answer) == (ready, answer)
    assert report.request == "exec pg_isready -U 'a b'"
    assert watch.driver.commands == [("c1", ("pg_isready", "-U", "a b"))]
    assert isinstance(session, Exception) or session.closed


@pytest.mark.looptime
async def test_a_log_line(make_watch: MakeWatch) -> None:
    watch = make_watch()
    watch.start({"log": {"pattern": "listening on .*80$"}})
    for text in ("starting\n\nlist", "ening on port 8080", "1\nlistening on port 80"):
        watch.driver.log(text)
        await asyncio.sleep(1)
    assert watch.report.answer == "no line matches 'listening on .*80$' (2 lines seen)"
    assert watch.report.request == "a log line that matches 'listening on .*80$'"
    watch.driver.log("\n")
    await asyncio.sleep(0.001)
    assert watch.told == [(3, True, False)]
    assert watch.report.answer == "1 of 3 lines match"
    await asyncio.sleep(1000)
    assert watch.report.ready
    assert (watch.driver.following, watch.driver.followed_since) == (0, [None])


@pytest.mark.looptime
async def test_as_many_lines_as_asked_for_on_either_stream(make_watch: MakeWatch) -> None:
    watch = make_watch()
    watch.start({"log": {"pattern": "ready", "count": 3}})
    watch.driver.log("ready\nrea")
    watch.driver.log("ready\r\n", "stderr")
    await asyncio.sleep(1)
    assert watch.report.answer == "2 of 3 lines match 'ready' (2 lines seen)"
    watch.driver.log("dy\nmore\n")
    await asyncio.sleep(1)
    assert watch.report.ready


@pytest.mark.looptime
async def test_the_last_line_needs_no_end(make_watch: MakeWatch) -> None:
    watch = make_watch()
    watch.start({"log": {"pattern": "ready"}})
    watch.driver.log("ready")
    await asyncio.sleep(1)
    assert not watch.report.ready
    watch.driver.output.put_nowait(None)
    await asyncio.sleep(1)
    assert watch.report.ready


@pytest.mark.looptime
async def test_a_line_without_end_is_cut(make_watch: MakeWatch) -> None:
    watch = make_watch()
    watch.start({"log": {"pattern": "ready"}})
    for _ in range(20):
        watch.driver.log("x" * 10_000)
    watch.driver.log("ready")
    await asyncio.sleep(1)
    assert watch.report.answer == "no line matches 'ready' (2 lines seen)"


async def test_a_costly_pattern_does_not_hold_the_loop(make_watch: MakeWatch) -> None:
    """A line takes a second or so, in which the loop goes on; a machine that stops just then may hide it."""
    watch = make_watch()
    watch.start({"log": {"pattern": "(?:a?){1000}(?:a?){1000}b"}})
    for number in range(30):
        watch.driver.log("a" * 60_000 + "\n")
        turns = 0
        while f"({number} line" in watch.report.answer:
            await asyncio.sleep(0.001)
            turns += 1
        assert f"({number + 1} line" in watch.report.answer
        if turns > 20:
            break
    assert turns > 20


@pytest.mark.looptime
async def test_logs_that_break_off_are_read_again(make_watch: MakeWatch) -> None:
    watch = make_watch()
    watch.start({"log": {"pattern": "ready", "count": 2}, "startupTimeout": "30s"})
    watch.driver.log("ready\n")
    watch.driver.output.put_nowait(ContainerGone("the engine went away"))
    await asyncio.sleep(0.5)
    assert watch.report.answer.endswith("(1 line seen): the engine went away")
    watch.driver.log("ready\n")
    await asyncio.sleep(5)
    assert not watch.report.ready  # counted from the beginning
    await asyncio.sleep(30)
    assert watch.told == [(30, False, True)]
    watch.driver.log("ready\n")
    await asyncio.sleep(1)
    assert watch.told[1:] == [(35.5, True, False)]


@pytest.mark.looptime
async def test_forgetting_stops_reading_logs(make_watch: MakeWatch) -> None:
    watch = make_watch()
    watch.start({"log": {"pattern": "ready"}})
    await asyncio.sleep(1)
    assert watch.driver.following == 1
    await watch.prober.aclose()
    assert watch.driver.following == 0


@pytest.mark.parametrize(
    ("started", "finished", "since"),
    [
        (None, None, None),
        (10, None, None),
        (10, 8, 9),
        (10, 9.5, 9.75),
        (10, 0, 9),
        (10, 11, None),
    ],
)
def test_logs_of_an_earlier_run_do_not_count(
    started: float | None, finished: float | None, since: float | None
) -> None:
    def at(seconds: float | None) -> datetime | None:
        return None if seconds is None else START + timedelta(seconds=seconds)

    assert logs_since(container_of(started_at=at(started), finished_at=at(finished))) == at(since)


@pytest.mark.looptime
async def test_healthcheck(make_watch: MakeWatch) -> None:
    watch = make_watch()
    answers = []
    for health in (Health.NONE, Health.STARTING, Health.HEALTHY, Health.HEALTHY, Health.UNHEALTHY):
        output = "exit code 1: sick" if health is Health.UNHEALTHY else ""
        watch.container = replace(watch.container, health=health, health_output=output)
        watch.start({"healthcheck": {}})
        await asyncio.sleep(1)
        answers.append((watch.report.ready, watch.report.answer))
    assert answers == [
        (False, "the image has no HEALTHCHECK"),
        (False, "starting"),
        (True, "healthy"),
        (True, "healthy"),
        (False, "unhealthy: exit code 1: sick"),
    ]
    assert watch.told == [(2, True, False), (4, False, False)]
    assert watch.report.request == "HEALTHCHECK of the image"


@pytest.mark.looptime
async def test_healthcheck_times_out(make_watch: MakeWatch) -> None:
    watch = make_watch()
    watch.container = replace(watch.container, health=Health.STARTING)
    watch.start({"healthcheck": {}, "startupTimeout": "5s"})
    await asyncio.sleep(10)
    assert watch.told == [(5, False, True)]


@pytest.mark.looptime
async def test_a_port_without_an_address_times_out(make_watch: MakeWatch) -> None:
    watch = make_watch(reachable=False)
    watch.start({"tcp": {"port": "http"}, "startupTimeout": "5s"}, {"http": 80})
    await asyncio.sleep(10)
    assert watch.told == [(5, False, True)]
    assert watch.report.answer == "the container has no address that the controller reaches"


@pytest.mark.parametrize(
    ("reachable", "container", "port", "target"),
    [
        (True, container_of(address="172.17.0.2"), Port(container_port=80), Target("172.17.0.2", 80)),
        (True, container_of(address=""), Port(container_port=80), None),
        (
            True,
            container_of(address="", host_ports={"80/tcp": 8080}),
            Port(container_port=80),
            Target("127.0.0.1", 8080, proxied=True),
        ),
        (
            False,
            container_of(address="172.17.0.2", host_ports={"80/tcp": 8080, "80/udp": 9090}),
            Port(container_port=80),
            Target("127.0.0.1", 8080, proxied=True),
        ),
        (False, container_of(address="172.17.0.2"), Port(container_port=80), None),
        (
            False,
            replace(container_of(host_ports={"80/tcp": 8080}), host_address="192.0.2.1"),
            Port(container_port=80),
            Target("192.0.2.1", 8080, proxied=True),
        ),
        (
            False,
            replace(container_of(host_ports={"80/tcp": 8080}), host_address=""),
            Port(container_port=80),
            None,
        ),
    ],
)
def test_where_a_port_is_reached(
    reachable: bool, container: Container, port: Port, target: Target | None
) -> None:
    assert address_of(engine(reachable), container, port) == target


def test_addresses_in_urls() -> None:
    assert str(Target("10.0.0.1", 80)) == "10.0.0.1:80"
    assert str(Target("fd00::1", 80)) == "[fd00::1]:80"
