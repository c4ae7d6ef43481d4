"""The result of a sign-in: who is connected now, or what happened and the one thing to do."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from keyfob.desktop.connect.models import Failure, Success
from keyfob.desktop.shared.avatar import Avatar, Face
from keyfob.desktop.shared.copy_button import CopyButton
from keyfob.desktop.shared.flow_layout import FlowLayout
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Elided, Picture, Scroller, button, label

WIDEST = 560  # designed pixels of the content


class NextStep(QFrame):
    """How tools use the account: its name, and a command to try it."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        px = theme.px
        self.setProperty("card", True)
        self.setMaximumWidth(px(460))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(px(18), px(14), px(14), px(14))
        layout.setSpacing(px(6))
        self.words = label("", "small", wrap=True)
        layout.addWidget(self.words)
        self.name, self.copy_name = Elided("", "monoLine"), CopyButton(theme, "Copy name for tools")
        self.command, self.copy_command = Elided("", "monoLine"), CopyButton(theme, "Copy command")
        self._rows: list[QWidget] = []
        for title, text, copy in (
            ("Name for tools", self.name, self.copy_name),
            ("In a terminal", self.command, self.copy_command),
        ):
            holder = QWidget()
            row = QHBoxLayout(holder)
            row.setContentsMargins(0, px(2), 0, px(2))
            row.setSpacing(px(10))
            first = label(title, "small")
            first.setMinimumWidth(px(100))
            row.addWidget(first)
            row.addWidget(text, 1)
            row.addWidget(copy)
            layout.addWidget(holder)
            self._rows.append(holder)

    def show_model(self, model: Success) -> None:
        """Show the name; without a command, why no tool gets the token."""
        self.words.setText(model.next_step)
        self.name.show_text(model.id)
        self.copy_name.holds(model.id)
        self.command.show_text(model.command)
        self.copy_command.holds(model.command)
        for row in self._rows:
            row.setVisible(bool(model.command))


class SuccessPage(QWidget):
    """The page for a connected account: the next step, and "Not you?"."""

    done = Signal()
    undo_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        px = theme.px
        self.avatar = Avatar(theme, 66, "panel")
        self.title = label("", "title", wrap=True)
        self.text = label("", "secondary", wrap=True)
        self.next_step = NextStep(theme)
        self.question = label("", "small")
        self.undo = button("Revoke and remove", "link")
        self.undo.clicked.connect(self._ask_undo)
        self.done_button = button("Done", "primary")
        self.done_button.setMinimumWidth(px(160))
        self.done_button.clicked.connect(self.done)
        for widget in (self.title, self.text):
            widget.setAlignment(Qt.AlignmentFlag.AlignCenter)
        card = QHBoxLayout()
        card.addStretch(1)
        card.addWidget(self.next_step, 1000)
        card.addStretch(1)
        line = QHBoxLayout()
        line.setSpacing(px(2))
        line.addStretch(1)
        line.addWidget(self.question)
        line.addWidget(self.undo)
        line.addStretch(1)
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(px(28), px(24), px(28), px(22))
        layout.setSpacing(px(6))
        layout.addStretch(2)
        layout.addWidget(self.avatar, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addSpacing(px(10))
        layout.addWidget(self.title)
        layout.addWidget(self.text)
        layout.addSpacing(px(14))
        layout.addLayout(card)
        layout.addSpacing(px(16))
        layout.addWidget(self.done_button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addSpacing(px(6))
        layout.addLayout(line)
        layout.addStretch(3)
        scroll = Scroller()
        scroll.hold(body)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)

    def show_model(self, model: Success) -> None:
        """Show the account, and make the buttons usable again."""
        self.show_face(model.face)
        self.title.setText(model.title)
        self.text.setText(model.text)
        self.next_step.show_model(model)
        self.question.setText(model.not_you)
        self.undo.setText(model.undo)
        self.undo.setAccessibleName(f"{model.not_you} {model.undo}")
        self.undo.setEnabled(True)
        self.done_button.setEnabled(True)
        # A screen reader reads this with the button that gets the focus: not every one hears announcements.
        self.done_button.setAccessibleDescription(f"{model.title}. {model.text}")
        self.done_button.setFocus()

    def show_face(self, face: Face) -> None:
        """Show the account's picture, which arrives after its name."""
        self.avatar.show_face(face)

    def _ask_undo(self) -> None:
        self.undo.setEnabled(False)
        self.done_button.setEnabled(False)
        self.undo.setText("Revoking …")
        self.undo_asked.emit()


class FailurePage(QWidget):
    """The page for a failed sign-in: what happened, what to do, and details for a report."""

    retry = Signal()
    other = Signal()  # the second way on, if there is one
    closed = Signal()
    settings_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        px = theme.px
        self.title = label("", "title", wrap=True)
        self.text = label("", "strong", wrap=True)
        self.remedy = label("", "secondary", wrap=True)
        card = QFrame()
        card.setProperty("note", "warn")
        texts = QVBoxLayout()
        texts.setSpacing(px(4))
        texts.addWidget(self.text)
        texts.addWidget(self.remedy)
        row = QHBoxLayout(card)
        row.setContentsMargins(px(16), px(13), px(16), px(14))
        row.setSpacing(px(13))
        row.addWidget(Picture(theme, "warning", "warn", 20), 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(texts, 1)
        column = QWidget()
        column.setMaximumWidth(px(WIDEST))
        column.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        inner = QVBoxLayout(column)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(px(14))
        inner.addWidget(self.title)
        inner.addWidget(card)
        inner.addStretch(1)
        body = QWidget()
        left = QHBoxLayout(body)
        left.setContentsMargins(px(28), px(24), px(28), px(8))
        left.addWidget(column, 1000)
        left.addStretch(1)
        scroll = Scroller()
        scroll.hold(body)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(scroll, 1)
        layout.addLayout(self._foot(theme))

    def _foot(self, theme: Theme) -> QVBoxLayout:
        px = theme.px
        self.copy = CopyButton(theme, "Copy details", "Copy details", "quiet")
        self.copy.setProperty("flush", True)
        self.close_button = button("Close", name="Cancel")
        self.close_button.clicked.connect(self.closed)
        self.settings_button = button("Open Settings")
        self.settings_button.clicked.connect(self.settings_asked)
        self.other_button = button("Connect as a new account")
        self.other_button.clicked.connect(self.other)
        self.retry_button = button("Try again", "primary")
        self.retry_button.clicked.connect(self.retry)
        self.close_button.setProperty("push", True)
        foot = QVBoxLayout()
        foot.setContentsMargins(px(28), px(12), px(28), px(22))
        flow = FlowLayout(gap=px(9))  # large text needs more than one line
        foot.addLayout(flow)
        flow.addWidget(self.copy)
        for each in (self.close_button, self.settings_button, self.other_button, self.retry_button):
            flow.addWidget(each)
        return foot

    def show_model(self, model: Failure) -> None:
        """Show the failure, and make the buttons usable again."""
        self.title.setText(model.title)
        self.text.setText(model.text)
        self.remedy.setText(model.remedy)
        self.remedy.setVisible(bool(model.remedy))
        self.retry_button.setEnabled(True)
        self.copy.say(model.copies)
        self.copy.holds(model.details)
        self.copy.setVisible(bool(model.details))
        self.settings_button.setVisible(model.settings)
        for each, words in ((self.retry_button, model.retry), (self.other_button, model.other)):
            each.setVisible(bool(words))
            if words:
                each.setText(words)
                each.setAccessibleName(words)
        first = self.retry_button if model.retry else self.close_button
        first.setAccessibleDescription(f"{model.title}. {model.text} {model.remedy}")
        first.setFocus()

    def wait(self, text: str) -> None:
        """The action continues elsewhere: `text` instead of the remedy, until `show_model`."""
        self.remedy.setText(text)
        self.remedy.show()
        self.retry_button.setEnabled(False)
        self.close_button.setFocus()
