"""The part of Settings about programs that ask for tokens: the setting, its limits, and the saved answers."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from keyfob.core.consent import Permission, Program, Reply, as_typed
from keyfob.core.text import plain
from keyfob.core.time_words import clock_time
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Elided, Switch, button, card, label

SWITCH = "Ask before a program gets a token"
LIMITS = (
    "When a program first asks for a token, Keyfob shows you the program and the account. If this window "
    "is not open, Keyfob refuses. This does not protect your programs from each other: one program can "
    "pretend to be another, and a command does not ask if Keyfob is not running."
)


class ProgramCard(QWidget):
    """Whether programs must be allowed by name, and which ones are."""

    switched = Signal(bool)
    revoked = Signal(object)  # a Permission

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        frame, inner = card(theme)
        inner.addWidget(label("Connected programs", "heading"))
        self.switch = Switch(theme, SWITCH)
        self.switch.toggled.connect(self.switched)
        texts = QVBoxLayout()
        texts.setSpacing(theme.px(1))
        caption = label(SWITCH, "strong", wrap=True)
        caption.setBuddy(self.switch)
        texts.addWidget(caption)
        texts.addWidget(label(LIMITS, "small", wrap=True))
        row = QHBoxLayout()
        row.setSpacing(theme.px(16))
        row.addLayout(texts, 1)
        row.addWidget(self.switch, 0, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        inner.addLayout(row)
        self._list = QVBoxLayout()
        self._list.setSpacing(theme.px(6))
        inner.addLayout(self._list)
        self._rows: list[_Row] = []
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(frame)

    def show_permissions(self, permissions: Sequence[Permission]) -> None:
        """The answers that stand."""
        for row in self._rows:
            row.setParent(None)
            row.deleteLater()
        self._rows = [_Row(self._theme, permission) for permission in permissions]
        for row in self._rows:
            row.revoked.connect(self.revoked)
            self._list.addWidget(row)


def program_name(permission: Permission) -> str:
    """As `Program.name`."""
    return Program(permission.executable, permission.script).name


def how_long(permission: Permission) -> str:
    """What was answered, and until when that holds."""
    what = "Refused" if permission.reply is Reply.NO else "Allowed"
    until = "you forget it" if permission.until is None else clock_time(permission.until)
    return f"{what} until {until}"


def forgetting(permission: Permission) -> tuple[str, str]:
    """The question before an answer is forgotten, and what that means."""
    name = program_name(permission)
    return (
        f"Forget {name}?",
        f"Keyfob asks you again the next time that {name} wants a token of {permission.account_id}. A token "
        "that it already has stays valid until it expires.",
    )


class _Row(QWidget):
    revoked = Signal(object)  # the Permission

    def __init__(self, theme: Theme, permission: Permission) -> None:
        super().__init__()
        self._permission = permission
        path = as_typed(permission.executable, permission.script)
        name = program_name(permission)
        title, note = Elided("", "strong"), Elided("", "small")
        title.show_text(f"{name}: {permission.account_id}")
        note.show_text(f"{how_long(permission)} · {plain(path, 200)}")
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(title)
        texts.addWidget(note)
        self.action = button("Forget…", name=f"Forget {name} {permission.account_id}")
        self.action.clicked.connect(self._press)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(theme.margins(0, 4, 0, 4))
        layout.setSpacing(theme.px(12))
        layout.addLayout(texts, 1)
        layout.addWidget(self.action)

    def _press(self) -> None:
        self.revoked.emit(self._permission)
