"""Questions before deeds, and a line of text: small dialogs whose buttons name the deed."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from keyfob.desktop.dialog import ModalDialog
from keyfob.desktop.theme import Theme
from keyfob.desktop.widgets import button, label


class Confirm(ModalDialog):
    """`confirmed` when the person says so. Cancel has the focus at first, so Return alone destroys nothing."""

    confirmed = Signal()

    def __init__(self, theme: Theme, title: str, text: str, deed: str, parent: QWidget | None = None) -> None:
        super().__init__(deed, title, parent)
        heading = label(title, "dialogTitle", wrap=True)
        words = label(text, "secondary", wrap=True)
        self.cancel = button("Cancel")
        self.cancel.setDefault(True)
        self.deed = button(deed, "dangerFull")
        self.cancel.clicked.connect(self.reject)
        self.deed.clicked.connect(self._confirm)
        row = QHBoxLayout()
        row.setSpacing(9)
        row.addStretch(1)
        row.addWidget(self.cancel)
        row.addWidget(self.deed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(26, 22, 26, 20)
        layout.setSpacing(8)
        layout.addWidget(heading)
        layout.addWidget(words)
        layout.addSpacing(14)
        layout.addLayout(row)
        self.setFixedWidth(theme.px(460))
        self.cancel.setFocus()

    def _confirm(self) -> None:
        self.accept()
        self.confirmed.emit()


class Ask(ModalDialog):
    """One line of text: `answered` with it."""

    answered = Signal(str)

    def __init__(
        self, theme: Theme, title: str, text: str, value: str, deed: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(deed, title, parent)
        self.field = QLineEdit(value)
        self.field.setAccessibleName(title)
        self.field.setMaxLength(64)
        self.field.selectAll()
        self.cancel = button("Cancel")
        self.deed = button(deed, "primary")
        self.deed.setDefault(True)
        self.cancel.clicked.connect(self.reject)
        self.deed.clicked.connect(self._answer)
        self.field.textChanged.connect(self._judge)
        row = QHBoxLayout()
        row.setSpacing(9)
        row.addStretch(1)
        row.addWidget(self.cancel)
        row.addWidget(self.deed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(26, 22, 26, 20)
        layout.setSpacing(8)
        layout.addWidget(label(title, "dialogTitle", wrap=True))
        layout.addWidget(label(text, "secondary", wrap=True))
        layout.addSpacing(4)
        layout.addWidget(self.field)
        layout.addSpacing(14)
        layout.addLayout(row)
        self.setFixedWidth(theme.px(460))

    def _judge(self, text: str) -> None:
        self.deed.setEnabled(bool(text.strip()))

    def _answer(self) -> None:
        self.accept()
        self.answered.emit(self.field.text().strip())
