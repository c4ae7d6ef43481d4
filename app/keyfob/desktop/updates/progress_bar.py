"""A thin bar that says how far something is. It never goes back while it shows the same thing."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QProgressBar, QSizePolicy

from keyfob.desktop.shared.theme import Theme

STEPS = 1000  # of the bar


class ThinBar(QProgressBar):
    """For assistive technology a progress bar, called `name`."""

    def __init__(self, theme: Theme, name: str = "Progress") -> None:
        super().__init__()
        self._theme = theme
        self._part: float | None = None
        self.setTextVisible(False)
        self.setAccessibleName(name)
        self.setRange(0, STEPS)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_part(self, part: float | None) -> None:
        """From 0 to 1; None if it is not known. A smaller part than before changes nothing."""
        if part is not None and self._part is not None:
            part = max(part, self._part)
        self._part = part
        self.setValue(round((part or 0.0) * STEPS))
        self.update()

    def begin(self) -> None:
        """What follows is about something else."""
        self._part = None
        self.setValue(0)

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(self._theme.px(120), self._theme.px(6))

    def minimumSizeHint(self) -> QSize:
        """Wide enough to be seen."""
        return QSize(self._theme.px(60), self._theme.px(6))

    def paintEvent(self, _event: object) -> None:
        """Draw the track, and what is done of it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        box = QRectF(self.rect())
        radius = box.height() / 2
        painter.setBrush(self._theme.color("track"))
        painter.drawRoundedRect(box, radius, radius)
        if self._part:
            painter.setBrush(self._theme.color("accent"))
            done = QRectF(box)
            done.setWidth(max(box.width() * self._part, box.height()))
            painter.drawRoundedRect(done, radius, radius)
        painter.end()
