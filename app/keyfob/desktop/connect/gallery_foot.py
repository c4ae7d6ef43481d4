"""The gallery's footer: the chosen provider, what signing in takes, the method, Cancel and Continue."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QVBoxLayout, QWidget

from keyfob.desktop.connect.models import Card, Way
from keyfob.desktop.shared.avatar import Tile
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Choice, button, label


class Foot(QWidget):
    """Says what Continue does for the chosen provider and method."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        px = theme.px
        self._card: Card | None = None
        self._wide = True
        self.tile = Tile(theme, 40)
        self.what = label("", "strong", wrap=True)
        self.lead = label("", "small", wrap=True)
        self.method_label = label("Method", "small")
        self.method = Choice(theme, "Method")
        self.method.setSizeAdjustPolicy(Choice.SizeAdjustPolicy.AdjustToContents)
        self.method_label.setBuddy(self.method)
        self.method.currentIndexChanged.connect(self._said)
        self.cancel = button("Cancel")
        self.go = button("Continue", "primary")
        self.go.setDefault(True)
        self.go.setEnabled(False)
        texts = QVBoxLayout()
        texts.setSpacing(px(1))
        texts.addStretch(1)
        texts.addWidget(self.what)
        texts.addWidget(self.lead)
        texts.addStretch(1)
        chosen = QHBoxLayout()
        chosen.setSpacing(px(14))
        chosen.addWidget(self.tile, 0, Qt.AlignmentFlag.AlignVCenter)
        chosen.addLayout(texts, 1)
        buttons = QHBoxLayout()
        buttons.setSpacing(px(9))
        buttons.addWidget(self.method_label)
        buttons.addWidget(self.method)
        buttons.addStretch(1)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.go)
        self._layout = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._layout.setContentsMargins(px(28), px(14), px(28), px(16))
        self._layout.setSpacing(px(16))
        self._layout.addLayout(chosen, 1)
        self._layout.addLayout(buttons)

    def fit(self, *, wide: bool) -> None:
        """One line, or two."""
        self._wide = wide
        direction = QBoxLayout.Direction.LeftToRight if wide else QBoxLayout.Direction.TopToBottom
        self._layout.setDirection(direction)
        self._show_method()

    def show_card(self, card: Card | None) -> None:
        """Offer the methods of a provider, those that work now first."""
        if card == self._card:
            return
        self._card = card
        self.go.setEnabled(card is not None)
        with QSignalBlocker(self.method):
            self.method.clear()
            for way in card.ways if card else ():
                self.method.addItem(way.title, way.method)
        self.tile.setVisible(card is not None)
        if card is not None:
            self.tile.show_letter(card.letter, card.color)
        self._show_method()
        self._said()

    def _show_method(self) -> None:
        count = len(self._card.ways) if self._card else 0
        self.method.setVisible(count > 1)
        self.method_label.setVisible(self._wide and count > 1)

    def _way(self) -> Way | None:
        method = self.method.currentData()
        return next((way for way in self._card.ways if way.method == method), None) if self._card else None

    def _said(self) -> None:
        """What the chosen method takes."""
        way = self._way()
        self.what.setText(f"{self._card.title}: {way.action}" if self._card and way else "")
        self.lead.setText(way.lead if way else "")
