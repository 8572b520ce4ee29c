"""Profiles: how they are asked for, where they go, and what stands in their way."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

import e2e
from e2e import (
    AsyncEnvironment,
    Environment,
    InvalidArgument,
    LimitExceeded,
    NotFound,
    NotRunning,
    Unavailable,
    WaitTimeout,
    Workload,
)
from e2e.profiles import MOST_BYTES

from .fake_controller import FakeController
from .web_program import runs_at, serving

PROFILE = gzip.compress(b"a profile")


class Program:
    """The program whose profiles are taken; `asked` has each path and query."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.held = Event()
        self.held.set()
        self.said: bytes | tuple[int, bytes] = PROFILE

    def answer(self, path: str, query: dict[str, str]) -> bytes | tuple[int, bytes]:
        self.asked.append((path, query))
        self.held.wait(10)
        return b"go 1.24 trace" if path.endswith("/trace") else self.said


@pytest.fixture
def program(controller: FakeController) -> Iterator[Program]:
    found = Program()
    with serving(found.answer) as address:
        runs_at(controller, "web", address)
        yield found


@pytest.fixture
def web(program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Workload]:
    assert program
    monkeypatch.chdir(tmp_path)
    with Environment("env", timeout=60) as env:
        yield env.workload("web", image="x", ports={"http": 80}, profiles="http")


def test_kinds_are_asked_for_as_go_serves_them(web: Workload, program: Program, tmp_path: Path) -> None:
    assert web.profile("heap") == tmp_path / "web-heap.pb.gz"
    assert (tmp_path / "web-heap.pb.gz").read_bytes() == PROFILE
    web.profile("cpu")
    web.profile("cpu", seconds=2)
    web.profile("allocs", seconds=1.0)
    assert web.profile("trace", seconds=0.5) == tmp_path / "web-trace.trace"
    assert program.asked == [
        ("/debug/pprof/heap", {}),
        ("/debug/pprof/profile", {"seconds": "5"}),
        ("/debug/pprof/profile", {"seconds": "2"}),
        ("/debug/pprof/allocs", {"seconds": "1"}),
        ("/debug/pprof/trace", {"seconds": "0.5"}),
    ]


def test_where_the_file_goes(web: Workload, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert web.profile("heap", path="folder") == tmp_path / "folder" / "web-heap.pb.gz"
    assert web.profile("heap", path=tmp_path / "new" / "a.pb.gz") == tmp_path / "new" / "a.pb.gz"
    (tmp_path / "file").touch()
    with pytest.raises(e2e.E2EError, match=r"cannot write .*/file/a: ") as raised:
        web.profile("heap", path="file/a")
    assert raised.value.reason == "ProfileNotWritten"
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "a.pb.gz",
        "file",
        "web-heap.pb.gz",
    ]


def test_a_place_of_ones_own(program: Program, tmp_path: Path) -> None:
    with Environment("env", timeout=60) as env:
        place = e2e.Profiles(port="http", path="/internal/pprof/")
        web = env.workload("web", image="x", ports={"http": 80}, profiles=place)
        web.profile("mutex", path=tmp_path)
    assert program.asked == [("/internal/pprof/mutex", {})]


@pytest.mark.parametrize("seconds", [0, -1, 1.5, float("nan"), float("inf"), 1e9])
def test_seconds_that_go_would_not_understand(web: Workload, program: Program, seconds: float) -> None:
    with pytest.raises(InvalidArgument, match="expected whole seconds up to 3600 for a cpu profile"):
        web.profile("cpu", seconds=seconds)
    with pytest.raises(InvalidArgument, match="'cqu' is no kind of profile: expected one of cpu, heap"):
        web.profile("cqu")  # type: ignore[arg-type]
    assert program.asked == []


def test_one_that_is_not_profiled(program: Program) -> None:
    with Environment("env", timeout=60) as env:
        web = env.workload("web", image="x", ports={"http": 80})
        with pytest.raises(InvalidArgument, match="web is not profiled: give it `profiles`") as raised:
            web.profile("heap")
    assert raised.value.reason == "NotProfiled"
    assert program.asked == []


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (
            (404, b"Unknown profile\n"),
            NotFound,
            r"cannot be had: http://.*/heap answers with 404: Unknown profile",
        ),
        ((400, b"too long"), InvalidArgument, "cannot be had: .* answers with 400: too long"),
        ((500, b"already in use"), Unavailable, "was not had: .* answers with 500: already in use"),
        (b"<html>\n a page", InvalidArgument, "answers, but not with a profile of pprof's: <html> a page"),
        (b"", InvalidArgument, "not with a profile of pprof's: nothing"),
    ],
)
def test_answers_that_are_no_profile(
    web: Workload,
    program: Program,
    tmp_path: Path,
    said: bytes | tuple[int, bytes],
    error: type[Exception],
    words: str,
) -> None:
    program.said = said
    with pytest.raises(error, match=words):
        web.profile("heap")
    assert list(tmp_path.glob("*.gz")) == []


def test_a_profile_is_bounded_in_size_and_time(
    web: Workload, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("e2e._sync.profiled.MOST_BYTES", len(PROFILE) - 1)
        with pytest.raises(LimitExceeded, match=r"a heap profile of web: http.* answers with more than"):
            web.profile("heap")
    program.held.clear()
    with pytest.raises(WaitTimeout, match=r"profile of web was not had: http.* did not answer within 0\.1 s"):
        web.profile("heap", timeout=0.1)
    program.held.set()


def test_one_that_does_not_run(web: Workload, controller: FakeController) -> None:
    runs_at(controller, "web", "127.0.0.1:1")
    with pytest.raises(Unavailable, match=r"was not had: http://127\.0\.0\.1:1/debug/pprof/heap does not"):
        web.profile("heap")
    controller.objects["env", "Workload", "web"].status.container.state = "exited"
    with pytest.raises(
        NotRunning, match="web did not run any more before it had answered with a heap profile"
    ):
        web.profile("heap")
    controller.objects.clear()
    with pytest.raises(NotRunning, match="does not run"):
        web.profile("heap")


async def test_the_same_with_asyncio(program: Program, tmp_path: Path) -> None:
    async with AsyncEnvironment("env", timeout=60) as env:
        web = env.workload("web", image="x", ports={"http": 80}, profiles="http")
        path = await web.profile("goroutine", path=tmp_path)
    assert path.read_bytes() == PROFILE
    assert program.asked == [("/debug/pprof/goroutine", {})]
    assert MOST_BYTES == 256 * 2**20
