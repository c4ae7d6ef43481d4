"""The column with the list: a summary, the accounts, and the buttons for
connecting an account and for the settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QFocusEvent, QFontMetrics, QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from keyfob.core.text import plain
from keyfob.desktop.shared import icons
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.avatar import paint_face
from keyfob.desktop.shared.outside_text import SENTENCE, set_tooltip
from keyfob.desktop.shared.status_widgets import paint_status
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import (
    LEFT,
    RETURNS,
    Elided,
    IconButton,
    SearchField,
    Selector,
    label,
    rule,
)
from keyfob.desktop.shared.words import NO_TRAY
from keyfob.desktop.window.list_rules import SORTED_FROM

if TYPE_CHECKING:
    from keyfob.desktop.window.models import Row, Window

ROW = Qt.ItemDataRole.UserRole
NEEDS = "triangle"  # the shape of an account that needs the user
DRAWINGS = {NEEDS: "warning", "renew": "renew"}  # of our own, by the row's shape
ORDER = "Accounts that need you come first, then those that wait, then the others by name."
Index = QModelIndex | QPersistentModelIndex


class RowDelegate(QStyledItemDelegate):
    """Draws an account's row: face, name, provider, and its state at the right."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """The height of a row; the list gives the width."""
        return QSize(self._theme.px(100), self._theme.px(58))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw an account's row: picture, names, status."""
        row: Row = index.data(ROW)
        theme, px = self._theme, self._theme.px
        from PySide6.QtWidgets import QStyle  # a large class, which the first paint does not need

        flags, state = QStyle.StateFlag, option.state
        chosen = bool(state & flags.State_Selected)
        hovered = bool(state & flags.State_MouseOver)
        ground = "selection" if chosen else "hover" if hovered else "side"
        box = QRectF(option.rect).adjusted(0, 1, 0, -1)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if ground != "side":
            painter.setPen(theme.color("selection_line" if chosen else ground))
            painter.setBrush(theme.color(ground))
            painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), px(8), px(8))
        if chosen and state & flags.State_HasFocus:
            painter.setPen(QPen(theme.color("focus"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(box.adjusted(1, 1, -1, -1), px(8), px(8))
        side = px(36)
        face = QRectF(box.left() + px(9), box.center().y() - side / 2, side, side)
        paint_face(painter, face, row.face, theme.color(ground))
        right = self._paint_side(painter, box, row)
        left = face.right() + px(12)
        name_font, under_font = theme.font(14, 600), theme.font(12.5)
        name_metrics, under_metrics = QFontMetrics(name_font), QFontMetrics(under_font)
        height = name_metrics.height() + under_metrics.height() + px(1)
        top = box.center().y() - height / 2
        width = max(right - px(8) - left, px(20))
        painter.setFont(name_font)
        painter.setPen(theme.color("ink"))
        upper = QRectF(left, top, width, name_metrics.height())
        elide = Qt.TextElideMode.ElideRight
        painter.drawText(upper, LEFT, name_metrics.elidedText(row.title, elide, int(width)))
        painter.setFont(under_font)
        lower = QRectF(left, upper.bottom() + px(1), width, under_metrics.height())
        self._paint_under(painter, lower, under_metrics, row)
        painter.restore()

    def _paint_under(self, painter: QPainter, line: QRectF, metrics: QFontMetrics, row: Row) -> None:
        """The second line: the provider, and what the account needs."""
        need, between = (row.side, " · ") if row.shape == NEEDS else ("", "")
        room = max(int(line.width()) - metrics.horizontalAdvance(between + need), 0)
        text = metrics.elidedText(row.subtitle, Qt.TextElideMode.ElideRight, room) + between
        painter.setPen(self._theme.color("ink2"))
        painter.drawText(line, LEFT, text)
        painter.setPen(self._theme.color(row.tone))
        painter.drawText(line.adjusted(metrics.horizontalAdvance(text), 0, 0, 0), LEFT, need)

    def _paint_side(self, painter: QPainter, box: QRectF, row: Row) -> float:
        """The status at the right; returns where it begins. What an account needs stands in the second line,
        so that here its sign is enough.
        """
        theme, px = self._theme, self._theme.px
        font = theme.font(12.5, 500)
        metrics = QFontMetrics(font)
        left, middle = box.right() - px(10), box.center().y()
        color = theme.color(row.tone)
        if row.shape != NEEDS:
            text = metrics.elidedText(row.side, Qt.TextElideMode.ElideRight, round(box.width() * 0.4))
            left -= metrics.horizontalAdvance(text) + 1
            painter.setFont(font)
            painter.setPen(color)
            painter.drawText(QRectF(left, box.top(), box.right() - left, box.height()), LEFT, text)
            left -= px(6)
        drawing = DRAWINGS.get(row.shape)
        if drawing is not None:
            side = px(14) if row.shape != NEEDS else px(18)
            ratio = painter.device().devicePixelRatioF()
            pixmap = icons.pixmap(drawing, color.name(), side, ratio)
            painter.drawPixmap(QPointF(left - side, middle - side / 2), pixmap)
        elif row.shape:
            side = px(8)
            paint_status(painter, QRectF(left - side, middle - side / 2, side, side), row.shape, color)
        else:
            side = 0
        return left - side


class AccountList(Selector):
    """`Accounts`: rows whose accessible text is `provider/label, status`."""

    chosen = Signal(str)
    menu_asked = Signal(object)  # where on the screen; the row is chosen already

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._filling = False
        self._rows: list[Row | None] = []  # what each item shows
        self._selected: str | None = None
        self._words: list[str] = []  # searched for
        self.setAccessibleName("Accounts")
        self.setItemDelegate(RowDelegate(theme, self))
        self.setMouseTracking(True)
        self.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setUniformItemSizes(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        # A viewport of our own: to answer `viewport()`, PySide would load every widget's class at the start.
        self.setViewport(QWidget())
        self.currentItemChanged.connect(self._current_changed)
        theme.changed.connect(self.scheduleDelayedItemsLayout)

    def fill(self, rows: tuple[Row, ...], selected: str | None) -> None:
        """Show these rows. Touches only those that have changed or moved, so that a thousand accounts cost
        little, and focus, screen readers and scrolling stay put.
        """
        self._filling = True
        at = self.verticalScrollBar().value()
        moved = self._arrange([row.key for row in rows])
        for number, row in enumerate(rows):
            if self._rows[number] is not row and self._rows[number] != row:
                self._show(self.item(number), row)
        self._rows = list(rows)
        chosen = next((number for number, row in enumerate(rows) if row.key == selected), -1)
        if chosen >= 0 and chosen != self.currentRow():
            self.setCurrentRow(chosen)
        if selected == self._selected and moved:
            self.verticalScrollBar().setValue(at)  # Qt shows the chosen row wherever it has moved to
        self._selected = selected
        self._filling = False
        if self._words:
            self._hide_others()

    def _arrange(self, keys: list[str]) -> bool:
        """Give the items this order, in as few moves as one account takes; whether anything moved."""
        have = [row.key if row is not None else "" for row in self._rows]
        if have == keys:
            return False
        wanted = set(keys)
        for number in range(len(have) - 1, -1, -1):
            if have[number] not in wanted:
                del have[number], self._rows[number]
                self.takeItem(number)
        known = set(have)
        aside: dict[str, tuple[QListWidgetItem, Row | None]] = {}
        for number, key in enumerate(keys):
            while number + 1 < len(have) and have[number + 1] == key:
                aside[have.pop(number)] = (self.takeItem(number), self._rows.pop(number))
            if number < len(have) and have[number] == key:
                continue
            if key in aside:
                item, row = aside.pop(key)
            elif key in known:
                before = have.index(key)
                del have[before]
                item, row = self.takeItem(before), self._rows.pop(before)
            else:
                item, row = QListWidgetItem(), None
            have.insert(number, key)
            self._rows.insert(number, row)
            self.insertItem(number, item)
        return True

    @staticmethod
    def _show(item: QListWidgetItem, row: Row) -> None:
        item.setData(ROW, row)
        item.setData(Qt.ItemDataRole.AccessibleTextRole, row.accessible)
        item.setText(row.accessible)
        set_tooltip(item, row.tooltip)

    def filter(self, text: str) -> int:
        """Show the accounts that have each word of `text` in their name, provider or id, and return how many
        these are. All of them if there is no word.
        """
        words = text.casefold().split()
        if words != self._words:
            self._words = words
            self._hide_others()
        if not words:
            return self.count()
        return sum(not self.isRowHidden(number) for number in range(self.count()))

    def _hide_others(self) -> None:
        for number, row in enumerate(self._rows):
            if row is not None:
                searched = f"{row.title} {row.subtitle} {row.id}".casefold()
                self.setRowHidden(number, not all(word in searched for word in self._words))

    def choose_first(self) -> None:
        """Choose the first account that the search shows."""
        for number in range(self.count()):
            if not self.isRowHidden(number):
                self.setCurrentRow(number)
                return

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """By the mouse on a row, or by the keyboard's menu key for the chosen one."""
        item: QListWidgetItem | None = self.currentItem()
        if event.reason() == QContextMenuEvent.Reason.Mouse:
            item = self.itemAt(event.pos())
        if item is None:
            return
        self.setCurrentItem(item)
        at = event.globalPos()
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            at = self.viewport().mapToGlobal(self.visualItemRect(item).center())
        self.menu_asked.emit(at)

    def choose_none(self) -> None:
        """No row is chosen, so that a press on any row chooses it."""
        self._filling = True
        self.setCurrentRow(-1)
        self.clearSelection()
        self._filling = False

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Without a chosen row it stays so. Qt chooses the first one, which would close the page."""
        none, filling = self.currentRow() == -1, self._filling
        self._filling = filling or none
        super().focusInEvent(event)
        self._filling = filling
        if none:
            self.choose_none()

    def _current_changed(self, item: QListWidgetItem | None) -> None:
        if item is not None and not self._filling:
            self.chosen.emit(item.data(ROW).key)


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
