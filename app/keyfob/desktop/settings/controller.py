"""The user's settings in the window: reads them once, shows them in their dialog, and saves each change.

One QObject on the GUI thread; files are read and written off it. A
change that cannot be saved is reverted, with a message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from keyfob.core.consent import Permission
from keyfob.core.errors import KeyfobError
from keyfob.core.settings import Settings
from keyfob.core.words import VaultChoice
from keyfob.desktop.passphrase import Passphrase
from keyfob.desktop.settings.about import About, about, diagnostics
from keyfob.desktop.settings.dialog import SettingsDialog
from keyfob.desktop.settings.program_card import forgetting
from keyfob.desktop.shared import remedies
from keyfob.desktop.shared.confirm import Confirm
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.models import Window

if TYPE_CHECKING:
    from keyfob.engine import Engine


class SettingsController(QObject):
    """Reads and writes the settings for the dialog, off the GUI thread."""

    read = Signal()  # the file has been read: `value` is what holds
    failed = Signal(str)
    asked = Signal(str, str)  # an account's button in the dialog: action, key
    connect_asked = Signal()
    import_asked = Signal()
    playground_asked = Signal()  # the demo provider's page
    closed = Signal()  # the dialog
    changed = Signal()  # `value`: saved, or taken back
    check_asked = Signal()  # for updates

    def __init__(self, theme: Theme, window: QWidget, parent: QObject) -> None:
        super().__init__(parent)
        self._theme, self._window = theme, window
        self._engine: Engine | None = None
        self.dialog: SettingsDialog | None = None
        self.value = Settings()
        self.known = False
        self.vault_in_use: VaultChoice = "keychain"  # of this run: a change takes effect at the next

    def begin(self, engine: Engine) -> None:
        """Read the file; `read` or `failed` follows."""
        self._engine = engine
        Operation(self, engine.settings.load, self._took).failing(self._faulty).start()

    def _took(self, settings: Settings) -> None:
        self.value, self.known, self.vault_in_use = settings, True, settings.vault
        self._theme.choose(settings.theme)
        self.read.emit()

    def _faulty(self, error: KeyfobError) -> None:
        self.failed.emit(remedies.sentence(error))

    def show_model(self, model: Window) -> None:
        """The accounts as they now are."""
        if self.dialog is not None:
            self.dialog.show_accounts(model)

    def open(self, model: Window, vault: str, *, tray: bool, demo: bool) -> None:
        """The dialog, once. `demo`: the demo provider runs."""
        if self.dialog is not None:
            self.dialog.raise_()
            return
        dialog = self.dialog = SettingsDialog(self._theme, self.value, tray=tray, parent=self._window)
        dialog.show_vault(vault, self.vault_in_use)
        dialog.show_accounts(model)
        dialog.changed.connect(self.save)
        dialog.vault.file_wanted.connect(self._file_wanted)
        dialog.asked.connect(self._account_asked)
        dialog.check_asked.connect(self._check_asked)
        dialog.connect_asked.connect(self._connect_asked)
        dialog.import_asked.connect(self._import_asked)
        dialog.playground_button.setVisible(demo)
        dialog.playground_button.clicked.connect(self.playground_asked)
        dialog.revoke_asked.connect(self._ask_revoke)
        dialog.finished.connect(self._closed)
        dialog.open()
        if self._engine is not None:
            engine = self._engine
            Operation(self, engine.consents.list, self._permissions).failing(self._faulty).start()
            count = len(model.rows)
            shown = partial(self._about, kept_in=vault, accounts=count)
            Operation(self, lambda: about(engine.home), shown).start()

    def _about(self, found: About, kept_in: str, accounts: int) -> None:
        if self.dialog is not None:
            self.dialog.about.show_about(found, diagnostics(found, self.value, kept_in, accounts))

    def _permissions(self, found: Sequence[Permission]) -> None:
        if self.dialog is not None:
            self.dialog.programs.show_permissions(found)

    def _file_wanted(self, title: str, text: str) -> None:
        """A file that is there has its passphrase already, which Keyfob asks for at the next start."""
        engine = self._engine
        if engine is None:
            return

        def ask(exists: bool) -> None:
            if self.dialog is None:
                return
            picker = self.dialog.vault
            if exists:
                picker.confirm("sealed", title, text)
                return
            prompt = Passphrase(self._theme, self._window, engine.encrypted_file, self.dialog)
            prompt.opened.connect(lambda: picker.picked.emit("sealed"))
            prompt.declined.connect(picker.cancel)
            prompt.ask_for_new(title, text, "Change")

        Operation(self, lambda: engine.encrypted_file().exists(), ask).start()

    def _ask_revoke(self, permission: Permission) -> None:
        asked = Confirm(self._theme, *forgetting(permission), "Forget", self.dialog)
        asked.confirmed.connect(lambda: self._revoke(permission.id))
        asked.open()

    def _revoke(self, permission_id: str) -> None:
        engine = self._engine
        if engine is None:
            return

        def work() -> Sequence[Permission]:
            engine.consents.revoke(permission_id)
            return engine.consents.list()

        Operation(self, work, self._permissions).failing(self._faulty).start()

    def _account_asked(self, action: str, key: str) -> None:
        if action == "reconnect":
            self.close()  # the sign-in's dialog takes its place
        self.asked.emit(action, key)

    def _connect_asked(self) -> None:
        self.close()
        self.connect_asked.emit()

    def _check_asked(self) -> None:
        self.close()
        self.check_asked.emit()

    def _import_asked(self) -> None:
        self.close()
        self.import_asked.emit()

    def close(self) -> None:
        """Close the dialog, if it is open."""
        if self.dialog is not None:
            self.dialog.accept()

    def _closed(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None
            self.closed.emit()

    def started_once(self) -> None:
        """The first start has shown its offer and does not do so again."""
        if not self.value.first_start_done:
            self.save(replace(self.value, first_start_done=True))

    def save(self, settings: Settings) -> None:
        """Hold this from now on, and write it."""
        engine, before = self._engine, self.value
        if engine is None:
            return
        self.value = settings
        self._theme.choose(settings.theme)
        self.changed.emit()

        def refused(error: KeyfobError) -> None:
            self.value = before
            self._theme.choose(before.theme)
            self.changed.emit()
            if self.dialog is not None:
                self.dialog.refuse(remedies.sentence(error), before)
            else:
                self.failed.emit(remedies.sentence(error))

        Operation(self, self._write(engine, settings, before), _nothing).failing(refused).start()

    def _write(self, engine: Engine, settings: Settings, before: Settings) -> Callable[[], None]:
        def work() -> None:
            if engine.autostart.enabled() != settings.start_at_login:
                engine.autostart.enable(settings.start_at_login)
            engine.settings.save(settings, before)

        return work


def _nothing(_result: object) -> None:
    """What is written needs no answer."""
