"""From what files say to claims in the store, and from Apply to files. The only writer of manifest files."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from e2e_api.conditions import Reason
from e2e_api.errors import Conflict, E2EError
from e2e_api.manifests import Environment, Manifest, environment_of, to_document
from e2e_api.parsing import Document
from e2e_controller.admission import MAX_MESSAGE
from e2e_controller.atomic_file import replace_file
from e2e_controller.definitions import Claim
from e2e_controller.directories import Directories
from e2e_controller.drivers.base import Key
from e2e_controller.objects import ENVIRONMENT, FILE, Rejection, Source
from e2e_controller.sources import FolderSource, SourceFile
from e2e_controller.sources.scan import environment_of as folder_environment
from e2e_controller.store import Store

_UNLIKE_JSON = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters of JSON's texts that YAML refuses, or takes for the end of a line."""


class Intake:
    """Brings manifests in: from the watched folders, and through the API's own folder."""

    def __init__(self, store: Store, directories: Directories, default_environment: str) -> None:
        self._store = store
        self._directories = directories
        self._default = default_environment
        self._managed: FolderSource | None = None
        self._file_keys: dict[str, Key] = {}
        """By path, while the file is there."""
        self._paths: dict[Key, str] = {}
        """The other way round."""

    def attach(self, managed: FolderSource) -> None:
        """Gives the source that watches the API's own folder."""
        self._managed = managed

    # From files

    def changed(self, file: SourceFile) -> None:
        """A file says something new."""
        managed = Path(file.path).is_relative_to(self._directories.manifests)
        environment = file.environment or self._default
        file_key = self._file_key(environment, file.relative, file.path)
        if file.problem is not None:
            source = Source(file.path, file.problem.line, managed)
            message = file.problem.in_file(file.path)[:MAX_MESSAGE]
            rejection = Rejection(Reason(file.reason), message, source)
            self._store.reject_file(file.path, file_key, rejection)
            return
        claims = list(self._claims(file, file_key, managed))
        self._store.set_file(file.path, file_key, [*claims, *_file_claim(file_key, claims)])

    def gone(self, path: str) -> None:
        """A file is no longer there."""
        self._store.remove_file(path)
        if (file_key := self._file_keys.pop(path, None)) is not None:
            del self._paths[file_key]

    def folder_problem(self, root: Path) -> Callable[[str, str | None], None]:
        """What to call when a folder below `root` cannot be read (its path, and why), or can again (None)."""

        def told(relative: str, problem: str | None) -> None:
            path = str(root / relative)
            environment = folder_environment(f"{relative}/") or self._default
            if problem is None:
                self.gone(path)
            else:
                rejection = Rejection(Reason.READ_ERROR, f"{path}: {problem}", Source(path))
                file_key = self._file_key(environment, relative or path, path)
                self._store.reject_file(path, file_key, rejection)

        return told

    def _file_key(self, environment: str, relative: str, path: str) -> Key:
        """The key that a file is told of by; where another folder has such a file too, by its whole path."""
        if path not in self._file_keys:
            key = Key(environment, FILE, relative)
            if key in self._paths:
                key = Key(environment, FILE, path)
            self._file_keys[path], self._paths[key] = key, path
        return self._file_keys[path]

    def _claims(self, file: SourceFile, file_key: Key, managed: bool) -> Iterator[Claim]:
        lines: dict[Key, int] = {}
        for document in file.documents:
            source = Source(file.path, document.line, managed)
            key = document_key(document, file_key.environment)
            text = "; ".join(problem.in_file(file.path) for problem in document.problems)
            if key is not None and key in lines:
                text = f"{file.path}:{document.line} defines {key} again; line {lines[key]} has it already"
                key, document = None, Document(document.line)
            rejection = Rejection(Reason.REJECTED, text[:MAX_MESSAGE], source) if text else None
            if key is not None:
                lines[key] = document.line
            yield Claim(key or file_key, source, document.manifest, rejection)

    # From the API

    def place(self, manifest: Manifest, environment: str) -> tuple[Key, Manifest]:
        """The key that an applied manifest has, and the manifest with its environment written in."""
        environment = environment_of(manifest) or environment or self._default
        if not isinstance(manifest, Environment):
            metadata = manifest.metadata.model_copy(update={"environment": environment})
            manifest = manifest.model_copy(update={"metadata": metadata})
        return Key(environment, manifest.kind, manifest.metadata.name), manifest

    def check_writable(self, key: Key) -> None:
        """Raises `Conflict` where a file of the user's defines the key."""
        owner = self._store.owner(key)
        if owner is not None and not owner.managed:
            message = f"{key} is defined by {owner}; change that file, the API never does"
            raise Conflict(message, reason="DefinedByFile")

    async def write(self, key: Key, manifest: Manifest) -> None:
        """Makes the manifest the desired state; it is in the store when this returns."""
        text = json.dumps(to_document(manifest), indent=2, ensure_ascii=False)
        text = _UNLIKE_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
        path = self._directories.manifest(key.environment, key.kind, key.name)
        _replace_file(path, text + "\n")
        if self._managed is not None:
            await self._managed.ingest(path)

    async def delete(self, key: Key) -> None:
        """Takes the manifest away; the object is marked as deleting when this returns."""
        owner = self._store.owner(key)
        if owner is None or not owner.managed:
            return
        path = Path(owner.path)
        _remove_file(path)
        if self._managed is not None:
            await self._managed.ingest(path)

    async def delete_environment(self, environment: str) -> list[Key]:
        """Deletes all that Apply wrote for an environment; returns the keys.

        The environment's own manifest comes last: without its defaults all the others would be made anew.
        """
        keys = [o.key for o in self._store.select(environment) if o.managed and not o.deleting]
        keys.sort(key=lambda key: key.kind == ENVIRONMENT)
        for key in keys:
            await self.delete(key)
        return keys


def document_key(document: Document, environment: str) -> Key | None:
    """The key that a document means, as far as it can be read."""
    if document.kind is None or document.name is None:
        return None
    if document.kind == "Environment":
        return Key(document.name, document.kind, document.name)
    return Key(document.environment or environment, document.kind, document.name)


def _file_claim(file_key: Key, claims: list[Claim]) -> Iterator[Claim]:
    """Several documents that name no object make one message; only the first claim of a key counts."""
    unnamed = [claim for claim in claims if claim.key == file_key and claim.rejection]
    if len(unnamed) > 1:
        messages = "; ".join(claim.rejection.message for claim in unnamed if claim.rejection)
        rejection = Rejection(Reason.REJECTED, messages[:MAX_MESSAGE], unnamed[0].source)
        claims[:] = [claim for claim in claims if claim.key != file_key]
        yield Claim(file_key, unnamed[0].source, rejection=rejection)


def _replace_file(path: Path, text: str) -> None:
    """Writes by temporary file and rename: a reader sees the old or the new, never a half."""
    try:
        replace_file(path, text)
    except OSError as error:
        raise E2EError(f"cannot write {path}: {error.strerror}", reason="StateFolder") from error


def _remove_file(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
    except OSError as error:
        if path.exists():
            raise E2EError(f"cannot remove {path}: {error.strerror}", reason="StateFolder") from error
