"""What the tests of sources share: manifests, a recorder of what is delivered, waiting."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from e2e_controller.sources import FolderSource, SourceFile

OpenSource = Callable[..., Awaitable[FolderSource]]

MANIFEST = """\
apiVersion: e2e/v1
kind: Workload
metadata: {{name: {name}}}
spec: {{image: {image}}}
"""


def manifest(name: str, image: str = "busybox") -> str:
    return MANIFEST.format(name=name, image=image)


def names(file: SourceFile) -> list[str | None]:
    return [document.name for document in file.documents]


class Recorder:
    """What was delivered: the present state, and every call."""

    def __init__(self) -> None:
        self.files: dict[str, SourceFile] = {}
        self.calls: list[str] = []
        self.problems: dict[str, str] = {}

    def changed(self, file: SourceFile) -> None:
        asyncio.get_running_loop()  # raises outside of the event loop's thread
        self.files[file.relative] = file
        self.calls.append(f"changed {file.relative}")

    def gone(self, path: str) -> None:
        asyncio.get_running_loop()
        relative = next(name for name, file in self.files.items() if file.path == path)
        del self.files[relative]
        self.calls.append(f"gone {relative}")

    def folder_problem(self, relative: str, problem: str | None) -> None:
        if problem is None:
            del self.problems[relative]
        else:
            self.problems[relative] = problem

    def images(self) -> dict[str, list[str]]:
        """What each file says, as the images of its workloads; a problem is the reason alone."""
        return {
            relative: [file.reason] if file.problem else [image_of(document) for document in file.documents]
            for relative, file in self.files.items()
        }


def image_of(document: Any) -> str:
    return document.manifest.spec.image if document.manifest else "rejected"


async def eventually(holds: Callable[[], object], timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.002)


def replace_file(path: Path, text: str) -> None:
    """Writes as careful programs do."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    temporary.rename(path)
