"""The details of a mod: what it is, its versions, and everything that can be done with it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPainterPath
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from keyfob.desktop.nexus.models import ModDetails
from keyfob.desktop.nexus.pictures import Pictures, paint_picture
from keyfob.desktop.shared.dialog import ModalDialog
from keyfob.desktop.shared.flow_layout import FlowLayout
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import button, label

WIDTH = 480  # designed pixels
PICTURE = 150  # high


class Frame(QWidget):
    """A picture in a fixed frame."""

    def __init__(self, theme: Theme, pictures: Pictures, address: str, size: QSize) -> None:
        super().__init__()
        self._theme, self._pictures, self._address = theme, pictures, address
        self.setFixedSize(size)
        pictures.arrived.connect(self._arrived)

    def _arrived(self, address: str) -> None:
        if address == self._address:
            self.update()

    def paintEvent(self, _event: object) -> None:
        """Draw the picture, or a neutral tile."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        path = QPainterPath()
        path.addRoundedRect(self.rect(), self._theme.px(8), self._theme.px(8))
        picture = self._pictures.of(self._address, self.size(), self.devicePixelRatioF())
        paint_picture(painter, self._theme, path, picture, self._theme.px(28))
        painter.end()


class DetailsDialog(ModalDialog):
    """`pressed(key, action)`: the dialog closes with it."""

    pressed = Signal(str, str)

    def __init__(
        self, theme: Theme, pictures: Pictures, details: ModDetails, parent: QWidget | None = None
    ) -> None:
        super().__init__("Details", details.title, parent)
        px = theme.px
        self._key = details.key
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.margins(26, 22, 26, 20))
        layout.setSpacing(px(8))
        size = QSize(px(WIDTH) - px(26) * 2, px(PICTURE))
        layout.addWidget(Frame(theme, pictures, details.picture, size))
        layout.addSpacing(px(4))
        layout.addWidget(label(details.title, "dialogTitle", wrap=True))
        if details.line:
            layout.addWidget(label(details.line, "secondary", wrap=True))
        if details.summary:
            layout.addWidget(label(details.summary, "", wrap=True))
        facts = QGridLayout()
        facts.setHorizontalSpacing(px(18))
        facts.setVerticalSpacing(px(5))
        facts.setColumnStretch(1, 1)
        for number, (name, value) in enumerate(details.facts):
            facts.addWidget(label(name, "quietLine"), number, 0, Qt.AlignmentFlag.AlignTop)
            facts.addWidget(label(value, "line", wrap=True), number, 1)
        layout.addSpacing(px(4))
        layout.addLayout(facts)
        layout.addSpacing(px(12))
        buttons = QWidget()
        row = FlowLayout(buttons, gap=px(9))
        self.close_button = button("Close")
        for press in details.presses:
            made = button(press.text)
            made.clicked.connect(lambda _=False, action=press.action: self._press(action))
            row.addWidget(made)
        self.close_button.setProperty("push", True)
        self.close_button.setDefault(True)
        self.close_button.clicked.connect(self.reject)
        row.addWidget(self.close_button)
        holder = QHBoxLayout()
        holder.addWidget(buttons)
        layout.addLayout(holder)
        self.setFixedWidth(px(WIDTH))
        self.close_button.setFocus()

    def _press(self, action: str) -> None:
        self.accept()
        self.pressed.emit(self._key, action)
