"""The result of a sign-in: who is connected now, or what happened and the one thing to do."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from keyfob.desktop.connect.models import Failure, Success
from keyfob.desktop.shared.avatar import Avatar
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Picture, button, label


class SuccessPage(QWidget):
    """The page for a connected account, with "Not you?"."""

    done = Signal()
    undo_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.avatar = Avatar(theme.px(66), theme.color("panel"))
        self.title = label("", "dialogTitle", wrap=True)
        self.text = label("", "secondary", wrap=True)
        self.question = label("", "small")
        self.undo = button("Revoke and remove", "link")
        self.undo.clicked.connect(self._ask_undo)
        self.done_button = button("Done", "primary")
        self.done_button.setMinimumWidth(theme.px(160))
        self.done_button.clicked.connect(self.done)
        for widget in (self.title, self.text):
            widget.setAlignment(Qt.AlignmentFlag.AlignCenter)
        line = QHBoxLayout()
        line.setSpacing(2)
        line.addStretch(1)
        line.addWidget(self.question)
        line.addWidget(self.undo)
        line.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(40, 24, 40, 24)
        layout.setSpacing(6)
        layout.addStretch(2)
        layout.addWidget(self.avatar, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addSpacing(10)
        layout.addWidget(self.title)
        layout.addWidget(self.text)
        layout.addSpacing(14)
        layout.addWidget(self.done_button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addSpacing(8)
        layout.addLayout(line)
        layout.addStretch(3)

    def show_model(self, model: Success) -> None:
        """Show the account, and make the buttons usable again."""
        self.avatar.show_face(model.face, self._theme.color("panel"))
        self.title.setText(model.title)
        self.text.setText(model.text)
        self.question.setText(model.not_you)
        self.undo.setText(model.undo)
        self.undo.setAccessibleName(f"{model.not_you} {model.undo}")
        self.undo.setEnabled(True)
        self.done_button.setEnabled(True)
        self.done_button.setFocus()

    def _ask_undo(self) -> None:
        self.undo.setEnabled(False)
        self.done_button.setEnabled(False)
        self.undo.setText("Revoking …")
        self.undo_asked.emit()


class FailurePage(QWidget):
    """The page for a failed sign-in: what happened, what to do, and details for a report."""

    retry = Signal()
    closed = Signal()
    details_copied = Signal(str)
    settings_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._details = ""
        self.title = label("", "dialogTitle", wrap=True)
        self.text = label("", wrap=True)
        self.remedy = label("", "secondary", wrap=True)
        self.copy = button("Copy details", "quiet")
        self.copy.clicked.connect(self._copy)
        self.close_button = button("Close", name="Cancel")
        self.close_button.clicked.connect(self.closed)
        self.settings_button = button("Open Settings")
        self.settings_button.clicked.connect(self.settings_asked)
        self.retry_button = button("Try again", "primary")
        self.retry_button.clicked.connect(self.retry)
        sign = Picture(theme, "warning", "warn", 44)
        for widget in (self.title, self.text, self.remedy):
            widget.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column = QWidget()
        column.setMaximumWidth(theme.px(520))
        inner = QVBoxLayout(column)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(8)
        inner.addWidget(sign, 0, Qt.AlignmentFlag.AlignHCenter)
        inner.addSpacing(4)
        for widget in (self.title, self.text, self.remedy):
            inner.addWidget(widget)
        foot = QHBoxLayout()
        foot.setSpacing(9)
        foot.addWidget(self.copy)
        foot.addStretch(1)
        foot.addWidget(self.close_button)
        foot.addWidget(self.settings_button)
        foot.addWidget(self.retry_button)
        middle = QHBoxLayout()
        middle.addStretch(1)
        middle.addWidget(column, 100)
        middle.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(26, 24, 26, 22)
        layout.addStretch(2)
        layout.addLayout(middle)
        layout.addStretch(3)
        layout.addLayout(foot)

    def show_model(self, model: Failure) -> None:
        """Show the failure, and make the buttons usable again."""
        self._details = model.details
        self.title.setText(model.title)
        self.text.setText(model.text)
        self.remedy.setText(model.remedy)
        self.retry_button.setEnabled(True)
        self.retry_button.setText(model.retry)
        self.retry_button.setAccessibleName(model.retry)
        self.copy.setVisible(bool(model.details))
        self.settings_button.setVisible(model.settings)
        self.retry_button.setVisible(bool(model.retry))
        (self.retry_button if model.retry else self.close_button).setFocus()

    def wait(self, text: str) -> None:
        """The action continues elsewhere: `text` instead of the remedy, until `show_model`."""
        self.remedy.setText(text)
        self.retry_button.setEnabled(False)
        self.close_button.setFocus()

    def _copy(self) -> None:
        self.details_copied.emit(self._details)
