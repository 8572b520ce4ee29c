"""Watches folders through watchdog's inotify layer (Linux).

Its Observer is not used: it watches hidden trees too, swallows a reached limit, and holds all events back
for half a second when a file was moved away.
"""

import contextlib
import itertools
import logging
import os
from pathlib import Path

from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchDescriptor,
)

from e2e_controller.sources.hints import Hints
from e2e_controller.sources.scan import Identity, is_ignored, is_manifest
from e2e_controller.sources.settling import Word

logger = logging.getLogger(__name__)

_VIM_PROBE = "4913"  # vim creates this file to see whether it may write there
_STRUCTURE = (
    InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_MOVED_FROM
    | InotifyConstants.IN_MOVED_TO
)
_CONTENT = InotifyConstants.IN_MODIFY | InotifyConstants.IN_CLOSE_WRITE | InotifyConstants.IN_ATTRIB
_SELF = InotifyConstants.IN_DELETE_SELF | InotifyConstants.IN_MOVE_SELF | InotifyConstants.IN_UNMOUNT
# IN_MASK_ADD: two watches of one folder share a descriptor, and neither may narrow the other.
_FLAGS = InotifyConstants.IN_ONLYDIR | InotifyConstants.IN_MASK_ADD
_WORDS = (
    (InotifyConstants.IN_CLOSE_WRITE, Word.CLOSED),
    (InotifyConstants.IN_MOVED_TO, Word.ARRIVED),
    (InotifyConstants.IN_DELETE | InotifyConstants.IN_MOVED_FROM, Word.REMOVED),
    (InotifyConstants.IN_MODIFY, Word.WRITING),
    (InotifyConstants.IN_CREATE, Word.CREATED),
    (InotifyConstants.IN_ATTRIB, Word.NOTHING),
)


class _FolderWatch:
    """One folder's watch; called by watchdog's thread. `only`: nothing else in the folder matters."""

    def __init__(self, path: str, identity: Identity, only: str | None, hints: Hints) -> None:
        self.path = path
        self.identity = identity
        self.only = only
        self.descriptor = WatchDescriptor(-1)
        self.callback_id = CallbackId(0)
        self.ended = False
        self._hints = hints

    def on_event(self, event: InotifyEvent) -> None:
        name = os.fsdecode(event.name)
        if event.mask & _SELF or name == self.only:
            self._hints.scan()
        elif self.only is None and is_manifest(name) and not event.mask & InotifyConstants.IN_ISDIR:
            word = next((word for mask, word in _WORDS if event.mask & mask), Word.NOTHING)
            self._hints.add(f"{self.path}/{name}", word)
        elif self.only is None and self._may_be_folder(event, name):
            self._hints.scan()

    def _may_be_folder(self, event: InotifyEvent, name: str) -> bool:
        is_folder = event.mask & InotifyConstants.IN_ISDIR != 0
        # Kubernetes swaps a folder of files by renaming a link whose name begins with two dots.
        if (is_ignored(name) and not name.startswith("..")) or (name == _VIM_PROBE and not is_folder):
            return False
        wanted = _STRUCTURE | (InotifyConstants.IN_ATTRIB if is_folder else 0)
        return event.mask & wanted != 0

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:  # noqa: ARG002
        self.ended = True

    def on_queue_overflow(self) -> None:
        self._hints.scan()


class InotifyWatcher:
    """One watch for each visible folder, and one for the folder that the root is in, or will be."""

    def __init__(self, root: str, hints: Hints) -> None:
        """Raises OSError where no inotify instance is left."""
        self._root = root
        self._hints = hints
        self._watches: dict[str, _FolderWatch] = {}
        self._ids = itertools.count(1)
        self._warned = False
        self._inotify = InotifyFD()
        self._inotify.start()

    def enter(self, path: str, identity: Identity) -> None:
        """Watches the folder, if this very folder is not watched yet."""
        self._add(path, identity, None)

    def retain(self, folders: dict[str, Identity]) -> None:
        """Forgets the folders that are gone, and watches for the root to go or to come."""
        above = self._watch_above()
        for path in [path for path in self._watches if path not in folders and path != above]:
            self._remove(path)

    def close(self) -> None:
        """Ends all watching."""
        self._inotify.stop()
        self._inotify.join(timeout=5)

    def _watch_above(self) -> str | None:
        missing = Path(self._root)
        for folder in missing.parents:
            with contextlib.suppress(OSError):
                status = folder.stat()
                self._add(str(folder), Identity(status.st_dev, status.st_ino), missing.name)
                return str(folder)
            missing = folder
        return None

    def _add(self, path: str, identity: Identity, only: str | None) -> None:
        known = self._watches.get(path)
        if known is not None:
            if not known.ended and known.identity == identity and known.only == only:
                return
            self._remove(path)
        watch = _FolderWatch(path, identity, only, self._hints)
        watch.callback_id = CallbackId(next(self._ids))
        mask = Mask(_FLAGS | _SELF | _STRUCTURE | (_CONTENT if only is None else 0))
        try:
            watch.descriptor = self._inotify.add_callback(os.fsencode(path), mask, watch, watch.callback_id)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self._warn(path, error)
            return
        if watch.descriptor >= 0:  # watchdog returns -1 where permission is missing
            self._watches[path] = watch

    def _warn(self, path: str, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            reason = error.strerror or error
            logger.warning("cannot watch %s: %s; changes there are found by rescans only", path, reason)

    def _remove(self, path: str) -> None:
        watch = self._watches.pop(path)
        if not watch.ended:
            self._inotify.remove_callbacks([(watch.descriptor, watch.callback_id)])
