"""The providers as tiles under headings: one list with one Tab stop, in which the arrow keys move.

Qt's own icon view has neither headings nor cells that fill the row, so this one places and paints its rows
itself. For assistive technology it stays a list whose rows are the providers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import (
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QCursor,
    QFont,
    QFontMetrics,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QRegion,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem

from keyfob.desktop.connect.cards import GROUPS
from keyfob.desktop.connect.models import Card, Group
from keyfob.desktop.shared import icons
from keyfob.desktop.shared.avatar import paint_tile
from keyfob.desktop.shared.outside_text import set_tooltip
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Selector

CARD = Qt.ItemDataRole.UserRole
HEADINGS: Mapping[Group, tuple[str, str]] = {
    "at_once": ("Works at once", ""),
    "own_app": (
        "Needs an app of your own",
        "You register a free app at the provider, once. Keyfob shows you each step.",
    ),
    "blocked": ("Not allowed", "The terms of these providers do not allow the sign-in."),
}
GAP, HEIGHT, LEAST = 10, 62, 208  # of a tile, in designed pixels: to the next one, height, least width
EDGE = 28  # to the dialog's edge; the scroll bar stands there
Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True, slots=True)
class Heading:
    """A painted heading: where it begins, its words, and the room of the note under it."""

    top: int
    title: str
    count: str
    note: str
    room: QRect


class TileView(Selector):
    """Shows cards; the current one is the chosen one."""

    left_top = Signal()  # Up was pressed in the first row

    def __init__(self, theme: Theme, *, edge: float = EDGE) -> None:
        """`edge`: designed pixels that stay free at the right."""
        super().__init__()
        self._theme, self._edge = theme, edge
        self._tiles: dict[int, QRect] = {}  # by row, in the content's coordinates
        self._lines: list[list[int]] = []  # the rows as they stand beside each other
        self.headings: list[Heading] = []
        self._content = 0  # its height
        self._headed = True
        self.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMouseTracking(True)
        theme.changed.connect(self.arrange)

    # --- what it shows --------------------------------------------------------------------------------------

    def show_cards(self, cards: Sequence[Card], *, headed: bool = True) -> None:
        """Show these, in groups that follow each other; `headed`: each under its heading."""
        self._headed = headed
        self.clear()
        for card in cards:
            item = QListWidgetItem(card.title)
            item.setData(CARD, card)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, card.title)
            barred = card.blocked if card.group == "blocked" else ""
            described = ". ".join(part for part in (card.subtitle, barred) if part)
            item.setData(Qt.ItemDataRole.AccessibleDescriptionRole, described)
            set_tooltip(item, "\n".join(part for part in (card.title, card.subtitle, barred) if part))
            self.addItem(item)
        self.arrange()

    @property
    def content_height(self) -> int:
        """Room for all tiles, so that nothing scrolls."""
        return self._content

    def card_at(self, row: int) -> Card:
        """The card of a row. Raises AttributeError for a row that is not there."""
        card: Card = self.item(row).data(CARD)
        return card

    def shown(self) -> list[int]:
        """The rows that are not hidden."""
        return [row for row in range(self.count()) if not self.isRowHidden(row)]

    def arrange(self) -> None:
        """Place the tiles again: other rows are hidden, or the size has changed."""
        px = self._theme.px
        room, gap = max(self.width() - px(self._edge), px(LEAST)), px(GAP)
        columns = max((room + gap) // (px(LEAST) + gap), 1)
        self._tiles, self._lines, self.headings = {}, [], []
        shown, top = self.shown(), 0
        for group in GROUPS:
            rows = [row for row in shown if self.card_at(row).group == group]
            if not rows:
                continue
            if self._headed:
                top = self._head(group, len(rows), top)
            for start in range(0, len(rows), columns):
                line = rows[start : start + columns]
                for column, row in enumerate(line):
                    left = column * (room + gap) // columns
                    right = (column + 1) * (room + gap) // columns - gap
                    self._tiles[row] = QRect(left, top, right - left, px(HEIGHT))
                self._lines.append(line)
                top += px(HEIGHT) + gap
        self._content = top + px(8)
        self.updateGeometries()
        self.viewport().update()

    def _head(self, group: Group, count: int, top: int) -> int:
        """Note the heading of a group that begins at `top`; where its tiles begin."""
        px, (title, note) = self._theme.px, HEADINGS[group]
        top += px(12) if self.headings else 0
        under = top + QFontMetrics(self._theme.font(15, 600)).height()
        room = QRect(0, under + px(2), max(self.width() - px(self._edge), px(LEAST)), 0)
        if note:
            high = QFontMetrics(self._theme.font(12.5)).boundingRect(
                room.adjusted(0, 0, 0, px(200)), Qt.TextFlag.TextWordWrap, note
            )
            room.setHeight(high.height())
            under = room.bottom()
        self.headings.append(Heading(top, title, str(count), note, room))
        return under + px(10)

    # --- what Qt asks of a view -----------------------------------------------------------------------------

    def doItemsLayout(self) -> None:
        """Place the tiles, in place of Qt's own layout of a list."""
        QAbstractItemView.doItemsLayout(self)
        self.arrange()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """As many tiles beside each other as fit."""
        QAbstractItemView.resizeEvent(self, event)
        self.arrange()

    def updateGeometries(self) -> None:
        """The scroll bar's range."""
        bar, seen = self.verticalScrollBar(), self.viewport().height()
        bar.setSingleStep(self._theme.px(24))
        bar.setPageStep(seen)
        bar.setRange(0, max(self._content - seen, 0))

    def scrollContentsBy(self, _dx: int, _dy: int) -> None:
        """The scroll bar has moved."""
        self.viewport().update()

    def verticalOffset(self) -> int:
        """How far the content is scrolled."""
        return self.verticalScrollBar().value()

    def horizontalOffset(self) -> int:
        """It scrolls up and down alone."""
        return 0

    def visualRect(self, index: Index) -> QRect:
        """Where a row's tile is seen; empty if it is hidden."""
        tile = self._tiles.get(index.row()) if index.isValid() else None
        return QRect() if tile is None else tile.translated(0, -self.verticalOffset())

    def indexAt(self, point: QPoint) -> QModelIndex:
        """The row whose tile is there."""
        at = point + QPoint(0, self.verticalOffset())
        row = next((row for row, tile in self._tiles.items() if tile.contains(at)), -1)
        return self.model().index(row, 0)

    def scrollTo(
        self, index: Index, _hint: QAbstractItemView.ScrollHint = QAbstractItemView.ScrollHint.EnsureVisible
    ) -> None:
        """Have the row's tile seen; the first line shows its heading too."""
        tile = self._tiles.get(index.row()) if index.isValid() else None
        if tile is None:
            return
        bar, seen = self.verticalScrollBar(), self.viewport().height()
        headed = index.row() in self._lines[0] and tile.bottom() < seen
        top = 0 if headed else tile.top()
        if top < bar.value():
            bar.setValue(top)
        elif tile.bottom() + self._theme.px(GAP) > bar.value() + seen:
            bar.setValue(min(tile.bottom() + self._theme.px(GAP) - seen, tile.top()))

    def setSelection(self, rect: QRect, command: QItemSelectionModel.SelectionFlag) -> None:
        """Select what was pressed."""
        index = self.indexAt(rect.bottomRight())
        chosen = QItemSelection(index, index) if index.isValid() else QItemSelection()
        self.selectionModel().select(chosen, command)

    def visualRegionForSelection(self, selection: QItemSelection) -> QRegion:
        """What has to be painted again."""
        region = QRegion()
        for index in selection.indexes():
            region += self.visualRect(index)
        return region

    def moveCursor(
        self, action: QAbstractItemView.CursorAction, _modifiers: Qt.KeyboardModifier
    ) -> QModelIndex:
        """Where an arrow key leads: left and right in reading order, up and down by line."""
        move, flat = QAbstractItemView.CursorAction, [row for line in self._lines for row in line]
        if not flat:
            return QModelIndex()
        row = self.currentIndex().row()
        if row not in self._tiles:
            return self.model().index(flat[0], 0)
        at = flat.index(row)
        seen = max(self.viewport().height() // self._theme.px(HEIGHT + GAP), 1)
        match action:
            case move.MoveLeft | move.MovePrevious:
                row = flat[max(at - 1, 0)]
            case move.MoveRight | move.MoveNext:
                row = flat[min(at + 1, len(flat) - 1)]
            case move.MoveHome:
                row = flat[0]
            case move.MoveEnd:
                row = flat[-1]
            case move.MoveUp:
                row = self._in_line(row, -1)
            case move.MoveDown:
                row = self._in_line(row, 1)
            case move.MovePageUp:
                row = self._in_line(row, -seen)
            case move.MovePageDown:
                row = self._in_line(row, seen)
        return self.model().index(row, 0)

    def _in_line(self, row: int, by: int) -> int:
        """The row that many lines below, in the same column or the last one."""
        number = next(n for n, line in enumerate(self._lines) if row in line)
        line = self._lines[min(max(number + by, 0), len(self._lines) - 1)]
        return line[min(self._lines[number].index(row), len(line) - 1)]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Up in the first line leads back to where one came from."""
        if event.key() == Qt.Key.Key_Up and self._lines and self.currentRow() in self._lines[0]:
            self.left_top.emit()
        else:
            super().keyPressEvent(event)

    # --- painting -------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the headings and the tiles that are seen."""
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.translate(0, -self.verticalOffset())
        seen = event.rect().translated(0, self.verticalOffset())
        for heading in self.headings:
            self._paint_heading(painter, heading)
        at = self.viewport().mapFromGlobal(QCursor.pos())
        hovered = self.indexAt(at).row() if self.viewport().underMouse() else -1
        for row, tile in self._tiles.items():
            if tile.intersects(seen):
                self._paint_tile(painter, QRectF(tile), row, hovered=row == hovered)
        painter.end()

    def _paint_heading(self, painter: QPainter, heading: Heading) -> None:
        theme = self._theme
        bold, small = theme.font(15, 600), theme.font(12.5)
        metrics = QFontMetrics(bold)
        base = heading.top + metrics.ascent()
        painter.setFont(bold)
        painter.setPen(theme.color("ink"))
        painter.drawText(0, base, heading.title)
        painter.setFont(small)
        painter.setPen(theme.color("ink2"))
        painter.drawText(metrics.horizontalAdvance(heading.title) + theme.px(10), base, heading.count)
        painter.drawText(heading.room, Qt.TextFlag.TextWordWrap, heading.note)

    def _paint_tile(self, painter: QPainter, cell: QRectF, row: int, *, hovered: bool) -> None:
        theme, px, card = self._theme, self._theme.px, self.card_at(row)
        chosen = self.item(row).isSelected()
        # The ring shows the keyboard's focus, so a tile that is only chosen has none.
        ring = 2 if chosen and self.hasFocus() else 1
        inset = ring / 2
        box = cell.adjusted(inset, inset, -inset, -inset)
        painter.setPen(QPen(theme.color("focus" if ring == 2 else "edge"), ring))
        painter.setBrush(theme.color("selection" if chosen else "hover" if hovered else "panel"))
        painter.drawRoundedRect(box, px(9), px(9))
        side = px(36)
        tile = QRectF(cell.left() + px(13), cell.center().y() - side / 2, side, side)
        paint_tile(painter, tile, card.letter, card.color, theme.color("edge"))
        left, right = tile.right() + px(12), cell.right() - px(12)
        if card.group == "blocked":
            sign = px(16)
            drawn = icons.pixmap("blocked", theme.palette.warn, sign, self.devicePixelRatioF())
            painter.drawPixmap(int(right - sign), int(cell.center().y() - sign / 2), drawn)
            right -= sign + px(8)
        name, under = theme.font(14, 600), theme.font(12.5)
        upper, lower = QFontMetrics(name), QFontMetrics(under)
        top = cell.center().y() - (upper.height() + lower.height() + px(1)) / 2
        size = QSize(int(right - left), upper.height())
        self._line(painter, QPoint(int(left), int(top)), size, name, "ink", card.title)
        size.setHeight(lower.height())
        at = QPoint(int(left), int(top) + upper.height() + px(1))
        self._line(painter, at, size, under, "ink2", card.subtitle)

    def _line(self, painter: QPainter, at: QPoint, size: QSize, font: QFont, color: str, text: str) -> None:
        painter.setFont(font)
        painter.setPen(self._theme.color(color))
        shown = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, size.width())
        painter.drawText(QRect(at, size), Qt.AlignmentFlag.AlignVCenter, shown)
