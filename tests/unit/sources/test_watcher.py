"""Events are hints: what they cost is bounded, and where there are none, rescans do it all."""

# ruff: noqa: ASYNC240 - a test may wait for its own folder

import asyncio
import errno
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from source_helpers import OpenSource, Recorder, eventually, manifest, replace_file

from e2e_controller.sources import folder, hints
from e2e_controller.sources.hints import Hints
from e2e_controller.sources.settling import Word
from e2e_controller.sources.watcher import ObserverWatcher

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into inotify")


def collect(*said: tuple[str, Word]) -> dict[str, Word]:
    heard = Hints(lambda: None)
    for path, word in said:
        heard.add(path, word)
    return heard.take()[0]


def test_the_last_word_of_a_file_counts() -> None:
    assert collect(("a", Word.CREATED), ("a", Word.WRITING), ("a", Word.CLOSED)) == {"a": Word.CLOSED}
    assert collect(("a", Word.CLOSED), ("a", Word.WRITING)) == {"a": Word.WRITING}
    assert collect(("a", Word.WRITING), ("a", Word.NOTHING)) == {"a": Word.WRITING}
    assert collect(("a", Word.CREATED), ("a", Word.NOTHING)) == {"a": Word.CREATED}
    assert collect(("a", Word.REMOVED), ("a", Word.CREATED)) == {"a": Word.CREATED}
    assert collect(("a", Word.CLOSED), ("a", Word.REMOVED)) == {"a": Word.REMOVED}


def test_hints_wake_once_until_they_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    woken = []
    heard = Hints(lambda: woken.append(1))
    for _ in range(1000):
        heard.add("a", Word.CLOSED)
        heard.scan()
    assert len(woken) == 1
    assert heard.take() == ({"a": Word.CLOSED}, True)
    assert heard.take() == ({}, False)
    heard.scan()
    assert len(woken) == 2


def test_too_many_hints_become_one_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "MOST", 10)
    heard = Hints(lambda: None)
    for number in range(25):
        heard.add(str(number), Word.CLOSED)
    words, scan = heard.take()
    assert len(words) <= 10
    assert scan


async def test_no_inotify_instance_left(
    watched: Path,
    recorder: Recorder,
    open_source: OpenSource,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from e2e_controller.sources import inotify

    def exhausted() -> Any:
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    monkeypatch.setattr(inotify, "InotifyFD", exhausted)
    with caplog.at_level(logging.WARNING):
        await open_source(rescan_interval=0.05)
    assert "inotify instance limit reached" in caplog.text
    (watched / "a.yaml").write_text(manifest("a"))
    await eventually(lambda: recorder.files)


async def test_no_inotify_watch_left(
    watched: Path,
    recorder: Recorder,
    open_source: OpenSource,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from watchdog.observers.inotify_c import InotifyFD

    adding = InotifyFD.add_callback

    def limited(self: InotifyFD, path: bytes, *args: Any) -> Any:
        if path.endswith((b"/x", b"/y")):
            raise OSError(errno.ENOSPC, "inotify watch limit reached")
        return -1 if path.endswith(b"/z") else adding(self, path, *args)

    monkeypatch.setattr(InotifyFD, "add_callback", limited)
    for name in "wxyz":
        (watched / name).mkdir()
    with caplog.at_level(logging.WARNING):
        await open_source(rescan_interval=0.05)
    assert caplog.text.count("inotify watch limit reached") == 1
    for name in "wxyz":
        (watched / name / "a.yaml").write_text(manifest("a"))
    await eventually(lambda: len(recorder.files) == 4)


async def test_lost_events_are_made_up_for(
    watched: Path, recorder: Recorder, open_source: OpenSource
) -> None:
    source = await open_source()
    watcher: Any = source._watcher
    watches = list(watcher._watches.values())
    for watch in watches:
        watch._hints = Hints(lambda: None)  # swallows what is said
    (watched / "a.yaml").write_text(manifest("a"))
    await asyncio.sleep(0.05)
    for watch in watches:
        watch._hints = source._hints
    watches[0].on_queue_overflow()
    await eventually(lambda: recorder.files)


async def test_a_name_that_is_not_utf8_is_not_delivered(
    watched: Path, recorder: Recorder, open_source: OpenSource
) -> None:
    """Nothing that has such a name could be told over the API, nor what else is told with it."""
    await open_source()
    Path(os.fsdecode(os.fsencode(watched) + b"/bad\xff.yaml")).write_text(manifest("bad"))
    (watched / "good.yaml").write_text(manifest("good"))
    await eventually(lambda: recorder.files)
    assert list(recorder.files) == ["good.yaml"]


async def test_watches_follow_the_folders(watched: Path, recorder: Recorder, open_source: OpenSource) -> None:
    source = await open_source()
    watcher: Any = source._watcher

    def folders() -> list[str]:
        return sorted(str(Path(path).relative_to(watched.parent)) for path in watcher._watches)

    assert folders() == [".", "watched"]
    for round_ in range(3):
        (watched / "x" / ".hidden").mkdir(parents=True)
        (watched / "x" / "y").mkdir()
        await source.sync()
        assert folders() == [".", "watched", "watched/x", "watched/x/y"]
        (watched / "x").rename(watched.parent / f"away{round_}")
        await source.sync()
        assert folders() == [".", "watched"]
    inotify: Any = watcher._inotify
    assert len(inotify._watch_for_wd) == 2


async def test_close_leaves_no_thread(watched: Path, recorder: Recorder) -> None:
    before = set(threading.enumerate())
    for _ in range(3):
        source = folder.FolderSource(watched, recorder.changed, recorder.gone)
        await source.start()
        await source.close()

    def left() -> list[str]:
        new = [thread.name for thread in threading.enumerate() if thread not in before]
        return [name for name in new if not name.startswith("asyncio_")]  # those are kept for the next one

    await eventually(lambda: not left())


async def test_a_system_with_other_events(
    watched: Path,
    tmp_path: Path,
    recorder: Recorder,
    open_source: OpenSource,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folder, "watch", ObserverWatcher)
    source = await open_source()
    (watched / "x").mkdir()
    (watched / "x" / "a.yaml").write_text(manifest("a"))
    await eventually(lambda: recorder.files)
    replace_file(watched / "x" / "a.yaml", manifest("a", "new"))
    await eventually(lambda: recorder.images() == {"x/a.yaml": ["new"]})
    (watched / "x" / "a.yaml").unlink()
    await eventually(lambda: not recorder.files)
    watched.rename(tmp_path / "elsewhere")
    await source.sync()
    assert source.problems
    watched.mkdir()
    await source.sync()
    (watched / "b.yaml").write_text(manifest("b"))
    await eventually(lambda: recorder.files)
