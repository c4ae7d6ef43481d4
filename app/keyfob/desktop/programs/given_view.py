"""The result of Give a program access: address and key to copy, what was given, and whether it works."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from keyfob.core.secret import Secret
from keyfob.desktop.programs.models import Live, Summary
from keyfob.desktop.shared import icons
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.clipboard import CLEARED_AFTER, SecretClipboard
from keyfob.desktop.shared.copy_button import CopyButton
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Elided, Picture, label, rule

ONCE = f"Keyfob shows this key only now. It clears the clipboard in {CLEARED_AFTER} seconds."
PASTE = "Paste these two lines into the program’s settings."


class Sign(QWidget):
    """A check on a round ground. Decoration."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.setFixedSize(theme.px(38), theme.px(38))

    def paintEvent(self, _event: object) -> None:
        """Draw it."""
        painter, side = QPainter(self), self._theme.px(20)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.color("ok_tint"))
        painter.drawEllipse(QRectF(self.rect()))
        at = (self.width() - side) // 2
        painter.drawPixmap(
            at, at, icons.pixmap("check", self._theme.palette.ok, side, self.devicePixelRatioF())
        )
        painter.end()


class Copied(QFrame):
    """A line of code with a button that copies it."""

    def __init__(self, theme: Theme, text: str, button: CopyButton) -> None:
        super().__init__()
        px = theme.px
        self.setProperty("code", True)
        self.text = Elided(text, "monoLine", Qt.TextElideMode.ElideMiddle)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.button = button
        row = QHBoxLayout(self)
        row.setContentsMargins(px(12), px(4), px(5), px(4))
        row.setSpacing(px(8))
        row.addWidget(self.text, 1)
        row.addWidget(button)


class GivenView(QWidget):
    """Holds the key until it is closed."""

    def __init__(self, theme: Theme, summary: Summary, key: Secret, clipboard: SecretClipboard) -> None:
        super().__init__()
        px = theme.px
        self._live: Live | None = None
        self.copy_address = CopyButton(theme, "Copy URL")
        self.copy_address.holds(summary.address)
        self.copy_key = CopyButton(theme, "Copy key", secrets=clipboard)
        self.copy_key.holds(key)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(px(5))
        column.addWidget(Sign(theme))
        column.addSpacing(px(6))
        column.addWidget(label(f"{summary.name} can act as {summary.account}", "dialogTitle", wrap=True))
        column.addWidget(label(PASTE, "secondary", wrap=True))
        column.addSpacing(px(7))
        column.addWidget(label("Base URL", "strong"))
        self.address = Copied(theme, summary.address, self.copy_address)
        column.addWidget(self.address)
        column.addSpacing(px(6))
        column.addWidget(label("Key", "strong"))
        self.key = Copied(theme, key.reveal(), self.copy_key)
        column.addWidget(self.key)
        column.addWidget(label(ONCE, "hint", wrap=True))
        column.addSpacing(px(8))
        column.addWidget(rule())
        column.addSpacing(px(8))
        column.addLayout(_facts(theme, summary))
        column.addSpacing(px(10))
        column.addWidget(self._build_live(theme))

    def _build_live(self, theme: Theme) -> QFrame:
        px = theme.px
        self._box = QFrame()
        self._box.setProperty("code", True)
        self._sign = Picture(theme, "clock", "ink2", 18)
        self.title, self.text = label("", "step", wrap=True), label("", "small", wrap=True)
        texts = QVBoxLayout()
        texts.setSpacing(px(1))
        texts.addWidget(self.title)
        texts.addWidget(self.text)
        row = QHBoxLayout(self._box)
        row.setContentsMargins(px(14), px(11), px(14), px(11))
        row.setSpacing(px(12))
        row.addWidget(self._sign)
        row.addLayout(texts, 1)
        return self._box

    @property
    def works(self) -> bool:
        """The program has called, so it has the key."""
        return self._live is not None and self._live.tone == "ok"

    def show_live(self, live: Live) -> None:
        """Whether the program has called, and say so if that has changed."""
        if live == self._live:
            return
        before, self._live = self._live, live
        self._sign.become(live.drawing, live.tone or "ink2")
        self.title.setText(live.title)
        self.text.setText(live.text)
        if before is not None:
            announce(self, live.title)


def _facts(theme: Theme, summary: Summary) -> QGridLayout:
    grid = QGridLayout()
    grid.setVerticalSpacing(theme.px(6))
    grid.setHorizontalSpacing(theme.px(16))
    grid.setColumnStretch(1, 1)
    for row, (name, value, code) in enumerate(summary.facts):
        shown = label(value, "monoLine" if code else "", wrap=True)
        shown.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        grid.addWidget(label(name, "quietLine"), row, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(shown, row, 1)
    return grid
