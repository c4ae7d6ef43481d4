"""One row of the page Check everything: how a check stands, its name, what it found, and its button."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QCoreApplication, QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from keyfob.desktop.check.models import STATE_WORDS, Hop, State
from keyfob.desktop.shared import icons
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import button, label, restyle

# drawing, its colour, its ground
MARKS: Mapping[State, tuple[str, str, str]] = {
    "ok": ("check", "ok", "ok_tint"),
    "note": ("info", "ink2", "quiet_tint"),
    "warn": ("warning", "warn", "warn_tint"),
    "fail": ("cross", "panel", "bad"),
    "timeout": ("clock", "panel", "bad"),
    "skip": ("dot", "ink3", "quiet_tint"),
    "waiting": ("", "edge", "panel"),
    "running": ("", "accent", "panel"),
}


class Mark(QWidget):
    """A check's state as a drawing on a round ground, with a line to the rows above and below."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._state: State = "waiting"
        self._joins = (False, False)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)

    def show_state(self, state: State, joins: tuple[bool, bool]) -> None:
        """`joins`: whether a line leads to the row above, and below."""
        self._state, self._joins = state, joins
        self.update()

    def sizeHint(self) -> QSize:
        """The round ground, whatever the row's height."""
        return QSize(self._theme.px(22), self._theme.px(22))

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the lines, the ground and the drawing."""
        px, theme = self._theme.px, self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = QPointF(self.width() / 2, self.height() / 2)
        side = float(px(22))
        painter.setPen(QPen(theme.color("line"), 1.5))
        if self._joins[0]:
            painter.drawLine(QPointF(middle.x(), 0), QPointF(middle.x(), middle.y() - side / 2 - px(2)))
        if self._joins[1]:
            painter.drawLine(
                QPointF(middle.x(), middle.y() + side / 2 + px(2)), QPointF(middle.x(), self.height())
            )
        drawing, color, ground = MARKS[self._state]
        box = QRectF(middle.x() - side / 2, middle.y() - side / 2, side, side)
        if drawing:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color(ground))
            painter.drawEllipse(box)
            inner = px(14)
            drawn = icons.pixmap(drawing, getattr(theme.palette, color), inner, self.devicePixelRatioF())
            painter.drawPixmap(QPointF(middle.x() - inner / 2, middle.y() - inner / 2), drawn)
        else:
            ring = box.adjusted(px(4), px(4), -px(4), -px(4))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(theme.color("edge" if self._state == "waiting" else color), px(2)))
            if self._state == "running":
                painter.drawArc(ring, 30 * 16, 280 * 16)
            else:
                painter.drawEllipse(ring)
        painter.end()


class HopRow(QFrame):
    """`pressed`: the `Action` of the row's button."""

    pressed = Signal(object)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        px = theme.px
        self._theme = theme
        self._hop: Hop | None = None
        self._joins = (False, False)
        self._leads = False
        self.button: QPushButton | None = None
        self._mark = Mark(theme)
        self.title = label("", "name", wrap=True)
        self.text = label("", "line", wrap=True)
        self.effect = label("", "small", wrap=True)
        self.took = label("", "small")
        self.took.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        found = QVBoxLayout()
        found.setSpacing(px(2))
        found.addStretch(1)
        found.addWidget(self.text)
        found.addWidget(self.effect)
        found.addStretch(1)
        self._words = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._words.setSpacing(px(12))
        self._words.addWidget(self.title, 0, Qt.AlignmentFlag.AlignVCenter)
        self._words.addLayout(found, 1)
        self._row = QHBoxLayout(self)
        self._row.setSpacing(px(12))
        self._row.addWidget(self._mark)
        self._row.addLayout(self._words, 1)
        self._row.addWidget(self.took)
        self.stack(False)

    def stack(self, narrow: bool) -> None:
        """The name above what was found if the page is narrow, else before it."""
        direction = QBoxLayout.Direction
        self._words.setDirection(direction.TopToBottom if narrow else direction.LeftToRight)
        self._words.setSpacing(self._theme.px(1 if narrow else 12))
        self.title.setFixedWidth(self._theme.px(150)) if not narrow else self._free_title()

    def _free_title(self) -> None:
        self.title.setMinimumWidth(0)
        self.title.setMaximumWidth(16_777_215)

    def show_hop(self, hop: Hop, joins: tuple[bool, bool], *, leads: bool) -> None:
        """`joins` as in `Mark`. `leads`: the page has no other primary button."""
        if (hop, joins, leads) == (self._hop, self._joins, self._leads):
            return
        before, self._hop, self._joins, self._leads = self._hop, hop, joins, leads
        px = self._theme.px
        grown = hop.grown
        self._mark.show_state(hop.state, joins)
        self.title.setText(hop.title)
        self.text.setText(hop.text)
        self.effect.setText(hop.effect)
        self.effect.setVisible(bool(hop.effect))
        self.took.setText(hop.took)
        self.took.setVisible(bool(hop.took) and hop.action is None)
        role = "strong" if grown else "line" if hop.state == "warn" else "quietLine"
        for widget, property_, value in (
            (self, "hop", "grown" if grown else ""),
            (self.text, "role", role),
        ):
            if widget.property(property_) != value:
                widget.setProperty(property_, value)
                restyle(widget)
        if before is None or before.grown != grown:
            # A frame measures its border and margin only then, and would keep those of a problem.
            QCoreApplication.sendEvent(self, QEvent(QEvent.Type.StyleChange))
        room = px(10) if grown else px(6) if hop.effect else px(3)
        self._words.setContentsMargins(0, room, 0, room)  # not the row's: the line leads through
        edge = px(10) - (1 if grown else 0)  # its border
        self._row.setContentsMargins(edge, 0, edge, 0)
        self.setMinimumHeight(px(34))
        if before is None or before.action != hop.action or before.leads != hop.leads:
            self._become(hop)
        elif self.button is not None:
            self._dress(self.button, hop)
        self.setAccessibleName(hop.title)
        spoken = (STATE_WORDS[hop.state], hop.text, hop.effect, hop.took)
        self.setAccessibleDescription(". ".join(each.rstrip(".") for each in spoken if each))

    def _become(self, hop: Hop) -> None:
        """Another button, or none."""
        if self.button is not None:
            self.button.hide()
            self.button.deleteLater()
            self.button = None
        action = hop.action
        if action is None:
            return
        name = f"{action.text.rstrip('…')}: {hop.title}"
        self.button = button(action.text, name=name)
        self.button.clicked.connect(self._press)
        self._dress(self.button, hop)
        self._row.addWidget(self.button, 0, Qt.AlignmentFlag.AlignVCenter)
        self.button.show()  # now: the layout itself does so later

    def _dress(self, shown: QPushButton, hop: Hop) -> None:
        kind = "primary" if hop.leads and self._leads else ""
        if shown.property("kind") != kind:
            shown.setProperty("kind", kind)
            restyle(shown)

    def _press(self) -> None:
        if self._hop is not None and self._hop.action is not None:
            self.pressed.emit(self._hop.action)
