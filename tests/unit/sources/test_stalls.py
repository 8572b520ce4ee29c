"""Machines that stop for a while, in the middle of anything."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from source_helpers import OpenSource, Recorder, manifest

from e2e_controller.sources import folder


@pytest.mark.parametrize("stop", ["while it walks", "after its walk"])
async def test_a_machine_that_stops_during_a_sync(
    watched: Path,
    recorder: Recorder,
    open_source: OpenSource,
    monkeypatch: pytest.MonkeyPatch,
    stop: str,
) -> None:
    """Time is over then, but nobody has looked twice."""
    (watched / "a.yaml").write_text(manifest("a"))
    source = await open_source(events=False)
    loop = asyncio.get_running_loop()
    clock, stopped, walk, bury = loop.time, 0, folder.scan_folder, source._ledger.bury

    def stops(function: Any, *arguments: Any) -> Any:
        nonlocal stopped
        found = function(*arguments)
        stopped = 3
        return found

    monkeypatch.setattr(loop, "time", lambda: clock() + stopped)
    if stop == "while it walks":
        monkeypatch.setattr(folder, "scan_folder", lambda *arguments: stops(walk, *arguments))
    else:
        monkeypatch.setattr(source._ledger, "bury", lambda *arguments: stops(bury, *arguments))
    (watched / "a.yaml").unlink()
    await source.sync()
    assert not recorder.files
