"""The tab Trending: what is popular, new or updated in a game, as cards with pictures."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QListView, QWidget

from keyfob.desktop.nexus.card_drawing import CardDrawing
from keyfob.desktop.nexus.models import LISTS, TrendingPart
from keyfob.desktop.nexus.parts import GameChoice, GreyRows, Part
from keyfob.desktop.nexus.pictures import Pictures
from keyfob.desktop.nexus.row_drawing import ROW_HEIGHT
from keyfob.desktop.nexus.rows import RowList
from keyfob.desktop.shared.flow_layout import FlowLayout
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Check, Choice, label

ADULT = "Show adult mods"


class Trending(Part):
    """`list_picked(name)` and `adult_turned(on)`; the cards' own signals are `list.pressed` and
    `list.details_asked`.
    """

    list_picked = Signal(str)
    adult_turned = Signal(bool)

    def __init__(self, theme: Theme, pictures: Pictures) -> None:
        super().__init__(theme)
        px = theme.px
        self.game = GameChoice(theme)
        self.which = Choice(theme, "List")
        for name, title in LISTS:
            self.which.addItem(title, name)
        self.which.setSizeAdjustPolicy(Choice.SizeAdjustPolicy.AdjustToContents)
        self.which.activated.connect(self._picked)
        self.adult = Check(theme, ADULT)
        self.adult.clicked.connect(self.adult_turned)
        self._adult = QWidget()
        adult = QHBoxLayout(self._adult)
        adult.setContentsMargins(0, 0, 0, 0)
        adult.setSpacing(px(6))
        adult.addWidget(self.adult)
        words = label(ADULT, "line")
        words.setBuddy(self.adult)
        adult.addWidget(words)
        self.loaded = label("", "secondary")
        self.loaded.setProperty("push", True)
        self._tools = QWidget()
        tools = FlowLayout(self._tools, gap=px(10))
        for each in (self.game, self.which, self._adult, self.loaded):
            tools.addWidget(each)
        self.list = RowList("Popular mods")
        self.list.setFlow(QListView.Flow.LeftToRight)
        self.list.setWrapping(True)
        self.list.setResizeMode(QListView.ResizeMode.Adjust)
        self.list.draw_by(CardDrawing(theme, pictures, self.list))
        self.grey = GreyRows(theme, ROW_HEIGHT)
        self.hidden = label("", "secondary", wrap=True)
        for part in (self.note, self._tools, self.empty, self.list, self.grey, self.hidden):
            self.inner.addWidget(part)
        self.inner.addStretch(1)

    def show_part(self, part: TrendingPart, *, leads: bool) -> None:
        """`leads`: no banner above has the window's primary button."""
        self.note.show_note(part.note, leads=leads)
        self.game.show_games(part.games)
        known = bool(part.games.all)
        self.which.setVisible(known)
        self._adult.setVisible(known)
        self.which.setCurrentIndex(max(self.which.findData(part.list), 0))
        self.adult.setChecked(part.adult)
        self.loaded.setText(part.loaded)
        self.loaded.setVisible(bool(part.loaded))
        self._tools.setVisible(known)
        self.empty.show_empty(part.empty, leads=leads and not self.note.primary)
        self.list.setVisible(bool(part.cards))
        self.list.show_rows(part.cards)
        self.grey.wait(part.waiting and not part.cards)
        self.hidden.setText(part.hidden)
        self.hidden.setVisible(bool(part.hidden))

    def _picked(self, number: int) -> None:
        self.list_picked.emit(str(self.which.itemData(number)))
