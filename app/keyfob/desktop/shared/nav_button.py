"""A button of the sidebar that opens a page of the window, and stays chosen while the page is open."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent

from keyfob.desktop.shared import icons
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import IconButton, restyle


class NavButton(IconButton):
    """`note` is shown at its right end: a drawing, or a short text such as a count."""

    def __init__(self, theme: Theme, drawing: str, text: str) -> None:
        super().__init__(theme, drawing, text, "nav", text)
        self._theme, self._note, self._mark, self._meaning = theme, "", "", ""
        self.chosen = False

    def choose(self, chosen: bool) -> None:
        """Whether its page is open. A button that can be checked would be read as a check box."""
        if chosen != self.chosen:
            self.chosen = chosen
            self.setProperty("chosen", chosen)
            restyle(self)
            self.redraw()
            self._describe()

    def show_note(self, text: str = "", *, mark: str = "", meaning: str = "") -> None:
        """`mark`: a drawing's name, instead of a text. `meaning`: what assistive technology reads of it."""
        self._note, self._mark, self._meaning = text, mark, meaning
        self._describe()
        self.update()

    def _describe(self) -> None:
        parts = ("This page is open." if self.chosen else "", self._meaning)
        self.setAccessibleDescription(" ".join(part for part in parts if part))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the note over the button's right end."""
        super().paintEvent(event)
        px, painter = self._theme.px, QPainter(self)
        if self._mark:
            side = px(16)
            color = self._theme.palette.ink2
            drawn = icons.pixmap(self._mark, color, side, self.devicePixelRatioF())
            painter.drawPixmap(self.width() - side - px(12), (self.height() - side) // 2, drawn)
        elif self._note:
            painter.setFont(self._theme.font(12.5, 600))
            painter.setPen(self._theme.color("ink2"))
            box = QRectF(self.rect()).adjusted(0, 0, -px(13), 0)
            at = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(box, at, self._note)
        painter.end()
