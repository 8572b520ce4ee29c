import io
from typing import Any

import pytest
from rich.console import Console

from e2e import Client
from e2e.cli.keys import Key
from e2e.cli.progress import Board, Progress
from e2e_api.v1 import manifest_service_pb2

from .fake import CliController, workload

WEB = Key("env", "Workload", "web")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(clock: Clock) -> Board:
    return Board(lambda key: key.kind == "Workload", clock)


def show(board: Board, summary: str, progress: str = "", **status: Any) -> str | None:
    """What is told of a new state."""
    line = board.show(workload("env", "web", summary=summary, progress=progress, **status))
    return line.text() if line else None


def test_a_start_is_told_change_by_change_with_its_time(board: Board, clock: Clock) -> None:
    phases = [{"name": "pull", "duration": "3.250s"}, {"name": "start", "duration": "0.400s"}]
    told = []
    for summary, progress in (
        ("Pending", ""),
        ("Pulling", "pulling 42%"),
        ("Starting", "state is Running"),
        ("Starting", "state is Running"),
        ("NotReady", "not probed yet"),
        ("NotReady", "GET http://10.0.0.2/: connection refused"),
    ):
        told.append(show(board, summary, progress))
        clock.now += 1
    told.append(show(board, "Ready", "200 OK", phases=phases))
    assert told == [
        *("pending", "pulling 42%", "starting", None, "not ready yet", None),
        "ready (pull 3.2s, start 0.4s)",
    ]
    clock.now += 60
    assert board.lines[WEB].seconds(clock()) == 6.0
    assert show(board, "Ready", "200 OK", phases=phases) is None


def test_what_an_attempt_said_is_shown_while_it_is_not_ready(board: Board) -> None:
    show(board, "NotReady", "GET http://10.0.0.2/: connection refused")
    assert board.lines[WEB].text() == "not ready yet: GET http://10.0.0.2/: connection refused"


def test_a_long_pull_is_told_now_and_then(board: Board, clock: Clock) -> None:
    told = []
    for percent in range(0, 100, 10):
        told.append(show(board, "Pulling", f"pulling {percent}%"))
        clock.now += 1
    assert [text for text in told if text] == ["pulling 0%", "pulling 50%"]


def test_a_failure_is_told_by_its_first_line(board: Board) -> None:
    assert show(board, "Failed", "exited with code 3\nmore") == "failed: exited with code 3"


def test_why_it_is_tried_again_is_told_in_words(board: Board) -> None:
    assert show(board, "ImagePullFailed", "no such host") == "image pull failed: no such host"
    waits = "waits for db to be Ready"
    assert show(board, "WaitingForDependencies", waits) == f"waiting for dependencies: {waits}"


def test_time_begins_anew_when_what_was_at_rest_moves(board: Board, clock: Clock) -> None:
    show(board, "Ready")
    clock.now += 50
    assert show(board, "Stopping", "state is Stopped") == "stopping"
    clock.now += 2
    assert show(board, "Stopped") == "stopped"
    clock.now += 9
    assert board.lines[WEB].seconds(clock()) == 2.0


def test_what_is_gone_is_told_once_and_only_if_it_was_there(board: Board) -> None:
    assert board.gone(WEB) is None
    show(board, "Ready")
    line = board.gone(WEB)
    assert line is not None
    assert line.text() == "gone"
    assert board.gone(WEB) is None


def test_objects_that_are_not_wanted_are_left_out(board: Board) -> None:
    found = workload("env", "env")
    found.key.kind = "Environment"
    assert board.show(found) is None
    assert board.lines == {}


def test_without_a_terminal_each_change_is_a_line(controller: CliController) -> None:
    def changes(_: Any) -> Any:
        for summary in ("Pending", "Starting", "Ready"):
            found = workload("env", "web", summary=summary)
            yield manifest_service_pb2.WatchResponse(object=found)
        other = workload("env", "other")
        yield manifest_service_pb2.WatchResponse(object=other)

    controller.answers["Watch"] = changes
    output = io.StringIO()
    with Client.connect() as client:
        controller.add(workload("env", "late", summary="Stopped"))
        console = Console(file=output, width=20)
        keys = [Key("env", "Workload", name) for name in ("web", "late")]
        with Progress(client, keys=keys, console=console) as progress:
            progress._thread.join(60)
    lines = [line.partition("s  ")[2] for line in output.getvalue().splitlines()]
    assert lines == ["web: pending", "web: starting", "web: ready", "late: stopped", "web: gone"]


def test_on_a_terminal_the_lines_are_a_table(controller: CliController) -> None:
    controller.add(workload("env", "web"))
    controller.add(workload("env", "bad", summary="Failed", progress="exited with code 3"))
    output = io.StringIO()
    with Client.connect() as client:
        console = Console(file=output, force_terminal=True, width=80, color_system=None)
        with Progress(client, environment="env", console=console):
            pass
    last = output.getvalue().replace("\x1b[2K", "").split("\x1b[1A")[-1]
    assert "✗  bad  " in last
    assert "failed: exited with code 3" in last
    assert "✓  web  " in last


def test_a_controller_that_is_gone_ends_the_progress_in_silence(controller: CliController) -> None:
    output = io.StringIO()
    with Client.connect() as client:
        controller.stop()
        with Progress(client, environment="env", console=Console(file=output)):
            pass
    assert output.getvalue() == ""
