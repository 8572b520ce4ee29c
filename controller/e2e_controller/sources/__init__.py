"""Manifests from folders: files are the desired state.

`scan` walks, `reading` reads and parses one file, `writers` knows who has a file open, `settling` decides
when a file is complete, `watcher` turns the system's events into hints, `folder` wires them together.
"""

from e2e_controller.sources.folder import FolderSource
from e2e_controller.sources.reading import SourceFile

__all__ = ["FolderSource", "SourceFile"]
