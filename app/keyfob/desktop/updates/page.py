"""The page Tools and updates: Keyfob's own update, the tools in a table, and the switch for checking."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from keyfob.desktop.shared.page import Page
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import IconButton, Switch, card, label, rule
from keyfob.desktop.updates.models import ToolRow, ToolsPage
from keyfob.desktop.updates.own_card import OwnCard
from keyfob.desktop.updates.tool_row import COLUMN, ToolRowView

NARROW = 640  # designed pixels below which versions stand under the names
CHECKED = "Keyfob checks each download’s checksum."
NONE_INSTALLED = "None of the tools that Keyfob knows is installed on this computer."
SWITCH_NOTE = "Once a day, Keyfob asks for newer versions. It installs nothing until you say so."


class UpdatesPage(Page):
    """Shows a `ToolsPage`. `pressed`: a tool's id and the action of its button."""

    pressed = Signal(str, str)
    check_asked = Signal()
    switched = Signal(bool)

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "Tools and updates", 14)
        self._rows: list[ToolRowView] = []
        self._rules: list[QFrame] = []
        self.check_button = IconButton(theme, "renew", "Check now", "", "Check now")
        self.check_button.clicked.connect(self.check_asked)
        self.add_button(self.check_button)
        self.own = OwnCard(theme)
        self.own.hide()  # until it is known how this copy stands
        self.inner.addWidget(self.own)
        self.inner.addLayout(self._build_table())
        self.inner.addLayout(self._build_switch())
        self.inner.addStretch(1)

    def _build_table(self) -> QVBoxLayout:
        px = self._theme.px
        self._headings = QWidget()
        names = QHBoxLayout(self._headings)
        names.setContentsMargins(px(15), 0, px(15), 0)
        names.setSpacing(px(12))
        names.addWidget(label("Tool", "heading"), 1)
        for text in ("Installed", "Newest"):
            column = label(text, "heading")
            column.setFixedWidth(px(COLUMN))
            names.addWidget(column)
        self._heading_end = QWidget()
        names.addWidget(self._heading_end)
        self._frame, self._table = card(self._theme)
        self._table.setContentsMargins(0, 0, 0, 0)
        self._table.setSpacing(0)
        self.empty = label("", "secondary", wrap=True)
        self.empty.setContentsMargins(px(18), px(16), px(18), px(16))
        self._table.addWidget(self.empty)
        self.others = label("", "hint", wrap=True)
        self.faulty = label("", "warn", wrap=True)
        table = QVBoxLayout()
        table.setSpacing(px(7))
        table.addWidget(self._headings)
        table.addWidget(self._frame)
        table.addWidget(self.faulty)
        table.addWidget(self.others)
        return table

    def _build_switch(self) -> QHBoxLayout:
        px = self._theme.px
        self.switch = Switch(self._theme, "Check for updates")
        self.switch.setAccessibleDescription(SWITCH_NOTE)
        self.switch.clicked.connect(lambda: self.switched.emit(self.switch.isChecked()))
        texts = QVBoxLayout()
        texts.setSpacing(px(1))
        texts.addWidget(label("Check for updates", "step"))
        texts.addWidget(label(SWITCH_NOTE, "small", wrap=True))
        row = QHBoxLayout()
        row.setContentsMargins(0, px(8), 0, 0)
        row.setSpacing(px(12))
        row.addWidget(self.switch, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addLayout(texts, 1)
        return row

    # --- showing --------------------------------------------------------------------------------------------

    def show_page(self, page: ToolsPage) -> None:
        """Show this. Each tool keeps its row, and with it the focus."""
        held = self.focusWidget()
        self.summary.setText(" ".join(part for part in (page.summary, CHECKED) if part))
        self.check_button.setEnabled(not page.checking and not page.loading)
        self._show_rows(page.rows)
        self.empty.setText("Looking for tools…" if page.loading else NONE_INSTALLED)
        self.empty.setVisible(not page.rows)
        self._headings.setVisible(bool(page.rows) and not self._is_narrow())
        knows = "Keyfob also knows" if page.rows else "Keyfob knows"
        self.others.setText(f"{knows} {_list(page.others)}." if page.others else "")
        self.others.setVisible(bool(page.others))
        self.faulty.setText("\n".join(page.faulty))
        self.faulty.setVisible(bool(page.faulty))
        self._align()
        if held is not None and (held.isHidden() or not held.isEnabled()):
            self._focus_after(held)

    def _show_rows(self, rows: tuple[ToolRow, ...]) -> None:
        if [view.key for view in self._rows] != [row.key for row in rows]:
            for gone in (*self._rows, *self._rules):
                gone.hide()
                gone.deleteLater()
            self._rows, self._rules = [], []
            for row in rows:
                if self._rows:
                    line = rule()
                    self._rules.append(line)
                    self._table.addWidget(line)
                view = ToolRowView(self._theme, row)
                view.stack(self._is_narrow())
                view.pressed.connect(self.pressed)
                self._rows.append(view)
                self._table.addWidget(view)
        for view, row in zip(self._rows, rows, strict=True):
            view.show_row(row)

    def _align(self) -> None:
        """The rows' right ends are as wide as the widest, so that the columns stand under their headings."""
        ends = [view.right for view in self._rows]
        width = max((each.sizeHint().width() for each in ends), default=0)
        for each in (*ends, self._heading_end):
            each.setFixedWidth(width)

    def _focus_after(self, held: QWidget) -> None:
        """The next button below what has lost its own, else Check now, which may be off for a while."""
        keys = [view.right.button for view in self._rows]
        after = keys[keys.index(held) + 1 :] if held in keys else []
        target = next((each for each in after if each.isVisibleTo(self)), None) or self.check_button
        (target if target.isEnabled() else self.switch).setFocus()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Stack what has no room side by side."""
        super().resizeEvent(event)
        narrow = self._is_narrow()
        self.stack_head(narrow)
        self._headings.setVisible(bool(self._rows) and not narrow)
        self.own.stack(narrow)
        for each in self._rows:
            each.stack(narrow)

    def _is_narrow(self) -> bool:
        return self.width() < self._theme.px(NARROW)


def _list(names: tuple[str, ...]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
