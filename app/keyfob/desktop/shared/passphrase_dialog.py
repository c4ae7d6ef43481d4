"""The dialog that asks for the encrypted file's passphrase: to open the file, or twice to make it."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from keyfob.core.secret import Secret
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.dialog import ModalDialog
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import button, label, restyle

LONGEST = 1_024  # characters
UNRECOVERABLE = (
    "Keyfob cannot recover this passphrase. If you forget it, the file cannot be opened, and you sign in to "
    "your accounts again."
)
SHOW, HIDE = "Show passphrase", "Hide passphrase"
DIFFER = "The passphrases do not match. Enter the same passphrase twice."
_HINTS = (
    Qt.InputMethodHint.ImhHiddenText
    | Qt.InputMethodHint.ImhSensitiveData
    | Qt.InputMethodHint.ImhNoPredictiveText
    | Qt.InputMethodHint.ImhNoAutoUppercase
)


@dataclass(frozen=True, slots=True)
class Question:
    """What the dialog says. `new`: the passphrase is chosen now, so it is typed twice."""

    title: str
    text: str
    action: str
    new: bool = False


class PassphraseDialog(ModalDialog):
    """`entered` with the passphrase. It stays open until `accept`; `complain` says what is wrong, and what
    was typed stays to be corrected.
    """

    entered = Signal(object)  # Secret

    def __init__(self, theme: Theme, question: Question, parent: QWidget | None = None) -> None:
        super().__init__(question.action, question.title, parent)
        self._action_words = question.action
        self.field = _field("Passphrase")
        self.again = _field("Passphrase again")
        self.show_button = button(SHOW, "link")
        self.show_button.setProperty("flush", True)  # its text begins where the others do
        self.problem = label("", "problem", wrap=True)
        self.problem.hide()
        self.cancel = button("Cancel")
        self.action = button(question.action, "primary")
        self.action.setDefault(True)
        self.action.setEnabled(False)
        self._fields = (self.field, self.again) if question.new else (self.field,)
        self.cancel.clicked.connect(self.reject)
        self.action.clicked.connect(self._enter)
        self.show_button.clicked.connect(self._show)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.margins(26, 22, 26, 20))
        layout.setSpacing(theme.px(8))
        layout.addWidget(label(question.title, "dialogTitle", wrap=True))
        layout.addWidget(label(question.text, "secondary", wrap=True))
        if question.new:
            layout.addWidget(label(UNRECOVERABLE, "secondary", wrap=True))
        for each in self._fields:
            caption = label(each.accessibleName(), "strong")
            caption.setBuddy(each)
            layout.addSpacing(theme.px(4))
            layout.addWidget(caption)
            layout.addWidget(each)
            each.textChanged.connect(self._changed)
        layout.addWidget(self.problem)
        layout.addWidget(self.show_button, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addSpacing(theme.px(14))
        row = QHBoxLayout()
        row.setSpacing(theme.px(9))
        row.addStretch(1)
        row.addWidget(self.cancel)
        row.addWidget(self.action)
        layout.addLayout(row)
        self.setFixedWidth(theme.px(460))
        self.field.setFocus()

    def complain(self, text: str) -> None:
        """It was not taken: say why, under the field."""
        self._wait(False)
        self._mark(text)
        announce(self, text, urgent=True)
        self._fields[-1].setFocus()
        self._fields[-1].selectAll()

    def done(self, result: int) -> None:
        """Close, and forget what was typed."""
        for each in self._fields:
            each.clear()
        super().done(result)

    def _enter(self) -> None:
        if any(each.text() != self.field.text() for each in self._fields):
            self.complain(DIFFER)
            return
        self._wait(True)
        self.entered.emit(Secret(self.field.text()))

    def _wait(self, busy: bool) -> None:
        self.action.setText("One moment…" if busy else self._action_words)
        self.action.setEnabled(not busy)
        for each in self._fields:
            each.setReadOnly(busy)

    def _changed(self) -> None:
        self.action.setEnabled(all(each.text() for each in self._fields))
        self._mark("")

    def _show(self) -> None:
        shown = self.field.echoMode() == QLineEdit.EchoMode.Password
        self.show_button.setText(HIDE if shown else SHOW)
        self.show_button.setAccessibleName(self.show_button.text())
        for each in self._fields:
            each.setEchoMode(QLineEdit.EchoMode.Normal if shown else QLineEdit.EchoMode.Password)

    def _mark(self, problem: str) -> None:
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        for each in self._fields:
            each.setAccessibleDescription(problem)
            if each.property("wrong") != bool(problem):
                each.setProperty("wrong", bool(problem))
                restyle(each)
        self.fit_height()


def _field(name: str) -> QLineEdit:
    field = QLineEdit()
    field.setAccessibleName(name)
    field.setEchoMode(QLineEdit.EchoMode.Password)
    field.setInputMethodHints(_HINTS)
    field.setMaxLength(LONGEST)
    return field
