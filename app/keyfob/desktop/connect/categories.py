"""The categories of the gallery: a list beside the tiles, and a drop-down if the dialog is narrow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
)

from keyfob.desktop.connect.cards import CATEGORIES
from keyfob.desktop.connect.models import Card
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Choice, Selector, button, label

ENTRY = Qt.ItemDataRole.UserRole
ALL = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A category, and how many providers are in it."""

    id: str  # `ALL` for all
    title: str
    count: int


def entries(cards: Sequence[Card]) -> tuple[Entry, ...]:
    """All, then the categories that have a provider, in reading order."""
    found = [each.category for each in cards]
    named = tuple(Entry(key, title, found.count(key)) for key, title in CATEGORIES.items())
    return (Entry(ALL, "All", len(cards)), *(each for each in named if each.count))


class CategoryDelegate(QStyledItemDelegate):
    """Paints a category: its name at the left, the number of its providers at the right."""

    def __init__(self, theme: Theme, parent: Selector) -> None:
        super().__init__(parent)
        self._theme, self._list = theme, parent

    def sizeHint(self, _option: QStyleOptionViewItem, _index: QModelIndex | QPersistentModelIndex) -> QSize:
        """The height of a row; it is as wide as the list."""
        return QSize(0, self._theme.px(32))

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Draw a row. The ring shows the keyboard's focus, the ground what is chosen."""
        entry: Entry = index.data(ENTRY)
        theme, px = self._theme, self._theme.px
        state: QStyle.StateFlag = option.state
        chosen = bool(state & QStyle.StateFlag.State_Selected)
        box = QRectF(option.rect).adjusted(1, 1, -1, -1)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ringed = chosen and self._list.hasFocus()
        painter.setPen(QPen(theme.color("focus"), 2) if ringed else Qt.PenStyle.NoPen)
        if chosen or state & QStyle.StateFlag.State_MouseOver:
            painter.setBrush(theme.color("selection" if chosen else "hover"))
            painter.drawRoundedRect(box, px(7), px(7))
        inner = box.adjusted(px(12), 0, -px(12), 0)
        small, font = theme.font(12.5), theme.font(13.5, 600 if chosen else 500)
        painter.setFont(small)
        painter.setPen(theme.color("ink2"))
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(inner, right, str(entry.count))
        inner.setRight(inner.right() - QFontMetrics(small).horizontalAdvance(str(entry.count)) - px(8))
        painter.setFont(font)
        painter.setPen(theme.color("ink"))
        title = QFontMetrics(font).elidedText(entry.title, Qt.TextElideMode.ElideRight, int(inner.width()))
        painter.drawText(inner, Qt.AlignmentFlag.AlignVCenter, title)
        painter.restore()


class Categories(QFrame):
    """`changed` when another category is chosen, in the list or in the drop-down `choice`."""

    changed = Signal()
    own_server_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("side")
        px = theme.px
        self._entries: tuple[Entry, ...] = ()
        self.list = Selector()
        self.list.setAccessibleName("Categories")
        self.list.setMouseTracking(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setItemDelegate(CategoryDelegate(theme, self.list))
        self.list.currentRowChanged.connect(self._listed)
        self.choice = Choice(theme, "Category")
        self.choice.setSizeAdjustPolicy(Choice.SizeAdjustPolicy.AdjustToContents)
        self.choice.currentIndexChanged.connect(self._dropped)
        self.own_server = button("Add your own server…", "link")
        self.own_server.clicked.connect(self.own_server_asked)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(px(12), px(16), px(12), px(14))
        layout.setSpacing(px(2))
        layout.addWidget(self.list, 1)
        not_listed = label("Not in the list?", "small")
        not_listed.setIndent(px(12) + 1)
        link = QHBoxLayout()
        link.setContentsMargins(px(7), 0, 0, 0)  # its own padding brings its text below the categories'
        link.addWidget(self.own_server)
        link.addStretch(1)
        layout.addSpacing(px(8))
        layout.addWidget(not_listed)
        layout.addLayout(link)
        self.own_server.ensurePolished()
        self.setFixedWidth(max(px(196), self.own_server.sizeHint().width() + px(31) + 2))

    def show_entries(self, entries: tuple[Entry, ...]) -> None:
        """Show these; the chosen one stays chosen if it is still there, else all are."""
        if entries == self._entries:
            return
        chosen, self._entries = self.current(), entries
        with QSignalBlocker(self.list), QSignalBlocker(self.choice):
            self.list.clear()
            self.choice.clear()
            for entry in entries:
                item = QListWidgetItem(entry.title)
                item.setData(ENTRY, entry)
                many = "provider" if entry.count == 1 else "providers"
                item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{entry.title}, {entry.count} {many}")
                self.list.addItem(item)
                self.choice.addItem(f"{entry.title} ({entry.count})", entry.id)
            self._choose(chosen)
        if self.current() != chosen:
            self.changed.emit()

    def current(self) -> str:
        """The chosen category's id; `ALL` for all."""
        row = self.list.currentRow()
        return self._entries[row].id if 0 <= row < len(self._entries) else ALL

    def title(self) -> str:
        """What the chosen category is called."""
        return CATEGORIES.get(self.current(), "")

    def choose(self, category: str) -> None:
        """Choose a category; all, if it is not there."""
        self._choose(category)

    def _choose(self, category: str) -> None:
        row = next((n for n, entry in enumerate(self._entries) if entry.id == category), 0)
        self.list.setCurrentRow(row)
        self.choice.setCurrentIndex(row)

    def _listed(self, row: int) -> None:
        with QSignalBlocker(self.choice):
            self.choice.setCurrentIndex(row)
        self.changed.emit()

    def _dropped(self, row: int) -> None:
        self.list.setCurrentRow(row)
