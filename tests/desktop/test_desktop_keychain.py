"""The keychain in the window: its trouble is shown whoever meets it, and one press mends what the system's prompt can."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from keyfob.core.account import LoggedEvent
from keyfob.core.errors import KeychainError
from keyfob.desktop.controller import AppController
from keyfob.desktop.window.keychain import WAITING
from keyfob.desktop.window.main_window import BannerView
from keyfob.ports import VaultHealth
from keyfob.service.accounts.views import SignInRequest
from keyfob.service.events import KEYCHAIN_TROUBLE, KEYCHAIN_WELL
from support import fake_engine as fake

LOCKED = KeychainError("The keychain is locked", code="keychain_locked")
NOT_SET_UP = KeychainError("The keychain has not been set up yet", code="keychain_not_set_up")


def health(error: KeychainError) -> VaultHealth:
    return VaultHealth(False, "GNOME Keyring", True, error.code, error.message, error.remedy)


def banners(controller: AppController) -> list[str]:
    return [b.title for b in controller.running.presenter.model.banners if b.action == "keychain"]


def press(controller: AppController, name: str) -> None:
    (found,) = [
        b
        for view in controller.window.findChildren(BannerView)
        for b in view.findChildren(QAbstractButton)
        if b.accessibleName() == name
    ]
    found.click()


def shows(controller: AppController, text: str) -> bool:
    return any(b.text == text for b in controller.running.presenter.model.banners)


def trouble(engine: fake.FakeEngine, error: KeychainError) -> None:
    """As the renewer reports it."""
    engine.vault.health = health(error)
    engine.events.publish(LoggedEvent(fake.NOW, "", "", KEYCHAIN_TROUBLE, error.message, error.code))


def test_what_the_renewer_meets_is_shown_everywhere(
    controller: AppController, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    trouble(engine, LOCKED)
    qtbot.waitUntil(lambda: banners(controller) == ["Your keychain is locked"])
    model = controller.running.presenter.model
    assert model.tray == "needs_you"
    assert "your keychain and 1 account need you" in model.summary_note  # perhaps offline, too
    assert not any(row.side.endswith("min") for row in model.rows), "no token can be handed out"
    engine.vault.health = VaultHealth(True, "GNOME Keyring")
    engine.events.publish(LoggedEvent(fake.NOW, "", "", KEYCHAIN_WELL, "The keychain can be used again"))
    qtbot.waitUntil(lambda: banners(controller) == [])


def test_a_lock_is_seen_when_no_trouble_was_known(
    controller: AppController, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    engine.vault.health = health(LOCKED)
    controller.system_events.keychain_changed.emit()
    qtbot.waitUntil(lambda: banners(controller) == ["Your keychain is locked"])
    ticks = engine.renewer.ticks
    engine.vault.health = VaultHealth(True, "GNOME Keyring")
    controller.system_events.keychain_changed.emit()
    qtbot.waitUntil(lambda: banners(controller) == [])
    qtbot.waitUntil(lambda: engine.renewer.backs == 1 and engine.renewer.ticks > ticks)


def test_what_another_process_wrote_down_is_looked_at(
    controller: AppController, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    engine.vault.health = health(LOCKED)
    note = fake.ErrorNote("keychain_locked", LOCKED.message, "unlock_keychain", fake.NOW)
    engine.accounts.change("nexusmods/aldis", last_error=note)
    qtbot.waitUntil(lambda: banners(controller) == ["Your keychain is locked"])


@pytest.mark.parametrize(("error", "button"), [(LOCKED, "Unlock…"), (NOT_SET_UP, "Set up…")])
def test_one_press_opens_the_prompt_and_all_goes_on(
    controller: AppController, engine: fake.FakeEngine, qtbot: QtBot, error: KeychainError, button: str
) -> None:
    trouble(engine, error)
    qtbot.waitUntil(lambda: len(banners(controller)) == 1)
    ticks = engine.renewer.ticks
    press(controller, f"{button}: {banners(controller)[0]}")
    qtbot.waitUntil(lambda: shows(controller, WAITING))
    qtbot.waitUntil(lambda: engine.vault.prompts == 1)
    engine.vault.answered.set()
    qtbot.waitUntil(lambda: banners(controller) == [])
    qtbot.waitUntil(lambda: engine.renewer.backs == 1 and engine.renewer.ticks > ticks)


def test_a_prompt_that_was_closed_is_said_and_can_be_opened_again(
    controller: AppController, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    trouble(engine, LOCKED)
    qtbot.waitUntil(lambda: len(banners(controller)) == 1)
    engine.vault.answer = KeychainError("The keychain was not unlocked", code="keychain_locked")
    with qtbot.waitSignal(controller.running.presenter.said) as heard:
        press(controller, "Unlock…: Your keychain is locked")
        engine.vault.answered.set()
    assert heard.args == ["The keychain was not unlocked.", False]
    assert banners(controller) == ["Your keychain is locked"]
    press(controller, "Unlock…: Your keychain is locked")
    qtbot.waitUntil(lambda: engine.vault.prompts == 2)
    engine.vault.answered.set()


def test_a_failed_press_shows_one_message_not_two(
    controller: AppController, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    said: list[str] = []
    controller.running.presenter.said.connect(lambda text, _: said.append(text))
    engine.vault.health = health(LOCKED)
    engine.accounts.error = LOCKED
    key = engine.accounts.rows[0].key
    controller.running.ask("copy", key)
    qtbot.waitUntil(lambda: banners(controller) == ["Your keychain is locked"])
    assert said == []
    controller.running.ask("copy", key)  # the banner is there already: a press must not seem to do nothing
    qtbot.waitUntil(lambda: len(said) == 1 and said[0].startswith("The keychain is locked. ("))


def test_a_sign_in_that_met_the_lock_offers_to_unlock_and_goes_on(
    controller: AppController, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    dialog = controller.running.connect_dialog
    dialog.connect_to("demo", "oauth")
    qtbot.waitUntil(lambda: len(engine.sign_in.attempts) == 1)
    engine.vault.health = health(LOCKED)
    engine.sign_in.attempts[0].fail(LOCKED)
    qtbot.waitUntil(lambda: dialog.failure.retry_button.text() == "Unlock…")
    for answer in (KeychainError("The keychain was not unlocked", code="keychain_locked"), None):
        engine.vault.answer = answer
        dialog.failure.retry_button.click()
        assert not dialog.failure.retry_button.isEnabled()
        assert dialog.failure.remedy.text() == WAITING
        engine.vault.answered.set()
        if answer is not None:
            qtbot.waitUntil(dialog.failure.retry_button.isEnabled)
            assert len(engine.sign_in.attempts) == 1
    qtbot.waitUntil(lambda: len(engine.sign_in.attempts) == 2)
    request: SignInRequest = engine.sign_in.attempts[1].request
    assert (request.provider, request.method) == ("demo", "oauth")


def test_quitting_gives_the_prompt_up(
    controller: AppController, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    trouble(engine, LOCKED)
    qtbot.waitUntil(lambda: len(banners(controller)) == 1)
    press(controller, "Unlock…: Your keychain is locked")
    qtbot.waitUntil(lambda: engine.vault.prompts == 1)
    controller.quit()
    qtbot.waitUntil(lambda: engine.closed, timeout=5000)


def test_a_vault_that_forgets_says_so_and_is_no_trouble(
    controller: AppController, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    engine.vault.health = VaultHealth(True, "in memory", persistent=False)
    controller.running.presenter.keychain.probe()
    qtbot.waitUntil(
        lambda: "Accounts are not saved" in [b.title for b in controller.running.presenter.model.banners]
    )
    assert banners(controller) == []
    assert not controller.running.presenter.keychain.in_trouble
