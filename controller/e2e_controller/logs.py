"""How the controller logs: lines for people, or JSON for machines, which has more fields."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


class _UtcFormatter(logging.Formatter):
    """Times as `2026-01-31T12:00:00.123Z`."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        """The name is logging's."""
        return utc_text(record.created)


class _Lines(_UtcFormatter):
    """A line for each message, whatever names of files or words of others have in them."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The name is logging's; a traceback comes after it, with its own lines."""
        return super().formatMessage(record).translate(_ESCAPED)


_ESCAPED = {number: repr(chr(number))[1:-1] for number in (*range(32), *range(127, 160), 0x2028, 0x2029)}


def utc_text(seconds: float) -> str:
    """Seconds since the epoch in ISO 8601, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def set_up_logging(level: str, style: str) -> None:
    """`style` is `text` or `json`; JSON has, where they are known, `key`, `plan`, `step` and `duration` too.

    They come from `extra` of the call that logs.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(json_formatter() if style == "json" else text_formatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])


@contextmanager
def without_secrets(hide: Callable[[str], str]) -> Iterator[None]:
    """Has all lines go through `hide` that the handlers of now write."""
    handlers = [(handler, handler.formatter) for handler in logging.getLogger().handlers]
    for handler, formatter in handlers:
        handler.setFormatter(_Hiding(formatter or logging.Formatter(), hide))
    try:
        yield
    finally:
        for handler, formatter in handlers:
            handler.setFormatter(formatter)


class _Hiding(logging.Formatter):
    """Another formatter's lines, without secrets."""

    def __init__(self, inner: logging.Formatter, hide: Callable[[str], str]) -> None:
        super().__init__()
        self._inner = inner
        self._hide = hide

    def format(self, record: logging.LogRecord) -> str:
        return self._hide(self._inner.format(record))


def text_formatter() -> logging.Formatter:
    """For people."""
    return _Lines("%(asctime)s %(levelname)s %(name)s: %(message)s")


def json_formatter() -> logging.Formatter:
    """One JSON document a line: `time`, `level`, `logger`, `message`, and what the call adds."""
    from pythonjsonlogger.json import JsonFormatter  # here: most runs log text

    class JsonLines(_UtcFormatter, JsonFormatter):
        pass

    return JsonLines(
        "{asctime}{levelname}{name}{message}",
        style="{",
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
    )
