from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from e2e import E2EError, Environment, ExecFailed, InvalidArgument, NotRunning, WaitTimeout, Workload
from e2e_api.v1 import container_service_pb2 as pb

from .fake_controller import FakeController


@pytest.fixture
def web(controller: FakeController) -> Iterator[Workload]:
    with Environment("env", timeout=60) as env:
        yield env.workload("web", image="x")


def exec_answer(*responses: pb.ExecResponse) -> Any:
    return lambda _: iter(responses)


def test_exec_gives_output_and_exit_code(web: Workload, controller: FakeController) -> None:
    controller.answers["Exec"] = exec_answer(
        pb.ExecResponse(stdout=b"caf\xc3"),
        pb.ExecResponse(stderr=b"warning\n"),
        pb.ExecResponse(stdout=b"\xa9\xff"),
        pb.ExecResponse(exit_code=0),
    )
    result = web.exec(["a", "b"], env={"A": "1"}, user="0", working_dir="/tmp")
    assert (result.command, result.exit_code) == (("a", "b"), 0)
    assert (result.stdout, result.stdout_text) == (b"caf\xc3\xa9\xff", "café\ufffd")
    assert result.stderr_text == "warning\n"
    start = controller.asked(pb.ExecStart)[0]
    assert (list(start.command), dict(start.env), start.user, start.working_dir, start.stdin) == (
        ["a", "b"],
        {"A": "1"},
        "0",
        "/tmp",
        False,
    )


def test_standard_input_travels_in_pieces(web: Workload, controller: FakeController) -> None:
    data = bytes(range(256)) * 1000
    assert web.exec(["cat"], stdin=data).stdout == data
    assert controller.asked(pb.ExecStart)[0].stdin
    assert len(controller.asked(pb.ExecRequest)) == 4
    assert web.exec(["cat"], stdin="text").stdout_text == "text"


def test_a_failing_command_is_an_error_unless_unchecked(web: Workload, controller: FakeController) -> None:
    controller.answers["Exec"] = exec_answer(
        pb.ExecResponse(stderr=b"no such file\n"), pb.ExecResponse(exit_code=2)
    )
    with pytest.raises(ExecFailed, match=r"'ls /x' in web exited with 2\n  no such file") as raised:
        web.exec(["ls", "/x"])
    assert raised.value.result.exit_code == 2
    assert web.exec(["ls", "/x"], check=False).exit_code == 2


def test_a_command_is_a_list_of_words(web: Workload) -> None:
    for command in ("ls /", []):
        with pytest.raises(InvalidArgument, match="command: expected a list of words"):
            web.exec(command)


def test_an_exec_without_an_end_is_an_error(web: Workload, controller: FakeController) -> None:
    controller.answers["Exec"] = exec_answer(pb.ExecResponse(stdout=b"x"))
    with pytest.raises(E2EError, match="did not say how 'ls' ended"):
        web.exec(["ls"])


def test_exec_in_what_does_not_run(web: Workload, controller: FakeController) -> None:
    def stopped(_: Any) -> Iterator[Any]:
        raise NotRunning("web is Stopped")

    controller.answers["Exec"] = stopped
    with pytest.raises(NotRunning, match="web is Stopped"):
        web.exec(["ls"])


def test_exec_has_a_deadline(web: Workload, controller: FakeController) -> None:
    left = Event()

    def sleep(_: Any) -> Iterator[Any]:
        left.wait(60)
        yield pb.ExecResponse(exit_code=0)

    controller.answers["Exec"] = sleep
    with pytest.raises(WaitTimeout):
        web.exec(["sleep", "1"], timeout=0.1)
    left.set()


def test_logs_so_far(web: Workload, controller: FakeController) -> None:
    controller.answers["Logs"] = lambda _: iter(
        [pb.LogsResponse(data=b"a\nb"), pb.LogsResponse(data=b"\nc\n", stream=pb.OUTPUT_STREAM_STDERR)]
    )
    assert web.logs(tail=3, timestamps=True) == "a\nb\nc\n"
    request = controller.asked(pb.LogsRequest)[0]
    assert (request.tail, request.timestamps, request.follow) == (3, True, False)
    web.logs()
    assert not controller.asked(pb.LogsRequest)[1].HasField("tail")


def test_followed_logs_come_in_whole_lines(web: Workload, controller: FakeController) -> None:
    out, err = pb.OUTPUT_STREAM_STDOUT, pb.OUTPUT_STREAM_STDERR

    def pieces(_: Any) -> Iterator[Any]:
        yield pb.LogsResponse(stream=out, data=b"one\r\ntw\xc3")
        yield pb.LogsResponse(stream=err, data=b"oops\n")
        yield pb.LogsResponse(stream=out, data=b"\xb6\n\nlast")

    controller.answers["Logs"] = pieces
    assert list(web.follow_logs(tail=0)) == ["one", "oops", "twö", "", "last"]
    assert controller.asked(pb.LogsRequest)[0].follow
    assert next(iter(web.follow_logs())) == "one"


def test_following_ends_in_time(web: Workload, controller: FakeController) -> None:
    left = Event()

    def pieces(_: Any) -> Iterator[Any]:
        yield pb.LogsResponse(data=b"one\n")
        left.wait(60)

    controller.answers["Logs"] = pieces
    assert next(iter(web.follow_logs(timeout=60))) == "one"
    with pytest.raises(WaitTimeout):
        list(web.follow_logs(timeout=0.5))
    left.set()
