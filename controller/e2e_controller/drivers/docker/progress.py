"""Short lines about how far a pull or a build is, from the engine's progress documents."""

from collections import deque
from collections.abc import Mapping
from typing import Any

_TAIL_LINES = 20
_ERROR_LENGTH = 2_000
_LINE_WIDTH = 200
_DONE = ("Pull complete", "Already exists")


def error_of(document: Mapping[str, Any]) -> str:
    """Why it failed, as the engine says; of a long text the end. Empty where it tells of none."""
    text = str(document.get("error", ""))
    return text if len(text) <= _ERROR_LENGTH else f"... {text[-_ERROR_LENGTH:]}"


class PullLines:
    """Sums up the layers of one pull."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}
        """Bytes that are here, and bytes in all, of each layer; both 0 as long as unknown."""
        self._done: set[str] = set()
        self._last = ""

    def add(self, document: Mapping[str, Any]) -> str:
        """The new line, or "" where it is the same as before."""
        layer, status = str(document.get("id", "")), str(document.get("status", ""))
        if not layer or status.startswith("Pulling from"):
            return ""
        detail = document.get("progressDetail") or {}
        _, total = self._layers.setdefault(layer, (0, 0))
        if status == "Downloading":
            self._layers[layer] = int(detail.get("current") or 0), int(detail.get("total") or total)
        elif status in ("Download complete", *_DONE):
            self._layers[layer] = total, total
        if status in _DONE:
            self._done.add(layer)
        return self._changed()

    def _changed(self) -> str:
        here, total = (sum(sizes) for sizes in zip(*self._layers.values(), strict=True))
        # Of a small layer the engine may tell the end without ever having told the size.
        complete = len(self._done) == len(self._layers)
        percent = " 100%" if complete else f" {100 * here // total}%" if total else ""
        line = f"pulling{percent} ({len(self._done)} of {len(self._layers)} layers)"
        if line == self._last:
            return ""
        self._last = line
        return line


class BuildLines:
    """Follows a build's output, and keeps the end of it."""

    def __init__(self) -> None:
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)

    @property
    def tail(self) -> str:
        """The last lines."""
        return "\n".join(self._tail)

    def add(self, document: Mapping[str, Any]) -> str:
        """The new line, or "" where there is none to show."""
        lines = [line.rstrip() for line in str(document.get("stream", "")).splitlines()]
        lines = [line[:_LINE_WIDTH] for line in lines if line]
        self._tail.extend(lines)
        return f"building: {lines[-1]}" if lines else ""
