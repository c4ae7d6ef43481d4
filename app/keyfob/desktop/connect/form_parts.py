"""Parts of the form before a sign-in: numbered steps that tick themselves off, and methods to choose from."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from keyfob.core.methods import Method
from keyfob.core.text import plain
from keyfob.desktop.connect.models import Way
from keyfob.desktop.shared import icons
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Picture, label, restyle, rule


class Mark(QWidget):
    """A step's number in a ring, or a check. Decoration: the step's title says it too."""

    def __init__(self, theme: Theme, number: int) -> None:
        super().__init__()
        self._theme, self._number, self.done = theme, number, False
        self.setFixedSize(theme.px(26), theme.px(26))

    def paintEvent(self, _event: object) -> None:
        """Draw the ring and the number, or the disc and the check."""
        theme = self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.setPen(Qt.PenStyle.NoPen if self.done else QPen(theme.color("edge"), 1.4))
        painter.setBrush(theme.color("ok") if self.done else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(box)
        if self.done:
            side = theme.px(15)
            drawn = icons.pixmap("check", theme.palette.panel, side, self.devicePixelRatioF())
            painter.drawPixmap((self.width() - side) // 2, (self.height() - side) // 2, drawn)
        else:
            painter.setFont(theme.font(12.5, 600))
            painter.setPen(theme.color("ink2"))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, str(self._number))
        painter.end()


class Numbered(QWidget):
    """A numbered step: what to do, and `body` for what helps with it."""

    def __init__(self, theme: Theme, number: int, text: str) -> None:
        super().__init__()
        self._text, self._number = text, number
        self.mark = Mark(theme, number)
        self.title = label(text, "step", wrap=True)
        self.title.setMinimumHeight(theme.px(26))
        self.title.setAlignment(Qt.AlignmentFlag.AlignVCenter)
        self.body = QVBoxLayout()
        self.body.setSpacing(theme.px(6))
        column = QVBoxLayout()
        column.setSpacing(theme.px(6))
        column.addWidget(self.title)
        column.addLayout(self.body)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(14))
        row.addWidget(self.mark, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(column, 1)
        self.tick(False)

    def tick(self, done: bool) -> None:
        """Show whether the step is done, and say so once it is."""
        if done and not self.mark.done and self.isVisible():
            announce(self, f"Step {self._number} done")
        self.mark.done = done
        self.mark.update()
        state = ", done" if done else ""
        self.title.setAccessibleName(f"Step {self._number}{state}: {self._text}")

    @property
    def done(self) -> bool:
        """Whether it is ticked off."""
        return self.mark.done


class MethodRow(QFrame):
    """A method to choose: pressing anywhere in the row chooses it."""

    def __init__(self, theme: Theme, way: Way) -> None:
        super().__init__()
        px = theme.px
        self.radio = QRadioButton(way.title)
        self.radio.setProperty("method", way.method)
        self.radio.setAccessibleDescription(way.lead)
        words = label(way.lead, "small", wrap=True)
        words.setContentsMargins(px(16) + px(10) + 4, 0, 0, 0)  # below the words of the button
        column = QVBoxLayout(self)
        column.setContentsMargins(px(14), px(9), px(14), px(10))
        column.setSpacing(0)
        column.addWidget(self.radio)
        column.addWidget(words)

    def mousePressEvent(self, _event: QMouseEvent) -> None:
        """Choose this method."""
        self.radio.setFocus()
        self.radio.click()


class MethodCards(QFrame):
    """Methods under each other; one Tab stop, arrows move. `chosen(method)` when another one is chosen."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, ways: Sequence[Way], current: Method) -> None:
        super().__init__()
        self.setProperty("card", True)
        self.setAccessibleName("Method")
        self._group = QButtonGroup(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(1, 1, 1, 1)
        column.setSpacing(0)
        for number, way in enumerate(ways):
            if number:
                column.addWidget(rule())
            row = MethodRow(theme, way)
            self._group.addButton(row.radio)
            row.radio.setChecked(way.method == current)
            column.addWidget(row)
        self._group.buttonClicked.connect(self._clicked)

    def radios(self) -> dict[str, QRadioButton]:
        """The buttons, by method."""
        return {
            str(each.property("method")): each
            for each in self._group.buttons()
            if isinstance(each, QRadioButton)
        }

    def _clicked(self, button: QWidget) -> None:
        self.chosen.emit(str(button.property("method")))


class Field(QWidget):
    """A labelled field with a hint, and the place for what is wrong with what was entered."""

    changed = Signal()

    def __init__(
        self, theme: Theme, title: str, *, example: str = "", hint: str = "", secret: bool = False
    ) -> None:
        super().__init__()
        self.caption = label(title, "strong")
        self.edit = QLineEdit()
        self.edit.setAccessibleName(self.caption.text())
        self.edit.setPlaceholderText(plain(example, 120))
        self.edit.textChanged.connect(self.changed)
        if secret:
            self.edit.setEchoMode(QLineEdit.EchoMode.Password)
        self.caption.setBuddy(self.edit)
        self.problem: QLabel = label("", "problem", wrap=True)
        self.problem.hide()
        self._hint = label(hint, "hint", wrap=True)
        if not hint:
            self._hint.hide()
        self.right = QWidget()
        row = QHBoxLayout(self.right)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(5))
        row.addWidget(Picture(theme, "check", "ok", 14))
        row.addWidget(label("Looks right", "fine"))
        self.right.hide()
        head = QHBoxLayout()
        head.addWidget(self.caption, 1)
        head.addWidget(self.right)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.px(5))
        column.addLayout(head)
        column.addWidget(self.edit)
        column.addWidget(self._hint)
        column.addWidget(self.problem)

    def complain(self, text: str) -> None:
        """Say what is wrong with what was entered; empty if nothing is."""
        self.problem.setText(text)
        self.problem.setVisible(bool(text))
        self._hint.setVisible(bool(self._hint.text()) and not text)  # the problem repeats what it says
        self.edit.setAccessibleDescription(text)
        if self.edit.property("wrong") != bool(text):
            self.edit.setProperty("wrong", bool(text))
            restyle(self.edit)
