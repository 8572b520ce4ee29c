"""`e2e up` beside a fake controller: what it asks for, when, and what it shows."""

import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from e2e import Client, Goal
from e2e.cli.files import Followed
from e2e.cli.keys import Key
from e2e.cli.progress import Progress
from e2e.messages import GOALS
from e2e_api.errors import Conflict, Unavailable, WaitFailed
from e2e_api.v1 import environment_service_pb2, manifest_service_pb2, object_pb2

from .conftest import RunE2E
from .fake import CliController, workload

SECONDS = 60.0
WEB = "apiVersion: e2e/v1\nkind: Workload\nmetadata: {{name: {name}}}\nspec: {{image: 'img:{version}'}}\n"


def write(folder: Path, name: str, version: int = 1, image: str = "image") -> None:
    """As careful programs do: nobody ever sees half of it."""
    path = folder / f"{name}.yaml"
    path.with_suffix(".new").write_text(WEB.format(name=name, version=version).replace("image", image))
    path.with_suffix(".new").replace(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "manifests"
    path.mkdir()
    write(path, "web")
    return path


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.005)


class Looks:
    """How often the files were looked at, and what they said then was done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = 0
        changed = Followed.changed

        def counted(followed: Followed) -> Any:
            self.begun += 1
            return changed(followed)

        monkeypatch.setattr(Followed, "changed", counted)

    def more(self, number: int) -> None:
        """Returns after so many more whole ones."""
        last = self.begun + number + 1
        until(lambda: self.begun > last)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(monkeypatch)


@contextmanager
def beside(story: Callable[[], None], number: int = signal.SIGINT) -> Iterator[None]:
    """Tells the story while the block runs, then interrupts this process, as Ctrl+C does."""

    def tell() -> None:
        try:
            story()
        finally:
            os.kill(os.getpid(), number)

    thread = threading.Thread(target=tell)
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which `nohup` has told the runner to ignore
    thread.start()
    try:
        yield
    finally:
        thread.join()
        signal.signal(signal.SIGHUP, before)


def applied(controller: CliController) -> list[str]:
    return [request.documents for request in controller.asked(manifest_service_pb2.ApplyRequest)]


def deleted(controller: CliController) -> list[list[str]]:
    requests = controller.asked(manifest_service_pb2.DeleteRequest)
    return [[key.name for key in request.keys] for request in requests]


def ended(controller: CliController) -> list[str]:
    requests = controller.asked(environment_service_pb2.DeleteEnvironmentRequest)
    return [request.environment for request in requests]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_applied_goes_with_the_interrupt(
    controller: CliController, e2e: RunE2E, folder: Path, number: int
) -> None:
    with beside(lambda: until(lambda: bool(applied(controller))), number):
        code, out, err = e2e("up", folder, "--env", "shop")
    assert code == 0, err
    assert out.splitlines()[0] == "Ctrl+C deletes everything"
    (hold,) = controller.asked(environment_service_pb2.HoldRequest)
    assert (hold.environment, hold.fresh, hold.keep) == ("shop", False, False)
    assert ended(controller) == ["shop"]
    assert "deleted" in err
    until(lambda: controller.held == [])
    assert controller.held == []


def test_keep_leaves_it(controller: CliController, e2e: RunE2E, folder: Path) -> None:
    with beside(lambda: until(lambda: bool(applied(controller)))):
        code, out, err = e2e("up", folder, "--env", "shop", "--keep")
    assert code == 0, err
    assert out.splitlines()[0] == "Ctrl+C ends this, and leaves everything"
    (hold,) = controller.asked(environment_service_pb2.HoldRequest)
    assert hold.keep
    assert deleted(controller) == ended(controller) == []


def test_what_others_have_there_stays(controller: CliController, e2e: RunE2E, folder: Path) -> None:
    controller.add(workload("shop", "others"))
    with beside(lambda: until(lambda: bool(applied(controller)))):
        code, _, err = e2e("up", folder, "--env", "shop")
    assert code == 0, err
    assert (deleted(controller), ended(controller)) == ([["web"]], [])
    assert [hold.keep for hold in controller.asked(environment_service_pb2.HoldRequest)] == [False, True]


def test_changes_are_followed(controller: CliController, e2e: RunE2E, folder: Path) -> None:
    def story() -> None:
        until(lambda: len(applied(controller)) == 1)
        write(folder, "web", 2)
        (folder / "cache").mkdir()
        write(folder / "cache", "redis")
        until(lambda: len(applied(controller)) >= 2)
        until(lambda: ("cache", "Workload", "redis") in controller.objects)
        (folder / "web.yaml").unlink()
        until(lambda: bool(deleted(controller)))

    with beside(story):
        code, _, err = e2e("up", folder)
    assert code == 0, err
    texts = "\n".join(applied(controller))
    assert (texts.count("img:1"), texts.count("img:2")) == (2, 1)
    assert deleted(controller) == [["web"]]
    assert {hold.environment for hold in controller.asked(environment_service_pb2.HoldRequest)} == {
        *("default", "cache"),
    }


def test_a_mistake_is_shown_and_deletes_nothing(
    controller: CliController, e2e: RunE2E, folder: Path, looks: Looks
) -> None:
    write(folder, "other")
    shown = threading.Event()

    def story() -> None:
        until(lambda: len(applied(controller)) == 1)
        write(folder, "web", image="imgae")
        write(folder, "other", 2)
        until(lambda: len(applied(controller)) == 2)
        (folder / "other.yaml").unlink()
        looks.more(3)
        assert deleted(controller) == []
        write(folder, "web", 3)
        until(lambda: bool(deleted(controller)))
        shown.set()

    with beside(story):
        code, out, err = e2e("up", folder)
    assert code == 0, err
    assert shown.is_set()
    assert out.count("web.yaml:4:8: spec.imgae: unknown field; did you mean image") == 1
    assert "all manifests are applied again" in out
    assert deleted(controller) == [["other"]]


def test_all_manifests_may_go(controller: CliController, e2e: RunE2E, folder: Path) -> None:
    def story() -> None:
        until(lambda: len(applied(controller)) == 1)
        (folder / "web.yaml").unlink()
        until(lambda: bool(deleted(controller)))

    with beside(story):
        code, _, err = e2e("up", folder)
    assert code == 0, err
    assert deleted(controller) == [["web"]]


def test_a_folder_that_is_away_deletes_nothing(
    controller: CliController, e2e: RunE2E, folder: Path, looks: Looks
) -> None:
    def story() -> None:
        until(lambda: len(applied(controller)) == 1)
        folder.rename(folder.with_name("away"))
        looks.more(3)

    with beside(story):
        code, out, err = e2e("up", folder)
    assert code == 0, err
    assert f"{folder}: No such file or directory" in out
    assert deleted(controller) == []


def test_what_is_refused_is_shown(controller: CliController, e2e: RunE2E, folder: Path) -> None:
    apply = controller.answers["Apply"]

    def refuse(request: Any) -> Iterator[Any]:
        if "img:2" in request.documents:
            raise Conflict("web is defined by a file")
        yield from apply(request)

    controller.answers["Apply"] = refuse

    def story() -> None:
        until(lambda: len(applied(controller)) == 1)
        write(folder, "web", 2)
        until(lambda: len(applied(controller)) == 2)
        write(folder, "web", 3)
        until(lambda: len(applied(controller)) == 3)

    with beside(story):
        code, out, _ = e2e("up", folder)
    assert code == 0
    assert "web is defined by a file" in out


def test_what_a_failed_call_may_have_applied_goes_too(
    controller: CliController, e2e: RunE2E, folder: Path
) -> None:
    apply = controller.answers["Apply"]

    def break_off(request: Any) -> Iterator[Any]:
        next(apply(request))
        raise Unavailable("the engine went away")
        yield

    controller.answers["Apply"] = break_off
    code, _, err = e2e("up", folder, "--env", "shop")
    assert code == 1
    assert "the engine went away" in err
    assert ended(controller) == ["shop"]


def test_what_a_file_defines_is_not_its_own(controller: CliController, e2e: RunE2E, folder: Path) -> None:
    found = workload("shop", "web")
    found.managed_by_api = False
    controller.add(found)

    def refuse(_: Any) -> Iterator[Any]:
        raise Conflict("web is defined by a file")
        yield

    controller.answers["Apply"] = refuse
    code, _, err = e2e("up", folder, "--env", "shop")
    assert code == 1
    assert "web is defined by a file" in err
    assert deleted(controller) == ended(controller) == []


def test_mistakes_at_the_start_end_it(controller: CliController, e2e: RunE2E, folder: Path) -> None:
    (folder / "web.yaml").write_text("kind: Workload\n")
    code, _, err = e2e("up", folder)
    assert code == 1
    assert "web.yaml:1:1" in err
    assert controller.requests == []


def test_wait_ends_when_all_is_as_asked(controller: CliController, e2e: RunE2E, folder: Path) -> None:
    code, _, err = e2e("up", folder, "--wait", "--keep")
    assert code == 0, err
    assert "1 object is as asked" in err
    assert ended(controller) == []


def test_wait_ends_with_the_evidence_when_it_never_will_be(
    controller: CliController, e2e: RunE2E, folder: Path
) -> None:
    def fail(request: Any) -> Iterator[Any]:
        if request.goal == GOALS[Goal.RECONCILED]:
            raise WaitFailed("web exited")
        yield from ()

    controller.answers["WaitConditions"] = fail
    code, _, err = e2e("up", folder, "--wait")
    assert code == 1
    assert "web exited" in err
    assert ended(controller) == ["default"]


def test_files_are_read_once_nobody_writes_them(folder: Path) -> None:
    followed = Followed([str(folder)], None)
    assert followed.changed() is None
    assert followed.changed() is None
    (folder / "web.yaml").write_text("")
    assert followed.changed() is None
    write(folder, "web", 2)
    assert followed.changed() is None
    found = followed.changed()
    assert found is not None
    (given,), problems = found
    assert (given.key, problems) == (Key("default", "Workload", "web"), "")
    assert "img:2" in str(given.manifest)
    assert followed.changed() is None
    followed.again()
    assert followed.changed() is not None


def displayed(controller: CliController, *states: object_pb2.Object, terminal: bool) -> str:
    controller.answers["Watch"] = lambda _: (manifest_service_pb2.WatchResponse(object=it) for it in states)
    for found in states:
        controller.add(found)
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=100, color_system=None)
    keys = {Key.of(found.key) for found in states}
    with (
        Client.connect() as client,
        Progress(client, keys=keys, console=console, footer="the end") as progress,
    ):
        progress._thread.join(60)
    return output.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_display_that_lasts_has_endpoints_and_evidence(controller: CliController, terminal: bool) -> None:
    failed = {"type": "Failed", "status": "CONDITION_STATUS_TRUE", "reason": "Exited", "message": "code 3"}
    container = {"state": "exited", "exitCode": 3, "lastLogLines": ["no such table: users"]}
    bad = workload(
        "env", "bad", summary="Failed", progress="code 3", conditions=[failed], container=container
    )
    text = displayed(controller, bad, workload("env", "web"), terminal=terminal)
    assert "bad: Exited: code 3\n  conditions: Failed=True\n" in text
    assert text.count("no such table: users") == 1
    if terminal:
        last = text.replace("\x1b[2K", "").split("\x1b[1A")[-1]
        assert "✓  web  " in last
        assert "http=127.0.0.1:21000\nthe end\n" in last
    else:
        assert "web: ready  http=127.0.0.1:21000\n" in text
