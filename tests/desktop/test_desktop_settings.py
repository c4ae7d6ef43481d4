"""The dialog Settings: what is changed holds at once, and what is wrong is not taken."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel
from pytestqt.qtbot import QtBot

from keyfob import __version__
from keyfob.core.errors import SettingWrong
from keyfob.core.settings import Settings
from keyfob.desktop.controller import AppController
from keyfob.desktop.demo_control import DemoControl
from keyfob.desktop.settings.dialog import AccountRow, SettingsDialog
from keyfob.desktop.shared.confirm import Confirm
from keyfob.desktop.shared.theme import Theme, scale_for
from keyfob.desktop.shared.widgets import Scroller
from keyfob.engine import Engine
from support.desktop_app import make_app, put_away
from support.sample_engine import sample_engine


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return sample_engine(tmp_path)


@pytest.fixture
def settings(controller: AppController, qtbot: QtBot) -> SettingsDialog:
    qtbot.waitUntil(lambda: controller.settings_controller.known)
    controller.window.sidebar.settings_button.click()
    assert controller.settings_controller.dialog is not None
    return controller.settings_controller.dialog


def kept(engine: Engine) -> Settings:
    return engine.settings.load()


def test_names_that_assistive_technology_sees(settings: SettingsDialog) -> None:
    assert settings.accessibleName() == settings.windowTitle() == "Settings"
    for control in settings.findChildren(QAbstractButton):
        assert control.accessibleName() or control.text()


def test_the_theme_holds_at_once(
    settings: SettingsDialog, engine: Engine, theme: Theme, qtbot: QtBot
) -> None:
    settings.theme.setCurrentIndex(2)
    assert theme.palette.name == "dark"
    qtbot.waitUntil(lambda: kept(engine).theme == "dark")
    settings.theme.setCurrentIndex(1)
    assert theme.palette.name == "light"
    qtbot.waitUntil(lambda: kept(engine).theme == "light")


@pytest.mark.parametrize("text", ["", "80", "65536", "9,876", "-1", "x", "٩٨٧٦"])
def test_a_wrong_port_is_said_and_not_taken(
    settings: SettingsDialog, engine: Engine, qtbot: QtBot, text: str
) -> None:
    settings.port.setText(text)
    settings.port.editingFinished.emit()
    assert settings.port_problem.text() == "It must be a port from 1024 to 65535."
    qtbot.wait(30)
    assert kept(engine).callback_port == 9876


def test_port_and_margin_are_taken(settings: SettingsDialog, engine: Engine, qtbot: QtBot) -> None:
    settings.port.setText("8123")
    settings.margin.setText("0.5")
    settings.margin.editingFinished.emit()
    qtbot.waitUntil(lambda: (kept(engine).callback_port, kept(engine).renewal_margin) == (8123, 30))


def test_what_cannot_be_saved_is_said_and_taken_back(
    settings: SettingsDialog, engine: Engine, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Settings, _was: Settings) -> None:
        raise SettingWrong("The disk is full", remedy="Make room.")

    monkeypatch.setattr(engine.settings, "save", refuse)
    settings.port.setText("8123")
    settings.port.editingFinished.emit()
    qtbot.waitUntil(lambda: settings.problem.text() == "The disk is full. Make room.")
    assert settings.port.text() == "9876"


def test_accounts_are_disconnected_from_here_too(
    settings: SettingsDialog, controller: AppController, engine: Engine, qtbot: QtBot
) -> None:
    assert len(settings.findChildren(AccountRow)) == 8
    buttons = {b.accessibleName(): b for b in settings.findChildren(QAbstractButton)}
    buttons["Disconnect nexusmods/aldis"].click()
    settings.findChild(Confirm).action.click()
    qtbot.waitUntil(lambda: engine.accounts.view("nexusmods/aldis").status == "disconnected")
    button = buttons["Disconnect nexusmods/aldis"]
    qtbot.waitUntil(lambda: button.accessibleName() == "Reconnect nexusmods/aldis")


def test_escape_closes(settings: SettingsDialog, controller: AppController, qtbot: QtBot) -> None:
    qtbot.keyClick(settings, Qt.Key.Key_Escape)
    assert controller.settings_controller.dialog is None


def test_start_at_login_is_written(
    qapp: QApplication,
    theme: Theme,
    tmp_path: Path,
    qtbot: QtBot,
    controller: AppController,
    engine: Engine,
) -> None:
    login = engine.autostart
    controller.running.open_settings()
    dialog: Any = controller.settings_controller.dialog
    dialog.login.click()
    qtbot.waitUntil(lambda: login.on and kept(engine).start_at_login)
    dialog.login.click()
    qtbot.waitUntil(lambda: not login.on and not kept(engine).start_at_login)


def test_sizes_grow_with_the_font_and_never_shrink() -> None:
    assert scale_for(10) == 1.0
    assert scale_for(13.3) == 1.0
    assert scale_for(20) == pytest.approx(1.5, abs=0.01)
    assert scale_for(400) == 3.0


# --- about, and keys of other tools -------------------------------------------------------------------------


def test_about_names_versions_and_licenses(settings: SettingsDialog, qtbot: QtBot) -> None:
    card = settings.about
    qtbot.waitUntil(card.copy.isEnabled)
    assert card.version.text() == f"Keyfob {__version__} · Apache-2.0"
    assert card.licenses.isHidden()
    card.show_licenses.click()
    listed = card.licenses.text().split("\n")
    assert not card.licenses.isHidden()
    assert any(re.fullmatch(r"PySide6_Essentials [0-9.]+: LGPL-3\.0.*", line) for line in listed)
    assert any(line.startswith("cryptography ") for line in listed)
    assert "Inter: SIL Open Font License 1.1" in listed
    assert not any(line.startswith("pytest") for line in listed)
    assert all(": " in line and not line.endswith(": ") for line in listed)


def test_diagnostics_have_no_secret_no_name_and_no_path(
    settings: SettingsDialog, tmp_path: Path, qtbot: QtBot
) -> None:
    card = settings.about
    qtbot.waitUntil(card.copy.isEnabled)
    card.copy.click()
    text = QApplication.clipboard().text()
    for part in (f"Keyfob {__version__}, Python ", "Accounts: 8", "callback_port=9876", "vault=keychain"):
        assert part in text
    for secret in ("aldis", "work@example.org", "canary", "client-1", str(tmp_path), "/"):
        assert secret not in text


def test_keys_of_other_tools_can_be_imported_at_any_time(
    settings: SettingsDialog, controller: AppController, qtbot: QtBot
) -> None:
    settings.import_button.click()
    assert controller.settings_controller.dialog is None
    qtbot.waitUntil(lambda: controller.window.note.text.text().startswith("Keyfob found no keys"))


def test_found_keys_are_offered_from_settings(
    settings: SettingsDialog, controller: AppController, tmp_path: Path, qtbot: QtBot
) -> None:
    hosts = tmp_path / ".config" / "gh" / "hosts.yml"
    hosts.parent.mkdir(parents=True)
    hosts.write_text("github.com:\n    user: someone\n    oauth_token: gho_sample\n", "utf-8")
    settings.import_button.click()
    qtbot.waitUntil(lambda: controller.running.first_start.dialog is not None)
    controller.running.first_start.dialog.close()


# --- where tokens are kept ----------------------------------------------------------------------------------


def pick(settings: SettingsDialog, title: str) -> Confirm | None:
    """As the user picks a place in the list; the question that follows."""
    settings.vault.setCurrentText(title)
    settings.vault.activated.emit(settings.vault.currentIndex())
    asked = [each for each in settings.findChildren(Confirm) if each.isVisible()]
    return asked[0] if asked else None


def test_another_place_for_tokens_is_asked_about_and_holds_from_the_next_start(
    settings: SettingsDialog, engine: Engine, qtbot: QtBot
) -> None:
    asked = pick(settings, "pass")
    words = " ".join(each.text() for each in asked.findChildren(QLabel))
    assert "Your tokens do not move: they stay in " in words
    assert "you sign in to your 8 accounts again." in words
    assert "Quit Keyfob and start it again" in words
    assert "pass and its GPG key must be set up" in words
    assert kept(engine).vault == "keychain"
    asked.action.click()
    qtbot.waitUntil(lambda: kept(engine).vault == "pass")
    assert settings.vault.currentText() == "pass"
    assert settings.vault.note.text().endswith("start it again to use the password store pass.")
    assert pick(settings, "System keychain") is None  # as it was: nothing to ask
    qtbot.waitUntil(lambda: kept(engine).vault == "keychain")
    assert "Quit" not in settings.vault.note.text()


def test_cancel_keeps_the_place_for_tokens(settings: SettingsDialog, engine: Engine) -> None:
    asked = pick(settings, "pass")
    asked.cancel.click()
    assert settings.vault.currentText() == "System keychain"
    assert kept(engine).vault == "keychain"


def test_tab_follows_the_order_of_reading(settings: SettingsDialog, qtbot: QtBot) -> None:
    qtbot.waitUntil(settings.about.copy.isEnabled)
    order, each = [], settings.connect_button
    while each not in order:
        order.append(each)
        each = each.nextInFocusChain()
    shown = [
        each
        for each in order
        if each.isVisible() and each.isEnabled() and each.focusPolicy() & Qt.FocusPolicy.TabFocus
    ]
    expected = [
        settings.import_button, settings.login, settings.tray, settings.theme, settings.port,
        settings.margin, settings.vault, settings.programs.switch, settings.about.show_licenses,
        settings.about.copy, settings.done_button,
    ]  # fmt: skip
    found = [each for each in shown if each in expected]
    assert found == [each for each in expected if each in shown]
    assert set(expected) - set(found) <= {settings.tray}  # without a tray it cannot be switched


# --- the demo's playground, and sizes -----------------------------------------------------------------------


class Demo:
    issuer = "http://127.0.0.1:9999"

    def stop(self) -> None:
        """Nothing serves."""


def test_the_playground_is_offered_while_the_demo_runs(theme: Theme, engine: Engine, qtbot: QtBot) -> None:
    opened: list[str] = []
    app = make_app(theme, lambda: replace(engine, browser=opened.append), demo=Demo)
    app.begin()
    qtbot.waitUntil(lambda: app.running is not None and app.settings_controller.known)
    app.running.open_settings()
    assert app.settings_controller.dialog.playground_button.isHidden()
    app.settings_controller.close()
    (demo,) = app.findChildren(DemoControl)
    demo.start()
    qtbot.waitUntil(lambda: demo.running)
    app.running.open_settings()
    app.settings_controller.dialog.playground_button.click()
    qtbot.waitUntil(lambda: opened == ["http://127.0.0.1:9999/"])
    app.settings_controller.close()
    put_away(app, qtbot)


def test_the_bottom_is_reachable_and_a_wide_dialog_keeps_its_lines_short(
    settings: SettingsDialog, theme: Theme, qtbot: QtBot
) -> None:
    qtbot.waitUntil(settings.about.copy.isEnabled)
    settings.resize(settings.minimumSize())
    (scroll,) = settings.findChildren(Scroller)
    qtbot.waitUntil(lambda: scroll.verticalScrollBar().maximum() > 0)
    scroll.verticalScrollBar().setValue(scroll.verticalScrollBar().maximum())
    at = settings.about.mapTo(scroll.viewport(), settings.about.rect().bottomRight())
    assert 0 < at.y() < scroll.viewport().height()
    assert at.x() < scroll.viewport().width()
    settings.resize(theme.px(1400), theme.px(700))
    qtbot.waitUntil(lambda: settings.about.width() == theme.px(880))
