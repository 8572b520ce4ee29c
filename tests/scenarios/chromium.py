"""A real browser in a container: what a page shows once its scripts have run."""

import time
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import e2e

IMAGE = "docker.io/chromedp/headless-shell:stable"
PROGRAM = "/headless-shell/headless-shell"
SECONDS = 60.0
_PAGE_SECONDS = 60.0
_VIRTUAL_MILLISECONDS = 10_000
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
    *("--window-size=1280,1600", "--run-all-compositor-stages-before-draw"),
    f"--virtual-time-budget={_VIRTUAL_MILLISECONDS}",
)


class Chromium:
    """A browser in the network of an environment, where workloads are known by their names."""

    def __init__(self, env: e2e.Environment, name: str = "chromium") -> None:
        """Starts its container; each page gets a browser of its own."""
        self._workload = env.workload(name, image=IMAGE, entrypoint=["tail"], command=["-f", "/dev/null"])
        self._workload.start_and_wait_ready(timeout=SECONDS)

    def open(self, url: str) -> str:
        """The text of the page that people see, once ten seconds of its own time have passed."""
        command = [PROGRAM, *_FLAGS, "--dump-dom", url]
        shown = self._workload.exec(command, timeout=_PAGE_SECONDS)
        return text_of(shown.stdout_text)

    def wait_shown(self, url: str, *texts: str, pictures: Path) -> str:
        """Opens the page until it shows all these texts; else fails with what it showed, and a picture.

        A browser that fails, as some do on a busy machine, is started again.
        """
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                shown, trouble = self.open(url), None
            except (e2e.ExecFailed, e2e.WaitTimeout) as error:
                shown, trouble = "", error
            missing = [text for text in texts if _letters(text) not in _letters(shown)]
            if not missing:
                return shown
            if time.monotonic() > deadline:
                if trouble is not None:
                    raise trouble
                picture = self.take_picture(url, pictures)
                raise AssertionError(f"{url} never showed {missing}; it shows (see {picture}):\n{shown}")

    def take_picture(self, url: str, folder: Path) -> Path:
        """A PNG of the page."""
        self._workload.exec([PROGRAM, *_FLAGS, "--screenshot=/tmp/page.png", url], timeout=_PAGE_SECONDS)
        picture = self._workload.exec(["cat", "/tmp/page.png"], timeout=_PAGE_SECONDS).stdout
        path = folder / "page.png"
        path.write_bytes(picture)
        return path


def _letters(text: str) -> str:
    """Without spaces: pages put pieces of one word into elements of their own, to colour them."""
    return "".join(text.split())


class _Text(HTMLParser):
    """The words of a page, without its programs and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("script", "style")
        self.words += [value for name, value in attrs if name in ("value", "placeholder") and value]

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words += data.split()


def text_of(html: str) -> str:
    """The words of a page, with one space between them."""
    parser = _Text()
    parser.feed(html)
    return " ".join(parser.words)
