"""Draws a mod or a download as a row: picture, name, versions, state, buttons; or how far it is."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QStyle, QStyleOptionViewItem

from keyfob.desktop.nexus import painting
from keyfob.desktop.nexus.models import Row
from keyfob.desktop.nexus.pictures import paint_picture
from keyfob.desktop.nexus.rows import ROW, Drawing, Index, Spot

ROW_HEIGHT = 66  # designed pixels
PICTURE = 76, 46
MIDDLE = 128  # of the column with versions
WIDE = 600  # designed pixels from which that column has room
ARROW = "→"


class RowDrawing(Drawing):
    """Rows of one height."""

    def height(self, width: int) -> int:
        """Of one row."""
        del width
        return self.theme.px(ROW_HEIGHT)

    def spots(self, box: QRectF, row: Row) -> list[Spot]:
        """From the right end. In a narrow row, those of a download are icons."""
        px = self.theme.px
        right, found = box.right() - px(16), []
        high, small = painting.button_height(self.theme), row.progress is not None and not self._wide(box)
        for press in reversed([each for each in row.presses if each.shown]):
            drawing = press.small if small else ""
            width = painting.button_width(self.theme, press, bare=bool(drawing))
            place = QRectF(right - width, round(box.center().y() - high / 2), width, high)
            found.append(Spot(place, press, drawing))
            right -= width + px(9)
        return found[::-1]

    def _wide(self, box: QRectF) -> bool:
        return box.width() >= self.theme.px(WIDE)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw the row."""
        row: Row = index.data(ROW)
        theme, px, box = self.theme, self.theme.px, QRectF(option.rect)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if index.row() + 1 < index.model().rowCount():
            painter.fillRect(QRectF(box.left(), box.bottom() - 1, box.width(), 1), theme.color("line"))
        state, flags = option.state, QStyle.StateFlag
        if state & flags.State_HasFocus and index == self.view.currentIndex():
            painter.setPen(QPen(theme.color("focus"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(box.adjusted(3, 3, -3, -4), px(8), px(8))
        left = self._paint_picture(painter, box, row) + px(12)
        spots = self.spots(box, row)
        for spot in spots:
            hovered = self.view.hovered == (index.row(), spot.press.action)
            painting.paint_button(painter, theme, spot, hovered=hovered)
        right = spots[0].box.left() - px(16) if spots else box.right() - px(16)
        if row.progress is not None:
            self._paint_running(painter, QRectF(left, box.top(), right - left, box.height()), row)
        else:
            self._paint_still(painter, box, (left, right), row, bare=not spots)
        painter.restore()

    def _paint_picture(self, painter: QPainter, box: QRectF, row: Row) -> float:
        px = self.theme.px
        width, height = px(PICTURE[0]), px(PICTURE[1])
        if box.width() < px(WIDE * 0.8):
            width = height
        frame = QRectF(box.left() + px(16), round(box.center().y() - height / 2 - 0.5), width, height)
        path = QPainterPath()
        path.addRoundedRect(frame, px(6), px(6))
        ratio = painter.device().devicePixelRatioF()
        picture = self.pictures.of(row.picture, frame.size().toSize(), ratio)
        paint_picture(painter, self.theme, path, picture, px(20))
        return frame.right()

    def _paint_still(
        self, painter: QPainter, box: QRectF, ends: tuple[float, float], row: Row, *, bare: bool
    ) -> None:
        """Name and what is known of it; versions and state at the right."""
        theme, px = self.theme, self.theme.px
        left, right = ends
        if row.mark is not None and bare:  # in place of a button
            width = painting.mark_width(theme, row.mark)
            place = QRectF(right - width, box.top(), width, box.height())
            painting.paint_mark(painter, theme, place, row.mark)
            right -= width + px(16)
        edge = right
        if self._wide(box):
            middle = box.right() - px(16) - px(140) - px(MIDDLE)
            column = QRectF(middle, box.top(), min(right, box.right() - px(148)) - middle, box.height())
            if row.before or row.after:
                self._paint_versions(painter, column, row, end=right)
                edge = right = min(middle - px(12), right)
            elif row.mark is not None and not bare:
                right = min(middle - px(12), right)
                long = QFontMetrics(theme.font(12.5)).horizontalAdvance(row.line) > right - left
                if long:  # it goes on under the state
                    column = QRectF(middle, self._lines(box, left, right)[0].top(), column.width(), px(18))
                else:
                    edge = right
                painting.paint_mark(painter, theme, column, row.mark)
        upper, _ = self._lines(box, left, right)
        _, lower = self._lines(box, left, edge)
        painter.setPen(theme.color("ink"))
        end = painting.paint_text(painter, upper, theme.font(14, 600), row.title)
        if row.note:
            painter.setPen(theme.color("ink2"))
            rest = QRectF(end + px(8), upper.top(), upper.right() - end - px(8), upper.height())
            painting.paint_text(painter, rest, theme.font(12.5), row.note)
        self._paint_under(painter, lower, row, wide=self._wide(box), bare=bare)

    def _lines(self, box: QRectF, left: float, right: float) -> tuple[QRectF, QRectF]:
        """The places of the name and of the line under it."""
        theme, px = self.theme, self.theme.px
        high = QFontMetrics(theme.font(14, 600)).height()
        low = QFontMetrics(theme.font(12.5)).height()
        top = box.center().y() - (high + low + px(2)) / 2
        width = max(right - left, px(20))
        return QRectF(left, top, width, high), QRectF(left, top + high + px(2), width, low)

    def _paint_under(self, painter: QPainter, line: QRectF, row: Row, *, wide: bool, bare: bool) -> None:
        """The second line. In a narrow row it has the versions, or the state's word, too."""
        theme, font = self.theme, self.theme.font(12.5)
        left = line.left()
        if not wide and row.mark is not None and not bare:
            painter.setPen(theme.color(row.mark.tone))
            left = painting.paint_text(painter, line, self.theme.font(12.5, 500), f"{row.mark.text} · ")
        versions = " → ".join(each for each in (row.before, row.after) if each)
        text = row.line if wide or not versions else f"{versions} · {row.line}"
        painter.setPen(theme.color("ink2"))
        painting.paint_text(painter, QRectF(left, line.top(), line.right() - left, line.height()), font, text)

    def _paint_versions(self, painter: QPainter, column: QRectF, row: Row, *, end: float) -> None:
        """The installed version, and an arrow to the newest if that is another. Long ones may use the room
        that is free at their right.
        """
        theme, px = self.theme, self.theme.px
        plain, bold = theme.font(13), theme.font(13, 600)
        room = max(column.right(), end) - column.left()
        if not row.after:
            painter.setPen(theme.color("ink"))
            painting.paint_text(
                painter, QRectF(column.left(), column.top(), room, column.height()), plain, row.before
            )
            return
        before = f"{row.before} {ARROW} " if row.before else ""
        share = room * 0.55 if QFontMetrics(plain).horizontalAdvance(before + row.after) > room else room
        painter.setPen(theme.color("ink2"))
        at = painting.paint_text(
            painter, QRectF(column.left(), column.top(), share, column.height()), plain, before
        )
        painter.setPen(theme.color("ink"))
        painting.paint_text(
            painter,
            QRectF(at + px(1), column.top(), column.left() + room - at, column.height()),
            bold,
            row.after,
        )

    def _paint_running(self, painter: QPainter, box: QRectF, row: Row) -> None:
        """Name, a bar, and how much of how much."""
        theme, px = self.theme, self.theme.px
        progress = row.progress
        assert progress is not None
        name, small = theme.font(14, 600), theme.font(12.5)
        high, low = QFontMetrics(name).height(), QFontMetrics(small).height()
        top = box.center().y() - (high + low + px(6) + px(9)) / 2
        line = QRectF(box.left(), top, box.width(), high)
        painter.setPen(theme.color("ink"))
        end = painting.paint_text(painter, line, name, row.title)
        painter.setPen(theme.color("ink2"))
        note = row.note or " → ".join(each for each in (row.before, row.after) if each)
        rest = QRectF(end + px(8), top, max(box.right() - end - px(8), 0), high)
        painting.paint_text(painter, rest, small, note)
        bar = QRectF(box.left(), line.bottom() + px(4), box.width(), px(6))
        painting.paint_progress(painter, theme, bar, progress)
        under = QRectF(box.left(), bar.bottom() + px(5), box.width(), low)
        painter.setFont(small)
        painter.setPen(theme.color("ink2"))
        right = QFontMetrics(small).horizontalAdvance(progress.right)
        if QFontMetrics(small).horizontalAdvance(progress.left) + right + px(12) > under.width():
            right = 0  # how much matters more than how long
        else:
            painter.drawText(under, painting.RIGHT, progress.right)
        painting.paint_text(
            painter, under.adjusted(0, 0, -right - (px(12) if right else 0), 0), small, progress.left
        )
