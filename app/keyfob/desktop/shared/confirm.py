"""Small dialogs: a question before something ends, and a line of text. Their buttons name the action."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from keyfob.desktop.shared.dialog import ModalDialog
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import button, label, restyle


class Confirm(ModalDialog):
    """`confirmed` when the user says so. Cancel has the focus at first, so Return alone destroys nothing."""

    confirmed = Signal()

    def __init__(
        self,
        theme: Theme,
        title: str,
        text: str,
        action: str,
        parent: QWidget | None = None,
        *,
        kind: str = "dangerFull",
    ) -> None:
        """`kind`: of the button `action`."""
        super().__init__(action, title, parent)
        heading = label(title, "dialogTitle", wrap=True)
        words = label(text, "secondary", wrap=True)
        self.cancel = button("Cancel")
        self.cancel.setDefault(True)
        self.action = button(action, kind)
        self.cancel.clicked.connect(self.reject)
        self.action.clicked.connect(self._confirm)
        row = QHBoxLayout()
        row.setSpacing(theme.px(9))
        row.addStretch(1)
        row.addWidget(self.cancel)
        row.addWidget(self.action)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.margins(26, 22, 26, 20))
        layout.setSpacing(theme.px(8))
        layout.addWidget(heading)
        layout.addWidget(words)
        layout.addSpacing(theme.px(14))
        layout.addLayout(row)
        self.setFixedWidth(theme.px(460))
        self.cancel.setFocus()

    def _confirm(self) -> None:
        self.accept()
        self.confirmed.emit()


class Ask(ModalDialog):
    """One line of text: `answered` with it. It stays open until `accept`; `complain` says what is wrong with
    the text, which stays to be corrected.
    """

    answered = Signal(str)

    def __init__(
        self, theme: Theme, title: str, text: str, value: str, action: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(action, title, parent)
        self.field = QLineEdit(value)
        self.field.setAccessibleName(title)
        self.field.setMaxLength(64)
        self.field.selectAll()
        self.cancel = button("Cancel")
        self.action = button(action, "primary")
        self.action.setDefault(True)
        self.cancel.clicked.connect(self.reject)
        self.action.clicked.connect(self._answer)
        self.field.textChanged.connect(self._changed)
        self.problem = label("", "problem", wrap=True)
        self.problem.hide()
        row = QHBoxLayout()
        row.setSpacing(theme.px(9))
        row.addStretch(1)
        row.addWidget(self.cancel)
        row.addWidget(self.action)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.margins(26, 22, 26, 20))
        layout.setSpacing(theme.px(8))
        layout.addWidget(label(title, "dialogTitle", wrap=True))
        layout.addWidget(label(text, "secondary", wrap=True))
        layout.addSpacing(theme.px(4))
        layout.addWidget(self.field)
        layout.addWidget(self.problem)
        layout.addSpacing(theme.px(14))
        layout.addLayout(row)
        self.setFixedWidth(theme.px(460))
        self.field.setFocus()

    def complain(self, text: str) -> None:
        """The answer was not taken: say why, under the field."""
        self._mark(text)
        self.action.setEnabled(True)
        self.field.setFocus()
        self.field.selectAll()

    def _changed(self, text: str) -> None:
        self.action.setEnabled(bool(text.strip()))
        self._mark("")

    def _mark(self, problem: str) -> None:
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        self.field.setAccessibleDescription(self.problem.text())
        if self.field.property("wrong") != bool(problem):
            self.field.setProperty("wrong", bool(problem))
            restyle(self.field)
        self.fit_height()

    def _answer(self) -> None:
        self.action.setEnabled(False)  # until `accept` or `complain`
        self.answered.emit(self.field.text().strip())
