"""Small pictures: a status's shape, pills and chips.

Each draws the value that it is given and has the same text as its accessible name.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from keyfob.desktop.shared.outside_text import set_tooltip
from keyfob.desktop.shared.theme import Theme


def paint_status(painter: QPainter, box: QRectF, shape: str, color: QColor) -> None:
    """dot, ring, arc, clock or triangle: a status that is clear without its colour."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    pen = QPen(color, max(box.width() * 0.19, 1.3), Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)
    inner = box.adjusted(pen.widthF() / 2, pen.widthF() / 2, -pen.widthF() / 2, -pen.widthF() / 2)
    match shape:
        case "dot":
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color)
            painter.drawEllipse(box)
        case "triangle":
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color)
            tip = QPointF(box.center().x(), box.top() - box.height() * 0.08)
            painter.drawPolygon(QPolygonF([tip, box.bottomRight(), box.bottomLeft()]))
        case "arc":
            painter.setPen(pen)
            painter.drawArc(inner, 60 * 16, 260 * 16)
        case "clock":
            painter.setPen(pen)
            painter.drawEllipse(inner)
            middle = box.center()
            painter.drawLine(middle, QPointF(middle.x(), inner.top() + inner.height() * 0.22))
        case _:
            painter.setPen(pen)
            painter.drawEllipse(inner)
    painter.restore()


class Pill(QWidget):
    """A status in a word and a shape on a tinted ground."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._text, self._tone, self._shape = "", "ok", "dot"
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.updateGeometry)

    def show_status(self, text: str, tone: str, shape: str) -> None:
        """Show another status; the text is also the accessible name."""
        self._text, self._tone, self._shape = text, tone, shape
        self.setAccessibleName(text)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Room for the text and the mark."""
        px = self._theme.px
        width = QFontMetrics(self._theme.font(12.5, 600)).horizontalAdvance(self._text)
        return QSize(width + px(11) * 2 + px(8) + px(7), px(25))

    def paintEvent(self, _event: object) -> None:
        """Draw the mark and the word on the tone's tint."""
        px = self._theme.px
        tint = {"ok": "ok_tint", "warn": "warn_tint", "bad": "bad_tint", "accent": "info_tint"}
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.color(tint.get(self._tone, "quiet_tint")))
        box = QRectF(self.rect())
        painter.drawRoundedRect(box, box.height() / 2, box.height() / 2)
        color = self._theme.color(self._tone)
        side = px(8)
        paint_status(painter, QRectF(px(11), (box.height() - side) / 2, side, side), self._shape, color)
        painter.setFont(self._theme.font(12.5, 600))
        painter.setPen(color)
        text = box.adjusted(px(11) + side + px(7), 0, 0, 0)
        painter.drawText(text, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, self._text)
        painter.end()


class Chip(QWidget):
    """A scope. `missing`: asked for and not granted, so drawn hollow and struck through."""

    def __init__(self, theme: Theme, text: str, *, missing: bool = False) -> None:
        super().__init__()
        self._theme, self._text, self._missing = theme, text, missing
        self.setAccessibleName(f"{text}, not granted" if missing else text)
        set_tooltip(self, f"{text}: requested but not granted" if missing else text)

    def sizeHint(self) -> QSize:
        """Room for the text."""
        px = self._theme.px
        width = QFontMetrics(self._theme.font(12)).horizontalAdvance(self._text)
        return QSize(width + px(9) * 2, px(22))

    def paintEvent(self, _event: object) -> None:
        """Draw the scope, with a dashed border if it was not granted."""
        px = self._theme.px
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        font = self._theme.font(12)
        if self._missing:
            painter.setPen(QPen(self._theme.color("edge"), 1, Qt.PenStyle.DashLine))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            font.setStrikeOut(True)
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._theme.color("chip"))
        painter.drawRoundedRect(box, px(6), px(6))
        painter.setFont(font)
        painter.setPen(self._theme.color("ink2" if self._missing else "chip_ink"))
        shown = QFontMetrics(font).elidedText(
            self._text, Qt.TextElideMode.ElideMiddle, round(box.width()) - px(12)
        )
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, shown)
        painter.end()
