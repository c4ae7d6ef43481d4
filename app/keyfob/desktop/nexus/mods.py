"""The tab Mods: the mods of a game, their versions, and Update all."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from keyfob.desktop.nexus.models import ModsPart
from keyfob.desktop.nexus.parts import GameChoice, GreyRows, Part, listed
from keyfob.desktop.nexus.pictures import Pictures
from keyfob.desktop.nexus.row_drawing import ROW_HEIGHT, RowDrawing
from keyfob.desktop.nexus.rows import RowList
from keyfob.desktop.shared.flow_layout import FlowLayout
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import IconButton, SearchField, button, label, restyle

SEARCH = 172  # designed pixels


class Mods(Part):
    """`game_picked(domain)`, `searched(text)`, `add_asked`, `update_all_asked`; the list's own signals are
    `list.pressed` and `list.details_asked`.
    """

    searched = Signal(str)
    add_asked = Signal()
    update_all_asked = Signal()

    def __init__(self, theme: Theme, pictures: Pictures) -> None:
        super().__init__(theme)
        px = theme.px
        self.game = GameChoice(theme)
        self.search = SearchField(theme, "Search your mods")
        self.search.setPlaceholderText("Search mods")
        self.search.setFixedWidth(px(SEARCH))
        self.search.textChanged.connect(self.searched)
        self.add = IconButton(theme, "plus", "Add a mod…")
        self.add.clicked.connect(self.add_asked)
        self.summary = label("", "secondary")
        self.update_all = button("Update all")
        self.update_all.clicked.connect(self.update_all_asked)
        self._group = QWidget()  # stays together at the right
        self._group.setProperty("push", True)
        group = QHBoxLayout(self._group)
        group.setContentsMargins(0, 0, 0, 0)
        group.setSpacing(px(10))
        group.addWidget(self.summary)
        group.addWidget(self.update_all)
        self._tools = QWidget()
        tools = FlowLayout(self._tools, gap=px(8))
        for each in (self.game, self.search, self.add, self._group):
            tools.addWidget(each)
        self.list = RowList("Mods")
        self.list.draw_by(RowDrawing(theme, pictures, self.list))
        self._card = listed(self.list)
        self.grey = GreyRows(theme, ROW_HEIGHT)
        for part in (self.note, self._tools, self.empty, self._card, self.grey):
            self.inner.addWidget(part)
        self.inner.addStretch(1)

    def show_part(self, part: ModsPart, *, leads: bool) -> None:
        """`leads`: no banner above has the window's primary button."""
        self.note.show_note(part.note, leads=leads)
        led = leads and not self.note.primary
        self.game.show_games(part.games)
        self.search.setVisible(bool(part.rows) or bool(part.search))
        if self.search.text() != part.search:
            with QSignalBlocker(self.search):  # another account's page
                self.search.setText(part.search)
        self.add.setVisible(part.can_add and (part.empty is None or not part.empty.button))
        self.summary.setText(part.summary)
        self.summary.setVisible(bool(part.summary))
        self.update_all.setVisible(bool(part.update_all))
        self._group.setVisible(bool(part.summary or part.update_all))
        self.update_all.setText(part.update_all or "Update all")
        kind = "primary" if led else None
        if self.update_all.property("kind") != kind:
            self.update_all.setProperty("kind", kind)
            restyle(self.update_all)
        self.empty.show_empty(part.empty, leads=led and not part.update_all)
        self._card.setVisible(bool(part.rows))
        self.list.show_rows(part.rows)
        self.grey.wait(part.waiting and not part.rows)
        parts = (self.game, self.search, self.add, self._group)
        self._tools.setVisible(any(not each.isHidden() for each in parts))
