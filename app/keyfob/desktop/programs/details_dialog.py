"""What is known of one program's access, to read and to copy."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from keyfob.desktop.programs.models import ProgramRow
from keyfob.desktop.shared.dialog import ModalDialog
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import button, label


class DetailsDialog(ModalDialog):
    """`pressed` with `end` or `again`, when it has closed."""

    pressed = Signal(str, str)

    def __init__(self, theme: Theme, row: ProgramRow, parent: QWidget) -> None:
        super().__init__("Program", row.name, parent)
        px = theme.px
        self._row = row
        grid = QGridLayout()
        grid.setHorizontalSpacing(px(16))
        grid.setVerticalSpacing(px(6))
        grid.setColumnStretch(1, 1)
        for number, (name, value) in enumerate(row.facts):
            shown = label(value, wrap=True)
            shown.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            grid.addWidget(label(name, "quietLine"), number, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(shown, number, 1)
        action = "again" if row.ended else "end"
        self.action = button("Allow…" if row.ended else "End…")
        self.action.clicked.connect(lambda: self._press(action))
        self.close_button = button("Close")
        self.close_button.clicked.connect(self.reject)
        buttons = QHBoxLayout()
        buttons.setSpacing(px(9))
        buttons.addWidget(self.action)
        buttons.addStretch(1)
        buttons.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.margins(26, 22, 26, 20))
        layout.setSpacing(px(12))
        layout.addWidget(label(row.name, "dialogTitle", wrap=True))
        layout.addLayout(grid)
        layout.addSpacing(px(8))
        layout.addLayout(buttons)
        self.setFixedWidth(px(460))
        self.close_button.setDefault(True)
        self.close_button.setFocus()

    def _press(self, action: str) -> None:
        self.accept()
        self.pressed.emit(self._row.key, action)
