"""The first start without an account: offers to move keys from other
tools' files, or the user connects an account.

Connects the presenter and its dialog. One QObject on the GUI thread, used once.
"""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from keyfob.core.text import plain
from keyfob.desktop.imports.dialog import ImportDialog
from keyfob.desktop.imports.presenter import ImportPresenter, Step, item
from keyfob.desktop.shared.theme import Theme
from keyfob.tools.imports import Found

PATH_MOST = 4096  # characters of a path that is shown


class FirstStart(QObject):
    """On the first start, looks for keys in other tools' files and offers to move them."""

    nothing_found = Signal()
    ended = Signal()  # the dialog is closed, whatever was moved

    def __init__(
        self, theme: Theme, moving: ImportPresenter, window: QWidget, home: Path | None = None
    ) -> None:
        super().__init__(window)
        self._theme, self._moving, self._window = theme, moving, window
        self._home = home or Path.home()
        self._found: list[Found] = []
        self._keys: list[Found] = []
        self.dialog: ImportDialog | None = None
        moving.found.connect(self._looked)
        moving.stepped.connect(self._stepped)
        moving.moved.connect(self._moved)
        moving.blanked.connect(self._blanked)
        moving.failed.connect(self._failed)

    def begin(self) -> None:
        """Look, off the GUI thread; a dialog follows if there is something to move."""
        self._moving.look()

    def close(self) -> None:
        """Close the dialog, if it is open."""
        if self.dialog is not None:
            self.dialog.reject()

    def _looked(self, found: list[Found]) -> None:
        if not found:
            self.nothing_found.emit()
            return
        self._found = found
        dialog = self.dialog = ImportDialog(
            self._theme, tuple(item(each, self._home) for each in found), self._window
        )
        dialog.move_asked.connect(self._move)
        dialog.blank_asked.connect(self._blank)
        dialog.finished.connect(self._closed)
        dialog.open()

    def _move(self, chosen: tuple[int, ...]) -> None:
        self._moving.move([(number, self._found[number]) for number in chosen])

    def _blank(self) -> None:
        self._moving.blank(self._keys)

    def _stepped(self, step: Step) -> None:
        if self.dialog is not None:
            self.dialog.step(step)

    def _moved(self, keys: list[Found]) -> None:
        self._keys = [each for each in keys if each.entry.spans]
        if self.dialog is not None:
            self.dialog.moved(plaintext=bool(self._keys))

    def _blanked(self, backups: tuple[Path, ...]) -> None:
        if self.dialog is not None:
            self.dialog.blanked(tuple(plain(each, PATH_MOST) for each in backups))

    def _failed(self, text: str) -> None:
        if self.dialog is not None:
            self.dialog.complain(text)

    def _closed(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None
        self.ended.emit()
