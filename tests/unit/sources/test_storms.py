"""Many changes at once, and one file that never stops changing."""

import asyncio
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from source_helpers import OpenSource, Recorder, eventually, manifest

from e2e_controller.sources import folder
from e2e_controller.sources.reading import read_file


async def test_a_thousand_files_at_once(
    watched: Path, recorder: Recorder, open_source: OpenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver = recorder.changed
    # A file that has just been made may be seen before the kernel counts its writer: it is empty then.
    monkeypatch.setattr(recorder, "changed", lambda file: deliver(file) if file.documents else None)
    await open_source()
    outside = watched.parent / "outside"
    outside.mkdir()
    for number in range(1000):
        (outside / f"{number:04}.yaml").write_text(manifest(f"n{number}"))
    await asyncio.to_thread(shutil.copytree, outside, watched / "many")
    await eventually(lambda: len(recorder.files) == 1000)
    assert len(recorder.calls) == 1000
    await asyncio.to_thread(shutil.rmtree, watched / "many")
    await eventually(lambda: not recorder.files)
    assert len(recorder.calls) == 2000
    outside.rename(watched / "moved")
    await eventually(lambda: len(recorder.files) == 1000)


async def test_sync_delivers_in_order(watched: Path, recorder: Recorder, open_source: OpenSource) -> None:
    source = await open_source(events=False)
    for number in range(300):
        (watched / f"{number:04}.yaml").write_text(manifest(f"n{number}"))
    await source.sync()
    assert len(recorder.calls) == 300
    assert recorder.calls == sorted(recorder.calls)


async def test_an_edit_storm(watched: Path, recorder: Recorder, open_source: OpenSource) -> None:
    """Two threads write as fast as they can, one in place, one by rename; the rest goes on meanwhile."""
    source = await open_source()
    stop = threading.Event()
    counts = {"in-place": 0, "atomic": 0}

    def storm(name: str, write: Any) -> None:
        while not stop.is_set():
            write(watched / f"{name}.yaml", manifest("a", f"i{counts[name]}"))
            counts[name] += 1
            time.sleep(0.0005)

    threads = [
        threading.Thread(target=storm, args=("in-place", Path.write_text)),
        threading.Thread(target=storm, args=("atomic", replace)),
    ]
    for thread in threads:
        thread.start()
    try:
        began = time.monotonic()
        while time.monotonic() < began + 1.5 or min(counts.values()) <= 100:
            assert len(source._hints._words) <= 2
            assert len(source._ledger._pending) <= 3
            await asyncio.sleep(0.02)
        (watched / "quiet.yaml").write_text(manifest("quiet"))
        await asyncio.wait_for(source.sync(), 60)
        assert "quiet.yaml" in recorder.files
    finally:
        stop.set()
        for thread in threads:
            await asyncio.to_thread(thread.join)
    last = {f"{name}.yaml": [f"i{count - 1}"] for name, count in counts.items()}
    await eventually(lambda: recorder.images() == {**last, "quiet.yaml": ["busybox"]})
    await source.sync()
    assert recorder.images() == {**last, "quiet.yaml": ["busybox"]}


def replace(path: Path, text: str) -> None:
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)


async def test_a_storm_of_other_names_does_not_keep_the_walks_going(
    watched: Path, recorder: Recorder, open_source: OpenSource
) -> None:
    source = await open_source()
    stop = threading.Event()

    def storm() -> None:
        while not stop.is_set():
            (watched / "notes.txt").touch()
            (watched / "notes.txt").unlink()

    thread = threading.Thread(target=storm)
    thread.start()
    try:
        before, began = source._ledger.number(), time.monotonic()
        await asyncio.sleep(0.5)
        walks = (source._ledger.number() - before) / 2
        assert walks < 200 * (time.monotonic() - began)
    finally:
        stop.set()
        await asyncio.to_thread(thread.join)


def look_at_each(top: Path) -> None:
    assert len([path.stat() for path in top.iterdir()]) == 1000


async def test_rest_costs_nothing(
    watched: Path, recorder: Recorder, open_source: OpenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rescans of 1,000 unchanged files read none, and cost the processor little more than a look at each."""
    for number in range(1000):
        (watched / f"{number:04}.yaml").write_text("{}")
    source = await open_source()
    await asyncio.sleep(0.05)  # younger files are read once more
    await source.sync()
    calls, reads = len(recorder.calls), []
    monkeypatch.setattr(folder, "read_file", lambda *question: reads.append(question) or read_file(*question))
    used, looking = [], []
    for _ in range(10):
        began = time.process_time()
        for _ in range(10):
            await source.sync()
        synced = time.process_time()
        for _ in range(10):
            look_at_each(watched)
        used.append(synced - began)
        looking.append(time.process_time() - synced)
    assert min(used) < 10 * min(looking)
    assert reads == []
    assert len(recorder.calls) == calls
