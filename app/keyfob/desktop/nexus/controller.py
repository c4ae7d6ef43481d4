"""Puts the page of Nexus Mods accounts into the window: one page, and a presenter for each account.

One QObject on the GUI thread, made once the engine is there. Nothing of Nexus Mods is loaded before there is
an account of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices

from keyfob.core.account import AccountView
from keyfob.core.errors import KeyfobError
from keyfob.desktop.shared import remedies
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.main_window import MainWindow
from keyfob.desktop.window.models import Detail, Window

if TYPE_CHECKING:
    from keyfob.desktop.nexus.actions import NexusActions
    from keyfob.desktop.nexus.dialogs import NexusDialogs
    from keyfob.desktop.nexus.models import NexusPage
    from keyfob.desktop.nexus.page import Page
    from keyfob.desktop.nexus.presenter import NexusPresenter
    from keyfob.engine import Engine
    from keyfob.nexus.service import Nexus

PROVIDER = "nexusmods"
NO_ACCOUNT = "To download this file, connect your account of Nexus Mods."
GAME = "window.nexus_game"  # in the store: the game that was shown last


@dataclass(frozen=True)
class OneAccount:
    """What belongs to an account. `id` changes if it is renamed."""

    key: str
    id: str
    presenter: NexusPresenter
    actions: NexusActions


class NexusMods(QObject):
    """Shows the page while an account of Nexus Mods is selected, and opens the site's download links."""

    said = Signal(str, bool)
    asked = Signal(str, str)  # action, account key: as of the account's own page
    chosen = Signal(str)  # account key: a download of it has come by a link

    _link_opened = Signal(str)  # account id; from any thread

    def __init__(
        self,
        theme: Theme,
        engine: Engine,
        window: MainWindow,
        clock: Callable[[], datetime],
        open_nexus: Callable[[Engine], Nexus] | None,
        parent: QObject,
    ) -> None:
        """`open_nexus` makes the services of Nexus Mods; None: its accounts have the page that all have."""
        super().__init__(parent)
        self._theme, self._engine, self._window, self._clock = theme, engine, window, clock
        self._open_nexus = open_nexus
        self.show_folder: Callable[[QUrl], bool] = QDesktopServices.openUrl
        self.page: Page | None = None
        self.dialogs: NexusDialogs | None = None
        self._nexus: Nexus | None = None
        self.accounts: dict[str, OneAccount] = {}  # by key
        self._shown: str | None = None  # the account whose page is shown
        self._links: list[str] = []  # that came before an account was there
        self._known = False  # whether there is one
        self._closed = False
        self._link_opened.connect(self._arrived, Qt.ConnectionType.QueuedConnection)

    @property
    def current(self) -> OneAccount | None:
        """The account whose page is shown."""
        return None if self._shown is None else self.accounts.get(self._shown)

    def show_model(self, model: Window, views: Sequence[AccountView]) -> None:
        """Called with each model of the window, before the window shows it."""
        if self._closed or model.loading or self._open_nexus is None:
            return
        ours = {view.key: view for view in views if view.provider == PROVIDER}
        for key, account in list(self.accounts.items()):
            if key not in ours or ours[key].id != account.id:
                self._drop(account)  # removed, or renamed
        for view in ours.values():
            if view.key not in self.accounts:
                self.accounts[view.key] = self._made(view)
        detail = model.detail
        if detail is not None and detail.key in self.accounts:
            self._show(detail, ours[detail.key], leads=model.lead is None)
        else:
            self._put_away()
        self._known = True
        self._open_links()

    def _made(self, view: AccountView) -> OneAccount:
        from keyfob.desktop.nexus.actions import NexusActions
        from keyfob.desktop.nexus.presenter import NexusPresenter

        if self._nexus is None:
            assert self._open_nexus is not None
            self._nexus = self._open_nexus(self._engine)
            self._nexus.link_opened = self._link_opened.emit
        store = self._engine.store
        presenter = NexusPresenter(
            self._nexus,
            view.id,
            self._clock,
            Path.home(),
            self,
            remembered=lambda: store.read(GAME) or "",
        )
        actions = NexusActions(presenter)
        made = OneAccount(view.key, view.id, presenter, actions)
        presenter.changed.connect(lambda page: self._changed(made, page))
        presenter.spoken.connect(self._speak)
        presenter.begun.connect(self._refresh)
        actions.said.connect(self.said)
        actions.game_chosen.connect(self._remember)
        actions.page_asked.connect(self._browse)
        actions.folder_shown.connect(self._open_folder)
        presenter.begin()
        return made

    # --- showing --------------------------------------------------------------------------------------------

    def _show(self, detail: Detail, view: AccountView, *, leads: bool) -> None:
        from keyfob.desktop.nexus.viewmodel import renews

        page, other = self._the_page(), self._shown != view.key
        self._shown = view.key
        presenter = self.accounts[view.key].presenter
        presenter.show_account(detail, renews(view, self._clock()), leads=leads)
        if other:
            self._window.account.show_above(page, whole=page.current != "account")
            self._refresh()

    def _put_away(self) -> None:
        if self._shown is not None:
            self._shown = None
            self._window.account.show_above(None)

    def _the_page(self) -> Page:
        if self.page is None:
            from keyfob.desktop.nexus.dialogs import NexusDialogs
            from keyfob.desktop.nexus.page import Page
            from keyfob.desktop.nexus.pictures import Pictures

            pictures = Pictures(self._picture, self)
            self.page = Page(self._theme, pictures)
            self.page.hide()
            self.page.header.use_menu(self._window.account.menu)
            self.page.tab_chosen.connect(self._tab_chosen)
            self.page.shown.connect(self._refresh)
            self._window.account.refresh_asked.connect(self._again)
            self.dialogs = NexusDialogs(self._theme, self.page, pictures, self._actions, self)
            self.dialogs.sign_in_asked.connect(self._sign_in)
        return self.page

    def _picture(self, address: str) -> Path | None:
        """Off the GUI thread."""
        services = [each.presenter.service for each in list(self.accounts.values())]
        service = next((each for each in services if each is not None), None)
        return None if service is None else service.picture(address)

    def _changed(self, account: OneAccount, page: NexusPage) -> None:
        self._open_links()
        if account.key == self._shown and self.page is not None:
            self.page.show_page(page)

    def _speak(self, sentence: str) -> None:
        announce(self._window, sentence)

    def _tab_chosen(self, name: str) -> None:
        if self.page is not None:
            self._window.account.show_above(self.page, whole=name != "account")
        self._refresh()

    def _refresh(self) -> None:
        """What the user looks at is asked for again if it is old."""
        account = self.current
        if account is None or self.page is None or not self.page.isVisible():
            return
        if self.page.current != "account":
            account.presenter.load()
        if self.page.current == "trending":
            account.presenter.load_popular()

    def _again(self) -> None:
        """F5."""
        account = self.current
        if account is not None and self.page is not None:
            account.presenter.load(again=True)
            if self.page.current == "trending":
                account.presenter.load_popular(again=True)

    def _arrived(self, name: str) -> None:
        """A link of the site began a download: show it."""
        account = next((each for each in self.accounts.values() if each.id == name), None)
        if account is None or self._closed:
            return
        self.chosen.emit(account.key)
        self._window.bring_up()
        if self._shown == account.key and self.page is not None:
            self.page.tabs.choose("downloads")

    # --- asking ---------------------------------------------------------------------------------------------

    def open_link(self, link: str) -> None:
        """A link that the desktop handed to the app."""
        self._links.append(link)
        self._open_links()

    def _open_links(self) -> None:
        ready = [each for each in self.accounts.values() if each.presenter.service is not None]
        if not self._links or not self._known or (self.accounts and not ready):
            return
        waiting, self._links = self._links, []
        if not ready:
            self.said.emit(NO_ACCOUNT, False)
            return
        for link in waiting:
            ready[0].actions.open_link(link)

    def _actions(self) -> NexusActions | None:
        account = self.current
        return None if account is None else account.actions

    def _sign_in(self) -> None:
        """The button of a note: the account needs its user."""
        if self._shown is not None:
            self.asked.emit("reconnect", self._shown)

    def _browse(self, address: str) -> None:
        browser = self._engine.browser
        Operation(self, lambda: browser(address), lambda _: None).failing(self._failed).start()

    def _open_folder(self, folder: Path) -> None:
        if not self.show_folder(QUrl.fromLocalFile(str(folder))):
            self.said.emit(f"Keyfob cannot open a file manager. The file is in {folder}.", False)

    def _remember(self, domain: str) -> None:
        store = self._engine.store
        Operation(self, lambda: store.write(GAME, domain), lambda _: None).failing(self._failed).start()

    def _failed(self, error: KeyfobError) -> None:
        self.said.emit(remedies.sentence(error), False)

    # --- ending ---------------------------------------------------------------------------------------------

    def _drop(self, account: OneAccount) -> None:
        del self.accounts[account.key]
        if self._shown == account.key:
            self._put_away()
        account.presenter.close()
        account.presenter.deleteLater()

    def close(self) -> None:
        """Downloads stop here, and go on at the next start."""
        if self._closed:
            return
        self._closed = True
        for account in self.accounts.values():
            account.presenter.close()
        if self.dialogs is not None:
            self.dialogs.close()
        if self._nexus is not None:
            Operation(self, self._nexus.close, lambda _: None).start()
