"""Parts of the form before a sign-in: a saved app registration, what the terms forbid, a key's expiry."""

from __future__ import annotations

from datetime import UTC, datetime, time

from PySide6.QtCore import QDate, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from keyfob.desktop.connect.models import Form, KnownClient
from keyfob.desktop.shared.day_field import DayField
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import IconButton, Picture, Switch, button, label

SOURCES = {"environment": "It is from your environment.", "yours": "You registered it before."}


class KnownApp(QFrame):
    """The app registration of before is used, unless the user wants another one."""

    change_asked = Signal()

    def __init__(self, theme: Theme, known: KnownClient) -> None:
        super().__init__()
        px = theme.px
        self.setProperty("card", True)
        row = QHBoxLayout(self)
        row.setContentsMargins(px(16), px(12), px(12), px(12))
        row.setSpacing(px(12))
        row.addWidget(Picture(theme, "check", "ok", 18))
        texts = QVBoxLayout()
        texts.setSpacing(px(1))
        texts.addWidget(label(f"Use your app {short(known.client_id)}", "strong", wrap=True))
        texts.addWidget(label(SOURCES.get(known.source, "It is from the preset."), "small", wrap=True))
        row.addLayout(texts, 1)
        if known.source != "environment":
            change = button("Use another app", name="Change the app")
            change.clicked.connect(self.change_asked)
            row.addWidget(change)


class Blocked(QWidget):
    """Why the terms forbid the sign-in, and the methods that remain: `chosen(method)`."""

    opened = Signal(str)
    chosen = Signal(str)

    def __init__(self, theme: Theme, form: Form) -> None:
        super().__init__()
        px = theme.px
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(px(16))
        frame = QFrame()
        frame.setProperty("note", "warn")
        row = QHBoxLayout(frame)
        row.setContentsMargins(px(16), px(14), px(16), px(14))
        row.setSpacing(px(12))
        row.addWidget(Picture(theme, "blocked", "warn", 20), 0, Qt.AlignmentFlag.AlignTop)
        texts = QVBoxLayout()
        texts.setSpacing(px(6))
        texts.addWidget(label("Not allowed by the provider’s terms", "strong", wrap=True))
        texts.addWidget(label(form.blocked or "", "secondary", wrap=True))
        if link := form.link:
            terms = IconButton(theme, "link", "Read the terms", "", "Read the terms")
            terms.clicked.connect(lambda: self.opened.emit(link))
            texts.addWidget(terms, 0, Qt.AlignmentFlag.AlignLeft)
        row.addLayout(texts, 1)
        column.addWidget(frame)
        if form.others:
            column.addWidget(label("What you can do", "part"))
        for number, way in enumerate(form.others):
            other = button(f"{way.action[:1].upper()}{way.action[1:]}", "" if number else "primary")
            other.setObjectName(f"other_{way.method}")
            other.clicked.connect(self._other)
            column.addWidget(other, 0, Qt.AlignmentFlag.AlignLeft)

    def _other(self) -> None:
        self.chosen.emit(self.sender().objectName().removeprefix("other_"))


class Unencrypted(QWidget):
    """Whether a server on the user's own network may be used without TLS. Shown while its address begins with
    http://; another address has to be agreed to anew.
    """

    changed = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.host: str | None = None
        self.agreed = Switch(theme, "Connect without encryption")
        self.agreed.toggled.connect(self.changed)
        self._words = label("", "hint", wrap=True)
        texts = QVBoxLayout()
        texts.setSpacing(theme.px(1))
        texts.addWidget(label("Connect without encryption", "strong", wrap=True))
        texts.addWidget(self._words)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(10))
        row.addWidget(self.agreed, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(texts, 1)
        self.hide()

    def show_for(self, host: str | None) -> None:
        """Ask for this host; for none, ask nothing."""
        if host != self.host:
            self.host = host
            self.agreed.setChecked(False)
        self._words.setText(f"Anybody on your network can read what Keyfob sends to {host}, the token too.")
        self.setVisible(host is not None)

    @property
    def allowed(self) -> str | None:
        """The host that the user has agreed to."""
        return self.host if self.agreed.isChecked() else None


class Expiry(QWidget):
    """Whether and when a key expires."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.expires = Switch(theme, "This key expires")
        today = QDate.currentDate()
        self.day = DayField(theme, "Expiry date", today.addDays(90), today.addDays(1))
        keeps = self.day.sizePolicy()
        keeps.setRetainSizeWhenHidden(True)
        self.day.setSizePolicy(keeps)
        self.day.hide()
        self.expires.toggled.connect(self.day.setVisible)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(10))
        row.addWidget(self.expires)
        row.addWidget(label("Remind me before it expires", wrap=True), 1)
        row.addWidget(self.day)

    def at(self) -> datetime | None:
        """The end of the chosen day in UTC; None if the key does not expire."""
        if not self.expires.isChecked():
            return None
        day = self.day.date()
        last = time(23, 59, 59)
        return datetime.combine(datetime(day.year(), day.month(), day.day(), tzinfo=UTC), last, UTC)


def short(client_id: str) -> str:
    """A client id that is recognised by its ends."""
    return client_id if len(client_id) <= 14 else f"{client_id[:6]}…{client_id[-4:]}"
