"""The tokens that callers show: read from files, which may change while the controller runs.

Only digests are kept, and they are all compared, in constant time: how long it takes says nothing.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_settings import SettingsError

from e2e_controller.server.callers import Caller
from e2e_controller.server.renewal import RenewalError, Stamp, read_bounded
from e2e_controller.settings_file import read_document

LEAST_LENGTH = 16
_LONGEST_FILE = 4096
_TOKEN = re.compile(r"[!-~]+")
_SINGLE = "default"
"""Name of the token that is alone, of `--token-file` or `E2E_TOKEN`."""

_Prefix = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class _Entry(BaseModel):
    """One token as the file of `--tokens` has it; exactly one of the three ways to give it."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    token: str | None = None
    token_file: Annotated[str, Field(pattern=r"^[^\x00]+$")] | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    environments: Annotated[list[_Prefix], Field(min_length=1)] | None = None
    read_only: bool = False

    @model_validator(mode="after")
    def _once(self) -> "_Entry":
        if sum(value is not None for value in (self.token, self.token_file, self.sha256)) != 1:
            raise ValueError("give exactly one of token, tokenFile and sha256")
        return self


class Tokens:
    """Finds who shows a token."""

    is_secret = True

    def __init__(self, *, text: str = "", file: Path | None = None, table: Path | None = None) -> None:
        """`text` or `file` have one token with all rights, `table` several. Raises `RenewalError`."""
        self._text = text
        self._file = file
        self._table = table
        self._paths: tuple[Path, ...] = ()
        self._known: tuple[Caller, ...] = ()
        self._stamp = Stamp.of(())
        self.read()

    @property
    def files(self) -> Sequence[Path]:
        """Those that were read, whose owners should be the only ones who can."""
        return self._paths

    def find(self, token: str) -> Caller | None:
        """Whose token it is; a short one is nobody's, whatever digests there are."""
        if len(token) < LEAST_LENGTH:
            return None
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        found: Caller | None = None
        for known in self._known:
            if hmac.compare_digest(known.digest, digest):
                found = known
        return found

    def knows(self, caller: Caller) -> bool:
        """Whether there still is such a token, of the same reach."""
        return caller in self._known

    def renew(self) -> bool:
        """Reads the files again where they have changed; whether they had. Raises `RenewalError`."""
        if Stamp.of(self._paths) == self._stamp:
            return False
        self.read()
        return True

    def read(self) -> None:
        """Takes in what the files say; raises `RenewalError`, and leaves all as it was, for what is wrong."""
        paths: list[Path] = [path for path in (self._file, self._table) if path is not None]
        entries = _read_table(self._table) if self._table is not None else []
        for entry in entries:
            if entry.token_file is not None and self._table is not None:
                paths.append(self._table.parent / entry.token_file)
        stamp = Stamp.of(paths)
        known = [_caller(entry, self._table) for entry in entries]
        if self._file is not None:
            known.append(Caller(_SINGLE, digest=_digest(_read_token(self._file), str(self._file))))
        if self._text:
            known.append(Caller(_SINGLE, digest=_digest(self._text, "E2E_TOKEN")))
        if not known:
            raise RenewalError(f"{self._table}: there is no token in it")
        _check_unique(known)
        self._known, self._paths, self._stamp = tuple(known), tuple(paths), stamp


def _caller(entry: _Entry, table: Path | None) -> Caller:
    prefixes = None if entry.environments is None else tuple(entry.environments)
    if entry.sha256 is not None:
        digest = bytes.fromhex(entry.sha256)
    elif entry.token_file is not None and table is not None:
        path = table.parent / entry.token_file
        digest = _digest(_read_token(path), str(path))
    else:
        digest = _digest(entry.token or "", f"token {entry.name}")
    return Caller(entry.name, prefixes, entry.read_only, digest)


def _check_unique(known: Sequence[Caller]) -> None:
    names = [caller.name for caller in known]
    for name in names:
        if names.count(name) > 1:
            raise RenewalError(f"two tokens are called {name}")
    if len({caller.digest for caller in known}) < len(known):
        raise RenewalError("a token stands there twice, under two names")


def _digest(token: str, where: str) -> bytes:
    if not _TOKEN.fullmatch(token):
        raise RenewalError(f"{where}: a token is of visible ASCII characters, without spaces")
    if len(token) < LEAST_LENGTH:
        raise RenewalError(
            f"{where}: a token of less than {LEAST_LENGTH} characters can be guessed; "
            "`e2e token FILE` makes one"
        )
    return hashlib.sha256(token.encode()).digest()


def _read_token(path: Path) -> str:
    return read_bounded(path, _LONGEST_FILE, "file of a token").decode("utf-8", "replace").strip()


def _read_table(path: Path) -> list[_Entry]:
    try:
        document: Any = read_document(path, "--tokens")
    except SettingsError as error:
        raise RenewalError(str(error)) from error
    try:
        return TypeAdapter(list[_Entry]).validate_python(document)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in found['loc']) or 'it'}: "
            f"{found['msg'].removeprefix('Value error, ')}"
            for found in error.errors(include_url=False, include_input=False, include_context=False)
        )
        raise RenewalError(f"{path}: {wrong}") from None
