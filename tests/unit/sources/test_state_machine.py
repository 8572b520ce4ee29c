"""Random changes to a folder, then a look: what was delivered is what the folder holds."""

import asyncio
import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from source_helpers import Recorder, manifest

from e2e_controller.sources import FolderSource, settling

FOLDERS = st.sampled_from(["", "x", "x/y", "z", ".hidden"])
NAMES = st.sampled_from(["a.yaml", "b.yml", "c.json", ".d.yaml", "e.yaml~", "notes"])
TEXTS = st.sampled_from(["one", "two", "sam"])


class Folder(RuleBasedStateMachine):
    """One machine runs one source; changes happen with and without time for their events to arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.top = Path(tempfile.mkdtemp())
        self.root = self.top / "watched"
        self.outside = self.top / "outside"
        self.outside.mkdir()
        self.root.mkdir()
        self.recorder = Recorder()
        self.loop = asyncio.new_event_loop()
        self.open: dict[Path, Any] = {}

    @initialize(events=st.booleans())
    def start(self, events: bool) -> None:
        self.source = FolderSource(
            self.root, self.recorder.changed, self.recorder.gone, rescan_interval=3600, events=events
        )
        self.loop.run_until_complete(self.source.start())

    def path(self, folder: str, name: str) -> Path:
        path = self.root / folder / name
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_fifo():  # writing to it would wait for a reader
                path.unlink()
        return path

    @rule(folder=FOLDERS, name=NAMES, text=TEXTS)
    def write(self, folder: str, name: str, text: str) -> None:
        with contextlib.suppress(OSError):
            self.path(folder, name).write_text(manifest("a", text))

    @rule(folder=FOLDERS, name=NAMES, text=TEXTS)
    def replace(self, folder: str, name: str, text: str) -> None:
        path = self.path(folder, name)
        with contextlib.suppress(OSError):
            (self.outside / "new").write_text(manifest("a", text))
            (self.outside / "new").replace(path)

    @rule(folder=FOLDERS, name=NAMES, text=TEXTS)
    def begin_to_write(self, folder: str, name: str, text: str) -> None:
        path = self.path(folder, name)
        with contextlib.suppress(OSError):
            if path not in self.open:
                self.open[path] = path.open("w")
                self.open[path].write(manifest("a", "half"))
                self.open[path].flush()

    @rule(text=TEXTS)
    def finish_writing(self, text: str) -> None:
        if self.open:
            _, stream = self.open.popitem()
            stream.seek(0)
            stream.truncate()
            stream.write(manifest("a", text))
            stream.close()

    @rule(folder=FOLDERS, name=NAMES)
    def remove(self, folder: str, name: str) -> None:
        with contextlib.suppress(OSError):
            (self.root / folder / name).unlink()

    @rule(folder=FOLDERS, name=NAMES, other_folder=FOLDERS, other=NAMES)
    def rename(self, folder: str, name: str, other_folder: str, other: str) -> None:
        with contextlib.suppress(OSError):
            (self.root / folder / name).rename(self.root / other_folder / other)

    @rule(folder=FOLDERS, other=FOLDERS)
    def rename_folder(self, folder: str, other: str) -> None:
        with contextlib.suppress(OSError):
            (self.root / folder).rename(self.root / other)

    @rule(folder=FOLDERS)
    def remove_folder(self, folder: str) -> None:
        shutil.rmtree(self.root / folder, ignore_errors=True)

    @rule(folder=FOLDERS, name=NAMES)
    def make_a_pipe(self, folder: str, name: str) -> None:
        with contextlib.suppress(OSError):
            os.mkfifo(self.path(folder, name))

    @rule(folder=FOLDERS, name=NAMES, other_folder=FOLDERS, other=NAMES)
    def link(self, folder: str, name: str, other_folder: str, other: str) -> None:
        with contextlib.suppress(OSError):
            self.path(folder, name).symlink_to(self.root / other_folder / other)

    @rule(folder=FOLDERS, name=NAMES)
    def ingest(self, folder: str, name: str) -> None:
        if name[0] != "." and name.endswith((".yaml", ".yml", ".json")) and folder != ".hidden":
            self.loop.run_until_complete(self.source.ingest(self.root / folder / name))

    @rule(seconds=st.sampled_from([0.0, 0.005, 0.02, 0.12]))
    def let_time_pass(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    @invariant()
    def delivered_is_what_is_there(self) -> None:
        if not hasattr(self, "source"):
            return
        self.loop.run_until_complete(self.source.sync())
        images = self.recorder.images()
        assert ["half"] not in images.values()
        writing = {identity(os.fstat(stream.fileno())) for stream in self.open.values()}

        def complete(state: dict[str, list[str]]) -> dict[str, list[str]]:
            paths = {name: self.root / name for name in state}
            return {
                name: state[name]
                for name, path in paths.items()
                if not path.exists() or identity(path.stat()) not in writing
            }

        assert complete(images) == complete(self.model())

    def model(self) -> dict[str, list[str]]:
        """Reads the folder in the plainest way."""
        found = {}
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                path = Path(folder, name)
                if name.startswith(".") or not name.endswith((".yaml", ".yml", ".json")):
                    continue
                text = path.read_text() if path.is_file() else None
                image = text.split("image: ")[1].rstrip("}\n") if text is not None else "ReadError"
                found[str(path.relative_to(self.root))] = [image]
        return found

    def teardown(self) -> None:
        if hasattr(self, "source"):
            self.loop.run_until_complete(self.source.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        for stream in self.open.values():
            stream.close()
        shutil.rmtree(self.top)


@pytest.fixture(autouse=True)
def no_writer_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine a file may be open for longer than anybody waits for its writer."""
    monkeypatch.setattr(settling, "STALE_WRITER", 3600.0)


def identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


TestFolder = Folder.TestCase
TestFolder.settings = settings(
    max_examples=40,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
