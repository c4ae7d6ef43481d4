"""Puts Programs into the window: its navigation button, its page, its dialogs, and the gateway.

One QObject on the GUI thread, made once the engine is there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut

from keyfob.core.account import AccountView
from keyfob.core.errors import KeyfobError
from keyfob.desktop.programs import viewmodel
from keyfob.desktop.programs.details_dialog import DetailsDialog
from keyfob.desktop.programs.gateway import GatewayRun
from keyfob.desktop.programs.give_dialog import GiveDialog
from keyfob.desktop.programs.models import Draft, ProgramsPage, Wanted
from keyfob.desktop.programs.page import ProgramsPageView
from keyfob.desktop.programs.presenter import ProgramsPresenter
from keyfob.desktop.settings.controller import SettingsController
from keyfob.desktop.shared import remedies
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.clipboard import SecretClipboard
from keyfob.desktop.shared.confirm import Ask, Confirm
from keyfob.desktop.shared.dialog import ModalDialog
from keyfob.desktop.shared.nav_button import NavButton
from keyfob.desktop.shared.outside_text import set_tooltip
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.main_window import MainWindow
from keyfob.desktop.window.models import Window
from keyfob.engine import Engine

if TYPE_CHECKING:
    from keyfob.gateway.programs import Given

Spawn = Callable[[Callable[[], None], str], None]
ENDS_TITLE = "End the access of {program} to {account}?"
ENDS_TEXT = "Its requests are refused from then on, and its key never works again. {account} stays connected."


class Programs(QObject):
    """The gateway runs as the settings say, whether the page is shown or not."""

    said = Signal(str, bool)

    def __init__(
        self,
        theme: Theme,
        engine: Engine,
        window: MainWindow,
        settings: SettingsController,
        spawn: Spawn,
        clock: Callable[[], datetime],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._theme, self._window, self._settings = theme, window, settings
        self._clipboard = SecretClipboard(self)
        self.gateway = GatewayRun(engine, spawn, self)
        self.presenter = ProgramsPresenter(engine, self.gateway, clock, self)
        self.nav = NavButton(theme, "terminal", "Programs")
        self.page = ProgramsPageView(theme)
        self.dialog: ModalDialog | None = None
        self._given: str | None = None  # the grant that the dialog shows
        self.presenter.changed.connect(self._show)
        self.presenter.ended.connect(self._has_ended)
        self.presenter.failed.connect(lambda text: self.said.emit(text, False))
        self.page.give_asked.connect(self.ask_to_give)
        self.page.pressed.connect(self._pressed)
        self.page.switched.connect(self.switch)
        self.page.gateway_pressed.connect(self._gateway_pressed)
        self.page.last_use_asked.connect(self.presenter.sort)
        self.page.back_asked.connect(window.close_page)
        settings.read.connect(self._settings_changed)
        settings.changed.connect(self._settings_changed)
        self.nav.clicked.connect(self.presenter.sort)
        set_tooltip(self.nav, "Ctrl+P")
        self._keys = QShortcut(QKeySequence("Ctrl+P"), window)
        self._keys.activated.connect(self.open)
        window.add_page(self.nav, self.page, self.presenter.look)
        window.pages.currentChanged.connect(self._watch)
        window.shown.connect(self._watch)
        window.hidden.connect(self._watch)

    def begin(self) -> None:
        """Count the programs. The gateway begins when the settings are read."""
        self.presenter.begin()

    def show_model(self, model: Window, views: Sequence[AccountView]) -> None:
        """Without accounts the page has a way back. A banner that leads takes the primary button."""
        self.page.lead(model.lead is None)
        self.page.back.setVisible(not model.rows and not model.loading)
        self.presenter.show_accounts(tuple(views), {row.key: row.face for row in model.rows})

    def open(self) -> None:
        """Show the page."""
        self.nav.click()
        self.page.give.setFocus()

    def close(self) -> None:
        """The gateway ends, and no key is left on the clipboard."""
        if isinstance(self.dialog, GiveDialog):
            self.dialog.end()
        elif self.dialog is not None:
            self.dialog.reject()
        self._clipboard.clear()
        self.gateway.close()
        self.presenter.close()

    # --- showing --------------------------------------------------------------------------------------------

    def _show(self, page: ProgramsPage) -> None:
        self.page.show_page(page)
        count = len(page.rows)
        meaning = f"{count} program{'' if count == 1 else 's'} with access." if count else ""
        self.nav.show_note(str(count) if count else "", meaning=meaning)
        if self._given is not None and isinstance(self.dialog, GiveDialog):
            used = self.presenter.uses(self._given)
            self.dialog.show_live(viewmodel.live(used, page.gateway))

    def _watch(self) -> None:
        shown = self._window.isVisible() and self._window.pages.currentWidget() is self.page
        self.presenter.watch("page", watched=shown)

    def _settings_changed(self) -> None:
        if self._settings.known:
            self.gateway.follow(self._settings.value)
            self.presenter.show_setting(self._settings.value.gateway)

    # --- the gateway ----------------------------------------------------------------------------------------

    def switch(self, on: bool) -> None:
        """Turn the gateway on or off, and keep that."""
        if self._settings.known and on != self._settings.value.gateway:
            self._settings.save(replace(self._settings.value, gateway=on))

    def _gateway_pressed(self, action: str) -> None:
        if action == "again":
            self.gateway.try_again()
        elif action == "port":
            self._ask_port()

    def _ask_port(self) -> None:
        port = self._settings.value.gateway_port
        text = "A number from 1024 to 65535. Programs with access then need the new address."
        dialog = Ask(self._theme, "Use another port", text, str(port + 1), "Use this port", self._window)

        def answered(entered: str) -> None:
            number = int(entered) if entered.isascii() and entered.isdigit() and len(entered) < 6 else 0
            if not 1024 <= number <= 65535:
                dialog.complain("The port must be a whole number from 1024 to 65535.")
                return
            dialog.accept()
            self._settings.save(replace(self._settings.value, gateway_port=number, gateway=True))
            self.gateway.try_again()

        dialog.answered.connect(answered)
        self._open(dialog)

    # --- giving and ending ----------------------------------------------------------------------------------

    def ask_to_give(self) -> None:
        """The dialog, empty."""
        self._give(Draft(self.presenter.choices(), turns_on=self._off()))

    def _off(self) -> bool:
        return not self.presenter.card().address and not self._settings.value.gateway

    def _give(self, draft: Draft) -> None:
        if self.dialog is not None:
            return
        dialog = GiveDialog(self._theme, draft, self._clipboard, self._window)

        def done(given: Given) -> None:
            self.switch(True)
            account = next(one for one in draft.accounts if one.id == given.grant.account)
            address = self.gateway.standing.address
            dialog.show_given(viewmodel.summary(given.grant, account.name, address), given.key)
            self._given = given.grant.grant_id
            dialog.show_live(viewmodel.live(self.presenter.uses(self._given), self.presenter.card()))
            self.presenter.watch("dialog", watched=True)

        def refused(error: KeyfobError) -> None:
            field = {"program_taken": "name", "usage": "path"}.get(error.code, "")
            dialog.complain(field, remedies.sentence(error) if error.code != "usage" else error.message)

        def asked(wanted: Wanted) -> None:
            self.presenter.give(wanted, done, refused)

        dialog.asked.connect(asked)
        self._open(dialog)

    def _pressed(self, key: str, action: str) -> None:
        row = next((view.row for view in self.page.rows if view.key == key), None)
        grant = self.presenter.grant(key)
        if row is None or grant is None:
            return
        match action:
            case "open":
                details = DetailsDialog(self._theme, row, self._window)
                details.pressed.connect(self._pressed, Qt.ConnectionType.QueuedConnection)
                self._open(details)
            case "end":
                title = ENDS_TITLE.format(program=row.name, account=row.account)
                text = ENDS_TEXT.format(account=row.account)
                question = Confirm(self._theme, title, text, "End access", self._window)
                question.confirmed.connect(lambda: self.presenter.end(key))
                self._open(question)
            case "again":
                choices = self.presenter.choices()
                self._give(viewmodel.again(grant, choices, turns_on=self._off()))

    def _has_ended(self, program: str, account: str) -> None:
        text = f"{program} can no longer act as {account}."
        self.said.emit(text, True)
        announce(self.page, text)

    def _open(self, dialog: ModalDialog) -> None:
        if self.dialog is not None:
            return
        self.dialog = dialog
        dialog.finished.connect(self._closed)
        dialog.open()

    def _closed(self, _result: int) -> None:
        self._given = None
        self.presenter.watch("dialog", watched=False)
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None
