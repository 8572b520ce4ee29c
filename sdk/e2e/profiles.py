"""Profiles as Go's programs serve them: which there are, how one is asked for, and its file."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from e2e_api.errors import E2EError, InvalidArgument
from e2e_api.manifests import Profiles

ProfileKind = Literal["cpu", "heap", "allocs", "goroutine", "block", "mutex", "threadcreate", "trace"]
"""`trace` is an execution trace for `go tool trace`, all others are pprof's."""

KINDS: tuple[str, ...] = get_args(ProfileKind)
MOST_BYTES = 256 * 2**20
_LASTS: dict[str, float] = {"cpu": 5, "trace": 1}
"""Those that always observe a span of time, and how many seconds unless it is said."""
_LONGEST = 3600
_STARTS = {"trace": (b"go 1.", "an execution trace")}
_GZIP = (b"\x1f\x8b", "a profile of pprof's")


@dataclass(frozen=True, slots=True)
class ProfileRequest:
    """What a program is asked for."""

    kind: str
    url: str
    seconds: float
    """How long it observes; 0 for a snapshot."""

    def check(self, content: bytes) -> None:
        """Raises InvalidArgument for an answer that is none of that kind."""
        start, name = _STARTS.get(self.kind, _GZIP)
        if not content.startswith(start):
            words = " ".join(content[:200].decode("utf-8", "replace").split()) or "nothing"
            message = f"{self.url} answers, but not with {name}: {words}"
            raise InvalidArgument(message, reason="NotAProfile")


def profile_request(profiles: Profiles, address: str, kind: str, seconds: float | None) -> ProfileRequest:
    """How that kind of profile is asked for. Raises InvalidArgument for what no program would understand."""
    if kind not in KINDS:
        raise InvalidArgument(f"{kind!r} is no kind of profile: expected one of {', '.join(KINDS)}")
    lasts = _LASTS.get(kind, 0.0) if seconds is None else seconds
    if seconds is not None and not _can_last(kind, seconds):
        # Go takes its own default for what it does not understand, and says nothing.
        message = f"seconds: expected whole seconds up to {_LONGEST} for a {kind} profile, not {seconds}"
        raise InvalidArgument(message)
    name = "profile" if kind == "cpu" else kind
    query = f"?seconds={lasts:g}" if lasts else ""
    return ProfileRequest(
        kind, f"{profiles.scheme}://{address}{profiles.path.rstrip('/')}/{name}{query}", lasts
    )


def _can_last(kind: str, seconds: float) -> bool:
    return 0 < seconds <= _LONGEST and (kind == "trace" or float(seconds).is_integer())


def profile_path(path: str | Path | None, workload: str, kind: str) -> Path:
    """Where the file goes; a folder that is there gets one of the default's name."""
    name = f"{workload}-{kind}" + (".trace" if kind == "trace" else ".pb.gz")
    target = Path(path or name).absolute()
    return target / name if target.is_dir() else target


def write_profile(path: Path, content: bytes) -> None:
    """Writes the file, whole or not at all. Raises E2EError."""
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.replace(path)
    except OSError as error:
        raise E2EError(f"cannot write {path}: {error.strerror}", reason="ProfileNotWritten") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
