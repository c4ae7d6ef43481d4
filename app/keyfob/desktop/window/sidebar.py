"""The column with the list: a summary, the accounts, and the buttons for
connecting an account and for the settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QVBoxLayout,
    QWidget,
)

from keyfob.core.text import plain
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.outside_text import SENTENCE, set_tooltip
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import (
    RETURNS,
    Elided,
    IconButton,
    SearchField,
    label,
    rule,
)
from keyfob.desktop.shared.words import NO_TRAY
from keyfob.desktop.window.account_list import AccountList
from keyfob.desktop.window.list_rules import SORTED_FROM

if TYPE_CHECKING:
    from keyfob.desktop.window.models import Window

ORDER = "Accounts that need you come first, then those that wait, then the others by name."


class AccountSearch(SearchField):
    """`Search accounts`: Down goes to the list, Return chooses the first that fits, Escape clears."""

    left = Signal()
    first_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "Search accounts")
        self.setPlaceholderText("Search accounts")
        set_tooltip(self, "Ctrl+F")
        self.hide()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """See the class."""
        key = event.key()
        if key in RETURNS:
            self.first_asked.emit()
        elif key == Qt.Key.Key_Down:
            self.left.emit()
        elif key == Qt.Key.Key_Escape and self.text():
            self.clear()
        elif key == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)


class Sidebar(QFrame):
    """Emits what the user asks for; knows nothing else."""

    connect_asked = Signal()
    settings_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.setObjectName("side")
        self.summary = label("", "summary")
        self.note = Elided("", "small")
        self.list = AccountList(theme)
        self.tray_note = label("", "hint", wrap=True)
        self.tray_note.hide()
        self.search = AccountSearch(theme)
        self.search.textChanged.connect(self._searched)
        self.search.left.connect(self._leave_search)
        self.search.first_asked.connect(self.list.choose_first)
        self.none_found = label("", "hint", wrap=True)
        self.none_found.hide()
        self._entries: list[QWidget] = []  # below the accounts
        self._below = QVBoxLayout()
        self._below.setContentsMargins(0, 0, 0, 0)
        self._below.setSpacing(theme.px(2))
        self.connect_button = IconButton(theme, "plus", "Connect Account", "", "Connect Account")
        self.settings_button = IconButton(theme, "gear", "Settings")
        set_tooltip(self.settings_button, "Settings (Ctrl+,)")
        set_tooltip(self.connect_button, "Ctrl+N")
        self.connect_button.clicked.connect(self.connect_asked)
        self.settings_button.clicked.connect(self.settings_asked)
        self._head = QVBoxLayout()
        self._head.addWidget(self.summary)
        self._head.addWidget(self.note)
        self._foot = QHBoxLayout()
        self._foot.addWidget(self.connect_button, 1)
        self._foot.addWidget(self.settings_button)
        self._column = QVBoxLayout(self)
        self._column.setSpacing(0)
        self._column.addLayout(self._head)
        self._search_room = QVBoxLayout()  # a margin that is there only with the field
        self._search_room.addWidget(self.search)
        self._column.addLayout(self._search_room)
        self._column.addWidget(self.none_found)
        self._column.addWidget(self.list, 1)
        self._column.addWidget(self.tray_note)
        self._column.addLayout(self._below)
        self._column.addWidget(rule())
        self._column.addLayout(self._foot)
        theme.changed.connect(self._resize)
        self._resize()

    def show_model(self, model: Window, selected: str | None) -> None:
        """Show the accounts and the summary; `selected` is an account's key."""
        self.summary.setText(model.summary)
        self.note.show_text(model.summary_note)
        self.note.setVisible(bool(model.summary_note))
        self.list.fill(model.rows, selected)
        if selected is None:
            self.list.choose_none()
        many = len(model.rows) >= SORTED_FROM
        self.search.setVisible(many or bool(self.search.text()))
        self._search_room.setContentsMargins(
            0, 0, 0, self._theme.px(8) if self.search.isVisibleTo(self) else 0
        )
        self._say_order(ORDER if many else "")
        self._filter()
        self.tray_note.setVisible(model.tray_missing)
        if model.tray_missing:
            self.tray_note.setText(NO_TRAY)

    def _say_order(self, order: str) -> None:
        if order != self.list.accessibleDescription():
            self.list.setAccessibleDescription(order)
            set_tooltip(self.summary, order)

    def add_entry(self, entry: QWidget) -> None:
        """One more button below the accounts. Tab reaches it after those above it."""
        self._below.addWidget(entry)
        QWidget.setTabOrder(self._entries[-1] if self._entries else self.list, entry)
        self._entries.append(entry)

    def add_foot(self, foot: QWidget) -> None:
        """Below the buttons."""
        self._column.addWidget(foot)

    def go_to_search(self) -> None:
        """Ctrl+F: into the search field. With fewer accounts than it is shown for, into the list. Nothing
        happens while the sidebar is not there.
        """
        if not self.isVisible():
            return
        target: QWidget = self.search if self.search.isVisible() else self.list
        target.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _filter(self) -> int:
        wanted = self.search.text()
        found = self.list.filter(wanted)
        self.none_found.setText(f"No account called “{plain(wanted, SENTENCE)}”")
        self.none_found.setVisible(not found and bool(wanted.strip()))
        return found

    def _searched(self) -> None:
        found = self._filter()
        if self.isVisible():
            many = f"{found} account{'' if found == 1 else 's'}"
            announce(self.search, many if found else self.none_found.text())

    def _leave_search(self) -> None:
        current = self.list.currentItem()
        if current is None or current.isHidden():
            self.list.choose_first()
        self.list.setFocus(Qt.FocusReason.OtherFocusReason)

    def _resize(self) -> None:
        px = self._theme.px
        self.setMinimumWidth(px(240))
        self.setMaximumWidth(px(460))
        self._head.setContentsMargins(px(10), px(6), px(8), px(12))
        self._head.setSpacing(px(2))
        self._below.setContentsMargins(0, px(6), 0, px(8))
        self._foot.setContentsMargins(px(6), px(10), px(6), 0)
        self._foot.setSpacing(px(8))
        self._column.setContentsMargins(px(10), px(14), px(10), px(14))
        self.none_found.setContentsMargins(px(10), px(12), px(8), 0)
        self.tray_note.setContentsMargins(px(10), px(8), px(8), px(4))
