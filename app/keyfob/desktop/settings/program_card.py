"""The part of Settings about programs that ask for tokens: the setting, its limits, and the saved answers."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from keyfob.core.consent import Permission, Reply
from keyfob.core.text import plain
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Elided, Switch, button, card, label

SWITCH = "Ask before a program gets a token"
LIMITS = (
    "When a program first asks for a token, Keyfob shows you the program and the account. If this window "
    "is not open, Keyfob refuses. This does not protect your programs from each other: one program can "
    "pretend to be another, and a command does not ask if Keyfob is not running."
)
_WORDS = {Reply.ALWAYS: "always", Reply.HOUR: "for an hour", Reply.NO: "not allowed", Reply.ONCE: "once"}


class ProgramCard(QWidget):
    """Whether programs must be allowed by name, and which ones are."""

    switched = Signal(bool)
    revoked = Signal(str)  # a permission's id

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        frame, inner = card(theme)
        inner.addWidget(label("Programs", "heading"))
        self.switch = Switch(theme, SWITCH)
        self.switch.toggled.connect(self.switched)
        texts = QVBoxLayout()
        texts.setSpacing(1)
        caption = label(SWITCH, "strong", wrap=True)
        caption.setBuddy(self.switch)
        texts.addWidget(caption)
        texts.addWidget(label(LIMITS, "small", wrap=True))
        row = QHBoxLayout()
        row.setSpacing(16)
        row.addLayout(texts, 1)
        row.addWidget(self.switch, 0, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        inner.addLayout(row)
        self._list = QVBoxLayout()
        self._list.setSpacing(6)
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
        self._rows = [_Row(permission) for permission in permissions]
        for row in self._rows:
            row.revoked.connect(self.revoked)
            self._list.addWidget(row)


class _Row(QWidget):
    revoked = Signal(str)

    def __init__(self, permission: Permission) -> None:
        super().__init__()
        self._id = permission.id
        path = permission.script or permission.executable
        name = plain(path.rpartition("/")[2] or path, 60)
        title, note = Elided("", "strong"), Elided("", "small")
        title.show_text(f"{name}: {permission.account_id}, {_WORDS[permission.reply]}")
        note.show_text(plain(path, 200))
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(title)
        texts.addWidget(note)
        self.deed = button("Revoke")
        self.deed.setAccessibleName(f"Revoke {name} {permission.account_id}")
        self.deed.clicked.connect(self._press)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 4)
        layout.setSpacing(12)
        layout.addLayout(texts, 1)
        layout.addWidget(self.deed)

    def _press(self) -> None:
        self.revoked.emit(self._id)
