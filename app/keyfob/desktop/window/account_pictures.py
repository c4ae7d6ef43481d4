"""Pictures of an account: how much of its token's life has passed, and what happened in the last days.

Each draws the value that it is given and has the same text as its accessible name.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from keyfob.desktop.shared.outside_text import set_tooltip
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.history import DAYS, Day, Point
from keyfob.desktop.window.models import LifeBar


class LifeBarView(QWidget):
    """The token's life: what has passed, the renewal mark, and the times under it."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._life: LifeBar | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_life(self, life: LifeBar | None) -> None:
        """Show how much of the token's life has passed; None hides the bar."""
        self.setVisible(life is not None)
        if life == self._life or life is None:
            return
        self._life = life
        spoken = ", ".join(t for t in (life.start, life.mark_text, life.end) if t)
        self.setAccessibleName(f"{round(life.lived * 100)} % of its life has passed: {spoken}")
        set_tooltip(self, spoken)
        self.update()

    def sizeHint(self) -> QSize:
        """Room for the bar and the words below it."""
        return QSize(self._theme.px(240), self._theme.px(42))

    def paintEvent(self, _event: object) -> None:
        """Draw the bar, the mark of the next renewal and the times."""
        life = self._life
        if life is None:
            return
        px = self._theme.px
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        width, top, height = self.width(), px(6), px(8)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.color("track"))
        painter.drawRoundedRect(QRectF(0, top, width, height), height / 2, height / 2)
        painter.setBrush(self._theme.color(life.tone))
        lived = max(width * life.lived, height)
        painter.drawRoundedRect(QRectF(0, top, lived, height), height / 2, height / 2)
        metrics = QFontMetrics(self._theme.font(12.5))
        end_width = metrics.horizontalAdvance(life.end)
        painter.setFont(self._theme.font(12.5))
        painter.setPen(self._theme.color("ink2"))
        line = QRectF(0, top + height + px(7), width, px(20))
        start_width = metrics.horizontalAdvance(life.start)
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, life.start)
        painter.drawText(line, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, life.end)
        if life.mark is not None:
            x = width * life.mark
            painter.fillRect(QRectF(x - 1, top - px(4), 2, height + px(8)), self._theme.color("ink2"))
            text_width = metrics.horizontalAdvance(life.mark_text)
            # Under its mark if there is room, else pushed left of the end's time; left out if nothing fits.
            right = min(x + 1, width - end_width - px(12))
            if right - text_width > start_width + px(12):
                painter.drawText(
                    QRectF(right - text_width, line.top(), text_width + 1, line.height()),
                    Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
                    life.mark_text,
                )
        painter.end()


class Strip(QWidget):
    """The last days as a line with a mark for each thing that happened: renewals as dots, failures as
    triangles, a sign-in's end as a cross.
    """

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._points: Sequence[Point] = ()
        self._days: Sequence[Day] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_points(self, points: Sequence[Point], days: Sequence[Day] = ()) -> None:
        """Show these events of the last days, and where each day begins."""
        self._points, self._days = points, days
        trouble = sum(p.tone in ("warn", "bad") for p in points)
        many = "1 event" if len(points) == 1 else f"{len(points)} events"
        failed = f", {trouble} failed" if trouble else ""
        self.setAccessibleName(f"The last {DAYS} days: {many}{failed}")
        set_tooltip(self, self.accessibleName())
        self.update()

    def sizeHint(self) -> QSize:
        """Room for the line and the days below it."""
        return QSize(self._theme.px(160), self._theme.px(38))

    def paintEvent(self, _event: object) -> None:
        """Draw the line of days with a mark for each event."""
        px = self._theme.px
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        widest = px(12)  # of a mark, which must not be cut at the ends
        left, width, middle = widest / 2, self.width() - widest, px(9)
        self._paint_days(painter, left, width, middle)
        for point in sorted(self._points, key=lambda p: p.tone in ("warn", "bad")):
            self._paint_point(painter, QPointF(left + width * point.place, middle), point.tone)
        painter.end()

    def _paint_days(self, painter: QPainter, left: float, width: float, middle: float) -> None:
        px = self._theme.px
        painter.setPen(QPen(self._theme.color("track"), 2, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        painter.drawLine(QPointF(left, middle), QPointF(left + width, middle))
        metrics = QFontMetrics(self._theme.font(12))
        painter.setFont(self._theme.font(12))
        line = QRectF(0, middle + px(9), self.width(), metrics.height())
        end = self.width() - metrics.horizontalAdvance("Now")
        for number, day in enumerate(self._days):
            x = left + width * day.place
            painter.setPen(QPen(self._theme.color("ink3"), 1.5))
            painter.drawLine(QPointF(x, middle - px(5)), QPointF(x, middle + px(5)))
            following = self._days[number + 1 : number + 2]
            limit = left + width * following[0].place if following else end
            if x + metrics.horizontalAdvance(day.name) + px(8) <= limit:  # else it would touch the next
                painter.setPen(self._theme.color("ink2"))
                painter.drawText(line.adjusted(x - px(1), 0, 0, 0), Qt.AlignmentFlag.AlignLeft, day.name)
        painter.setPen(self._theme.color("ink2"))
        painter.drawText(line, Qt.AlignmentFlag.AlignRight, "Now")

    def _paint_point(self, painter: QPainter, at: QPointF, tone: str) -> None:
        px, color = self._theme.px, self._theme.color(tone)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        half = px(7) / 2
        if tone == "warn":
            half = px(11) / 2
            tip = QPointF(at.x(), at.y() - half)
            base = at.y() + half * 0.8
            painter.drawPolygon(QPolygonF([tip, QPointF(at.x() + half, base), QPointF(at.x() - half, base)]))
        elif tone == "bad":
            painter.setPen(QPen(color, max(px(2.4), 2), Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            half = px(9) / 2
            painter.drawLine(QPointF(at.x() - half, at.y() - half), QPointF(at.x() + half, at.y() + half))
            painter.drawLine(QPointF(at.x() - half, at.y() + half), QPointF(at.x() + half, at.y() - half))
        else:
            painter.drawEllipse(at, half, half)
