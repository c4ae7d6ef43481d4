"""Choosing a game of the site that is not among the user's yet."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QListWidgetItem, QVBoxLayout, QWidget

from keyfob.desktop.shared.dialog import ModalDialog
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import SearchField, Selector, button, label
from keyfob.nexus.models import Game

WIDTH, HEIGHT = 420, 460  # designed pixels
DOMAIN = Qt.ItemDataRole.UserRole


class GameDialog(ModalDialog):
    """`chosen` has the game's domain."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, games: Sequence[Game], parent: QWidget | None = None) -> None:
        super().__init__("Choose", "Choose a game", parent)
        px = theme.px
        self.search = SearchField(theme, "Search games")
        self.search.setPlaceholderText("Search games")
        self.list = Selector()
        self.list.setAccessibleName("Games")
        self.list.setProperty("plain", True)
        for game in games:
            item = QListWidgetItem(game.name)
            item.setData(DOMAIN, game.domain)
            self.list.addItem(item)
        self.cancel = button("Cancel")
        self.choose = button("Choose", "primary")
        self.choose.setDefault(True)
        self.choose.setEnabled(False)
        self.search.textChanged.connect(self._filter)
        self.list.itemSelectionChanged.connect(self._selected)
        self.list.itemDoubleClicked.connect(self._choose)
        self.cancel.clicked.connect(self.reject)
        self.choose.clicked.connect(self._choose)
        row = QHBoxLayout()
        row.setSpacing(px(9))
        row.addStretch(1)
        row.addWidget(self.cancel)
        row.addWidget(self.choose)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.margins(26, 22, 26, 20))
        layout.setSpacing(px(10))
        layout.addWidget(label("Choose a game", "dialogTitle"))
        layout.addWidget(self.search)
        layout.addWidget(self.list, 1)
        layout.addLayout(row)
        self.resize(px(WIDTH), px(HEIGHT))
        self.search.setFocus()

    def _filter(self, text: str) -> None:
        """Show the games with these words, and select the first of them."""
        words = text.casefold().split()
        first: QListWidgetItem | None = None
        for number in range(self.list.count()):
            item = self.list.item(number)
            shown = all(word in item.text().casefold() for word in words)
            item.setHidden(not shown)
            first = item if shown and first is None else first
        if first is not None and words:
            self.list.setCurrentItem(first)
        else:
            self.list.clearSelection()
            self.list.setCurrentRow(-1)

    def _selected(self) -> None:
        self.choose.setEnabled(bool(self.list.selectedItems()))

    def _choose(self) -> None:
        item = next(iter(self.list.selectedItems()), None)
        if item is not None:
            self.accept()
            self.chosen.emit(str(item.data(DOMAIN)))
