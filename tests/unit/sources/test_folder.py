"""The source as its users see it: files are dropped, changed, removed, and the right calls come."""

# ruff: noqa: ASYNC240 - a test may wait for its own folder

import asyncio
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from source_helpers import OpenSource, Recorder, eventually, manifest, names, replace_file

from e2e_controller.sources import FolderSource, folder, reading, settling
from e2e_controller.sources.scan import Limits


async def test_what_is_there_is_delivered_by_start(
    watched: Path, recorder: Recorder, open_source: OpenSource
) -> None:
    (watched / "thanos" / "deep").mkdir(parents=True)
    (watched / "b.yaml").write_text(manifest("b"))
    (watched / "thanos" / "deep" / "a.json").write_text('{"apiVersion": "e2e/v1"}')
    (watched / "a.yml").write_text(manifest("a") + "---\n" + manifest("a2"))
    await open_source()
    assert recorder.calls == ["changed a.yml", "changed b.yaml", "changed thanos/deep/a.json"]
    assert names(recorder.files["a.yml"]) == ["a", "a2"]
    nested = recorder.files["thanos/deep/a.json"]
    assert (nested.environment, nested.path) == ("thanos", str(watched / "thanos" / "deep" / "a.json"))
    assert nested.documents[0].problems


async def test_a_dropped_file(watched: Path, recorder: Recorder, open_source: OpenSource) -> None:
    await open_source()
    (watched / "a.yaml").write_text(manifest("a"))
    await eventually(lambda: recorder.files)
    assert names(recorder.files["a.yaml"]) == ["a"]


async def test_a_change_a_rename_and_a_removal(
    watched: Path, recorder: Recorder, open_source: OpenSource
) -> None:
    await open_source()
    (watched / "a.yaml").write_text(manifest("a", "one"))
    await eventually(lambda: recorder.images() == {"a.yaml": ["one"]})
    replace_file(watched / "a.yaml", manifest("a", "two"))
    await eventually(lambda: recorder.images() == {"a.yaml": ["two"]})
    (watched / "a.yaml").rename(watched / "b.yaml")
    await eventually(lambda: recorder.images() == {"b.yaml": ["two"]})
    (watched / "b.yaml").unlink()
    await eventually(lambda: not recorder.files)
    # The new name comes before the old one goes, so that nothing is torn down between them.
    expected = ["changed a.yaml", "changed a.yaml", "changed b.yaml", "gone a.yaml", "gone b.yaml"]
    assert recorder.calls == expected


async def test_the_same_content_is_no_change(
    watched: Path, recorder: Recorder, open_source: OpenSource
) -> None:
    (watched / "a.yaml").write_text(manifest("a"))
    source = await open_source()
    for write in (
        lambda: (watched / "a.yaml").touch(),
        lambda: (watched / "a.yaml").write_text(manifest("a")),
        lambda: replace_file(watched / "a.yaml", manifest("a")),
        lambda: os.utime(watched / "a.yaml", ns=(1, 1)),
        lambda: (watched / "a.yaml").chmod(0o600),
    ):
        write()
        await source.sync()
    (watched / "b.yaml").write_text(manifest("b"))  # shows that the events before it were seen
    await eventually(lambda: "b.yaml" in recorder.files)
    assert recorder.calls == ["changed a.yaml", "changed b.yaml"]


async def test_a_removed_file_may_come_back_at_once(
    watched: Path, recorder: Recorder, open_source: OpenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "GRACE", 60.0)  # at once, even where the machine stops in between
    (watched / "a.yaml").write_text(manifest("a"))
    source = await open_source()
    (watched / "a.yaml").unlink()
    await asyncio.sleep(0.02)
    (watched / "a.yaml").write_text(manifest("a"))
    await source.sync()
    await source.sync()
    assert recorder.calls == ["changed a.yaml"]


async def test_new_folders_are_watched(watched: Path, recorder: Recorder, open_source: OpenSource) -> None:
    await open_source()
    (watched / "x" / "y" / "z").mkdir(parents=True)
    (watched / "x" / "y" / "z" / "a.yaml").write_text(manifest("a"))
    await eventually(lambda: "x/y/z/a.yaml" in recorder.files)
    (watched / "x" / "y" / "z" / "b.yaml").write_text(manifest("b"))
    await eventually(lambda: "x/y/z/b.yaml" in recorder.files)
    (watched / "x").rename(watched / "w")
    await eventually(lambda: sorted(recorder.files) == ["w/y/z/a.yaml", "w/y/z/b.yaml"])
    (watched / "w" / "y" / "z" / "b.yaml").write_text(manifest("b", "new"))
    await eventually(lambda: recorder.images()["w/y/z/b.yaml"] == ["new"])


async def test_a_folder_goes_and_comes_back(
    watched: Path, tmp_path: Path, recorder: Recorder, open_source: OpenSource
) -> None:
    (watched / "x").mkdir()
    (watched / "x" / "a.yaml").write_text(manifest("a"))
    await open_source()
    for _ in range(3):
        (watched / "x").rename(tmp_path / "elsewhere")
        await eventually(lambda: not recorder.files)
        (tmp_path / "elsewhere").rename(watched / "x")
        await eventually(lambda: recorder.files)
    shutil.rmtree(watched / "x")
    await eventually(lambda: not recorder.files)
    (watched / "x").mkdir()
    (watched / "x" / "a.yaml").write_text(manifest("a"))
    await eventually(lambda: recorder.files)


async def test_the_root_goes_and_comes_back(
    watched: Path, tmp_path: Path, recorder: Recorder, open_source: OpenSource
) -> None:
    (watched / "a.yaml").write_text(manifest("a"))
    source = await open_source()
    for _ in range(2):
        watched.rename(tmp_path / "elsewhere")
        await eventually(lambda: not recorder.files)
        assert source.problems == recorder.problems == {"": "the folder does not exist"}
        (tmp_path / "elsewhere").rename(watched)
        await eventually(lambda: recorder.files)
        assert not recorder.problems
    shutil.rmtree(watched)
    await eventually(lambda: not recorder.files)
    watched.mkdir()
    (watched / "b.yaml").write_text(manifest("b"))
    await eventually(lambda: sorted(recorder.files) == ["b.yaml"])


async def test_a_root_that_comes_later(tmp_path: Path, recorder: Recorder, open_source: OpenSource) -> None:
    root = tmp_path / "far" / "away" / "watched"
    source = await open_source(root)
    assert source.problems == {"": "the folder does not exist"}
    root.mkdir(parents=True)
    (root / "a.yaml").write_text(manifest("a"))
    await eventually(lambda: recorder.files)
    assert not source.problems


async def test_a_writable_root_is_made(tmp_path: Path, open_source: OpenSource) -> None:
    source = await open_source(tmp_path / "state" / "manifests", writable=True)
    assert (tmp_path / "state" / "manifests").is_dir()
    assert not source.problems


async def test_bad_files_hurt_nobody(watched: Path, recorder: Recorder, open_source: OpenSource) -> None:
    source = await open_source()
    (watched / "good.yaml").write_text(manifest("good"))
    (watched / "latin.yaml").write_bytes("name: ä".encode("latin-1"))
    (watched / "binary.yaml").write_bytes(bytes(range(256)))
    (watched / "cut.yaml").write_text("a: [")
    os.mkfifo(watched / "pipe.yaml")
    (watched / "dangling.yaml").symlink_to("nowhere")
    with (watched / "huge.yaml").open("wb") as stream:
        stream.truncate(100 * 2**20)
    (watched / "empty.yaml").touch()
    await source.sync()
    reasons = {name: file.reason for name, file in recorder.files.items()}
    assert reasons == {
        "good.yaml": "",
        "latin.yaml": "ParseError",
        "binary.yaml": "ParseError",
        "cut.yaml": "ParseError",
        "pipe.yaml": "ReadError",
        "dangling.yaml": "ReadError",
        "huge.yaml": "ReadError",
        "empty.yaml": "",
    }
    count = len(recorder.calls)
    await source.sync()
    assert len(recorder.calls) == count
    for name in ("cut", "pipe", "huge"):
        replace_file(watched / f"{name}.yaml", manifest(name))
    await source.sync()
    assert {name: recorder.files[f"{name}.yaml"].problem for name in ("cut", "pipe", "huge")} == {
        "cut": None,
        "pipe": None,
        "huge": None,
    }


async def test_a_file_without_permission_comes_back(
    watched: Path, recorder: Recorder, open_source: OpenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    (watched / "a.yaml").write_text(manifest("a"))
    source = await open_source()
    opening = os.open

    def denied(name: Any, *args: Any, **options: Any) -> int:
        if str(name).endswith("a.yaml"):
            raise PermissionError(13, "Permission denied")
        return opening(name, *args, **options)

    monkeypatch.setattr(reading.os, "open", denied)
    replace_file(watched / "a.yaml", manifest("a", "new"))
    await source.sync()
    assert recorder.images() == {"a.yaml": ["ReadError"]}
    monkeypatch.undo()  # as where a server grants access: nothing shows on the file itself
    await source.sync()
    assert recorder.images() == {"a.yaml": ["new"]}


async def test_an_unreadable_folder_keeps_its_files(
    watched: Path, recorder: Recorder, open_source: OpenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("x", "y"):
        (watched / name).mkdir()
        (watched / name / "a.yaml").write_text(manifest("a"))
    source = await open_source()
    listing = os.scandir

    def denied(path: Any) -> Any:
        if str(path).endswith("/x"):
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(os, "scandir", denied)
    (watched / "y" / "a.yaml").unlink()
    (watched / "x" / "a.yaml").unlink()
    await source.sync()
    assert sorted(recorder.files) == ["x/a.yaml"]
    assert recorder.problems == {"x": "the folder cannot be read: Permission denied"}
    monkeypatch.undo()
    await source.sync()
    assert not recorder.files
    assert not recorder.problems


async def test_more_files_than_are_read(watched: Path, recorder: Recorder, open_source: OpenSource) -> None:
    for name in "abcd":
        (watched / f"{name}.yaml").write_text(manifest(name))
    source = await open_source(limits=Limits(files=3))
    assert sorted(recorder.files) == ["a.yaml", "b.yaml", "c.yaml"]
    assert "more than 3 files" in recorder.problems[""]
    (watched / "0.yaml").write_text(manifest("zero"))
    await source.sync()
    assert sorted(recorder.files) == ["a.yaml", "b.yaml", "c.yaml"]  # what runs is not ended by a limit
    for name in "0ab":
        (watched / f"{name}.yaml").unlink()
    await source.sync()
    await source.sync()
    assert sorted(recorder.files) == ["c.yaml", "d.yaml"]
    assert not recorder.problems


async def test_a_callback_that_fails_stops_nothing(watched: Path, recorder: Recorder) -> None:
    def changed(file: Any) -> None:
        recorder.changed(file)
        raise ZeroDivisionError

    source = FolderSource(watched, changed, recorder.gone)
    try:
        await source.start()
        for name in ("a.yaml", "b.yaml"):
            (watched / name).write_text(manifest("a"))
        await source.sync()
        assert sorted(recorder.files) == ["a.yaml", "b.yaml"]
    finally:
        await source.close()


async def test_rescans_alone_do_it_too(watched: Path, recorder: Recorder, open_source: OpenSource) -> None:
    await open_source(events=False, rescan_interval=0.05)
    (watched / "x").mkdir()
    (watched / "x" / "a.yaml").write_text(manifest("a"))
    await eventually(lambda: recorder.files)
    replace_file(watched / "x" / "a.yaml", manifest("a", "new"))
    await eventually(lambda: recorder.images() == {"x/a.yaml": ["new"]})
    shutil.rmtree(watched)
    await eventually(lambda: not recorder.files)


async def test_sync_needs_no_events(watched: Path, recorder: Recorder, open_source: OpenSource) -> None:
    source = await open_source(events=False)
    for image in ("one", "two", "sam", "dos"):  # the same size, within the clock's grain
        (watched / "a.yaml").write_text(manifest("a", image))
        await source.sync()
        assert recorder.images() == {"a.yaml": [image]}
    (watched / "a.yaml").unlink()
    await source.sync()
    assert not recorder.files


async def test_many_syncs_share_their_walks(
    watched: Path, recorder: Recorder, open_source: OpenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await open_source(events=False)
    walks = 0
    walk = folder.scan_folder

    def counted(*args: Any) -> Any:
        nonlocal walks
        walks += 1
        return walk(*args)

    monkeypatch.setattr(folder, "scan_folder", counted)
    (watched / "a.yaml").write_text(manifest("a"))
    await asyncio.gather(*(source.sync() for _ in range(100)))
    assert recorder.files
    assert walks <= 2


async def test_a_cancelled_sync_disturbs_no_other(watched: Path, open_source: OpenSource) -> None:
    source = await open_source()
    first, second = asyncio.ensure_future(source.sync()), asyncio.ensure_future(source.sync())
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert first.cancelled()


async def test_close_ends_waiting(watched: Path, recorder: Recorder) -> None:
    source = FolderSource(watched, recorder.changed, recorder.gone)
    await source.start()
    waiting = asyncio.ensure_future(source.sync())
    await asyncio.sleep(0)
    await source.close()
    with pytest.raises(RuntimeError, match="closed"):
        await waiting
    with pytest.raises(RuntimeError, match="not running"):
        await source.sync()
    (watched / "a.yaml").write_text(manifest("a"))
    await asyncio.sleep(0.05)
    assert not recorder.calls


async def test_an_unexpected_error_ends_the_sync_and_not_the_source(
    watched: Path, recorder: Recorder, open_source: OpenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await open_source(rescan_interval=0.02)
    monkeypatch.setattr(folder, "scan_folder", None)
    with pytest.raises(TypeError):
        await source.sync()
    monkeypatch.undo()
    (watched / "a.yaml").write_text(manifest("a"))
    await eventually(lambda: recorder.files)


async def test_ingest(watched: Path, recorder: Recorder, open_source: OpenSource) -> None:
    source = await open_source()
    (watched / "env").mkdir()
    path = watched / "env" / "a.yaml"
    for image in ("one", "two"):
        replace_file(path, manifest("a", image))
        await source.ingest(path)
        assert recorder.images() == {"env/a.yaml": [image]}
    path.unlink()
    await source.ingest(path)
    assert not recorder.files
    await source.sync()  # the events of all that change nothing
    assert recorder.calls == ["changed env/a.yaml", "changed env/a.yaml", "gone env/a.yaml"]
    for wrong in (watched.parent / "b.yaml", watched / ".b.yaml", watched / "b.txt"):
        with pytest.raises(ValueError, match="no manifest file below"):
            await source.ingest(wrong)


async def test_ingest_that_another_look_overtakes(
    watched: Path, recorder: Recorder, open_source: OpenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one gives a file that is away a moment to come back."""
    path = watched / "a.yaml"
    path.write_text(manifest("a"))
    source = await open_source(events=False, rescan_interval=100)
    loop, read_file, overtaken = asyncio.get_running_loop(), folder.read_file, []

    def read(*question: Any) -> Any:
        reading = read_file(*question)
        if not overtaken:
            overtaken.append(reading)
            asyncio.run_coroutine_threadsafe(source._look([str(path)]), loop).result()
        return reading

    monkeypatch.setattr(folder, "read_file", read)
    path.unlink()
    await source.ingest(path)
    assert overtaken
    assert not recorder.files


async def test_ingest_among_syncs_and_events(
    watched: Path, recorder: Recorder, open_source: OpenSource
) -> None:
    source = await open_source()
    path = watched / "a.yaml"
    for round_ in range(60):
        looks = [asyncio.ensure_future(source.sync()) for _ in range(2)]
        if round_ % 3 == 2:
            path.unlink()
        else:
            replace_file(path, manifest("a", f"i{round_}"))
        if round_ % 2:
            await asyncio.sleep(0.001 * (round_ % 10))
        await asyncio.gather(source.ingest(path), source.ingest(path))
        assert recorder.images() == ({} if round_ % 3 == 2 else {"a.yaml": [f"i{round_}"]})
        await asyncio.gather(*looks)
        assert recorder.images() == ({} if round_ % 3 == 2 else {"a.yaml": [f"i{round_}"]})


async def test_a_large_file_does_not_hold_the_loop(
    watched: Path, recorder: Recorder, open_source: OpenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is parsed in a thread, and until the loop has gone on that does not end."""
    source = await open_source()
    (watched / "a.yaml").write_text("---\n".join(manifest(f"a{n}", "x" * 3000) for n in range(1000)))
    goes_on, spent = threading.Event(), [0.0]

    def read(*question: Any) -> Any:
        before = time.thread_time()
        found = read_file(*question)
        spent[0] += time.thread_time() - before
        assert goes_on.wait(120)
        return found

    read_file = folder.read_file
    monkeypatch.setattr(folder, "read_file", read)
    used, ticks = time.thread_time(), 0
    syncing = asyncio.ensure_future(source.sync())
    while not syncing.done():
        await asyncio.sleep(0.02)
        ticks += 1
        if ticks > 10:
            goes_on.set()
    await syncing
    assert len(recorder.files["a.yaml"].documents) == 1000
    assert time.thread_time() - used < spent[0]  # what the loop's own thread does is less than to parse it
