"""The accounts as a list: its rows, how each is drawn, the search in it and its menu."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QFocusEvent, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import (
    QFrame,
    QListWidget,
    QListWidgetItem,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from keyfob.desktop.shared import icons
from keyfob.desktop.shared.avatar import paint_face
from keyfob.desktop.shared.outside_text import set_tooltip
from keyfob.desktop.shared.status_widgets import paint_status
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import (
    LEFT,
    Selector,
)

if TYPE_CHECKING:
    from keyfob.desktop.window.models import Row

ROW = Qt.ItemDataRole.UserRole
NEEDS = "triangle"  # the shape of an account that needs the user
DRAWINGS = {NEEDS: "warning", "renew": "renew"}  # of our own, by the row's shape
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
