"""The dialog Connect Account: provider list, form, progress, result. It shows what its presenter says.

`Cancel` and Escape end the sign-in at any time. Closing the dialog does the same.
"""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QApplication, QDialog, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from keyfob.core.account import AccountView
from keyfob.core.methods import Method
from keyfob.desktop.connect.form_page import FormPage
from keyfob.desktop.connect.gallery_page import GalleryPage
from keyfob.desktop.connect.models import Card, Failure, Form, Success, Waiting
from keyfob.desktop.connect.outcome_pages import FailurePage, SuccessPage
from keyfob.desktop.connect.presenter import SignInPresenter, request_of
from keyfob.desktop.connect.sign_in_text import CHANGE
from keyfob.desktop.connect.waiting_page import WaitingPage
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.confirm import Confirm
from keyfob.desktop.shared.method_words import METHOD_WORDS
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import label
from keyfob.desktop.window.keychain import WAITING
from keyfob.desktop.window.names import name_of
from keyfob.service.accounts.views import SignInRequest

SWITCH = (
    "Choose a new method. The account keeps its name for tools. Keyfob removes the old sign-in when the "
    "new one works."
)


class ConnectDialog(QDialog):
    """The dialog that connects an account: gallery, form, waiting, outcome."""

    connected = Signal()
    settings_asked = Signal()  # for the callback port

    def __init__(self, theme: Theme, presenter: SignInPresenter, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._presenter = presenter
        self._request: SignInRequest | None = None
        self._form: Form | None = None
        self.account: AccountView | None = None  # signs in again; None: a new account
        self._preferred: str | None = None
        self.setWindowTitle("Connect Account")
        self.setAccessibleName("Connect Account")
        self.gallery = GalleryPage(theme)
        self.form = FormPage(theme)
        self.waiting = WaitingPage(theme)
        self.success = SuccessPage(theme)
        self.failure = FailurePage(theme)
        self._undone = False
        self._locked: Failure | None = None  # shown, until the keychain is unlocked
        self._key_for = ""  # the provider that the next press creates a key for
        self._blank = label("")
        self.pages = QStackedWidget()
        for page in (self._blank, self.gallery, self.form, self.waiting, self.success, self.failure):
            self.pages.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.pages)
        self._theme = theme
        self.resize(self._usual_size())
        self.setMinimumSize(QSize(theme.px(480), theme.px(480)))
        self._wire()

    def _usual_size(self) -> QSize:
        """Room for three columns of tiles, unless the screen is smaller."""
        px, screen = self._theme.px, self.screen().availableSize()
        return QSize(min(px(960), screen.width() - px(40)), min(px(680), screen.height() - px(60)))

    def _wire(self) -> None:
        p = self._presenter
        p.cards.connect(self.show_cards)
        p.form.connect(self.show_form)
        p.waiting.connect(self.show_waiting)
        p.succeeded.connect(self.show_success)
        p.pictured.connect(self.success.show_face)
        p.failed.connect(self.show_failure)
        p.cancelled.connect(self._was_cancelled)
        p.undone.connect(self._was_undone)
        p.unlocked.connect(self._unlocked)
        p.note.connect(self.waiting.say)
        p.note.connect(self.form.say)
        p.paste_taken.connect(self.waiting.paste_field.clear)
        self.gallery.chosen.connect(self._chosen)
        self.gallery.cancelled.connect(self.reject)
        self.form.submitted.connect(self._begin)
        self.form.back.connect(self._to_gallery)
        self.form.cancelled.connect(self.reject)
        self.form.opened.connect(p.open_page)
        self.form.other_method.connect(self._chosen)
        self.waiting.cancelled.connect(self.reject)
        self.waiting.link_copied.connect(p.copy_link)
        self.waiting.code_copied.connect(p.copy_code)
        self.waiting.opened.connect(p.open_page)
        self.waiting.pasted.connect(p.paste)
        self.waiting.second.connect(p.refresh)
        self.success.done.connect(self.accept)
        self.success.undo_asked.connect(p.undo)
        self.failure.retry.connect(self._retry)
        self.failure.closed.connect(self.reject)
        self.failure.other.connect(self._as_new)
        self.failure.settings_asked.connect(self.settings_asked)

    # --- beginning ------------------------------------------------------------------------------------------

    def choose(self, *, demo: bool, preferred: str | None = None, note: str = "") -> None:
        """Open with the gallery. `note`: what keeps a provider out of it."""
        self.account = None
        self.gallery.say(note)
        self._preferred = preferred
        self._presenter.list_providers(demo=demo)
        self._come_up()

    def sign_in_again(self, account: AccountView, method: Method | None = None) -> None:
        """Open for an account that exists. If nothing has to be entered, the sign-in begins at once."""
        self.account = account
        self._presenter.prepare_again(account, method)
        self._come_up()

    def ask_for_more(self, account: AccountView, access: str = "") -> None:
        """Open for an account that exists, to choose what else its tools may do. `access`: the bundle that is
        ticked at first.
        """
        self.account = account
        self._presenter.prepare_more(account, access)
        self._come_up()

    def connect_to(self, provider: str, method: Method) -> None:
        """Open for one provider."""
        self.account = None
        self._presenter.prepare(provider, method)
        self._come_up()

    def switch_method(self, account: AccountView) -> None:
        """Open for an account that exists, to choose another method."""
        self.account = account
        self._presenter.list_methods(account)
        self._come_up()

    def _come_up(self) -> None:
        # Not modal: the window behind still shows the accounts.
        self.pages.setCurrentWidget(self._blank)
        self.show()
        self.raise_()
        self.activateWindow()

    def _chosen(self, provider: str, method: Method) -> None:
        if self.account is not None:
            self._presenter.prepare_again(self.account, method)
        else:
            self._presenter.prepare(provider, method)

    # --- showing --------------------------------------------------------------------------------------------

    def show_cards(self, cards: tuple[Card, ...]) -> None:
        """Show the providers to choose from, or the methods of the account that signs in again."""
        account = self.account
        if account is None:
            self.gallery.show_cards(cards, self._preferred)
        elif cards:
            self.gallery.show_cards(
                cards, title=f"Change the sign-in method of {name_of(account)}", text=SWITCH, searched=False
            )
        else:
            self.show_failure(
                Failure(
                    f"There is no other method for {name_of(account)}",
                    f"{account.provider_title} offers only {METHOD_WORDS[account.method].name}.",
                    "",
                    "",
                    "",
                )
            )
            return
        self._turn(self.gallery, self.gallery.go)
        self.gallery.focus_first()

    def show_form(self, form: Form) -> None:
        """Show what has to be entered; without anything to enter, begin at once."""
        self._form = form
        if form.empty:
            self._begin(request_of(form))
            return
        self.form.show_form(form, can_go_back=self.account is None and self.gallery.list.count() > 0)
        self._turn(self.form, self.form.go)

    def _begin(self, request: SignInRequest) -> None:
        if self.account is not None:
            switch = request.method != self.account.method
            request = replace(request, account=self.account.key, switch_method=switch)
        self._request = request
        self.waiting.begin()
        self._presenter.begin(request)

    def show_waiting(self, model: Waiting) -> None:
        """Show how the sign-in stands."""
        self.waiting.show_model(model)
        if self.pages.currentWidget() is not self.waiting:
            self._turn(self.waiting, None)
            self.waiting.cancel.setFocus()

    def show_success(self, model: Success) -> None:
        """Show the connected account, and bring the dialog to the front."""
        self._request = None
        self._turn(self.success, self.success.done_button)
        self.success.show_model(model)
        announce(self, f"{model.title}. {model.text}")
        self.connected.emit()
        self._come_forward()

    def show_failure(self, model: Failure) -> None:
        """Show what went wrong and what to do, and bring the dialog to the front."""
        if model.retry == CHANGE and (self._form is None or self._form.empty):
            model = replace(model, retry="Try again")  # there is no form to change anything in
        self._locked = model if model.unlock else None
        self._key_for = model.key_for
        self._turn(self.failure, self.failure.retry_button)
        self.failure.show_model(model)
        announce(self, f"{model.title}. {model.text} {model.remedy}", urgent=True)
        self._come_forward()

    def _come_forward(self) -> None:
        """The browser covers us when a sign-in ends. A desktop that
        raises no window marks this one instead.
        """
        if self.isVisible():
            self.raise_()
            self.activateWindow()
            QApplication.alert(self)

    def _turn(self, page: QWidget, default: QPushButton | None) -> None:
        self.pages.setCurrentWidget(page)
        for one in (self.gallery.go, self.form.go, self.success.done_button, self.failure.retry_button):
            one.setDefault(one is default)

    # --- ending ---------------------------------------------------------------------------------------------

    def _retry(self) -> None:
        if self._locked is not None:
            self.failure.wait(WAITING)
            self._presenter.unlock_keychain()
        elif self._key_for:
            self.failure.wait("Creating a key…")
            self._presenter.create_key(self._key_for)
        else:
            self._again()

    def _unlocked(self, well: bool) -> None:
        """The keychain's prompt was answered: continue, if it was for this."""
        if self._locked is None or self.pages.currentWidget() is not self.failure or not self.isVisible():
            return
        if well:
            self._locked = None
            self._again()
        else:
            self.show_failure(self._locked)

    def _again(self) -> None:
        request = self._request
        if self._undone or request is None:
            self._undone = False
            self._to_gallery()
        elif self._form is not None and not self._form.empty:
            self._turn(self.form, self.form.go)  # a key or a secret is typed again: none was kept
        else:
            self._begin(request)

    def _as_new(self) -> None:
        """Somebody else signed in: connect that one, and leave the account as it is."""
        if self._request is not None:
            self.account = None
            self._begin(replace(self._request, account=None, switch_method=False))

    def _to_gallery(self) -> None:
        if self.gallery.list.count():
            self._turn(self.gallery, self.gallery.go)
            self.gallery.focus_first()
        else:
            self.reject()

    def _was_cancelled(self) -> None:
        if self.isVisible() and self.pages.currentWidget() is self.waiting:
            self._to_gallery()

    def _was_undone(self, problem: str) -> None:
        if problem:
            self._undone = True
            self.show_failure(Failure("Keyfob could not undo this yet", problem, "", "", "Back"))
        else:
            self._to_gallery()

    @property
    def under_way(self) -> bool:
        """A sign-in runs, or its outcome is being read."""
        return self.isVisible() and self.pages.currentWidget() in (self.waiting, self.success, self.form)

    def reject(self) -> None:
        """Cancel, Escape or the title bar's cross. What was typed is not lost without a question."""
        if not (self.isVisible() and self.pages.currentWidget() is self.form and self.form.filled):
            self.end()
            return
        text = "Keyfob has not saved it."
        question = Confirm(self._theme, "Discard what you typed?", text, "Discard", self)
        question.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        question.confirmed.connect(self.end)
        question.open()

    def end(self) -> None:
        """Close without a question: the app ends, or the user has answered it."""
        super().reject()

    def done(self, result: int) -> None:
        """Qt's end of the dialog: cancels a sign-in that is in progress.

        The window behind comes to the front, if the dialog was there: it may be below the browser still.
        """
        in_front, window = self.isActiveWindow(), self.parentWidget()
        self._presenter.close()
        self.form.forget()
        super().done(result)
        if in_front and window is not None and window.isVisible():
            window.raise_()
            window.activateWindow()
