"""Between the engine's sign-ins and the Connect Account dialog. One
QObject on the GUI thread, one attempt at a time.

The attempt runs in an Operation, its listener on a thread of `Threads`. Its progress arrives by a queued
signal. Cancelling never waits. Secrets from the dialog go straight into the request and are not kept here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from PySide6.QtCore import QObject, Qt, Signal

from keyfob.core.account import AccountView
from keyfob.core.errors import KeyfobError
from keyfob.core.hosts import plain_host
from keyfob.core.methods import Method
from keyfob.core.provider import EMPTY, Provider
from keyfob.core.words import MADE_ALGORITHMS
from keyfob.desktop.connect import cards, forms, sign_in_text
from keyfob.desktop.connect.listener_thread import Threads
from keyfob.desktop.connect.models import Card, Form, KnownClient
from keyfob.desktop.shared import remedies
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.window.names import face_of, name_of
from keyfob.desktop.window.presenter import Presenter, utc_now
from keyfob.protocol.http.urls import fault_of
from keyfob.service.accounts.views import Progress, SignInRequest

if TYPE_CHECKING:
    from keyfob.engine import Engine
    from keyfob.service.sign_in.attempt import Attempt

_Result = TypeVar("_Result")


class SignInPresenter(QObject):
    """Drives one sign-in at a time for the dialog. On the GUI thread; the engine works on others."""

    cards = Signal(object)  # tuple of Card
    form = Signal(object)  # Form, what has to be entered first
    waiting = Signal(object)  # Waiting
    succeeded = Signal(object)  # Success
    pictured = Signal(object)  # Face: the connected account's picture has arrived
    failed = Signal(object)  # Failure
    cancelled = Signal()
    undone = Signal(str)  # what "Not you?" brought
    unlocked = Signal(bool)  # the keychain's prompt was answered; False: in vain
    note = Signal(str, bool)  # of a pasted text, a copied link
    paste_taken = Signal()

    _progressed = Signal(object)

    def __init__(
        self,
        engine: Engine,
        presenter: Presenter,
        threads: Threads,
        parent: QObject | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__(parent)
        self._engine, self._presenter, self._threads, self._clock = engine, presenter, threads, clock
        self._attempt: Attempt | None = None
        self._progress: Progress | None = None
        self._who = ""  # the name of the account that signs in again
        self._unobserve: Callable[[], None] | None = None
        self._closings = 0  # how often the dialog was closed
        presenter.keychain.unlocked.connect(self.unlocked)
        presenter.pictured.connect(self._show_picture)
        self._progressed.connect(self._moved, Qt.ConnectionType.QueuedConnection)

    # --- choosing -------------------------------------------------------------------------------------------

    def list_providers(self, *, demo: bool) -> None:
        """`cards` follows. `demo`: the demo provider runs."""
        engine = self._engine

        def work() -> tuple[Card, ...]:
            providers = engine.providers.all()
            with_app = {p.id for p in providers if cards.wants_own_app(p) and _known(engine, p) is not None}
            return cards.cards(providers, demo=demo, with_app=with_app)

        Operation(self, work, self._while_open(self._listed)).failing(
            self._while_open(self._complain)
        ).start()

    def _listed(self, cards: tuple[Card, ...]) -> None:
        self.cards.emit(cards)

    def list_methods(self, account: AccountView) -> None:
        """`cards` follows with this account's provider and its other methods; none if it has no other."""
        Operation(
            self,
            lambda: cards.other_ways(self._engine.providers.get(account.provider), account.method),
            self._while_open(self._listed),
        ).failing(self._while_open(self._complain)).start()

    def prepare(self, provider_id: str, method: Method) -> None:
        """`form` follows: what has to be entered before a new account can be connected."""
        engine = self._engine

        def work() -> Form:
            provider = engine.providers.get(provider_id)
            known = _known(engine, provider)
            port = engine.settings.load().callback_port
            form = forms.form(provider, method, known=known, setting_port=port)
            form = forms.with_foreign(forms.with_choices(form, provider), engine.providers.all())
            return forms.with_access(form, provider)

        Operation(self, work, self._while_open(self._prepared)).failing(
            self._while_open(self._complain)
        ).start()

    def prepare_again(self, account: AccountView, method: Method | None = None) -> None:
        """`form` follows, for an account that exists: it keeps its server, its client and its inputs."""
        engine = self._engine

        def work() -> Form:
            provider = engine.providers.get(account.provider)
            chosen = method or account.method
            kept = KnownClient("", "account") if chosen == account.method else None
            port = engine.settings.load().callback_port
            form = forms.form(provider, chosen, known=kept, setting_port=port)
            if form.registration is not None and form.registration.service and chosen == account.method:
                # Its secret may have changed; who it is has not.
                form = replace(form, registration=replace(form.registration, client_id=account.subject or ""))
            return replace(
                forms.with_foreign(form, engine.providers.all()),
                inputs=() if chosen == account.method else form.inputs,
                title=f"Sign in again: {name_of(account)}",
            )

        Operation(self, work, self._while_open(self._prepared)).failing(
            self._while_open(self._complain)
        ).start()

    def prepare_more(self, account: AccountView, access: str = "") -> None:
        """`form` follows: what else an account's tools may do. All other things stay as they are.
        `access`: the bundle that is ticked at first.
        """
        engine = self._engine

        def work() -> Form:
            provider = engine.providers.get(account.provider)
            port = engine.settings.load().callback_port
            form = forms.form(provider, account.method, known=KnownClient("", "account"), setting_port=port)
            form = replace(
                form,
                inputs=(),
                title=f"Ask for more: {name_of(account)}",
                text=f"{name_of(account)} stays signed in until {provider.title} has answered.",
            )
            return forms.with_access(form, provider, {each.id for each in account.access or ()}, access)

        Operation(self, work, self._while_open(self._prepared)).failing(
            self._while_open(self._complain)
        ).start()

    def _prepared(self, form: Form) -> None:
        self.form.emit(form)

    # --- signing in -----------------------------------------------------------------------------------------

    def begin(self, request: SignInRequest) -> None:
        """Sign in. `waiting` follows, then `succeeded`, `failed` or `cancelled`."""
        self._drop()
        self._progress = None
        account = self._presenter.view(request.account) if request.account else None
        self._who = name_of(account) if account is not None else ""
        begun, refused = self._while_open(self._begun), self._while_open(self._refused)
        Operation(self, lambda: self._engine.sign_in.begin(request), begun).failing(refused).start()

    def _while_open(self, show: Callable[[_Result], None]) -> Callable[[_Result], None]:
        """`show`, unless the dialog is closed in the meantime: a sign-in
        that nobody waits for must not begin.
        """
        closings = self._closings

        def shown(result: _Result) -> None:
            if closings == self._closings:
                show(result)

        return shown

    def _begun(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._unobserve = attempt.observe(self._observe)
        self._moved(attempt.progress)
        service, spawn = self._engine.sign_in, self._threads.spawn
        Operation(self, lambda: service.run(attempt, spawn), self._ran).failing(self._ended).ending_by(
            lambda: _cancel(attempt)
        ).start()

    def _observe(self, progress: Progress) -> None:
        self._progressed.emit(progress)  # on the attempt's thread

    def _moved(self, progress: Progress) -> None:
        if self._attempt is None:
            return
        if progress.url is None and self._progress is not None and self._progress.url is not None:
            progress = replace(progress, url=self._progress.url)
        self._progress = progress
        if not progress.ended:
            self.waiting.emit(sign_in_text.waiting(progress, self._clock(), self._who))

    def refresh(self) -> None:
        """Show the remaining time again."""
        if self._progress is not None and not self._progress.ended:
            self.waiting.emit(sign_in_text.waiting(self._progress, self._clock(), self._who))

    def _ran(self, view: AccountView) -> None:
        attempt = self._attempt
        if attempt is None:
            return
        self._progress = replace(attempt.progress, account=attempt.progress.account or view)
        self._presenter.select(view.key)
        self._presenter.reload()
        self.succeeded.emit(sign_in_text.success(self._progress, self._presenter.pictures))

    def _show_picture(self) -> None:
        account = self._progress.account if self._progress is not None else None
        if account is not None and account.key in self._presenter.pictures:
            self.pictured.emit(face_of(account, self._presenter.pictures))

    def _ended(self, error: KeyfobError) -> None:
        if self._attempt is None:
            return
        progress = self._attempt.progress
        if error.code == "cancelled":
            self.cancelled.emit()
            return
        self.failed.emit(sign_in_text.failure(replace(progress, error=error), self._who))

    def _refused(self, error: KeyfobError) -> None:
        self.failed.emit(sign_in_text.refusal(error))

    def _complain(self, error: KeyfobError) -> None:
        self._refused(error)

    def create_key(self, provider_id: str) -> None:
        """A private key for this provider, in the keychain. `failed` follows, with what is left to do."""
        engine = self._engine

        def work() -> str:
            alg = engine.providers.get(provider_id).client.alg
            made = next((each for each in MADE_ALGORITHMS if each == alg), MADE_ALGORITHMS[0])
            key = engine.client_keys.generate(made, provider_id)
            return json.dumps({"keys": [key.published]}, indent=2)

        def created(public: str) -> None:
            self.failed.emit(sign_in_text.key_created(public))

        Operation(self, work, self._while_open(created)).failing(self._while_open(self._complain)).start()

    def unlock_keychain(self) -> None:
        """`unlocked` follows."""
        self._presenter.keychain.unlock()

    def cancel(self) -> None:
        """At any moment; never waits."""
        if self._attempt is not None:
            _cancel(self._attempt)

    def _drop(self) -> None:
        if self._unobserve is not None:
            self._unobserve()
            self._unobserve = None
        self._attempt = None

    def close(self) -> None:
        """The dialog is closed: the sign-in ends, and what is being prepared leads to none."""
        self._closings += 1
        if self._attempt is not None and not self._attempt.progress.ended:
            _cancel(self._attempt)
        self._drop()
        self._progress = None

    # --- while it runs --------------------------------------------------------------------------------------

    def copy_link(self) -> None:
        """Put the sign-in's address on the clipboard, which is cleared after a while."""
        url = self._progress.url if self._progress else None
        if url is not None:
            self._presenter.commands.copy_secret(url)
            self.note.emit("Link copied. Open it in any browser on this computer.", True)

    def copy_code(self) -> None:
        """Put the device code on the clipboard."""
        code = self._progress.user_code if self._progress else None
        if code:
            self._presenter.commands.copy_plain(code, "Code copied.")
            self.note.emit("Code copied.", True)

    def open_page(self, address: str) -> None:
        """A page of a preset's or of the device grant, in the browser that signs in: web addresses only."""

        def failed(_: KeyfobError) -> None:
            self.note.emit(f"Keyfob could not open a browser. Open {address} yourself.", False)

        plain = plain_host(address)  # in an address of the form: the user allowed it there
        if fault_of(address, plain_host=plain) is None:
            opened = partial(self._engine.browser, address, *([plain] if plain else []))
            Operation(self, opened, lambda _: None).failing(failed).start()

    def paste(self, text: str) -> None:
        """What the browser could not bring back."""
        attempt = self._attempt
        if attempt is None:
            return
        Operation(self, lambda: attempt.paste(text.strip()), self._pasted).failing(self._not_pasted).start()

    def _pasted(self, _nothing: object) -> None:
        self.paste_taken.emit()
        self.note.emit("Keyfob is checking it.", True)

    def _not_pasted(self, error: KeyfobError) -> None:
        self.note.emit(remedies.sentence(error), False)

    def undo(self) -> None:
        """Not you: revoke and remove what this sign-in brought. `undone` follows."""
        attempt = self._attempt
        if attempt is not None:
            service = self._engine.sign_in
            Operation(self, lambda: service.undo(attempt), self._undid).failing(self._not_undone).start()

    def _undid(self, _nothing: object) -> None:
        self._presenter.reload()
        self.undone.emit("")

    def _not_undone(self, error: KeyfobError) -> None:
        self._presenter.reload()
        self.undone.emit(remedies.sentence(error))


def _known(engine: Engine, provider: Provider) -> KnownClient | None:
    """The app registration that a sign-in would use if the user enters none; None also for the publisher's,
    of which a user need not know. Blocking.
    """
    defaults = {i.name: i.default for i in provider.inputs if i.default}
    known = engine.clients.known(provider, defaults)
    return KnownClient(known.client_id, known.source) if known and known.source != "publisher" else None


def _cancel(attempt: Attempt) -> None:
    attempt.cancel()


def request_of(form: Form, inputs: Mapping[str, str] = EMPTY) -> SignInRequest:
    """A request with nothing secret in it yet."""
    return SignInRequest(form.provider, form.method, inputs=dict(inputs))
