"""The best source of file events that this machine has: inotify, else watchdog's Observer, else none."""

import contextlib
import logging
import os
import sys
from typing import Protocol

from watchdog import events
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from e2e_controller.sources.hints import Hints
from e2e_controller.sources.scan import Identity

logger = logging.getLogger(__name__)


class Watcher(Protocol):
    """Watches the folders that scans walk. Its methods may block; they are called one at a time."""

    def enter(self, path: str, identity: Identity) -> None:
        """A scan is about to list that folder; the first is the root."""

    def retain(self, folders: dict[str, Identity]) -> None:
        """A scan has ended: these folders are there, and no others."""

    def close(self) -> None:
        """Ends all watching."""


def watch(root: str, hints: Hints) -> Watcher | None:
    """Starts to watch. None: there are no events here, and scans have to do."""
    try:
        if sys.platform == "linux":
            from e2e_controller.sources.inotify import InotifyWatcher

            return InotifyWatcher(root, hints)
        return ObserverWatcher(root, hints)
    except (OSError, ImportError) as error:
        logger.warning("no file events, so changes are found by rescans only: %s", error)
        return None


class ObserverWatcher:
    """Any event means a scan: for systems whose events say less than inotify's."""

    _KINDS: tuple[type[events.FileSystemEvent], ...] = (
        # Not the opening and closing of files: a scan's own reading would cause the next scan.
        events.DirCreatedEvent,
        events.DirDeletedEvent,
        events.DirMovedEvent,
        events.FileCreatedEvent,
        events.FileDeletedEvent,
        events.FileModifiedEvent,
        events.FileMovedEvent,
        events.FileClosedEvent,
    )

    def __init__(self, root: str, hints: Hints) -> None:
        self._root = root
        self._handler = _AnyEvent(hints)
        self._observer: BaseObserver = Observer()
        self._observer.start()
        self._watch: ObservedWatch | None = None
        self._identity: Identity | None = None

    def enter(self, path: str, identity: Identity) -> None:
        """Watches the tree below the root, if this very folder is not watched yet."""
        if path != self._root or identity == self._identity:
            return
        self._forget()
        try:
            # The Observer does not follow a link, so it gets what the root stands for.
            self._watch = self._observer.schedule(
                self._handler, os.path.realpath(path), recursive=True, event_filter=list(self._KINDS)
            )
        except OSError as error:
            logger.warning("cannot watch %s, so changes are found by rescans only: %s", path, error)
        self._identity = identity

    def retain(self, folders: dict[str, Identity]) -> None:
        """Forgets a root that is gone, so that its successor is watched."""
        if self._root not in folders:
            self._forget()

    def close(self) -> None:
        """Ends all watching."""
        self._observer.stop()
        self._observer.join(timeout=5)

    def _forget(self) -> None:
        if self._watch is not None:
            with contextlib.suppress(KeyError, OSError):
                self._observer.unschedule(self._watch)
        self._watch = self._identity = None


class _AnyEvent(events.FileSystemEventHandler):
    def __init__(self, hints: Hints) -> None:
        self._hints = hints

    def on_any_event(self, event: events.FileSystemEvent) -> None:  # noqa: ARG002
        self._hints.scan()
