"""What rows and cards draw alike: buttons, states, and texts that end in … ."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPen

from keyfob.desktop.nexus.models import Mark, Press, Progress
from keyfob.desktop.nexus.rows import Spot
from keyfob.desktop.shared import icons
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import LEFT

RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignAbsolute


def button_width(theme: Theme, press: Press, *, bare: bool = False) -> int:
    """Of a drawn button, in pixels. `bare`: an icon stands for its text."""
    px = theme.px
    if bare:
        return px(17) + px(8) * 2 + 2
    words = QFontMetrics(theme.font(13, 600)).horizontalAdvance(press.text)
    return words + (px(17) + px(6) if press.drawing else 0) + px(14) * 2 + 2


def button_height(theme: Theme) -> int:
    """As the style sheet's buttons are."""
    return theme.px(34)


def paint_button(painter: QPainter, theme: Theme, spot: Spot, *, hovered: bool) -> None:
    """A plain button, as the style sheet draws it."""
    px, box = theme.px, spot.box
    text, drawing = ("", spot.drawing) if spot.drawing else (spot.press.text, spot.press.drawing)
    painter.setPen(QPen(theme.color("edge"), 1))
    painter.setBrush(theme.color("hover" if hovered else "panel"))
    painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), px(7), px(7))
    font = theme.font(13, 600)
    width = QFontMetrics(font).horizontalAdvance(text) if text else 0
    sign = px(17) if drawing else 0
    gap = px(6) if width and sign else 0
    left = box.center().x() - (width + sign + gap) / 2
    if drawing:
        paint_sign(painter, theme, QPointF(left, box.center().y() - sign / 2), drawing, "ink", sign)
    painter.setFont(font)
    painter.setPen(theme.color("ink"))
    painter.drawText(QRectF(left + sign + gap, box.top(), width + 1, box.height()), LEFT, text)


def paint_sign(painter: QPainter, theme: Theme, at: QPointF, drawing: str, tone: str, side: int) -> None:
    """One of our drawings, in a palette colour."""
    ratio = painter.device().devicePixelRatioF()
    painter.drawPixmap(
        QPointF(round(at.x()), round(at.y())), icons.pixmap(drawing, theme.color(tone).name(), side, ratio)
    )


def mark_width(theme: Theme, mark: Mark) -> int:
    """Of a state, in pixels."""
    return QFontMetrics(theme.font(13, 500)).horizontalAdvance(mark.text) + theme.px(16) + theme.px(6) + 1


def paint_mark(painter: QPainter, theme: Theme, box: QRectF, mark: Mark) -> None:
    """A state, at the left of `box`."""
    side = theme.px(16)
    paint_sign(
        painter, theme, QPointF(box.left(), box.center().y() - side / 2), mark.drawing, mark.tone, side
    )
    painter.setFont(theme.font(13, 500))
    painter.setPen(theme.color(mark.tone))
    painter.drawText(box.adjusted(side + theme.px(6), 0, 0, 0), LEFT, mark.text)


def paint_text(painter: QPainter, line: QRectF, font: QFont, text: str) -> float:
    """One line, shortened to the room; returns where it ends. The pen is set by the caller."""
    metrics = QFontMetrics(font)
    shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, max(int(line.width()), 0))
    painter.setFont(font)
    painter.drawText(line, LEFT, shown)
    return line.left() + metrics.horizontalAdvance(shown)


def paint_progress(painter: QPainter, theme: Theme, box: QRectF, progress: Progress) -> None:
    """A bar. Without a known size it has no end: a piece in the middle."""
    radius = box.height() / 2
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.color("track"))
    painter.drawRoundedRect(box, radius, radius)
    painter.setBrush(theme.color(progress.tone))
    if progress.share is None:
        third = box.width() / 3
        painter.drawRoundedRect(box.adjusted(third, 0, -third, 0), radius, radius)
    elif progress.share > 0:
        done = max(box.width() * min(progress.share, 1.0), box.height())
        painter.drawRoundedRect(QRectF(box.left(), box.top(), done, box.height()), radius, radius)
