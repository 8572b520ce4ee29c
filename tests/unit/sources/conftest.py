"""A source on a real temporary folder."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from source_helpers import OpenSource, Recorder

from e2e_controller.sources import FolderSource


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def open_source(tmp_path: Path, recorder: Recorder) -> AsyncIterator[OpenSource]:
    """Starts a source on `tmp_path / "watched"`; rescans are an hour apart unless asked for."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_(root: Path = tmp_path / "watched", **options: Any) -> FolderSource:
            options = {"rescan_interval": 3600.0, "folder_problem": recorder.folder_problem} | options
            source = FolderSource(root, recorder.changed, recorder.gone, **options)
            stack.push_async_callback(source.close)
            await source.start()
            return source

        yield open_


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    folder = tmp_path / "watched"
    folder.mkdir()
    return folder
