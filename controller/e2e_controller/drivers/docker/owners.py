"""Whose the files are that are put into containers: the user's that the program runs as."""

import io
import posixpath
import tarfile
from collections.abc import Sequence
from contextlib import suppress

from docker import APIClient
from docker.errors import NotFound

_TEXT_BYTES = 2**20
_DIGITS = 10


def names_somebody(user: str) -> bool:
    """Whether a `1000`, `nobody` or `nobody:staff` has a name in it, which only the image can tell of."""
    return any(part and not part.isdigit() for part in user.split(":"))


def owner_of(user: str, passwd: str = "", group: str = "") -> tuple[int, int]:  # nosec B107
    """Numbers of a user and its group, names by those files of the image; root's where they are not known."""
    name, _, group_name = user.partition(":")
    entry = _entry(passwd, name, 4)
    uid = name if _is_number(name) else entry[2]
    of_group = _entry(group, group_name, 3)[2] if group_name else entry[3]
    gid = group_name if _is_number(group_name) else of_group
    return (int(uid) if _is_number(uid) else 0, int(gid) if _is_number(gid) else 0)


def _is_number(text: str) -> bool:
    """Whether it can be a user's number; an image may have anything there."""
    return text.isascii() and text.isdecimal() and len(text) <= _DIGITS


def _entry(text: str, name: str, fields: int) -> Sequence[str]:
    """The line of that name in a file such as `/etc/passwd`."""
    lines = (line.split(":") for line in text.splitlines())
    return next((line for line in lines if line[0] == name and len(line) >= fields), [""] * fields)


def text_in(client: APIClient, container_id: str, path: str) -> str:
    """A small file of a container, started or not; "" where there is none."""
    with suppress(NotFound, KeyError, tarfile.TarError):
        chunks, _ = client.get_archive(container_id, path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            found = archive.extractfile(posixpath.basename(path))
            return found.read(_TEXT_BYTES).decode(errors="replace") if found else ""
    return ""
