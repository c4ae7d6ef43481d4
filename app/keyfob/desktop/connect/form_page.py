"""What the user must enter before a sign-in: server, username, app
registration, key. The page keeps nothing of it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time

from PySide6.QtCore import QDate, Qt, Signal
from PySide6.QtWidgets import QDateEdit, QFrame, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.desktop.connect.models import Form, KnownClient
from keyfob.desktop.shared.avatar import Tile
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import (
    Elided,
    IconButton,
    Picture,
    Scroller,
    Switch,
    button,
    label,
    restyle,
)
from keyfob.providers.patterns import matches
from keyfob.service.accounts.views import SignInRequest


class FormPage(QWidget):
    """What has to be entered before the browser opens. Secrets leave it in the request alone."""

    submitted = Signal(object)  # SignInRequest
    back = Signal()
    cancelled = Signal()
    opened = Signal(str)  # an address of the preset's, to be shown in the browser
    copied = Signal(str)
    other_method = Signal(str, str)  # provider, method: this one is not available

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._form: Form | None = None
        self.fields: dict[str, QLineEdit] = {}  # by the name of what is entered
        self.problems: dict[str, QLabel] = {}  # the message under each field
        self._scroll = Scroller()
        self.back_button = button("Back")
        self.cancel = button("Cancel")
        self.go = button("Continue", "primary")
        self.back_button.clicked.connect(self.back)
        self.cancel.clicked.connect(self.cancelled)
        self.go.clicked.connect(self._submit)
        foot = QHBoxLayout()
        foot.setContentsMargins(26, 12, 26, 22)
        foot.setSpacing(9)
        foot.addWidget(self.back_button)
        foot.addStretch(1)
        foot.addWidget(self.cancel)
        foot.addWidget(self.go)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._scroll, 1)
        layout.addLayout(foot)

    def show_form(self, form: Form, *, can_go_back: bool) -> None:
        """Ask for what `form` wants."""
        self._form = form
        self.fields, self.problems = {}, {}
        self.back_button.setVisible(can_go_back)
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(26, 24, 26, 8)
        column.setSpacing(6)
        self._head(column, form)
        if form.blocked:
            self._blocked(column, form)
        else:
            for wanted in form.inputs:
                self._field(
                    column, wanted.name, wanted.title, wanted.example, wanted.help, wanted.default or ""
                )
            if form.needs_client and form.known_client is None:
                self._client(column, form)
            elif form.needs_client and form.known_client and form.known_client.client_id:
                self._known_client(column, form.known_client)
            if form.password_wanted:
                if "username" not in self.fields:
                    self._field(column, "username", "User name", "", "", "")
                self._field(
                    column,
                    "password",
                    "Password",
                    "",
                    "Keyfob uses the password once and does not save it.",
                    "",
                    secret=True,
                )
            if form.key_wanted:
                self._key(column, form)
        column.addStretch(1)
        self._scroll.hold(body)
        self.go.setVisible(not form.blocked)
        self.cancel.setText("Close" if form.blocked else "Cancel")
        first = next(iter(self.fields.values()), None)
        if first is not None:
            first.setFocus()
        elif form.blocked:
            (self.back_button if can_go_back else self.cancel).setFocus()
        else:
            self.go.setFocus()

    # --- parts ----------------------------------------------------------------------------------------------

    def _head(self, column: QVBoxLayout, form: Form) -> None:
        row = QHBoxLayout()
        row.setSpacing(14)
        row.addWidget(Tile(self._theme.px(44), form.letter, form.color), 0, Qt.AlignmentFlag.AlignTop)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(label(form.title, "dialogTitle", wrap=True))
        if not form.blocked:
            texts.addWidget(label(form.text, "secondary", wrap=True))
        row.addLayout(texts, 1)
        column.addLayout(row)
        column.addSpacing(14)

    def _field(
        self,
        column: QVBoxLayout,
        name: str,
        title: str,
        example: str,
        hint: str,
        value: str,
        *,
        secret: bool = False,
    ) -> None:
        caption = label(title, "strong")
        field = QLineEdit(value)
        field.setAccessibleName(caption.text())
        field.setPlaceholderText(plain(example, 120))
        if secret:
            field.setEchoMode(QLineEdit.EchoMode.Password)
        caption.setBuddy(field)
        column.addWidget(caption)
        column.addWidget(field)
        if hint:
            column.addWidget(label(hint, "hint", wrap=True))
        problem = label("", "problem", wrap=True)
        problem.hide()
        column.addWidget(problem)
        column.addSpacing(10)
        self.fields[name], self.problems[name] = field, problem

    def _client(self, column: QVBoxLayout, form: Form) -> None:
        frame = QFrame()
        frame.setProperty("note", "info")
        inner = QVBoxLayout(frame)
        inner.setContentsMargins(16, 13, 16, 14)
        inner.setSpacing(6)
        inner.addWidget(label("This provider needs your own app registration", "strong", wrap=True))
        note = "Register an app at the provider once. Then enter its details below."
        inner.addWidget(label(f"{note} {form.register_note or ''}".strip(), "secondary", wrap=True))
        if form.redirect_uri:
            inner.addSpacing(4)
            inner.addWidget(label("Redirect URI to register", "small"))
            row = QHBoxLayout()
            row.setSpacing(8)
            uri = Elided(form.redirect_uri, "mono", Qt.TextElideMode.ElideMiddle)
            uri.setMinimumHeight(self._theme.px(34))
            uri.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            copy = IconButton(self._theme, "copy", "Copy redirect URI")
            copy.clicked.connect(self._copy_redirect)
            row.addWidget(uri, 1)
            row.addWidget(copy)
            inner.addLayout(row)
            if form.also_ports:
                ports = ", ".join(str(port) for port in form.also_ports)
                inner.addWidget(
                    label(f"Also register the same address with port {ports}.", "hint", wrap=True)
                )
        if form.register_at:
            inner.addSpacing(4)
            register = IconButton(self._theme, "link", "Register an app", "", "Register an app")
            register.clicked.connect(self._open_register)
            inner.addWidget(register, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(frame)
        column.addSpacing(12)
        self._field(column, "client_id", "Client id", "", "", "")
        if form.takes_secret:
            given = "" if form.needs_secret else "Only if the provider gave you one. "
            hint = f"{given}Keyfob saves it in your keychain."
            self._field(column, "client_secret", "Client secret", "", hint, "", secret=True)

    def _known_client(self, column: QVBoxLayout, known: KnownClient) -> None:
        source = {"environment": "from your environment", "yours": "that you entered before"}
        column.addSpacing(6)
        column.addWidget(label("Your app registration", "strong"))
        row = QHBoxLayout()
        row.setSpacing(8)
        shown = Elided(known.client_id, "mono", Qt.TextElideMode.ElideMiddle)
        shown.setMinimumHeight(self._theme.px(34))
        row.addWidget(shown, 1)
        if known.source != "environment":
            change = button("Change", name="Change the app")
            change.clicked.connect(self._change_client)
            row.addWidget(change)
        column.addLayout(row)
        column.addWidget(
            label(f"Client id {source.get(known.source, 'from the preset')}.", "hint", wrap=True)
        )

    def _change_client(self) -> None:
        if self._form is not None:
            self.show_form(
                replace(self._form, known_client=None), can_go_back=self.back_button.isVisibleTo(self)
            )

    def _key(self, column: QVBoxLayout, form: Form) -> None:
        self._field(column, "api_key", "API key", "", form.key_hint, "", secret=True)
        if form.create_at:
            make = IconButton(self._theme, "link", "Create a key", "", "Create a key")
            make.clicked.connect(self._open_create)
            column.addWidget(make, 0, Qt.AlignmentFlag.AlignLeft)
            column.addSpacing(10)
        row = QHBoxLayout()
        row.setSpacing(10)
        self.expires = Switch(self._theme, "This key expires")
        self.expires_at = QDateEdit(QDate.currentDate().addDays(90))
        self.expires_at.setAccessibleName("Expiry date")
        self.expires_at.setDisplayFormat("d MMMM yyyy")
        self.expires_at.setMinimumDate(QDate.currentDate().addDays(1))
        self.expires_at.setButtonSymbols(QDateEdit.ButtonSymbols.NoButtons)
        keeps = self.expires_at.sizePolicy()
        keeps.setRetainSizeWhenHidden(True)
        self.expires_at.setSizePolicy(keeps)
        self.expires_at.hide()
        self.expires.toggled.connect(self.expires_at.setVisible)
        row.addWidget(self.expires)
        row.addWidget(label("Remind me before it expires"))
        row.addWidget(self.expires_at)
        row.addStretch(1)
        column.addLayout(row)

    def _blocked(self, column: QVBoxLayout, form: Form) -> None:
        frame = QFrame()
        frame.setProperty("note", "warn")
        row = QHBoxLayout(frame)
        row.setContentsMargins(16, 14, 16, 14)
        row.setSpacing(12)
        row.addWidget(Picture(self._theme, "blocked", "warn", 20), 0, Qt.AlignmentFlag.AlignTop)
        texts = QVBoxLayout()
        texts.setSpacing(6)
        texts.addWidget(label("Not allowed by the provider’s terms", "strong", wrap=True))
        texts.addWidget(label(form.blocked or "", "secondary", wrap=True))
        if form.link:
            terms = IconButton(self._theme, "link", "Read the terms", "", "Read the terms")
            terms.clicked.connect(self._open_terms)
            texts.addWidget(terms, 0, Qt.AlignmentFlag.AlignLeft)
        row.addLayout(texts, 1)
        column.addWidget(frame)
        if form.others:
            column.addSpacing(14)
            column.addWidget(label("What you can do", "strong"))
            for method, words in form.others:
                other = button(f"Connect with {words}", "primary")
                other.setObjectName(f"other_{method}")
                other.clicked.connect(self._other)
                column.addWidget(other, 0, Qt.AlignmentFlag.AlignLeft)

    # --- asking ---------------------------------------------------------------------------------------------

    def _other(self) -> None:
        if self._form is not None:
            self.other_method.emit(self._form.provider, self.sender().objectName().removeprefix("other_"))

    def _copy_redirect(self) -> None:
        if self._form and self._form.redirect_uri:
            self.copied.emit(self._form.redirect_uri)

    def _open_register(self) -> None:
        if self._form and self._form.register_at:
            self.opened.emit(self._form.register_at)

    def _open_create(self) -> None:
        if self._form and self._form.create_at:
            self.opened.emit(self._form.create_at)

    def _open_terms(self) -> None:
        if self._form and self._form.link:
            self.opened.emit(self._form.link)

    def _submit(self) -> None:
        form = self._form
        if form is None or form.blocked or not self._complete(form):
            return
        values = {name: field.text().strip() for name, field in self.fields.items()}
        inputs = {i.name: values[i.name] for i in form.inputs}
        if form.password_wanted:
            inputs["username"] = values["username"]
        request = SignInRequest(
            form.provider,
            form.method,
            inputs=inputs,
            api_key=_secret(values.get("api_key")),
            password=Secret(self.fields["password"].text()) if form.password_wanted else None,
            client_id=values.get("client_id") or None,
            client_secret=_secret(values.get("client_secret")),
            key_expires_at=self._expiry(form),
        )
        for name in ("api_key", "password", "client_secret"):
            if name in self.fields:
                self.fields[name].clear()
        self.submitted.emit(request)

    def _expiry(self, form: Form) -> datetime | None:
        if not form.key_wanted or not self.expires.isChecked():
            return None
        day = self.expires_at.date()
        return datetime.combine(
            datetime(day.year(), day.month(), day.day(), tzinfo=UTC), time(23, 59, 59), UTC
        )

    def _complete(self, form: Form) -> bool:
        """Whether all that is needed is there; what is not is said under its field."""
        optional = {"client_secret"} if not form.needs_secret else set()
        patterns = {i.name: (i.pattern, i.example) for i in form.inputs}
        wrong: QLineEdit | None = None
        for name, field in self.fields.items():
            text = field.text().strip()
            pattern, example = patterns.get(name, (None, ""))
            if not text and name not in optional:
                said = f"{field.accessibleName()} is needed."
            elif text and pattern and not matches(pattern, text):
                said = f"It should look like {example}." if example else "This format is not valid."
            else:
                said = ""
            problem = self.problems[name]
            problem.setProperty("text", said)
            problem.setVisible(bool(said))
            field.setProperty("wrong", bool(said))
            restyle(field)
            if said and wrong is None:
                wrong = field
        if wrong is not None:
            wrong.setFocus()
        return wrong is None


def _secret(text: str | None) -> Secret | None:
    return Secret(text) if text else None
