"""However a file is written, it is delivered whole, and every intermediate state is one that was complete."""

# ruff: noqa: ASYNC240 - a test may wait for its own folder

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from source_helpers import OpenSource, Recorder, eventually, manifest, replace_file

from e2e_controller.sources import reading, settling
from e2e_controller.sources.writers import Writer

# What is half of this file, up to the line of dashes, is a valid file too: only its writer knows better.
WHOLE = manifest("a", "first") + "---\n" + manifest("b", "second")
HALF = len(manifest("a", "first"))


@pytest.fixture(params=["kernel tells", "events tell"])
def witness(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "events tell":
        monkeypatch.setattr(reading, "find_writer", lambda _descriptor: Writer.UNKNOWN)
    return str(request.param)


@pytest.fixture
def time_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the machine stops, a file is not complete for its age."""
    for name in ("SETTLED_AGE", "SECOND_LOOK", "STALE_WRITER"):
        monkeypatch.setattr(settling, name, 3600.0)


@pytest.mark.usefixtures("witness", "time_tells_nothing")
@pytest.mark.parametrize("existing", [False, True])
async def test_a_writer_that_pauses(
    watched: Path, recorder: Recorder, open_source: OpenSource, existing: bool
) -> None:
    path = watched / "a.yaml"
    if existing:
        replace_file(path, manifest("old", "old"))
        os.utime(path, (0, 0))  # complete, whoever may say so
    source = await open_source(rescan_interval=0.05)
    before = list(recorder.calls)
    with path.open("w") as stream:
        stream.write(WHOLE[:HALF])
        stream.flush()
        for _ in range(5):
            await asyncio.sleep(0.3)
            await source.sync()
        assert recorder.calls == before
        stream.write(WHOLE[HALF:])
    await eventually(lambda: recorder.images() == {"a.yaml": ["first", "second"]})
    assert recorder.calls == [*before, "changed a.yaml"]


async def test_sync_right_after_a_write(
    watched: Path, recorder: Recorder, open_source: OpenSource, witness: str
) -> None:
    source = await open_source()
    for round_ in range(30):
        with (watched / "a.yaml").open("w") as stream:
            stream.write(manifest("a", f"half{round_}"))
            stream.flush()
            stream.seek(0)
            stream.write(manifest("a", f"done{round_}"))
        await source.sync()
        if witness == "events tell":  # where the machine stops, they come later than anybody waits for them
            await eventually(lambda done=f"done{round_}": recorder.images() == {"a.yaml": [done]})
        assert recorder.images() == {"a.yaml": [f"done{round_}"]}
        await eventually(lambda: not source._ledger.pending())  # no late event has the next half looked at
    assert len(recorder.calls) == 30


@pytest.mark.usefixtures("time_tells_nothing")
async def test_a_half_written_file_at_the_start(
    watched: Path, recorder: Recorder, open_source: OpenSource
) -> None:
    with (watched / "a.yaml").open("w") as stream:
        stream.write(WHOLE[:HALF])
        stream.flush()
        await open_source()
        assert not recorder.calls
        stream.write(WHOLE[HALF:])
    await eventually(lambda: recorder.images() == {"a.yaml": ["first", "second"]})
    assert len(recorder.calls) == 1


async def test_where_nobody_tells_time_does(
    watched: Path, recorder: Recorder, open_source: OpenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "find_writer", lambda _descriptor: Writer.UNKNOWN)
    monkeypatch.setattr(settling, "STALE_WRITER", 3600.0)
    source = await open_source(events=False, rescan_interval=0.05)
    path = watched / "a.yaml"
    with monkeypatch.context() as stopped, path.open("w") as stream:
        for name in ("SETTLED_AGE", "SECOND_LOOK"):  # less of it passes, however long the machine stops
            stopped.setattr(settling, name, 3600.0)
        stream.write(WHOLE[:HALF])
        stream.flush()
        await asyncio.sleep(0.2)
        assert not recorder.calls
        stream.write(WHOLE[HALF:])
    await source.sync()
    assert recorder.images() == {"a.yaml": ["first", "second"]}
    assert len(recorder.calls) == 1


async def test_a_file_that_is_kept_open_for_good(
    watched: Path, recorder: Recorder, open_source: OpenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "STALE_WRITER", 0.5)
    await open_source()
    with (watched / "a.yaml").open("w") as stream:
        stream.write(manifest("a", "one"))
        stream.flush()
        await eventually(lambda: recorder.images() == {"a.yaml": ["one"]})
        stream.seek(0)
        stream.write(manifest("a", "two"))
        stream.flush()
        await eventually(lambda: recorder.images() == {"a.yaml": ["two"]})


async def test_appends_in_a_row_are_one_change(
    watched: Path, recorder: Recorder, open_source: OpenSource
) -> None:
    await open_source()
    script = "for n in 1 2 3 4 5 6; do echo \"l$n: $n\" >> a.yaml; done; echo 'done: 1' >> a.yaml"
    await asyncio.to_thread(subprocess.run, ["sh", "-c", script], cwd=watched, check=True)
    await eventually(lambda: "a.yaml" in recorder.files)
    await asyncio.sleep(0.1)
    assert len(recorder.calls) < 7  # one, but for a machine that stops in the middle, again and again


async def vim(path: Path, text: str, source: object) -> None:
    """With `backup` and `writebackup`: probes the folder, moves the old file away, writes a new one."""
    swap = path.with_name(f".{path.name}.swp")
    swap.write_bytes(b"b0VIM 9.0\0")
    (path.parent / "4913").touch()
    (path.parent / "4913").unlink()
    if path.exists():
        path.rename(path.with_name(path.name + "~"))
    with path.open("w") as stream:
        stream.write(text[:10])
        stream.flush()
        await source.sync()  # type: ignore[attr-defined]
        stream.write(text[10:])
    path.with_name(path.name + "~").unlink(missing_ok=True)
    swap.unlink()


async def emacs(path: Path, text: str, source: object) -> None:
    """Locks by a dangling link, saves itself, keeps the old file as a back-up."""
    lock = path.with_name(f".#{path.name}")
    lock.symlink_to("user@host.1:1")
    path.with_name(f"#{path.name}#").write_text(text[:10])
    if path.exists():
        path.rename(path.with_name(path.name + "~"))
    path.write_text(text)
    await source.sync()  # type: ignore[attr-defined]
    path.with_name(f"#{path.name}#").unlink()
    lock.unlink()


async def in_place(path: Path, text: str, source: object) -> None:
    """VS Code, nano: truncates and writes."""
    with path.open("w") as stream:
        await source.sync()  # type: ignore[attr-defined]
        stream.write(text)


async def atomic(path: Path, text: str, source: object) -> None:
    """sed -i, JetBrains, gedit: a new file takes the old one's place."""
    replace_file(path, text)


@pytest.mark.usefixtures("witness", "time_tells_nothing")
@pytest.mark.parametrize("save", [vim, emacs, in_place, atomic])
async def test_editors(watched: Path, recorder: Recorder, open_source: OpenSource, save: object) -> None:
    source = await open_source()
    for image in ("one", "two", "three"):
        await save(watched / "a.yaml", manifest("a", image), source)  # type: ignore[operator]
        await eventually(lambda image=image: recorder.images() == {"a.yaml": [image]})
    await asyncio.sleep(2 * settling.GRACE)
    await source.sync()
    assert recorder.calls == ["changed a.yaml"] * 3
