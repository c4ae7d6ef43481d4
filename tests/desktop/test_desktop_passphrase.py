"""The encrypted file in the window: unlocked with its passphrase, and made with a new one in Settings.

With the real file; only a guess at its passphrase costs less.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QLabel, QLineEdit
from pytestqt.qtbot import QtBot

from keyfob.adapters.vault.choice import SEALED_FILE
from keyfob.adapters.vault.lockable import LockableVault
from keyfob.adapters.vault.passphrase import ask_nowhere
from keyfob.adapters.vault.sealed import SealedVault
from keyfob.core.errors import KeychainError
from keyfob.core.secret import Secret
from keyfob.desktop.controller import AppController
from keyfob.desktop.settings.dialog import SettingsDialog
from keyfob.desktop.shared.confirm import Confirm
from keyfob.desktop.shared.passphrase_dialog import DIFFER, UNRECOVERABLE, PassphraseDialog
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.main_window import BannerView
from keyfob.engine import Engine, build
from keyfob.process.home import Home, open_home
from support.announcements import announcements
from support.desktop_app import is_loaded, make_app, put_away
from support.fake_ports import CHEAP, fake_ports
from support.sample_engine import sample_engine
from support.samples import sample_views

RIGHT = "correct horse"


def file_of(home: Home, passphrase: str | None = None) -> SealedVault:
    ask = ask_nowhere if passphrase is None else lambda new: Secret(passphrase)
    return SealedVault(home.id, home.data / SEALED_FILE, ask, cost=CHEAP)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home({"KEYFOB_HOME": str(tmp_path / "home")})


@pytest.fixture
def locked(tmp_path: Path, home: Home) -> Engine:
    """An engine whose accounts are in the file, as at the start of the app."""
    before = sample_engine(tmp_path, sample_views()[:2], vault=file_of(home, RIGHT))
    vault = file_of(home)
    return build(fake_ports(tmp_path, store=before.store, vault=vault, encrypted_file=lambda: vault))


@pytest.fixture
def start(theme: Theme, qtbot: QtBot) -> Iterator[Callable[[Engine], AppController]]:
    apps: list[AppController] = []

    def started(engine: Engine) -> AppController:
        apps.append(make_app(theme, lambda: engine))
        apps[-1].system_events.begin = lambda: None  # type: ignore[method-assign]
        apps[-1].begin()
        qtbot.waitUntil(lambda: is_loaded(apps[-1]))
        return apps[-1]

    yield started
    for app in apps:
        put_away(app, qtbot)


def titles(app: AppController) -> list[str]:
    return [banner.title for banner in app.window.banners if banner.action == "keychain"]


def unlock(app: AppController, qtbot: QtBot) -> PassphraseDialog:
    """As the user presses Unlock in the banner; the dialog that opens."""
    qtbot.waitUntil(lambda: titles(app) == ["The encrypted file is locked"])
    (button,) = [
        each
        for banner in app.window.findChildren(BannerView)
        for each in banner.findChildren(QAbstractButton)
        if each.accessibleName() == "Unlock…: The encrypted file is locked"
    ]
    button.click()
    qtbot.waitUntil(lambda: app.running.passphrase.dialog is not None)
    dialog = app.running.passphrase.dialog
    assert dialog.isVisible()
    return dialog


def words(dialog: PassphraseDialog) -> str:
    return "\n".join(each.text() for each in dialog.findChildren(QLabel) if each.isVisible())


def enter(dialog: PassphraseDialog, *texts: str) -> None:
    for field, text in zip((dialog.field, dialog.again), texts, strict=False):
        field.setText(text)
    QTest.keyClick(dialog.field, Qt.Key.Key_Return)


def test_a_locked_file_is_unlocked_in_the_window(
    locked: Engine,
    start: Callable[[Engine], AppController],
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """S-25, S-70"""
    app = start(locked)
    dialog = unlock(app, qtbot)
    assert dialog.field.echoMode() == QLineEdit.EchoMode.Password
    assert dialog.focusWidget() is dialog.field
    assert not dialog.action.isEnabled()
    assert UNRECOVERABLE not in words(dialog)

    spoken = announcements(monkeypatch)
    enter(dialog, "wrong horse")
    assert not dialog.action.isEnabled()
    qtbot.waitUntil(dialog.problem.isVisible)
    assert dialog.problem.text() == (
        "The passphrase is wrong. Try again with the passphrase that you chose for the encrypted file."
    )
    assert spoken == [(dialog.problem.text(), "Assertive")]
    assert dialog.field.text() == "wrong horse", "what was typed stays to be corrected"
    assert dialog.field.selectedText()
    assert dialog.field.hasFocus() or dialog.focusWidget() is dialog.field
    assert titles(app) == ["The encrypted file is locked"]

    enter(dialog, RIGHT)
    qtbot.waitUntil(lambda: titles(app) == [])
    qtbot.waitUntil(lambda: app.running.passphrase.dialog is None)
    assert app.running.presenter.kept_in == "encrypted file"
    assert locked.accounts.token("nexusmods").token.reveal() == "canary-access-token"
    assert RIGHT not in caplog.text
    assert "wrong horse" not in caplog.text


def test_what_was_typed_is_gone_with_the_dialog(
    locked: Engine, start: Callable[[Engine], AppController], qtbot: QtBot
) -> None:
    """S-25"""
    dialog = unlock(start(locked), qtbot)
    dialog.field.setText(RIGHT)
    dialog.cancel.click()
    assert dialog.field.text() == ""


def test_cancel_leaves_the_file_locked_and_it_can_be_asked_for_again(
    locked: Engine, start: Callable[[Engine], AppController], qtbot: QtBot
) -> None:
    app = start(locked)
    answers: list[bool] = []
    dialog = unlock(app, qtbot)
    app.running.presenter.keychain.unlocked.connect(answers.append)
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert answers == [False]
    assert titles(app) == ["The encrypted file is locked"]
    assert unlock(app, qtbot) is not dialog
    app.running.presenter.keychain.unlock()  # from another place: still one dialog
    assert len([each for each in app.window.findChildren(PassphraseDialog) if each.isVisible()]) == 1


def test_the_window_goes_on_while_the_file_is_slow(
    locked: Engine,
    start: Callable[[Engine], AppController],
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = threading.Event()
    opens = SealedVault.open_with

    def slowly(vault: SealedVault, passphrase: Secret) -> None:
        assert gate.wait(20)
        opens(vault, passphrase)

    monkeypatch.setattr(SealedVault, "open_with", slowly)
    app = start(locked)
    dialog = unlock(app, qtbot)
    try:
        enter(dialog, RIGHT)
        assert dialog.action.text() == "One moment…"
        assert dialog.field.isReadOnly()
        dialog.cancel.click()  # the user need not wait
        assert app.running.passphrase.dialog is None
    finally:
        gate.set()
    qtbot.waitUntil(lambda: titles(app) == [])  # it was the right one


def test_what_was_locked_in_a_terminal_is_unlocked_in_the_window(
    tmp_path: Path, home: Home, start: Callable[[Engine], AppController], qtbot: QtBot
) -> None:
    """S-70"""
    vault = LockableVault(file_of(home, RIGHT))
    engine = sample_engine(tmp_path, sample_views()[:2], vault=vault, encrypted_file=lambda: vault)
    app = start(engine)
    qtbot.waitUntil(lambda: titles(app) == [])
    vault.lock()
    app.running.presenter.keychain.look()
    qtbot.waitUntil(lambda: titles(app) == ["Keyfob is locked"])
    app.window.banner_pressed.emit("keychain", "agent_locked")
    qtbot.waitUntil(lambda: app.running.passphrase.dialog is not None)
    enter(app.running.passphrase.dialog, "wrong horse")
    qtbot.waitUntil(app.running.passphrase.dialog.problem.isVisible)
    assert vault.locked
    enter(app.running.passphrase.dialog, RIGHT)
    qtbot.waitUntil(lambda: titles(app) == [])
    assert not vault.locked
    assert engine.accounts.token("nexusmods").token.reveal() == "canary-access-token"


def test_without_a_file_a_new_passphrase_is_asked_for(
    tmp_path: Path, home: Home, start: Callable[[Engine], AppController], qtbot: QtBot
) -> None:
    vault = file_of(home)
    app = start(build(fake_ports(tmp_path, vault=vault, encrypted_file=lambda: vault)))
    dialog = unlock(app, qtbot)
    assert UNRECOVERABLE in words(dialog)
    enter(dialog, RIGHT, RIGHT)
    qtbot.waitUntil(lambda: titles(app) == [])
    assert file_of(home, RIGHT).probe().ok
    assert file_of(home, "wrong horse").probe().code == "passphrase_wrong"


# --- Settings -----------------------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path: Path, start: Callable[[Engine], AppController], qtbot: QtBot) -> SettingsDialog:
    app = start(sample_engine(tmp_path, sample_views()[:2]))
    app.running.open_settings()
    return app.settings_controller.dialog


def pick(settings: SettingsDialog) -> None:
    settings.vault.setCurrentText("Encrypted file")
    settings.vault.activated.emit(settings.vault.currentIndex())


def asked(settings: SettingsDialog, qtbot: QtBot) -> PassphraseDialog:
    pick(settings)
    qtbot.waitUntil(lambda: bool(settings.findChildren(PassphraseDialog)))
    return settings.findChildren(PassphraseDialog)[0]


def test_choosing_the_file_asks_for_a_new_passphrase_twice(
    settings: SettingsDialog, home: Home, qtbot: QtBot
) -> None:
    dialog = asked(settings, qtbot)
    said = words(dialog)
    assert "Keep tokens in an encrypted file?" in said
    assert "you sign in to your 2 accounts again" in said
    assert "asks for the file's passphrase each time it starts" in said
    assert UNRECOVERABLE in said
    dialog.field.setText(RIGHT)
    assert not dialog.action.isEnabled()
    enter(dialog, RIGHT, "correct house")
    assert dialog.problem.text() == DIFFER
    assert (dialog.field.text(), dialog.again.text()) == (RIGHT, "correct house")
    assert not (home.data / SEALED_FILE).exists()
    for mode, name in (
        (QLineEdit.EchoMode.Normal, "Hide passphrase"),
        (QLineEdit.EchoMode.Password, "Show passphrase"),
    ):
        dialog.show_button.click()
        assert (dialog.again.echoMode(), dialog.show_button.accessibleName()) == (mode, name)
    enter(dialog, RIGHT, RIGHT)
    qtbot.waitUntil(lambda: settings.vault.note.text().endswith("to use an encrypted file."))
    assert settings.vault.currentText() == "Encrypted file"
    fresh = file_of(home)
    with pytest.raises(KeychainError) as wrong:
        fresh.open_with(Secret("wrong horse"))
    assert wrong.value.code == "passphrase_wrong"
    fresh.open_with(Secret(RIGHT))
    assert fresh.probe().ok


def test_cancel_makes_no_file(settings: SettingsDialog, home: Home, qtbot: QtBot) -> None:
    asked(settings, qtbot).cancel.click()
    assert settings.vault.currentText() == "System keychain"
    assert not (home.data / SEALED_FILE).exists()


def test_a_file_from_before_keeps_its_passphrase(settings: SettingsDialog, home: Home, qtbot: QtBot) -> None:
    file_of(home).open_with(Secret(RIGHT))
    pick(settings)
    qtbot.waitUntil(lambda: bool(settings.findChildren(Confirm)))
    assert not settings.findChildren(PassphraseDialog)
    settings.findChildren(Confirm)[0].action.click()
    qtbot.waitUntil(lambda: settings.vault.note.text().endswith("to use an encrypted file."))
    assert file_of(home, RIGHT).probe().ok
