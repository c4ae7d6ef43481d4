"""What the window shows while there is no account: what connecting does, and how to start."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from keyfob.desktop.shared import icons
from keyfob.desktop.shared.palette import TRAY
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import button, label


class EmptyPage(QWidget):
    """What the window shows while there is no account."""

    connect_asked = Signal()
    demo_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("detail")
        self._theme = theme
        self._picture = label()
        title = label("Connect your first account", "title")
        text = label(
            "Sign in once with your browser. Keyfob then gives your tools valid tokens. It never keeps a "
            "token in a plain file.",
            "secondary",
            wrap=True,
        )
        self.connect_button = button("Connect Account", "primary")
        self.demo_button = button("Try it with the demo provider", "quiet")
        self.note = label("", "hint", wrap=True)
        self.connect_button.clicked.connect(self.connect_asked)
        self.demo_button.clicked.connect(self.demo_asked)
        self._column = QWidget()
        column = QVBoxLayout(self._column)
        column.setSpacing(10)
        column.addWidget(self._picture, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addWidget(title)
        column.addWidget(text)
        for widget in (title, text, self.note):
            widget.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column.addSpacing(10)
        column.addWidget(self.connect_button, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addWidget(self.demo_button, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(6)
        column.addWidget(self.note)
        # Stretches centre the column. An alignment flag would give it
        # its sizeHint, which is too low for wrapped text.
        middle = QHBoxLayout()
        middle.addStretch(1)
        middle.addWidget(self._column)
        middle.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(30, 24, 30, 24)
        outer.addStretch(2)
        outer.addLayout(middle)
        outer.addStretch(3)
        theme.changed.connect(self._redraw)
        self._redraw()

    def show_state(self, *, demo: bool, skipped: bool, tray: bool) -> None:
        """`demo`: a demo provider is there to try. `skipped`: the first start's dialog was closed. `tray`:
        the desktop shows our tray icon.
        """
        self.demo_button.setVisible(demo)
        self.note.setVisible(skipped)
        self.note.setText(f"You can also press Ctrl+N{', or use the tray’s menu' if tray else ''}.")

    def _redraw(self) -> None:
        side = self._theme.px(64)
        self._picture.setFixedSize(side, side)
        self._picture.setPixmap(icons.pixmap("app", TRAY["fine"], side, self.devicePixelRatioF()))
        self._column.setFixedWidth(self._theme.px(440))
