"""Reads and parses one file, without ever hanging on it, or reading more than a manifest may be."""

import hashlib
import logging
import os
import stat
import time
from dataclasses import dataclass, replace
from pathlib import Path

from e2e_api.conditions import Reason
from e2e_api.parsing import Document, parse_documents
from e2e_api.problems import Problem, UnreadableError
from e2e_api.yaml_nodes import MAX_BYTES
from e2e_controller.sources.scan import Signature, environment_of
from e2e_controller.sources.writers import Writer, find_writer

logger = logging.getLogger(__name__)

RACY = 0.02
"""Seconds: two writes that lie closer together may leave the same modification time."""

_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """What a file says now.

    `path` is absolute, as seen in the watched folder (not a link's target), and is the file's identity.
    `relative` is the path below that folder. `environment` is the first-level folder's name, or None for
    the default. With a `problem` the file as a whole cannot be read (`reason` is ReadError or ParseError)
    and there are no documents; what it said before is not known to be wrong.
    """

    path: str
    relative: str
    environment: str | None
    documents: tuple[Document, ...] = ()
    problem: Problem | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a file."""

    path: str
    absent: bool = False
    signature: Signature | None = None
    """None where there is no content to rely on."""
    racy: bool = False
    """Modified so recently that the next change may leave the same signature."""
    fingerprint: str = ""
    """Of the content, or of the problem; empty when the content was not asked for, see `writer`."""
    writer: Writer = Writer.NONE
    """PRESENT also when the file changed while it was read."""
    age: float = 0.0
    """Seconds since the file's modification; negative under a clock that is ahead."""
    documents: tuple[Document, ...] = ()
    problem: Problem | None = None
    reason: str = ""
    unchanged: bool = False
    """The fingerprint is the one that was known already; the documents are left out."""

    def to_source_file(self, root: str) -> SourceFile:
        """What the source delivers."""
        relative = self.path[len(root) + 1 :]
        return SourceFile(
            self.path, relative, environment_of(relative), self.documents, self.problem, self.reason
        )


def read_file(path: str, known: str = "", insist: bool = False) -> Reading:
    """Looks at a file; never raises.

    A file whose fingerprint is `known` is not parsed again, and one that is open for writing is not read,
    unless `insist`.
    """
    try:
        return _read(path, known, insist)
    except OSError as error:
        return _unreadable(path, error, known)
    except Exception as error:
        logger.exception("cannot parse %s", path)
        return _problem(path, Problem(f"cannot be parsed: {error}"), Reason.PARSE_ERROR, known)


def _read(path: str, known: str, insist: bool) -> Reading:
    status = Path(path).stat()
    if stat.S_ISDIR(status.st_mode):
        return Reading(path, absent=True)
    if not stat.S_ISREG(status.st_mode):
        return _problem(path, Problem(f"{_kind(status)}, not a regular file"), Reason.READ_ERROR, known)
    if status.st_size > MAX_BYTES:
        message = f"the file is too large: at most {MAX_BYTES} bytes are read"
        return _problem(path, Problem(message), Reason.READ_ERROR, known)
    # O_NONBLOCK: a pipe may have taken the file's place since.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as stream:
        before = os.fstat(descriptor)
        seen = Reading(path, signature=Signature.of(before), writer=find_writer(descriptor))
        if not stat.S_ISREG(before.st_mode) or (seen.writer is Writer.PRESENT and not insist):
            return replace(seen, writer=Writer.PRESENT)
        data = stream.read(MAX_BYTES + 1)
        if data is None:  # a file of the kernel that has nothing to say yet, such as /proc/kmsg
            return _problem(path, Problem("has no end that can be waited for"), Reason.READ_ERROR, known)
        after = os.fstat(descriptor)
        writer = find_writer(descriptor)
    if Signature.of(after) != seen.signature or len(data) != after.st_size:
        return replace(seen, writer=Writer.PRESENT)
    age = time.time() - after.st_mtime
    return _parsed(replace(seen, writer=writer, age=age, racy=age < RACY), data, known)


def _parsed(seen: Reading, data: bytes, known: str) -> Reading:
    fingerprint = hashlib.blake2b(data, digest_size=16).hexdigest()
    seen = replace(seen, fingerprint=fingerprint)
    if fingerprint == known:
        return replace(seen, unchanged=True)
    try:
        return replace(seen, documents=parse_documents(data))
    except UnreadableError as error:
        return replace(seen, problem=error.problem, reason=Reason.PARSE_ERROR)


def _unreadable(path: str, error: OSError, known: str) -> Reading:
    if isinstance(error, BlockingIOError):
        # Opening would have waited for the holder of a lease, who may write.
        return Reading(path, writer=Writer.PRESENT)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        if not Path(path).is_symlink():
            return Reading(path, absent=True)
        problem = Problem("a symbolic link to nothing")
    else:
        problem = Problem(f"cannot be read: {error.strerror or error}")
    return _problem(path, problem, Reason.READ_ERROR, known)


def _problem(path: str, problem: Problem, reason: Reason, known: str) -> Reading:
    fingerprint = f"{reason}: {problem}"
    return Reading(
        path, fingerprint=fingerprint, problem=problem, reason=reason, unchanged=fingerprint == known
    )


def _kind(status: os.stat_result) -> str:
    return next((name for test, name in _SPECIAL if test(status.st_mode)), "something else")
