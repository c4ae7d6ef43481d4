"""Tabs with counts. Arrow keys go from one to the next; the row of tabs is one stop for Tab."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import QSizePolicy, QTabBar

from keyfob.desktop.nexus.models import TABS, TabName
from keyfob.desktop.shared.theme import Theme


class Tabs(QTabBar):
    """`Parts of this account`. `chosen` names the tab."""

    chosen = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._counts: dict[TabName, int] = {}
        self.setAccessibleName("Parts of this account")
        self.setDrawBase(False)
        self.setExpanding(False)
        self.setUsesScrollButtons(False)
        self.setMouseTracking(True)
        self.setElideMode(Qt.TextElideMode.ElideNone)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for _, title in TABS:
            self.addTab(title)
        self.currentChanged.connect(self._changed)
        theme.changed.connect(self._restyled)

    @property
    def current(self) -> TabName:
        """The chosen tab."""
        return TABS[self.currentIndex()][0]

    def choose(self, name: TabName) -> None:
        """Show another tab as chosen."""
        self.setCurrentIndex([each for each, _ in TABS].index(name))

    def show_counts(self, counts: tuple[tuple[TabName, int], ...]) -> None:
        """The numbers beside the titles; 0 is not shown."""
        if dict(counts) == self._counts:
            return
        self._counts = dict(counts)
        for number, (name, title) in enumerate(TABS):
            count = self._counts.get(name, 0)
            self.setAccessibleTabName(number, f"{title}, {count}" if count else title)
        self._restyled()

    def _changed(self, number: int) -> None:
        self.chosen.emit(TABS[number][0])

    def _restyled(self) -> None:
        # Qt asks for the tabs' sizes again only if a tab has changed.
        for number, (_, title) in enumerate(TABS):
            self.setTabText(number, "")
            self.setTabText(number, title)
        self.updateGeometry()
        self.update()

    def _pill(self, name: TabName) -> str:
        count = self._counts.get(name, 0)
        return f"{count:,}" if count else ""

    def _pill_width(self, text: str) -> int:
        return QFontMetrics(self._theme.font(12.5, 600)).horizontalAdvance(text) + self._theme.px(8) * 2

    def tabSizeHint(self, number: int) -> QSize:
        """Room for the title, the count and the gap to the next."""
        px, (name, title) = self._theme.px, TABS[number]
        width = QFontMetrics(self._theme.font(14, 600)).horizontalAdvance(title) + px(2)
        pill = self._pill(name)
        if pill:
            width += px(8) + self._pill_width(pill)
        return QSize(width + px(22), px(38))

    def minimumTabSizeHint(self, number: int) -> QSize:
        """A title is never shortened."""
        return self.tabSizeHint(number)

    def sizeHint(self) -> QSize:
        """All tabs in one line."""
        return QSize(sum(self.tabSizeHint(n).width() for n in range(len(TABS))), self._theme.px(39))

    def minimumSizeHint(self) -> QSize:
        """As `sizeHint`."""
        return self.sizeHint()

    def paintEvent(self, _event: object) -> None:
        """Draw titles, counts, and a line under the chosen one."""
        px, theme = self._theme.px, self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(QRectF(0, self.height() - 1, self.width(), 1), theme.color("line"))
        under = self.tabAt(self.mapFromGlobal(self.cursor().pos())) if self.underMouse() else -1
        for number, (name, title) in enumerate(TABS):
            chosen = number == self.currentIndex()
            box = QRectF(self.tabRect(number)).adjusted(0, 0, -px(22), 0)
            font = theme.font(14, 600)
            painter.setFont(font)
            painter.setPen(theme.color("ink" if chosen or number == under else "ink2"))
            line = box.adjusted(px(1), 0, 0, -px(8))
            painter.drawText(line, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, title)
            pill = self._pill(name)
            if pill:
                width = self._pill_width(pill)
                place = QRectF(box.right() - width, line.center().y() - px(10), width, px(20))
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(theme.color("quiet_tint"))
                painter.drawRoundedRect(place, px(10), px(10))
                painter.setPen(theme.color("ink2"))
                painter.setFont(theme.font(12.5, 600))
                painter.drawText(place, Qt.AlignmentFlag.AlignCenter, pill)
            if chosen:
                painter.fillRect(QRectF(box.left(), box.bottom() - 1, box.width(), 2), theme.color("accent"))
                if self.hasFocus():
                    painter.setPen(QPen(theme.color("focus"), 2))
                    painter.setBrush(Qt.BrushStyle.NoBrush)
                    ring = box.adjusted(-px(5), px(2), px(5), -px(9))
                    ring.setLeft(max(ring.left(), 1))
                    painter.drawRoundedRect(ring, px(6), px(6))
        painter.end()
