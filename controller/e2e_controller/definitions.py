"""Which file defines which key: the first that claims it keeps it until it lets go, then the next has it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from e2e_api.conditions import Reason
from e2e_api.manifests import Manifest
from e2e_controller.drivers.base import Key
from e2e_controller.objects import FILE, Rejection, Source


@dataclass(frozen=True, slots=True)
class Claim:
    """What one document says: a manifest for a key, or why it is none."""

    key: Key
    source: Source
    manifest: Manifest | None = None
    rejection: Rejection | None = None


class Definitions:
    """What all files say. A key that a file claims is told by `add`, one that it lets go by `release`."""

    def __init__(self) -> None:
        self._files: dict[str, dict[Key, Claim]] = {}
        self._file_keys: dict[str, Key] = {}
        self._conflicts: dict[Key, Claim] = {}  # by File key: what the file defines but does not own
        self._claimants: dict[Key, list[str]] = {}  # paths, in the order in which they came

    def __contains__(self, key: Key) -> bool:
        """Whether a file defines it."""
        return key in self._claimants

    def owner(self, key: Key) -> Source | None:
        """The file that defines the key."""
        claim = self._first(key)
        return claim.source if claim else None

    def claim(self, key: Key) -> Claim | None:
        """What counts of what is said of the key."""
        return _merged(self._first(key), self._conflicts.get(key))

    def file_key(self, path: str) -> Key | None:
        """The File object of a file that is there."""
        return self._file_keys.get(path)

    def rejected(self, path: str, file_key: Key, rejection: Rejection) -> list[Claim]:
        """What a file says that cannot be read: what it said before, and that of the rejection."""
        claims = self._files.get(path, {}).items()
        kept = [replace(claim, rejection=rejection) for key, claim in claims if key.kind != FILE]
        return [*kept, Claim(file_key, rejection.source, rejection=rejection)]

    def set_file(self, path: str, file_key: Key, claims: Mapping[Key, Claim]) -> Mapping[Key, Claim]:
        """Notes what a file says now; gives what it said before."""
        old = self._files.get(path, {})
        self._files[path] = {key: _keep_last_good(claim, old.get(key)) for key, claim in claims.items()}
        self._file_keys[path] = file_key
        return old

    def remove_file(self, path: str) -> None:
        """Forgets a file that claims nothing."""
        del self._files[path], self._file_keys[path]

    def add(self, key: Key, path: str) -> None:
        """The file claims the key, after those that do so already."""
        claimants = self._claimants.setdefault(key, [])
        if path not in claimants:
            claimants.append(path)

    def release(self, key: Key, path: str) -> None:
        """The file claims the key no more."""
        claimants = self._claimants.get(key, [])
        if path in claimants:
            claimants.remove(path)
        if not claimants:
            self._claimants.pop(key, None)

    def rivals(self, keys: Iterable[Key]) -> set[str]:
        """The files that claim any of the keys."""
        return {path for key in keys for path in self._claimants.get(key, ())}

    def find_conflict(self, path: str) -> Key:
        """Notes which of its keys the file does not own; gives the key of its File object, which tells it."""
        file_key = self._file_keys[path]
        lost = [c for key, c in self._files[path].items() if self._claimants[key][0] != path]
        messages = [
            f"{claim.source} defines {claim.key} too, but {self.owner(claim.key)} has it already; "
            "rename or remove one of them"
            for claim in lost
        ]
        if messages:
            rejection = Rejection(Reason.CONFLICT, "; ".join(messages[:10]), lost[0].source)
            self._conflicts[file_key] = Claim(file_key, lost[0].source, rejection=rejection)
        else:
            self._conflicts.pop(file_key, None)
        return file_key

    def _first(self, key: Key) -> Claim | None:
        paths = self._claimants.get(key)
        return self._files[paths[0]][key] if paths else None


def _keep_last_good(claim: Claim, old: Claim | None) -> Claim:
    """A rejected claim leaves the version before it in force."""
    if claim.rejection is not None and claim.manifest is None and old is not None:
        return replace(claim, manifest=old.manifest)
    return claim


def _merged(claim: Claim | None, conflict: Claim | None) -> Claim | None:
    """What is said of a File: why it counts for nothing, and what another file had first."""
    if claim is None or conflict is None or claim.rejection is None or conflict.rejection is None:
        return claim or conflict
    message = f"{claim.rejection.message}; {conflict.rejection.message}"
    return replace(claim, rejection=replace(claim.rejection, message=message))
