"""Reads profiles of pprof's as far as tests need: their table of strings, which names all that is in them."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

_STRINGS, _SAMPLE = 6, 2


def names_in(path: Path, *, samples: bool = True) -> set[str]:
    """The strings of a profile; fails for what is no profile, or has no samples where it should."""
    try:
        fields = list(_fields(gzip.decompress(path.read_bytes())))
    except (OSError, EOFError, zlib.error) as error:
        raise AssertionError(f"{path} is no gzip file: {error}") from error
    if samples:
        assert any(number == _SAMPLE for number, _ in fields), f"{path} has no samples"
    return {value.decode() for number, value in fields if number == _STRINGS}


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """(number, value) of a protobuf message's fields; numbers have no value here."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                _, at = _varint(message, at)
                yield tag >> 3, b""
            case 2:
                size, at = _varint(message, at)
                yield tag >> 3, message[at : at + size]
                at += size
            case 1 | 5:
                at += 8 if tag & 7 == 1 else 4
            case wire:
                raise AssertionError(f"no protobuf: wire type {wire} at byte {at}")
    assert at == len(message), "the last field is cut off"


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        assert at < len(message), "a number is cut off"
        value |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if message[at - 1] < 0x80:
            return value, at
