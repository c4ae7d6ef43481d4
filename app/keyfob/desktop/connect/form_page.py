"""What the user must enter before a sign-in: server, username, app
registration, key. What is typed stays until the sign-in begins or the dialog closes; nothing is saved here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from keyfob.core.key_parts import joined
from keyfob.core.methods import holds_key
from keyfob.core.patterns import matches
from keyfob.core.secret import Secret
from keyfob.desktop.connect.access_panel import AccessPanel
from keyfob.desktop.connect.form_cards import Blocked, Expiry, KnownApp, Unencrypted, short
from keyfob.desktop.connect.form_parts import Field, MethodCards, Numbered
from keyfob.desktop.connect.forms import SECOND, fault, page_at, pattern_of, plain_address
from keyfob.desktop.connect.models import Form, KeyForm, KnownClient, Registration
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.avatar import Tile
from keyfob.desktop.shared.copy_button import CopyButton
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import IconButton, Scroller, button, label, rule
from keyfob.service.accounts.views import SignInRequest

SECRETS = ("api_key", SECOND, "password", "client_secret")
COLUMN = 600  # the width of the form at most, in designed pixels
SIDE_BY_SIDE = 760  # the width from which what tools may do stands beside the rest
EDGE = 28


class FormPage(QWidget):
    """What has to be entered before the browser opens. Secrets leave it in the request alone."""

    submitted = Signal(object)  # SignInRequest
    back = Signal()
    cancelled = Signal()
    opened = Signal(str)  # an address of the preset's, to be shown in the browser
    other_method = Signal(str, str)  # provider, method: another one is wanted

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._form: Form | None = None
        self._saved: KnownClient | None = None  # offered, and not wanted at present
        self._typed: dict[str, str] = {}  # by field: what another method of the provider may need again
        self._first: dict[str, str] = {}  # by field: what it held when it was shown
        self._pages: list[tuple[QPushButton, QLabel, str]] = []  # buttons that open a page, once it is known
        self._steps: list[Numbered] = []
        self._redirected: Numbered | None = None  # the step with the redirect address
        self.fields: dict[str, QLineEdit] = {}  # by the name of what is entered
        self.problems: dict[str, QLabel] = {}  # the message under each field
        self._rows: dict[str, Field] = {}
        self._plain: dict[str, Unencrypted] = {}  # by the field of an address
        self.methods: MethodCards | None = None  # to choose from, if there are several
        self.access: AccessPanel | None = None  # what tools may do, if there is a choice
        self._across: QBoxLayout | None = None
        self._build_head()
        self._scroll = Scroller()
        self.instead = IconButton(theme, "key", "", "link", "Use a token instead")
        self.cancel = button("Cancel")
        self.go = button("Continue", "primary")
        self.cancel.clicked.connect(self.cancelled)
        self.go.clicked.connect(self._submit)
        self.instead.clicked.connect(self._use_instead)
        px = theme.px
        foot = QHBoxLayout()
        # The link's own padding brings its drawing to the edge of the content.
        foot.setContentsMargins(px(EDGE) - px(6), px(14), px(EDGE), px(16))
        foot.setSpacing(px(9))
        foot.addWidget(self.instead)
        foot.addStretch(1)
        foot.addWidget(self.cancel)
        foot.addWidget(self.go)
        body = QFrame()
        body.setObjectName("dialogBody")
        inside = QVBoxLayout(body)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.addWidget(self._scroll)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(self._head)
        layout.addWidget(rule())
        layout.addWidget(body, 1)
        layout.addWidget(rule())
        layout.addLayout(foot)

    def _build_head(self) -> None:
        px = self._theme.px
        self.back_button = IconButton(self._theme, "chevron-left", "Back", "quiet")
        self.back_button.clicked.connect(self.back)
        self._tile = Tile(self._theme, 48)
        self.title = label("", "title", wrap=True)
        self.text = label("", "secondary", wrap=True)
        texts = QVBoxLayout()
        texts.setSpacing(px(3))
        texts.addWidget(self.title)
        texts.addWidget(self.text)
        self._head = QHBoxLayout()
        self._head.setSpacing(px(14))
        self._head.addWidget(self.back_button)
        self._head.addWidget(self._tile)
        self._head.addLayout(texts, 1)

    # --- what it shows --------------------------------------------------------------------------------------

    def show_form(self, form: Form, *, can_go_back: bool) -> None:
        """Ask for what `form` wants. What was typed for the same provider is kept."""
        same = self._form is not None and self._form.provider == form.provider
        focused = QApplication.focusWidget()
        choosing = self.methods is not None and focused is not None and self.methods.isAncestorOf(focused)
        self._typed = self._typed | self._entered() if same else {}
        self._saved = self._saved if same else None
        self._form = form
        self._show(form, can_go_back=can_go_back)
        if same and choosing and self.methods is not None:
            self.methods.radios()[form.method].setFocus()

    def _show(self, form: Form, *, can_go_back: bool) -> None:
        px = self._theme.px
        self.fields, self.problems, self._rows, self._first = {}, {}, {}, {}
        self._pages, self._steps, self._redirected = [], [], None
        kept, further = (self.access.chosen, self.access.scopes) if self.access else ((), ())
        chose = self.access is not None
        self.methods, self.access = None, None
        self._plain = {}
        self.back_button.setVisible(can_go_back)
        # The button's own padding brings its drawing to the edge of the content.
        left = px(EDGE) - (px(9) if can_go_back else 0)
        self._head.setContentsMargins(left, px(22), px(EDGE), px(16))
        self._tile.show_letter(form.letter, form.color)
        self.title.setText(form.title)
        self.text.setText("" if form.blocked else form.text)
        self.text.setVisible(not form.blocked)
        body = QWidget()
        across = QBoxLayout(QBoxLayout.Direction.LeftToRight, body)
        across.setContentsMargins(px(EDGE), px(20), px(EDGE), px(20))
        across.setSpacing(px(28))
        held = QWidget()
        held.setMaximumWidth(px(COLUMN))
        column = QVBoxLayout(held)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(px(16))
        if form.blocked:
            blocked = Blocked(self._theme, form)
            blocked.opened.connect(self.opened)
            blocked.chosen.connect(self._choose)
            column.addWidget(blocked)
        else:
            self._ask(column, form)
        column.addStretch(1)
        if column.count() > 1:
            across.addWidget(held, 1)
        else:
            held.deleteLater()  # only the access is to be chosen
        if form.access:
            self.access = AccessPanel(self._theme, form.access, more=form.asks_more)
            self.access.setMaximumWidth(px(COLUMN))
            self.access.changed.connect(self._changed)
            if chose:
                self.access.keep(kept, further)
            across.addWidget(self.access, 1)
        across.addStretch(0)
        self._across = across
        self._turn_columns()
        self._scroll.hold(body)
        self.go.setVisible(not form.blocked)
        self.cancel.setText("Close" if form.blocked else "Cancel")
        self.instead.setVisible(form.instead is not None and not form.blocked)
        if form.instead is not None:
            self.instead.become("key" if holds_key(form.instead.method) else "globe")
            self.instead.setText(form.instead.title)
            self.instead.setAccessibleName(form.instead.title)
        self._changed()
        self._focus_first(form, can_go_back=can_go_back)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the two columns side by side if there is room."""
        super().resizeEvent(event)
        self._turn_columns()

    def _turn_columns(self) -> None:
        wide = self.width() >= self._theme.px(SIDE_BY_SIDE)
        direction = QBoxLayout.Direction.LeftToRight if wide else QBoxLayout.Direction.TopToBottom
        if self._across is not None and self._across.direction() != direction:
            self._across.setDirection(direction)

    def _ask(self, column: QVBoxLayout, form: Form) -> None:
        if form.choices:
            column.addWidget(label("How do you want to sign in?", "part"))
            self.methods = MethodCards(self._theme, form.choices, form.method)
            self.methods.chosen.connect(self._choose)
            column.addWidget(self.methods)
        for each in form.inputs:
            self._field(column, each.name, each.title, each.example, each.help, each.default or "")
            if each.kind in ("host", "url"):
                self._plain[each.name] = Unencrypted(self._theme)
                self._plain[each.name].changed.connect(self._changed)
                column.addWidget(self._plain[each.name])
        if form.registration and form.known_client is None:
            self._register(column, form, form.registration)
        elif form.known_client and form.known_client.client_id:
            known = KnownApp(self._theme, form.known_client)
            known.change_asked.connect(self._change_client)
            column.addWidget(known)
        if form.password_wanted:
            if "username" not in self.fields:
                self._field(column, "username", "User name")
            once = "Keyfob uses the password once and does not save it."
            self._field(column, "password", "Password", hint=once)
        if form.key:
            self._key(column, form, form.key)

    def _focus_first(self, form: Form, *, can_go_back: bool) -> None:
        """The first thing to do has the focus."""
        empty = next((field for name, field in self.fields.items() if not field.text()), None)
        if form.blocked:
            (self.back_button if can_go_back else self.cancel).setFocus()
        elif empty is self.fields.get("client_id") and self._pages and self._pages[0][0].isEnabled():
            self._pages[0][0].setFocus()
        elif empty is not None and not (empty is self.fields.get("client_secret") and not form.needs_secret):
            empty.setFocus()
        elif form.asks_more and self.access is not None and (first := self.access.first()) is not None:
            first.setFocus()
        else:
            self.go.setFocus()

    # --- parts ----------------------------------------------------------------------------------------------

    def _field(
        self, column: QVBoxLayout, name: str, title: str, example: str = "", hint: str = "", value: str = ""
    ) -> Field:
        row = Field(self._theme, title, example=example, hint=hint, secret=name in SECRETS)
        row.edit.setText(self._typed.get(name, value))
        row.changed.connect(self._changed)
        column.addWidget(row)
        self._rows[name], self.fields[name], self.problems[name] = row, row.edit, row.problem
        self._first[name] = value
        return row

    def _step(self, column: QVBoxLayout, text: str) -> Numbered:
        step = Numbered(self._theme, len(self._steps) + 1, text)
        self._steps.append(step)
        column.addWidget(step)
        return step

    def _open_button(self, step: Numbered, text: str, page: str) -> None:
        """A button that opens `page`, as soon as what its address needs is entered."""
        press = IconButton(self._theme, "link", text, "", text)
        missing = label("", "hint", wrap=True)
        press.clicked.connect(lambda: self._open(page, step))
        step.body.addWidget(press, 0, Qt.AlignmentFlag.AlignLeft)
        step.body.addWidget(missing)
        self._pages.append((press, missing, page))

    def _register(self, column: QVBoxLayout, form: Form, app: Registration) -> None:
        """The steps of an app registration."""
        if column.count():
            column.addSpacing(self._theme.px(6))
        heading = "Create a service account" if app.service else "Register your own app"
        column.addWidget(label(f"{heading} at {app.at}", "part", wrap=True))
        if self._saved is not None:
            use = button(f"Use your app {short(self._saved.client_id)} instead", "link")
            use.clicked.connect(self._use_saved)
            column.addWidget(use, 0, Qt.AlignmentFlag.AlignLeft)
        if app.page:
            page = f"the page for apps at {app.at}" if not app.service else app.at
            step = self._step(column, f"Open {page}.")
            self._open_button(step, f"Open {app.at}", app.page)
        if app.redirect:
            step = self._step(column, "Register an app there with this redirect address.")
            self._redirect(step, app)
            self._redirected = step
        else:
            what = "Create a service account" if app.service else "Register an app"
            step = self._step(column, f"{what} there.")
        if app.note:
            step.body.addWidget(label(app.note, "secondary", wrap=True))
        both = "the client id and the client secret" if form.needs_secret else "the client id"
        them = "them" if form.needs_secret else "it"
        step = self._step(column, f"Copy {both} from {app.at} and paste {them} here.")
        hint = app.id_hint and f"{app.id_hint}."
        self._field(step.body, "client_id", "Client id", hint=hint, value=app.client_id)
        if form.takes_secret:
            given = "" if form.needs_secret else "Only if the provider gave you one. "
            hint = f"{given}Keyfob saves it in your keychain."
            step.body.addSpacing(self._theme.px(6))
            self._field(step.body, "client_secret", "Client secret", hint=hint)

    def _redirect(self, step: Numbered, app: Registration) -> None:
        address = QLineEdit(app.redirect or "")
        address.setReadOnly(True)
        address.setProperty("mono", True)
        address.setAccessibleName("Redirect address")
        address.setCursorPosition(0)
        copy = CopyButton(self._theme, "Copy redirect URI")
        copy.holds(app.redirect or "")
        copy.clicked.connect(lambda: step.tick(True))
        row = QHBoxLayout()
        row.setSpacing(self._theme.px(8))
        row.addWidget(address, 1)
        row.addWidget(copy)
        step.body.addLayout(row)
        if app.also_ports:
            ports = ", ".join(str(port) for port in app.also_ports)
            also = f"Also register the same address with port {ports}."
            step.body.addWidget(label(also, "secondary", wrap=True))

    def _change_client(self) -> None:
        if self._form is not None:
            self._saved = self._form.known_client
            self._again(replace(self._form, known_client=None))

    def _use_saved(self) -> None:
        if self._form is not None:
            saved, self._saved = self._saved, None
            self._again(replace(self._form, known_client=saved))

    def _again(self, form: Form) -> None:
        self._typed |= self._entered()
        self._form = form
        self._show(form, can_go_back=self.back_button.isVisibleTo(self))

    def _key(self, column: QVBoxLayout, form: Form, key: KeyForm) -> None:
        within = column
        if key.page:
            step = self._step(column, f"Create {key.an} at {form.provider_title}.")
            self._open_button(step, f"Open {form.provider_title}", key.page)
            what = "it and paste it" if key.second is None else "both parts and paste them"
            step = self._step(column, f"Copy {what} here.")
            within = step.body
        self._field(within, "api_key", key.name, hint=key.hint)
        if key.second is not None:
            within.addSpacing(self._theme.px(6))
            self._field(within, SECOND, key.second.title, hint=key.second.hint)
        self._expiry = Expiry(self._theme)
        within.addWidget(self._expiry)

    # --- while it is filled in ------------------------------------------------------------------------------

    @property
    def filled(self) -> bool:
        """Whether something was typed that closing would lose."""
        shown = any(field.text().strip() != self._first[name] for name, field in self.fields.items())
        return shown or any(self._typed[name] for name in SECRETS if name in self._typed)

    def forget(self) -> None:
        """The dialog closes: nothing that was typed is kept."""
        for field in self.fields.values():
            field.clear()
        self._typed, self._form, self._saved = {}, None, None
        self.fields, self.problems, self._rows, self._first = {}, {}, {}, {}
        self.access = None
        self._plain = {}

    def _entered(self) -> dict[str, str]:
        return {name: field.text() for name, field in self.fields.items()}

    def _changed(self) -> None:
        """Something was typed: what it makes possible, and what is no longer wrong."""
        form = self._form
        if form is None:
            return
        values = self._entered()
        for name, plain in self._plain.items():
            plain.show_for(plain_address(values[name]))
        for press, missing, page in self._pages:
            known = page_at(page, form.inputs, values, self._allowed()) is not None
            press.setEnabled(known)
            wanted = [each.title for each in form.inputs if f"{{{each.name}}}" in page]
            missing.setText("" if known else f"First enter this above: {', '.join(wanted)}.")
            missing.setVisible(not known)
        for name, row in self._rows.items():
            if row.problem.text() and not self._fault(name):
                row.complain("")
            pattern, text = pattern_of(form, name), row.edit.text().strip()
            row.right.setVisible(bool(pattern and text and matches(pattern, text)))
        self.go.setEnabled(not form.asks_more or (self.access is not None and self.access.new))
        last = [n for n in ("client_id", "client_secret", "api_key", SECOND) if n in self.fields]
        if self._steps and last:
            needed = [n for n in last if n != "client_secret" or form.needs_secret]
            ready = all(values[n].strip() and not self._fault(n) for n in needed)
            self._steps[-1].tick(ready)
            for step in self._steps[:-1]:
                # What was copied from there exists. Only whether the redirect was entered is not known.
                step.tick(step.done or (ready and step is not self._redirected))

    def _open(self, page: str, step: Numbered) -> None:
        form = self._form
        address = page_at(page, form.inputs, self._entered(), self._allowed()) if form else None
        if address is not None:
            self.opened.emit(address)
            step.tick(True)

    def _choose(self, method: str) -> None:
        if self._form is not None and method != self._form.method:
            self.other_method.emit(self._form.provider, method)

    def _use_instead(self) -> None:
        if self._form is not None and self._form.instead is not None:
            self.other_method.emit(self._form.provider, self._form.instead.method)

    def say(self, text: str, good: bool) -> None:
        """Show what a press could not do, in the line below the title."""
        if not good:
            self.text.setText(text)
            self.text.setVisible(True)
            announce(self, text, urgent=True)

    # --- submitting -----------------------------------------------------------------------------------------

    def _submit(self) -> None:
        form = self._form
        access = self.access
        if form is None or form.blocked:
            return
        granted = access is None or access.complete()
        if not self._complete():
            return
        if access is not None and not granted:
            access.further.edit.setFocus()
            self._scroll.ensureWidgetVisible(access.further.edit)
            return
        values = {name: field.text().strip() for name, field in self.fields.items()}
        inputs = {i.name: values[i.name] for i in form.inputs}
        if form.password_wanted:
            inputs["username"] = values["username"]
        request = SignInRequest(
            form.provider,
            form.method,
            inputs=inputs,
            api_key=_key_of(values),
            password=Secret(self.fields["password"].text()) if form.password_wanted else None,
            client_id=values.get("client_id") or None,
            client_secret=_secret(values.get("client_secret")),
            allow_http=self._allowed(),
            key_expires_at=self._expiry.at() if form.key else None,
            access=access.chosen if access is not None else None,
            scopes=access.scopes if access is not None else (),
        )
        for name in SECRETS:
            self._typed.pop(name, None)
            if name in self.fields:
                self.fields[name].clear()
        self.submitted.emit(request)

    def _fault(self, name: str) -> str:
        """What is wrong with a field's text; empty if nothing is."""
        field, plain = self.fields[name], self._plain.get(name)
        if plain is not None and plain.host is not None and plain.allowed is None:
            return "Enter an https address, or switch on Connect without encryption."
        return fault(self._form, name, field.accessibleName(), field.text().strip()) if self._form else ""

    def _allowed(self) -> str | None:
        """The host that the user has agreed to use without TLS."""
        return next((plain.allowed for plain in self._plain.values() if plain.allowed), None)

    def _complete(self) -> bool:
        """Whether all that is needed is there; what is not is said under its field."""
        wrong: QLineEdit | None = None
        for name, row in self._rows.items():
            said = self._fault(name)
            row.complain(said)
            wrong = row.edit if said and wrong is None else wrong
        if wrong is not None:
            wrong.setFocus()
            self._scroll.ensureWidgetVisible(wrong)
        return wrong is None


def _key_of(values: Mapping[str, str]) -> Secret | None:
    """The key that was entered, both parts of one that has two."""
    key = _secret(values.get("api_key"))
    return joined(key, Secret(values[SECOND])) if key is not None and SECOND in values else key


def _secret(text: str | None) -> Secret | None:
    return Secret(text) if text else None
