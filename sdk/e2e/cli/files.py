"""Manifests from files, folders and standard input, as the command line names them.

They are checked here, so that a mistake is shown with the user's own file, line and column, and their paths
are made absolute, since the controller cannot know where this process stands.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from e2e.cli.keys import Key
from e2e.specs import SEPARATOR, to_documents
from e2e_api.errors import InvalidArgument
from e2e_api.manifests import DNS_LABEL, Environment, Manifest, environment_of, with_host_paths
from e2e_api.parsing import Document, parse_documents
from e2e_api.problems import UnreadableError
from e2e_api.yaml_nodes import MAX_BYTES, MAX_DOCUMENTS

DEFAULT_ENVIRONMENT = "default"
STANDARD_INPUT = "-"
_SUFFIXES = (".yaml", ".yml", ".json")
_BATCH_BYTES = 2 * 2**20
_MOST_PROBLEMS = 50


@dataclass(frozen=True, slots=True)
class Given:
    """One manifest, and where it stands."""

    key: Key
    manifest: Manifest
    place: str


@dataclass(frozen=True, slots=True)
class _Text:
    """A file's content; `base` is the folder of its relative paths."""

    label: str
    data: bytes
    base: Path
    environment: str | None
    """What the first-level folder says, as for the controller's watched folders."""


def read_manifests(paths: Sequence[str], environment: str | None) -> list[Given]:
    """All manifests of these files and folders; `environment` is for those that name none.

    Raises InvalidArgument that lists all that is wrong in any of them, each with file, line and column.
    """
    given, problems = find_manifests(paths, environment)
    if problems:
        raise InvalidArgument(problems)
    return given


def find_manifests(
    paths: Sequence[str], environment: str | None, *, empty: bool = False
) -> tuple[list[Given], str]:
    """The manifests that are valid, and what is wrong with the others; "" where there is nothing.

    That there is none at all is wrong too, unless it may be so (`empty`).
    """
    problems: list[str] = []
    given: dict[Key, Given] = {}
    for text in _texts(paths, problems):
        for place, document in _documents(text, problems):
            if document.manifest is None:
                continue
            found = _given(document.manifest, environment or text.environment, text.base, place)
            first = given.setdefault(found.key, found)
            if first is not found:
                problems.append(f"{place}: {found.key} stands in {first.place} already")
    if not given and not problems and not empty:
        problems.append(f"{', '.join(paths)}: there is no manifest ({', '.join(_SUFFIXES)})")
    shown = problems[:_MOST_PROBLEMS]
    more = len(problems) - len(shown)
    return list(given.values()), "\n".join([*shown, f"and {more} more"] if more else shown)


def batches(given: Iterable[Given], most: int = _BATCH_BYTES) -> Iterator[str]:
    """The manifests as documents to apply, in as few requests as a size of `most` bytes allows."""
    batch: list[Manifest] = []
    size = 0
    for found in given:
        length = len(to_documents([found.manifest])) + len(SEPARATOR)
        if batch and (size + length > most or len(batch) == MAX_DOCUMENTS):
            yield to_documents(batch)
            batch, size = [], 0
        batch.append(found.manifest)
        size += length
    if batch:
        yield to_documents(batch)


def _texts(paths: Sequence[str], problems: list[str]) -> Iterator[_Text]:
    for path in paths:
        if path == STANDARD_INPUT:
            yield _Text("standard input", sys.stdin.buffer.read(MAX_BYTES + 1), Path.cwd(), None)
            continue
        for file in _files(Path(path)):
            try:
                with file.open("rb") as stream:
                    data = stream.read(MAX_BYTES + 1)
            except OSError as error:
                problems.append(f"{file}: {error.strerror or error}")
            else:
                yield _Text(str(file), data, file.parent, _folder_environment(file, Path(path)))


class Followed:
    """Files and folders whose manifests change now and then."""

    def __init__(self, paths: Sequence[str], environment: str | None) -> None:
        """What stands there now is known already."""
        self._paths = paths
        self._environment = environment
        self._state = self._look()
        self._settled = True

    def changed(self) -> tuple[list[Given], str] | None:
        """All manifests, as `find_manifests` gives them, if the files are not as they were.

        That is so once two calls see the same, as somebody may be about to write the rest.
        """
        before, self._state = self._state, self._look()
        if before != self._state:
            self._settled = False
        elif not self._settled:
            self._settled = True
            return find_manifests(self._paths, self._environment, empty=True)
        return None

    def again(self) -> None:
        """Lets the next call see a change, whatever is so."""
        self._settled = False

    def _look(self) -> list[tuple[Path, int, int, int]]:
        found = []
        for file in (file for path in self._paths for file in _files(Path(path))):
            with suppress(OSError):
                state = file.stat()
                found.append((file, state.st_ino, state.st_size, state.st_mtime_ns))
        return found


def _files(path: Path) -> list[Path]:
    return sorted(_manifest_files(path)) if path.is_dir() else [path]


def _manifest_files(folder: Path) -> Iterator[Path]:
    """The files that a controller would read in that folder."""
    walked: set[str] = set()  # a link may lead back up
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in walked:
            folders.clear()
            continue
        walked.add(real)
        folders[:] = sorted(name for name in folders if not _is_ignored(name))
        yield from (
            Path(parent, name) for name in names if name.lower().endswith(_SUFFIXES) and not _is_ignored(name)
        )


def _is_ignored(name: str) -> bool:
    """Whether it is hidden, temporary, or an editor's."""
    return name.startswith((".", "#", "~")) or name.endswith("~")


def _folder_environment(file: Path, root: Path) -> str | None:
    first, *rest = file.relative_to(root).parts if file != root else ("",)
    return first if rest and re.fullmatch(DNS_LABEL, first) else None


def _documents(text: _Text, problems: list[str]) -> Iterator[tuple[str, Document]]:
    """The documents that can be read, each with its place."""
    try:
        documents = parse_documents(text.data)
    except UnreadableError as error:
        problems.append(error.problem.in_file(text.label))
        return
    for document in documents:
        problems += [problem.in_file(text.label) for problem in document.problems]
        yield f"{text.label}:{document.line}", document


def _given(manifest: Manifest, environment: str | None, base: Path, place: str) -> Given:
    named = environment_of(manifest) or environment or DEFAULT_ENVIRONMENT
    if not isinstance(manifest, Environment):
        metadata = manifest.metadata.model_copy(update={"environment": named})
        manifest = manifest.model_copy(update={"metadata": metadata})
    absolute = with_host_paths(manifest, lambda path: str((base / path).resolve()))
    return Given(Key(named, manifest.kind, manifest.metadata.name), absolute, place)
