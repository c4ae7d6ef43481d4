"""Signals when any process has written to the account store. It does not
poll; the file system reports the change.
"""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QFileSystemWatcher, QObject, Signal


class StoreWatch(QObject):
    """SQLite in WAL mode writes to the file next to the database; both and their folder are watched."""

    changed = Signal()

    def __init__(self, path: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._files = (path, path.with_name(path.name + "-wal"))
        self._watcher = QFileSystemWatcher([str(path.parent)], self)
        self._watcher.fileChanged.connect(self._file_changed)
        self._watcher.directoryChanged.connect(self._folder_changed)
        self._watch()

    def _watch(self) -> bool:
        """Watch what exists and is not watched yet; True if that is something new."""
        watched = set(self._watcher.files())
        new = [str(f) for f in self._files if f.exists() and str(f) not in watched]
        if new:
            self._watcher.addPaths(new)
        return bool(new)

    def _file_changed(self) -> None:
        self._watch()  # a file that was replaced is another file
        self.changed.emit()

    def _folder_changed(self) -> None:
        if self._watch():
            self.changed.emit()
