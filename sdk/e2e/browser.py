"""The user's browser, wherever this runs: a Linux desktop, macOS, Windows' Linux, or nowhere near one.

The standard library's `webbrowser` blocks on browsers in a terminal and knows nothing of Windows' Linux.
"""

import os
import re
import shlex
import shutil
import subprocess  # nosec B404
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from e2e_api.errors import InvalidArgument

_KERNEL = Path("/proc/sys/kernel/osrelease")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/]", re.IGNORECASE)
_IN_ADDRESSES = "%/:=&?~#+!$,;'@()*[]"
_DESKTOP = (
    *(["xdg-open"], ["gio", "open"], ["sensible-browser"], ["x-www-browser"]),
    *(["firefox"], ["google-chrome"], ["chromium"]),
)


def open_in_browser(url: str) -> bool:
    """Opens an address in the user's browser; prints it where there is none. Never waits for the browser.

    The variable BROWSER names commands to try first, separated by `:`, with the address for their `%s` or
    as their last word; a graphical desktop, macOS and Windows' Linux have their own.

    Args:
        url: what to open; `host:port`, as `workload.endpoint(...)` gives it, is one of `http://`.

    Gives whether a browser was started. Raises InvalidArgument for what is no address, and nothing else.
    """
    address = quote(url if "://" in url else f"http://{url}", safe=_IN_ADDRESSES)
    if not _ADDRESS.match(address):
        raise InvalidArgument(f"{url!r} is no address: expected http://host:port/path, or host:port")
    for command in _commands(address):
        if shutil.which(command[0]) and _start(command, address):
            return True
    _tell(address)
    return False


def _commands(address: str) -> Iterator[Sequence[str]]:
    """What may open it, the user's own choice first."""
    for text in filter(str.strip, os.environ.get("BROWSER", "").split(os.pathsep)):
        yield _named_command(text, address)
    if sys.platform == "darwin":
        yield ["open", address]
    elif _is_windows_linux():
        yield ["wslview", address]
        # `start` takes the first quoted word for a title; the rest is read by a shell that is not ours.
        yield ["cmd.exe", "/c", "start", "", re.sub(r"([&|<>^()%!])", r"^\1", address)]
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        yield from ([*words, address] for words in _DESKTOP)


def _named_command(text: str, address: str) -> list[str]:
    try:
        words = shlex.split(text.strip().removesuffix("&"))
    except ValueError:  # a quote without its end
        words = text.split()
    if any("%s" in word for word in words):
        return [word.replace("%s", address) for word in words]
    return [*words, address]


def _is_windows_linux() -> bool:
    if "WSL_DISTRO_NAME" in os.environ:
        return True
    try:
        return "microsoft" in _KERNEL.read_text().lower()
    except OSError:
        return False


def _start(command: Sequence[str], address: str) -> bool:
    """Starts it on its own: neither the terminal nor an interrupt here is for it."""
    quiet = subprocess.DEVNULL
    try:
        process = subprocess.Popen(  # noqa: S603 - what the user, or the desktop, chose  # nosec B603
            command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
        )
    except OSError:
        return False
    threading.Thread(target=_follow, args=(process, address), name="e2e-browser", daemon=True).start()
    return True


def _follow(process: subprocess.Popen[bytes], address: str) -> None:
    if process.wait() > 0:
        _tell(address)  # such as a desktop that has no browser


def _tell(address: str) -> None:
    print(f"to be opened in a browser: {address}", flush=True)  # noqa: T201 - it is for the user
