"""One row of the page Tools and updates: a tool, its versions, and its button or how its update goes on."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Elided, Picture, button, label, restyle
from keyfob.desktop.updates.models import ToolRow
from keyfob.desktop.updates.progress_bar import ThinBar

COLUMN = 78  # designed pixels of Installed and of Newest
MARK = 32  # designed pixels of the tile with the two letters
ROLES = {"": "small", "bad": "problem", "warn": "warn"}


class Mark(QWidget):
    """Two letters on a tile."""

    def __init__(self, theme: Theme, text: str) -> None:
        super().__init__()
        self._theme, self._text = theme, text
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """A square."""
        return QSize(self._theme.px(MARK), self._theme.px(MARK))

    def paintEvent(self, _event: object) -> None:
        """Draw the tile and the letters."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.color("quiet_tint"))
        box = QRectF(self.rect())
        painter.drawRoundedRect(box, self._theme.px(7), self._theme.px(7))
        painter.setFont(self._theme.font(12, 600))
        painter.setPen(self._theme.color("ink2"))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, self._text)
        painter.end()


class Right(QWidget):
    """The end of a row: a button, or words with a check if they are good."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.button = button("")
        self.button.hide()
        self._check = Picture(theme, "check", "ok", 14)
        self._words = label("", "small")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.px(6))
        layout.addStretch(1)
        layout.addWidget(self._check)
        layout.addWidget(self._words)
        layout.addWidget(self.button)

    def show_row(self, row: ToolRow) -> None:
        """Show the row's button, or its words."""
        self.button.setText(row.button)
        self.button.setAccessibleName(f"{row.button}: {row.title}")
        self.button.setVisible(bool(row.button))
        self._check.setVisible(row.fine)
        self._words.setText(row.state)
        self._words.setVisible(bool(row.state))
        role = "fine" if row.fine else "small"
        if self._words.property("role") != role:
            self._words.setProperty("role", role)
            restyle(self._words)


class ToolRowView(QFrame):
    """`pressed`: the tool's id and the action of its button."""

    pressed = Signal(str, str)

    def __init__(self, theme: Theme, row: ToolRow) -> None:
        super().__init__()
        px = theme.px
        self._theme = theme
        self._row: ToolRow | None = None
        self._narrow = False
        self._title = Elided("", "strong")
        self._span = label("", "small")
        self._warning = Picture(theme, "warning", "bad", 14)
        self._text = label("", "small", wrap=True)
        self._versions = label("", "small", wrap=True)
        self.bar = ThinBar(theme)
        self._amount = label("", "small")
        self._left = label("", "small")
        self._installed, self._newest = Elided(""), Elided("")
        self.right = Right(theme)
        self.right.button.clicked.connect(self._press)
        head = QHBoxLayout()
        head.setSpacing(px(8))
        head.addWidget(self._title, 1000)
        head.addWidget(self._span)
        head.addStretch(1)
        line = QHBoxLayout()
        line.setSpacing(px(5))
        line.addWidget(self._warning, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self._text, 1)
        amounts = QHBoxLayout()
        amounts.setSpacing(px(8))
        amounts.addWidget(self._amount)
        amounts.addStretch(1)
        amounts.addWidget(self._left)
        texts = QVBoxLayout()
        texts.setSpacing(px(2))
        texts.addStretch(1)
        texts.addLayout(head)
        texts.addLayout(line)
        texts.addWidget(self._versions)
        self._going = QWidget()  # how its update goes on
        going = QVBoxLayout(self._going)
        going.setContentsMargins(0, px(4), 0, 0)
        going.setSpacing(px(4))
        going.addWidget(self.bar)
        going.addLayout(amounts)
        texts.addWidget(self._going)
        texts.addStretch(1)
        for each in (self._installed, self._newest):
            each.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
            each.setFixedWidth(px(COLUMN))
        row_layout = QHBoxLayout(self)
        row_layout.setContentsMargins(px(14), px(9), px(14), px(9))
        row_layout.setSpacing(px(12))
        row_layout.addWidget(Mark(theme, row.mark))
        row_layout.addLayout(texts, 1)
        row_layout.addWidget(self._installed)
        row_layout.addWidget(self._newest)
        row_layout.addWidget(self.right)
        self.setMinimumHeight(px(54))
        self.show_row(row)

    @property
    def key(self) -> str:
        """The tool's id."""
        return self._row.key if self._row is not None else ""

    def show_row(self, row: ToolRow) -> None:
        """Show the tool as it is now."""
        if row == self._row:
            return
        before, self._row = self._row, row
        if row.bar is not None and (before is None or before.bar is None):
            self.bar.begin()
        self._title.show_text(row.title)
        # What follows the name in its line stands beside it.
        self._title.setMaximumWidth(self._title.sizeHint().width())
        self._text.setText(row.text)
        role = ROLES[row.tone]
        if self._text.property("role") != role:
            self._text.setProperty("role", role)
            restyle(self._text)
        self._warning.become("warning", row.tone or "bad")
        self._installed.show_text(row.installed)
        self._newest.show_text(row.newest)
        self._versions.setText(f"Installed {row.installed} · newest {row.newest}")
        self._span.setText(row.text)
        if row.bar is not None:
            self.bar.show_part(row.bar.part)
            self.bar.setAccessibleName(f"{row.title}, {row.text}")
            self._amount.setText(row.bar.amount)
            self._left.setText(row.bar.left)
        self.right.show_row(row)
        self.setAccessibleName(row.title)
        self.setAccessibleDescription(row.spoken)
        self._arrange()

    def stack(self, narrow: bool) -> None:
        """The versions under the name if the page is narrow, else in columns of their own."""
        if narrow != self._narrow:
            self._narrow = narrow
            self._arrange()

    def _arrange(self) -> None:
        row = self._row
        assert row is not None
        busy = row.bar is not None
        self._going.setVisible(busy)
        self._span.setVisible(busy)
        self._text.setVisible(not busy)
        self._warning.setVisible(not busy and bool(row.tone))
        self._versions.setVisible(not busy and self._narrow)
        for each in (self._installed, self._newest):
            each.setVisible(not busy and not self._narrow)

    def _press(self) -> None:
        if self._row is not None:
            self.pressed.emit(self._row.key, self._row.action)
