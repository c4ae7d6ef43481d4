"""The question whether a program may have an account's token, and how it
gets from the agent's threads to the window.

Closing the dialog, quitting the app and letting the time pass mean no. Return alone allows nothing.
"""

from __future__ import annotations

import threading

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from keyfob.core.consent import Program, Question, Reply
from keyfob.core.text import plain
from keyfob.desktop.shared.dialog import ModalDialog
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import button, label

ANSWER_WITHIN = 60  # seconds; the program waits, and its own patience is about that


class ConsentDialog(ModalDialog):
    """`answered` once, with the Reply."""

    answered = Signal(object)

    def __init__(self, theme: Theme, question: Question, parent: QWidget | None = None) -> None:
        program = question.program
        title = f"May {program.name} use {plain(question.account_id, 80)}?"
        super().__init__("A program asks for a token", title, parent)
        self._reply: Reply | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.margins(26, 22, 26, 20))
        layout.setSpacing(theme.px(8))
        layout.addWidget(label(title, "dialogTitle", wrap=True))
        text = "The program gets an access token and can act as you until the token expires."
        layout.addWidget(label(text, "secondary", wrap=True))
        layout.addSpacing(theme.px(4))
        layout.addLayout(_facts(theme, program))
        layout.addSpacing(theme.px(12))
        self.no = button("Don’t allow", "primary")
        self.no.setDefault(True)
        self.once = button("Allow once")
        self.hour = button("Allow for an hour")
        self.always = button("Always allow")
        grid = QGridLayout()
        grid.setSpacing(theme.px(9))
        for place, (each, reply) in enumerate(
            (
                (self.once, Reply.ONCE),
                (self.hour, Reply.HOUR),
                (self.always, Reply.ALWAYS),
                (self.no, Reply.NO),
            )
        ):
            each.setProperty("reply", str(reply))
            each.clicked.connect(self._pressed)
            grid.addWidget(each, place // 2, place % 2)
        # What cannot be known again cannot be allowed for longer.
        self.hour.setEnabled(bool(program.executable))
        self.always.setEnabled(bool(program.executable))
        layout.addLayout(grid)
        self.setFixedWidth(theme.px(480))
        self.no.setFocus()
        self.finished.connect(self._finished)

    def _pressed(self) -> None:
        sender = self.sender()
        assert sender is not None
        self._reply = Reply(sender.property("reply"))
        self.accept()

    def _finished(self, _code: int) -> None:
        self.answered.emit(self._reply or Reply.NO)


def _facts(theme: Theme, program: Program) -> QGridLayout:
    """What the system reports about the program, as selectable text."""
    grid = QGridLayout()
    grid.setHorizontalSpacing(theme.px(14))
    grid.setVerticalSpacing(theme.px(4))
    grid.setColumnStretch(1, 1)
    chain = " ← ".join(plain(each.rpartition("/")[2], 40) for each in program.parents)
    facts = (
        ("Program", program.executable or "Unknown"),
        ("Script", program.script or ""),
        ("Folder", program.folder),
        ("Started by", chain),
    )
    for row, (name, value) in enumerate((name, value) for name, value in facts if value):
        caption = label(name, "small")
        shown = label(plain(value, 300), wrap=True)
        shown.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        grid.addWidget(caption, row, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(shown, row, 1)
    return grid


class Asking(QObject):
    """`ask` blocks the agent's thread until the user has answered; the dialogs are the GUI thread's.
    `wanted`: the window should come up, for a dialog is about to be shown.
    """

    wanted = Signal()
    _came = Signal(object)

    def __init__(
        self,
        theme: Theme,
        window: QWidget,
        parent: QObject | None = None,
        *,
        answer_within: float = ANSWER_WITHIN,
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._window = window
        self._answer_within = answer_within  # seconds
        self._closed = threading.Event()
        self._open: _Pending | None = None
        self.dialog: ConsentDialog | None = None
        self._time = QTimer(self)
        self._time.setSingleShot(True)
        self._time.setInterval(round(answer_within * 1000))
        self._time.timeout.connect(self._refuse)
        self._came.connect(self._show, Qt.ConnectionType.QueuedConnection)

    def ask(self, question: Question) -> Reply:
        """From any thread but the GUI's; one question at a time."""
        pending = _Pending(question)
        if self._closed.is_set():
            return Reply.NO
        self._came.emit(pending)
        pending.answered.wait(self._answer_within + 5)
        return pending.reply

    def close(self) -> None:
        """On the GUI thread: the answer to what is open and to what may come is no."""
        self._closed.set()
        self._refuse()

    def _show(self, pending: object) -> None:
        assert isinstance(pending, _Pending)
        if self._closed.is_set():
            pending.answered.set()
            return
        self._open = pending
        self.wanted.emit()
        self.dialog = ConsentDialog(self._theme, pending.question, self._window)
        self.dialog.answered.connect(self._answered)
        self.dialog.open()
        self._time.start()

    def _answered(self, reply: Reply) -> None:
        self._time.stop()
        pending, dialog = self._open, self.dialog
        self._open = self.dialog = None
        if pending is not None:
            pending.reply = reply
            pending.answered.set()
        if dialog is not None:
            dialog.deleteLater()

    def _refuse(self) -> None:
        if self.dialog is not None:
            self.dialog.reject()


class _Pending:
    def __init__(self, question: Question) -> None:
        self.question = question
        self.answered = threading.Event()
        self.reply = Reply.NO
