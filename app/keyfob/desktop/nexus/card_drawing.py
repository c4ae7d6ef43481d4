"""Draws a mod as a card: its picture on top, then name, author, state and buttons."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRectF, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QStyle, QStyleOptionViewItem

from keyfob.desktop.nexus import painting
from keyfob.desktop.nexus.models import Row
from keyfob.desktop.nexus.pictures import paint_picture
from keyfob.desktop.nexus.rows import ROW, Drawing, Index, Spot

GAP = 16  # designed pixels between cards
PICTURE = 104  # high
NARROWEST = 200  # a card's width
MOST_COLUMNS = 3


class CardDrawing(Drawing):
    """Up to three cards beside each other."""

    def columns(self, width: int) -> int:
        """As many as have room."""
        px = self.theme.px
        return max(min((width + px(GAP)) // px(NARROWEST + GAP), MOST_COLUMNS), 1)

    def height(self, width: int) -> int:
        """Of one card and the gap under it."""
        del width
        px, theme = self.theme.px, self.theme
        texts = QFontMetrics(theme.font(14, 600)).height() + QFontMetrics(theme.font(12.5)).height()
        return (
            px(PICTURE) + px(14) + texts + px(2) + px(11) + painting.button_height(theme) + px(14) + px(GAP)
        )

    def _card(self, box: QRectF, number: int) -> QRectF:
        """The card in its cell: the gap between columns is shared so that both ends are flush."""
        gap = self.theme.px(GAP)
        columns = self.columns(self.view.width())
        width = (self.view.width() - gap * (columns - 1)) / columns
        left = (number % columns) * (width + gap)
        return QRectF(left, box.top(), width, box.height() - gap)

    def spots(self, box: QRectF, row: Row) -> list[Spot]:
        """In the card's foot; the ones without a text at its right."""
        index = self.view.indexAt(QPoint(round(box.center().x()), round(box.center().y())))
        return self._spots(self._card(box, index.row()), row)

    def _spots(self, card: QRectF, row: Row) -> list[Spot]:
        px = self.theme.px
        high = painting.button_height(self.theme)
        top = card.bottom() - px(14) - high
        left, right = card.left() + px(14), card.right() - px(14)
        found: list[Spot] = []
        if row.mark is not None:
            left += painting.mark_width(self.theme, row.mark) + px(8)
        for press in row.presses:
            if not press.drawing:
                width = painting.button_width(self.theme, press)
                found.append(Spot(QRectF(left, top, width, high), press))
                left += width + px(8)
        for press in row.presses:
            width = painting.button_width(self.theme, press, bare=True)
            if press.drawing and right - width >= left:  # else it is in the menu and in the details
                found.append(Spot(QRectF(right - width, top, width, high), press, press.drawing))
                right -= width + px(8)
        return found

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw the card."""
        row: Row = index.data(ROW)
        theme, px = self.theme, self.theme.px
        card = self._card(QRectF(option.rect), index.row())
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QPainterPath()
        frame.addRoundedRect(card.adjusted(0.5, 0.5, -0.5, -0.5), px(10), px(10))
        painter.fillPath(frame, theme.color("panel"))
        top = QPainterPath()
        top.addRect(QRectF(card.left(), card.top(), card.width(), px(PICTURE)))
        shown = top.intersected(frame)
        size = top.boundingRect().size().toSize()
        picture = self.pictures.of(row.picture, size, painter.device().devicePixelRatioF())
        paint_picture(painter, theme, shown, picture, px(28))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(theme.color("line"), 1))
        painter.drawPath(frame)
        focused = bool(option.state & QStyle.StateFlag.State_HasFocus)
        if focused and index == self.view.currentIndex():
            painter.setPen(QPen(theme.color("focus"), 2))
            painter.drawRoundedRect(card.adjusted(1, 1, -1, -1), px(10), px(10))
        self._paint_words(painter, card, row)
        spots = self._spots(card, row)
        for spot in spots:
            hovered = self.view.hovered == (index.row(), spot.press.action)
            painting.paint_button(painter, theme, spot, hovered=hovered)
        if row.mark is not None:
            high = painting.button_height(theme)
            foot = QRectF(card.left() + px(14), card.bottom() - px(14) - high, card.width() - px(28), high)
            painting.paint_mark(painter, theme, foot, row.mark)
        painter.restore()

    def _paint_words(self, painter: QPainter, card: QRectF, row: Row) -> None:
        theme, px = self.theme, self.theme.px
        name, small = theme.font(14, 600), theme.font(12.5)
        left, width = card.left() + px(14), card.width() - px(28)
        upper = QRectF(left, card.top() + px(PICTURE) + px(14), width, QFontMetrics(name).height())
        painter.setPen(theme.color("ink"))
        painting.paint_text(painter, upper, name, row.title)
        painter.setPen(theme.color("ink2"))
        lower = QRectF(left, upper.bottom() + px(2), width, QFontMetrics(small).height())
        painting.paint_text(painter, lower, small, row.line)
