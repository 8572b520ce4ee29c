"""Reads the secrets that manifests point to: below folders that are meant for it, and nowhere else."""

import hmac
import os
import secrets
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from e2e_api.conditions import Reason
from e2e_api.manifests import Secret
from e2e_controller.objects import Source
from e2e_controller.secret_texts import SecretTexts

LONGEST = 512 * 1024
"""Bytes of one secret."""
_KEY_BYTES = 32
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


class SecretError(Exception):
    """It cannot be had; the text says why, what helps, and nothing of what it is."""

    def __init__(self, message: str, reason: Reason = Reason.SECRET_NOT_FOUND) -> None:
        super().__init__(message)
        self.reason = reason


class SecretSources:
    """Where secrets may come from, and the key that their digests are made with."""

    def __init__(
        self, key: bytes, folder: Path | None, watched: Sequence[Path], variables: Mapping[str, str]
    ) -> None:
        """`folder`: `--secrets-dir`; `watched`: the folders of manifests."""
        self._key = key
        self._folder = folder
        self._watched = watched
        self._variables = variables

    def read(self, wanted: Iterable[Secret], source: Source | None) -> SecretTexts:
        """All that a manifest wants, which stands there; None: it was not applied yet. Blocks."""
        values: dict[Secret, bytes] = {}
        digests: dict[Secret, str] = {}
        for secret in wanted:
            try:
                values[secret] = value = self._value(secret, source)
            except SecretError as error:
                return SecretTexts(values, digests, error.reason, str(error))
            digests[secret] = hmac.digest(self._key, value, "sha256").hex()[:32]
        return SecretTexts(values, digests)

    def _value(self, secret: Secret, source: Source | None) -> bytes:
        if secret.value is not None:
            return secret.value.encode()
        if secret.variable is not None:
            return self._variable(secret.variable)
        return self._file(secret.file or "", source)

    def _variable(self, name: str) -> bytes:
        value = self._variables.get(name)
        if value is None:
            raise SecretError(
                f"the controller has no variable {name}: start it with one; "
                "for a variable of your test, send its value: e2e.secret_from_env"
            )
        return value.encode("utf-8", "surrogateescape")

    def _file(self, file: str, source: Source | None) -> bytes:
        from_file = source is not None and not source.managed
        base = Path(source.path).parent if source is not None and from_file else self._folder
        roots = [self._folder] if self._folder is not None else []
        if from_file and base is not None:
            roots += [watched for watched in self._watched if base.is_relative_to(watched)]
        if base is None:
            raise SecretError(
                f"{file}: the controller has no folder of secrets: start it with --secrets-dir; "
                "for a file beside your test, send its content: e2e.secret_from_file",
                Reason.SECRET_DENIED,
            )
        # Without `..`, and before anything is looked at: what is elsewhere is nobody's business.
        path = Path(os.path.normpath(base / file))
        if not any(path.is_relative_to(root) for root in roots):
            raise _outside(file, roots)
        try:
            real = Path(os.path.realpath(path))  # unlike `resolve`, it minds no links in a circle
            real_roots = (Path(os.path.realpath(root)) for root in roots)
            root = next((root for root in real_roots if real.is_relative_to(root)), None)
            if root is None:
                raise _outside(file, roots)
            return _content(root, real.relative_to(root), file)
        except (FileNotFoundError, NotADirectoryError):
            raise SecretError(f"there is no file {path}") from None
        except OSError as error:
            raise SecretError(f"cannot read {path}: {error.strerror}") from error
        except ValueError as error:
            raise SecretError(f"{file!r} can be no path", Reason.SECRET_DENIED) from error


def _outside(file: str, roots: Sequence[Path]) -> SecretError:
    where = " or ".join(map(str, roots))
    return SecretError(f"{file} is not below {where}, where secrets may be", Reason.SECRET_DENIED)


def _content(root: Path, relative: Path, name: str) -> bytes:
    """Opened folder by folder, following no link: what was looked at is what is read."""
    with ExitStack() as stack:
        place = os.open(root, _FOLDER)
        stack.callback(os.close, place)
        for part in relative.parts[:-1]:
            place = os.open(part, _FOLDER, dir_fd=place)
            stack.callback(os.close, place)
        handle = os.open(relative.name or ".", _FILE, dir_fd=place)
        stack.callback(os.close, handle)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise SecretError(f"{name} is no regular file", Reason.SECRET_DENIED)
        with open(handle, "rb", closefd=False) as file:
            content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise SecretError(f"{name} has more than {LONGEST} bytes", Reason.SECRET_DENIED)
    return content


def load_key(path: Path) -> bytes:
    """The key that digests are made with; made where there is none. Raises OSError.

    With another key, containers that have secrets are replaced once.
    """
    known = path.read_bytes() if path.exists() else b""
    if len(known) == _KEY_BYTES:
        return known
    key = secrets.token_bytes(_KEY_BYTES)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(handle, "wb") as file:  # noqa: PTH123 - of a descriptor
        file.write(key)
    temporary.replace(path)
    return key
