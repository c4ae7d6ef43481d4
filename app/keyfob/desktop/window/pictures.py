"""Fetches the accounts' pictures, each address once, off the GUI thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from keyfob.core.account import AccountView
from keyfob.desktop.shared.operation import Operation
from keyfob.ports import Avatars


class Pictures(QObject):
    """Fetches account pictures off the GUI thread, each once."""

    arrived = Signal()

    def __init__(self, avatars: Avatars, parent: QObject) -> None:
        super().__init__(parent)
        self._avatars = avatars
        self._asked: set[str] = set()
        self.files: dict[str, str] = {}  # the file of each account's picture, by the account's key

    def fetch(self, views: Iterable[AccountView]) -> None:
        """Fetch those that were not asked for yet; `arrived` follows for each that there is."""
        for view in views:
            url = view.avatar_url
            if url and url not in self._asked:
                self._asked.add(url)
                Operation(self, self._work(view.key, url), self._got).start()

    def _work(self, key: str, url: str) -> Callable[[], tuple[str, Path | None]]:
        return lambda: (key, self._avatars.fetch(url))

    def _got(self, got: tuple[str, Path | None]) -> None:
        key, path = got
        if path is not None:
            self.files[key] = str(path)
            self.arrived.emit()
