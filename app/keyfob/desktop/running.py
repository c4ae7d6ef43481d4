"""The app once its engine is built: presenter, Connect Account dialog,
renewal timer, and what a press leads to.

One QObject on the GUI thread, made by the controller when the engine is there. Everything it uses exists from
then on, so nothing here asks whether there is an engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt

from keyfob.core.errors import KeyfobError
from keyfob.desktop.check.controller import CheckEverything
from keyfob.desktop.check.repair import ToolRepair
from keyfob.desktop.connect.dialog import ConnectDialog
from keyfob.desktop.connect.listener_thread import Threads
from keyfob.desktop.connect.presenter import SignInPresenter
from keyfob.desktop.demo_control import DemoControl
from keyfob.desktop.first_page import FirstPage
from keyfob.desktop.nexus.controller import NexusMods
from keyfob.desktop.passphrase import Passphrase
from keyfob.desktop.programs.controller import Programs
from keyfob.desktop.renewal_timer import RenewalTimer
from keyfob.desktop.restoring import Restoring
from keyfob.desktop.settings.controller import SettingsController
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.store_watch import StoreWatch
from keyfob.desktop.system_events import SystemEvents
from keyfob.desktop.updates.controller import ToolsAndUpdates
from keyfob.desktop.window.account_actions import AccountActions
from keyfob.desktop.window.account_history import AccountHistory
from keyfob.desktop.window.main_window import MainWindow
from keyfob.desktop.window.models import KEYCHAIN_BUTTONS, Window
from keyfob.desktop.window.notifications import Notifications
from keyfob.desktop.window.presenter import Presenter
from keyfob.desktop.window.tray import Tray
from keyfob.ports import HISTORY_MOST

if TYPE_CHECKING:
    from keyfob.desktop.imports.first_start import FirstStart
    from keyfob.engine import Engine
    from keyfob.nexus.service import Nexus
    from keyfob.updates.service import Updates


TRAY_NOTE = "window.tray_note"  # in the store: the user was shown that closing leaves Keyfob in the tray


@dataclass(frozen=True)
class Shell:
    """What there is before the engine: window, tray, settings, and what runs next to them."""

    theme: Theme
    window: MainWindow
    tray: Tray
    notifications: Notifications
    settings: SettingsController
    threads: Threads
    system_events: SystemEvents
    demo: DemoControl
    updates: Callable[[Engine], Updates]  # of this copy of Keyfob
    nexus: Callable[[Engine], Nexus] | None = None  # makes the services of Nexus Mods


class RunningApp(QObject):
    """The app once the engine is there: connects engine, window, tray and dialogs."""

    def __init__(self, engine: Engine, shell: Shell, clock: Callable[[], datetime], parent: QObject) -> None:
        super().__init__(parent)
        self._engine, self._shell = engine, shell
        self.greeted = self._closed = False
        self.first_start: FirstStart | None = None
        self.presenter = Presenter(engine, self, clock)
        sign_in = SignInPresenter(engine, self.presenter, shell.threads, self, clock)
        self.connect_dialog = ConnectDialog(shell.theme, sign_in, shell.window)
        self.renewal_timer = RenewalTimer(engine.renewer.tick, self)
        self._account_actions = AccountActions(shell.theme, shell.window)
        self.history = AccountHistory(
            shell.theme, shell.window, lambda key: engine.accounts.history(key, limit=HISTORY_MOST), clock
        )
        self.first_page = FirstPage(engine, shell.window.empty, shell.demo, shell.theme, self)
        self.programs = Programs(
            shell.theme, engine, shell.window, shell.settings, shell.threads.spawn, clock, self
        )
        self.updates = ToolsAndUpdates(
            shell.theme, engine, lambda: shell.updates(engine), shell.window, shell.settings, clock, self
        )
        self.check = CheckEverything(
            shell.theme, engine.doctor, shell.window, lambda: shell.tray.present, clock, self
        )
        self.nexus = NexusMods(shell.theme, engine, shell.window, clock, shell.nexus, self)
        self.tool_repair = ToolRepair(shell.theme, shell.window, engine.tool_setup, self)
        self.restoring = Restoring(shell.theme, shell.window, self)
        self.passphrase = Passphrase(shell.theme, shell.window, engine.encrypted_file, self)
        self._wire_presenter()
        self._wire_presses()
        self._wire_check()
        self._wire_nexus()
        self._wire_surroundings()

    def begin(self) -> None:
        """Read accounts and settings, look at what is due, and start the demo provider if it is asked for."""
        engine, presenter, shell = self._engine, self.presenter, self._shell
        presenter.set_tray_missing(not shell.tray.present)
        self._visibility_changed()
        shell.settings.begin(engine)
        presenter.start()
        Operation(self, lambda: _interrupted(engine), self._offer_again).start()
        self.renewal_timer.tick_now()
        shell.system_events.begin()
        self.updates.begin()
        self.programs.begin()
        if shell.demo.asked_for:
            shell.demo.start()

    def close(self) -> None:
        """Stop what would begin anything new. What runs is waited for by the controller."""
        self._closed = True
        if self.first_start is not None:
            self.first_start.close()
        self.renewal_timer.stop()
        if self.connect_dialog.isVisible():
            self.connect_dialog.end()
        self._engine.listeners.close()
        self.passphrase.close()
        self.tool_repair.close()
        self.restoring.close()
        self.history.close()
        self.check.close()
        self.updates.close()
        self.programs.close()
        self.nexus.close()
        self._shell.notifications.close()
        self.presenter.close()

    # --- wiring ---------------------------------------------------------------------------------------------

    def _wire_presenter(self) -> None:
        presenter, window = self.presenter, self._shell.window
        presenter.changed.connect(self._show)
        presenter.said.connect(self._say)
        presenter.settled.connect(window.unsay)
        presenter.attention.connect(self._shell.notifications.need)
        presenter.keychain.usable.connect(self._keychain_usable)
        presenter.keychain.passphrase_asked.connect(self.passphrase.ask)
        self.passphrase.opened.connect(presenter.keychain.opened)
        self.passphrase.declined.connect(presenter.keychain.declined)
        presenter.happened.connect(self.renewal_timer.beat_soon)
        presenter.happened.connect(self.history.refresh)
        self.renewal_timer.looked.connect(presenter.keychain.look_again)

    def _wire_presses(self) -> None:
        window, tray, settings = self._shell.window, self._shell.tray, self._shell.settings
        window.sidebar.list.chosen.connect(self.presenter.select)
        window.sidebar.connect_asked.connect(self._connect_asked)
        window.sidebar.settings_asked.connect(self.open_settings)
        window.empty.keys_asked.connect(self._keys_asked)
        self.first_page.provider_chosen.connect(self.connect_account)
        self.first_page.demo_ready.connect(self._sign_in_at_demo)
        window.account.asked.connect(self.ask)
        window.banner_pressed.connect(self._banner_pressed)
        window.banner_put_off.connect(self.presenter.put_off)
        tray.connect_asked.connect(self._connect_asked)
        tray.settings_asked.connect(self.open_settings)
        tray.account_chosen.connect(self.presenter.select)
        tray.refresh_asked.connect(self.presenter.publish)
        self.connect_dialog.finished.connect(self._dialog_done)
        self.connect_dialog.settings_asked.connect(self._open_port)
        settings.asked.connect(self.ask)
        settings.connect_asked.connect(self._connect_asked)
        settings.import_asked.connect(self._import_asked)
        settings.playground_asked.connect(self._playground_asked)

    def _wire_nexus(self) -> None:
        nexus, window = self.nexus, self._shell.window
        nexus.said.connect(self._say)
        nexus.asked.connect(self.ask)
        nexus.chosen.connect(window.close_page)
        nexus.chosen.connect(self.presenter.select)
        self.programs.said.connect(self._say)
        self.presenter.rate_limits = self.programs.gateway.rate_limits
        # Queued: it may change while a model is being shown.
        window.pages.currentChanged.connect(self._page_changed, Qt.ConnectionType.QueuedConnection)

    def _page_changed(self, _number: int) -> None:
        """The account's page comes back with what the gateway has heard in the meantime."""
        if self.programs.gateway.rate_limits() and not self._closed:
            self.presenter.publish()

    def _wire_check(self) -> None:
        check, window, tray = self.check, self._shell.window, self._shell.tray
        check.unlock_asked.connect(self.presenter.keychain.unlock)
        check.port_asked.connect(self._open_port)
        check.vault_asked.connect(self._open_vault)
        check.reconnect_asked.connect(self._reconnect_asked)
        check.more_access_asked.connect(self._more_access_asked)
        check.repair_asked.connect(self.tool_repair.ask)
        self.tool_repair.said.connect(self._say)
        self.tool_repair.repaired.connect(check.something_changed)
        check.restore_asked.connect(self._restore_asked)
        self.restoring.said.connect(self._say)
        self.restoring.ended.connect(self.presenter.reload)
        self.restoring.ended.connect(check.something_changed)
        self.presenter.keychain.unlocked.connect(check.something_changed)
        self.connect_dialog.finished.connect(check.something_changed)
        self._shell.settings.closed.connect(check.something_changed)
        tray.account_chosen.connect(window.close_page)

    def _wire_surroundings(self) -> None:
        shell, presenter = self._shell, self.presenter
        shell.window.shown.connect(self._visibility_changed)
        shell.window.hidden.connect(self._visibility_changed)
        shell.window.put_away.connect(self._put_away)
        shell.notifications.sign_in_asked.connect(self._sign_in_asked)
        shell.tray.appeared.connect(self._tray_appeared)
        shell.settings.read.connect(self._greet)
        shell.demo.started.connect(self._demo_started)
        shell.demo.failed.connect(self._demo_failed)
        events = shell.system_events
        events.woke.connect(self._woke)
        events.online.connect(self._online)
        events.keychain_changed.connect(presenter.keychain.look)
        watch = StoreWatch(self._engine.store_path, self)
        watch.changed.connect(presenter.reload_soon)
        watch.changed.connect(self.renewal_timer.beat_soon)

    # --- the first start ------------------------------------------------------------------------------------

    def _greet(self) -> None:
        """The first start with no account: a dialog; once."""
        presenter, settings, demo = self.presenter, self._shell.settings, self._shell.demo
        if self.greeted or not settings.known or not presenter.loaded or demo.awaited:
            return
        self.greeted = True
        accounts = presenter.views()
        if any(view.provider == "demo" for view in accounts):
            demo.start()  # its accounts need it
        if not accounts and not settings.value.first_start_done and self._shell.window.isVisible():
            self.offer_import()

    def offer_import(self) -> None:
        """Offer the keys in other tools' files; if there are none, and for the demo, connect an account."""
        if self._shell.demo.asked_for:
            self.connect_account()
        else:
            self._look_for_keys().nothing_found.connect(self._connect_asked)

    def _keys_asked(self) -> None:
        self.first_page.look_for_keys()
        self._look_for_keys()  # if there are none, the page says so

    def _import_asked(self) -> None:
        self._look_for_keys().nothing_found.connect(self._nothing_to_import)

    def _playground_asked(self) -> None:
        address = self._shell.demo.playground

        def failed(_: KeyfobError) -> None:
            self._say(f"Keyfob could not open a browser. Open {address} yourself.", good=False)

        if address:
            Operation(self, partial(self._engine.browser, address), lambda _: None).failing(failed).start()

    def _nothing_to_import(self) -> None:
        self._say("Keyfob found no keys of other tools on this computer.", good=True)

    def _look_for_keys(self) -> FirstStart:
        from keyfob.desktop.imports.first_start import FirstStart  # seldom in the app's life
        from keyfob.desktop.imports.presenter import ImportPresenter

        imports = ImportPresenter(self._engine.imports, self._shell.threads.spawn, self)
        imports.found.connect(self.first_page.show_found)
        first = self.first_start = FirstStart(self._shell.theme, imports, self._shell.window)
        first.ended.connect(self._dialog_done)
        first.begin()
        return first

    def _offer_again(self, providers: list[tuple[str, str]]) -> None:
        if providers:
            self.presenter.offer_again(providers)

    # --- showing --------------------------------------------------------------------------------------------

    def _show(self, model: Window) -> None:
        keychain = self.presenter.keychain
        self.first_page.show(model, kept_in=keychain.name, forgetful=keychain.forgetful is not None)
        self.check.show_model(model)
        self.updates.show_model(model)
        self.nexus.show_model(model, self.presenter.views())
        self.programs.show_model(model, self.presenter.views())
        self._shell.window.show_model(model, self.presenter.selected)
        self._shell.tray.show_model(model)
        self._shell.settings.show_model(model)
        self._greet()

    def _say(self, text: str, good: bool) -> None:
        self._shell.window.say(text, good=good)

    def _visibility_changed(self) -> None:
        self.presenter.watched(self._shell.window.isVisible())

    def _put_away(self) -> None:
        """The first time, say that the app goes on."""
        store, notifications = self._engine.store, self._shell.notifications

        def first_time() -> bool:
            if store.read(TRAY_NOTE) is not None:
                return False
            store.write(TRAY_NOTE, "shown")
            return True

        def say(first: bool) -> None:
            if first:
                notifications.say_it_stays()

        Operation(self, first_time, say).start()

    def _tray_appeared(self) -> None:
        self.presenter.set_tray_missing(False)

    # --- surroundings ---------------------------------------------------------------------------------------

    def _woke(self) -> None:
        self.renewal_timer.tick_now()
        self.presenter.reload()

    def _online(self, online: bool) -> None:
        self.presenter.set_offline(not online)
        if online:
            self.renewal_timer.tick_now()

    def _keychain_usable(self) -> None:
        """Renewals go on at once."""
        renewal_timer = self.renewal_timer
        Operation(self, self._engine.renewer.keychain_back, lambda _: renewal_timer.tick_now()).start()
        self.presenter.reload()

    # --- what the user asks -------------------------------------------------------------------------------

    def connect_account(self, provider: str | None = None) -> None:
        """The gallery, with `provider` chosen."""
        dialog, demo = self.connect_dialog, self._shell.demo
        if self._closed:
            return
        if dialog.isVisible() and (dialog.under_way or dialog.pages.currentWidget() is dialog.gallery):
            dialog.raise_()
            dialog.activateWindow()
            return
        preferred = provider or ("demo" if demo.running else None)
        dialog.choose(demo=demo.running, preferred=preferred, note=demo.problem)

    def perform(self, action: str) -> None:
        """Do one of `activation.ACTIONS`; nothing if it is empty."""
        match action:
            case "connect":
                self.connect_account()
            case "settings":
                self.open_settings()
            case "check":
                self.check.open()

    def _connect_asked(self) -> None:
        self.connect_account()

    def _sign_in_at_demo(self) -> None:
        if not self._closed:
            self.connect_dialog.connect_to("demo", "oauth")

    def _demo_started(self) -> None:
        self.renewal_timer.tick_now()
        self._greet()

    def _demo_failed(self, sentence: str) -> None:
        if not self.first_page.says(sentence):
            self._say(sentence, good=False)
        self._greet()

    def ask(self, action: str, key: str) -> None:
        """A press on the account's page, in its menu or in Settings."""
        view = self.presenter.view(key)
        if action == "history":
            if view is not None:
                self.history.open(view)
        elif action == "programs":
            self._open_programs()
        elif action == "add_another":
            self.connect_account(view.provider if view is not None else None)
        else:
            above = self._shell.settings.dialog
            self._account_actions.ask(action, key, self.presenter, self.connect_dialog, above)

    def _reconnect_asked(self, key: str) -> None:
        self.ask("reconnect", key)

    def _more_access_asked(self, key: str, access: str) -> None:
        view = self.presenter.view(key)
        if view is not None:
            self.connect_dialog.ask_for_more(view, access)

    def _sign_in_asked(self, key: str) -> None:
        self._shell.window.close_page()
        self.presenter.select(key)
        self.ask("reconnect", key)

    def _banner_pressed(self, action: str, key: str) -> None:
        presenter = self.presenter
        match action:
            case "keychain" if key in KEYCHAIN_BUTTONS:
                presenter.keychain.unlock()
            case "keychain":
                presenter.keychain.probe()
                presenter.reload()
                self.renewal_timer.tick_now()
            case "start_again":
                presenter.put_off(action, key)
                self.connect_account(key)
            case "show":
                self._shell.window.close_page()
                presenter.select(key)
            case "restore_accounts":
                self._restore_asked()
            case "reconnect":
                self._sign_in_asked(key)

    def _dialog_done(self) -> None:
        self._shell.settings.started_once()

    def open_settings(self) -> None:
        """Show the settings dialog."""
        shell, presenter = self._shell, self.presenter
        shell.settings.open(
            presenter.model, presenter.kept_in, tray=shell.tray.present, demo=shell.demo.running
        )

    def _open_vault(self) -> None:
        """Settings, at the choice of where tokens are kept."""
        self.open_settings()
        if self._shell.settings.dialog is not None:
            self._shell.settings.dialog.show_control(self._shell.settings.dialog.vault)

    def _open_programs(self) -> None:
        """Settings, at the programs that were allowed or refused a token."""
        self.open_settings()
        if self._shell.settings.dialog is not None:
            self._shell.settings.dialog.show_programs()

    def _restore_asked(self) -> None:
        self.restoring.ask(self._engine.recovery.recover)

    def _open_port(self) -> None:
        """Settings, at the callback port."""
        self.open_settings()
        if self._shell.settings.dialog is not None:
            self._shell.settings.dialog.show_port()


def _interrupted(engine: Engine) -> list[tuple[str, str]]:
    """Providers of sign-ins that the last end of Keyfob cut off: id and title; each once."""
    titles = {preset.id: preset.title for preset in engine.providers.all()}
    return [(each, titles[each]) for each in dict.fromkeys(engine.sign_in.interrupted()) if each in titles]
