"""A list of rows or a grid of cards, drawn by a delegate: only what is on screen is drawn, and 2,000 mods
cost what 20 do.

The list is one stop for Tab; arrows move inside. Return presses a row's first button, Space shows its
details, and the menu key has all that can be done with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QContextMenuEvent, QFocusEvent, QHelpEvent, QKeyEvent, QMouseEvent, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListView,
    QMenu,
    QScrollArea,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolTip,
    QWidget,
)

from keyfob.desktop.nexus.models import Press, Row
from keyfob.desktop.nexus.pictures import Pictures
from keyfob.desktop.shared.outside_text import tooltip
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import RETURNS

Index = QModelIndex | QPersistentModelIndex
ROW = Qt.ItemDataRole.UserRole


class Spot(NamedTuple):
    """A drawn button's place. `drawing`: an icon alone stands for its text."""

    box: QRectF
    press: Press
    drawing: str = ""


class Rows(QAbstractListModel):
    """The rows, by number."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.rows: tuple[Row, ...] = ()

    def rowCount(self, parent: Index | None = None) -> int:
        """How many there are."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """The row itself, its words for assistive technology, or its tooltip."""
        if not index.isValid() or index.row() >= len(self.rows):
            return None
        row = self.rows[index.row()]
        if role == ROW:
            return row
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return row.accessible
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(f"{row.title}\n{row.tip or row.line}")
        return None

    def show_rows(self, rows: Sequence[Row]) -> bool:
        """Show these; whether other rows are there than before."""
        before, self.rows = self.rows, tuple(rows)
        if [each.key for each in before] != [each.key for each in self.rows]:
            self.beginResetModel()
            self.endResetModel()
            return True
        for number, (old, new) in enumerate(zip(before, self.rows, strict=True)):
            if old != new:
                at = self.index(number, 0)
                self.dataChanged.emit(at, at)
        return False


class Drawing(QStyledItemDelegate):
    """Draws a row. `spots`: where its buttons are, in the view's coordinates."""

    view: RowList

    def __init__(self, theme: Theme, pictures: Pictures, view: RowList) -> None:
        super().__init__(view)
        self.theme, self.pictures, self.view = theme, pictures, view

    def height(self, width: int) -> int:
        """Of one row or card, at this width of the view."""
        raise NotImplementedError

    def columns(self, width: int) -> int:
        """How many cards stand beside each other."""
        del width
        return 1

    def spots(self, box: QRectF, row: Row) -> list[Spot]:
        """The buttons that are drawn in `box`."""
        raise NotImplementedError

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """All rows have one size."""
        width = self.view.width()
        return QSize((width - 1) // self.columns(width), self.height(width))


class RowList(QListView):
    """As high as its rows: the page scrolls, not the list. `pressed(row's key, action)`."""

    pressed = Signal(str, str)
    details_asked = Signal(str)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self._rows = Rows(self)
        self.setModel(self._rows)
        self._drawing: Drawing | None = None
        self._down: tuple[int, str] | None = None  # the button that the mouse is pressed on
        self.hovered: tuple[int, str] | None = None
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMouseTracking(True)
        self.setUniformItemSizes(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        for turn in (self.setVerticalScrollBarPolicy, self.setHorizontalScrollBarPolicy):
            turn(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTabKeyNavigation(False)

    def draw_by(self, drawing: Drawing) -> None:
        """Use this delegate. Called once."""
        self._drawing = drawing
        self.setItemDelegate(drawing)
        drawing.theme.changed.connect(self._resized)
        drawing.pictures.arrived.connect(self._arrived)

    @property
    def rows(self) -> tuple[Row, ...]:
        """What it shows."""
        return self._rows.rows

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show these. The row that was current stays so; if it is gone, the next one is."""
        if tuple(rows) == self._rows.rows:
            return
        at = self.currentIndex().row()
        key = self._rows.rows[at].key if 0 <= at < len(self._rows.rows) else None
        if self._rows.show_rows(rows):
            self.hovered = self._down = None
            keys = [each.key for each in rows]
            place = keys.index(key) if key in keys else min(at, len(keys) - 1)
            if place >= 0 and at >= 0:
                self.setCurrentIndex(self._rows.index(place, 0))
            elif self.hasFocus():
                self._have_current()
            self._resized()

    def _resized(self) -> None:
        if self._drawing is None:
            return
        width = self.width()
        columns = self._drawing.columns(width)
        lines = -(-len(self._rows.rows) // columns)
        self.setFixedHeight(lines * self._drawing.height(width))
        if self.isWrapping():
            self.setGridSize(QSize((width - 1) // columns, self._drawing.height(width)))
        self.scheduleDelayedItemsLayout()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another width may need another height."""
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._resized()

    def minimumSizeHint(self) -> QSize:
        """Any width will do."""
        return QSize(0, 0)

    def _arrived(self, address: str) -> None:
        if any(row.picture == address for row in self._rows.rows):
            self.viewport().update()

    def viewportEvent(self, event: QEvent) -> bool:
        """The tooltip of a button that has no text is its own."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            spot = self._at(event.pos())
            if spot is not None and spot.drawing:
                QToolTip.showText(event.globalPos(), tooltip(spot.press.text), self.viewport())
                return True
        return super().viewportEvent(event)

    # --- the mouse ------------------------------------------------------------------------------------------

    def _at(self, at: QPoint) -> Spot | None:
        """The button at that place."""
        index = self.indexAt(at)
        if not index.isValid() or self._drawing is None:
            return None
        for spot in self._drawing.spots(QRectF(self.visualRect(index)), index.data(ROW)):
            if spot.box.contains(at.toPointF()):
                return spot
        return None

    def _spot(self, at: QPoint) -> tuple[int, str] | None:
        """The button at that place: its row's number, and its action."""
        spot = self._at(at)
        return None if spot is None else (self.indexAt(at).row(), spot.press.action)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Show which button is under the mouse."""
        super().mouseMoveEvent(event)
        self._hover(self._spot(event.position().toPoint()))

    def leaveEvent(self, event: QEvent) -> None:
        """None is under it any more."""
        super().leaveEvent(event)
        self._hover(None)

    def _hover(self, spot: tuple[int, str] | None) -> None:
        if spot != self.hovered:
            self.hovered = spot
            self.viewport().update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A press on a button is no choice of the row's details."""
        super().mousePressEvent(event)
        if event.button() == Qt.MouseButton.LeftButton:
            self._down = self._spot(event.position().toPoint())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go on the same button: it is pressed."""
        super().mouseReleaseEvent(event)
        down, self._down = self._down, None
        if down is not None and down == self._spot(event.position().toPoint()):
            self.pressed.emit(self._rows.rows[down[0]].key, down[1])

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """On a row, but not on its buttons: its details."""
        super().mouseDoubleClickEvent(event)
        at = event.position().toPoint()
        self._down = self._spot(at)
        if self._down is None and self.indexAt(at).isValid():
            self.details_asked.emit(self._rows.rows[self.indexAt(at).row()].key)

    # --- the keyboard ---------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Return: the first button. Space: details."""
        row = self._current()
        if row is not None and event.key() in RETURNS:
            first = next((each for each in row.presses if each.shown), None)
            if first is None:
                self.details_asked.emit(row.key)
            else:
                self.pressed.emit(row.key, first.action)
        elif row is not None and event.key() == Qt.Key.Key_Space:
            self.details_asked.emit(row.key)
        else:
            super().keyPressEvent(event)

    def currentChanged(self, current: Index, previous: Index) -> None:
        """Have the page scroll to the row."""
        super().currentChanged(current, previous)
        above = self.parentWidget()
        while above is not None and not isinstance(above, QScrollArea):
            above = above.parentWidget()
        body = above.widget() if above is not None else None
        if above is not None and body is not None and current.isValid() and self.hasFocus():
            box = self.visualRect(current)
            middle = self.viewport().mapTo(body, box.center())
            above.ensureVisible(middle.x(), middle.y(), 0, box.height())

    def focusInEvent(self, event: QFocusEvent) -> None:
        """By the keyboard: a row is current, so that it is seen where the focus is."""
        super().focusInEvent(event)
        if event.reason() != Qt.FocusReason.MouseFocusReason:
            self._have_current()
        self.viewport().update()

    def _have_current(self) -> None:
        if not self.currentIndex().isValid() and self._rows.rows:
            self.setCurrentIndex(self._rows.index(0, 0))

    def _current(self) -> Row | None:
        at = self.currentIndex().row()
        return self._rows.rows[at] if 0 <= at < len(self._rows.rows) else None

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """All that can be done with the row."""
        index = self.currentIndex()
        if event.reason() == QContextMenuEvent.Reason.Mouse:
            index = self.indexAt(event.pos())
        if not index.isValid():
            return
        self.setCurrentIndex(index)
        at = event.globalPos()
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            at = self.viewport().mapToGlobal(self.visualRect(index).center())
        self.menu_of(self._rows.rows[index.row()]).popup(at)

    def menu_of(self, row: Row) -> QMenu:
        """A menu that is deleted when it closes."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for press in row.presses:
            made = menu.addAction(press.text)
            made.triggered.connect(lambda _=False, each=press: self.pressed.emit(row.key, each.action))
        made = menu.addAction("Details…")
        made.triggered.connect(lambda: self.details_asked.emit(row.key))
        return menu
