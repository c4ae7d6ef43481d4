"""The keychain in the window: its trouble is shown whoever meets it, and
one press mends what the system's prompt can.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from keyfob.core.account import ErrorNote
from keyfob.core.error_codes import Advice
from keyfob.core.errors import KeychainError
from keyfob.core.http import Request
from keyfob.desktop.controller import AppController
from keyfob.desktop.window.keychain import WAITING
from keyfob.desktop.window.main_window import BannerView
from keyfob.engine import Engine
from support.fake_ports import NOW, FakeVault
from support.sample_engine import sample_engine

LOCKED = KeychainError("The keychain is locked", code="keychain_locked")
NOT_SET_UP = KeychainError("The keychain has not been set up yet", code="keychain_not_set_up")


@pytest.fixture
def vault() -> FakeVault:
    return FakeVault()


@pytest.fixture
def engine(tmp_path: Path, vault: FakeVault) -> Engine:
    return sample_engine(tmp_path, vault=vault)


class Renewals:
    """How often the renewer heard that the keychain is back, and looked what is due."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.backs = self.ticks = 0
        renewer = engine.renewer
        back, tick = renewer.keychain_back, renewer.tick

        def counted_back() -> None:
            self.backs += 1
            back()

        def counted_tick() -> timedelta:
            self.ticks += 1
            return tick()

        monkeypatch.setattr(renewer, "keychain_back", counted_back)
        monkeypatch.setattr(renewer, "tick", counted_tick)


@pytest.fixture
def renewals(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Renewals:
    """Ask for it before `controller`, which takes the renewer's methods as they are then."""
    return Renewals(engine, monkeypatch)


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


def trouble(engine: Engine, vault: FakeVault, error: KeychainError) -> None:
    """As the renewer reports it."""
    vault.error = error
    engine.events.keychain(error)


def test_what_the_renewer_meets_is_shown_everywhere(
    controller: AppController, engine: Engine, vault: FakeVault, qtbot: QtBot
) -> None:
    trouble(engine, vault, LOCKED)
    qtbot.waitUntil(lambda: banners(controller) == ["Your keychain is locked"])
    model = controller.running.presenter.model
    assert model.tray == "needs_you"
    assert "your keychain and 1 account need you" in model.summary_note  # perhaps offline, too
    assert not any(row.side.endswith("min") for row in model.rows), "no token can be handed out"
    vault.error = None
    engine.events.keychain(None)
    qtbot.waitUntil(lambda: banners(controller) == [])


def test_a_lock_is_seen_when_no_trouble_was_known(
    renewals: Renewals, controller: AppController, engine: Engine, vault: FakeVault, qtbot: QtBot
) -> None:
    vault.error = LOCKED
    controller.system_events.keychain_changed.emit()
    qtbot.waitUntil(lambda: banners(controller) == ["Your keychain is locked"])
    ticks = renewals.ticks
    vault.error = None
    controller.system_events.keychain_changed.emit()
    qtbot.waitUntil(lambda: banners(controller) == [])
    qtbot.waitUntil(lambda: renewals.backs == 1 and renewals.ticks > ticks)


def test_what_another_process_wrote_down_is_looked_at(
    controller: AppController, engine: Engine, vault: FakeVault, qtbot: QtBot
) -> None:
    vault.error = LOCKED
    note = ErrorNote("keychain_locked", LOCKED.message, Advice.UNLOCK_KEYCHAIN, NOW)
    engine.store.update("key-nexusmods-aldis", lambda record: replace(record, last_error=note))
    engine.events.notify(engine.accounts.resolve("nexusmods/aldis"), "idle")
    qtbot.waitUntil(lambda: banners(controller) == ["Your keychain is locked"])


@pytest.mark.parametrize(("error", "button"), [(LOCKED, "Unlock…"), (NOT_SET_UP, "Set up…")])
def test_one_press_opens_the_prompt_and_all_goes_on(
    renewals: Renewals,
    controller: AppController,
    engine: Engine,
    vault: FakeVault,
    qtbot: QtBot,
    error: KeychainError,
    button: str,
) -> None:
    trouble(engine, vault, error)
    qtbot.waitUntil(lambda: len(banners(controller)) == 1)
    ticks = renewals.ticks
    press(controller, f"{button}: {banners(controller)[0]}")
    qtbot.waitUntil(lambda: shows(controller, WAITING))
    qtbot.waitUntil(lambda: vault.prompts == 1)
    vault.answered.set()
    qtbot.waitUntil(lambda: banners(controller) == [])
    qtbot.waitUntil(lambda: renewals.backs == 1 and renewals.ticks > ticks)


def test_a_prompt_that_was_closed_is_said_and_can_be_opened_again(
    controller: AppController, engine: Engine, vault: FakeVault, qtbot: QtBot
) -> None:
    trouble(engine, vault, LOCKED)
    qtbot.waitUntil(lambda: len(banners(controller)) == 1)
    vault.answer = KeychainError("The keychain was not unlocked", code="keychain_locked")
    with qtbot.waitSignal(controller.running.presenter.said) as heard:
        press(controller, "Unlock…: Your keychain is locked")
        vault.answered.set()
    assert heard.args == ["The keychain was not unlocked.", False]
    assert banners(controller) == ["Your keychain is locked"]
    press(controller, "Unlock…: Your keychain is locked")
    qtbot.waitUntil(lambda: vault.prompts == 2)
    vault.answered.set()


def test_a_failed_press_shows_one_message_not_two(
    controller: AppController, engine: Engine, vault: FakeVault, qtbot: QtBot
) -> None:
    said: list[str] = []
    controller.running.presenter.said.connect(lambda text, _: said.append(text))
    vault.error = LOCKED
    key = "key-nexusmods-aldis"
    controller.running.ask("copy", key)
    qtbot.waitUntil(lambda: banners(controller) == ["Your keychain is locked"])
    assert said == []
    controller.running.ask("copy", key)  # the banner is there already: a press must not seem to do nothing
    qtbot.waitUntil(lambda: len(said) == 1 and said[0].startswith("The keychain is locked. ("))


def test_a_sign_in_that_met_the_lock_offers_to_unlock_and_goes_on(
    controller: AppController, engine: Engine, vault: FakeVault, qtbot: QtBot
) -> None:
    asked: list[Request] = engine.transport.requests
    dialog = controller.running.connect_dialog
    vault.error = LOCKED
    dialog.connect_to("demo", "oauth")
    qtbot.waitUntil(lambda: dialog.failure.retry_button.text() == "Unlock…")
    for answer in (KeychainError("The keychain was not unlocked", code="keychain_locked"), None):
        vault.answer = answer
        asked.clear()
        dialog.failure.retry_button.click()
        assert not dialog.failure.retry_button.isEnabled()
        assert dialog.failure.remedy.text() == WAITING
        vault.answered.set()
        if answer is not None:
            qtbot.waitUntil(dialog.failure.retry_button.isEnabled)
    qtbot.waitUntil(lambda: any(each.purpose == "discovery" for each in asked))


def test_quitting_gives_the_prompt_up(
    controller: AppController, engine: Engine, vault: FakeVault, qtbot: QtBot
) -> None:
    trouble(engine, vault, LOCKED)
    qtbot.waitUntil(lambda: len(banners(controller)) == 1)
    press(controller, "Unlock…: Your keychain is locked")
    qtbot.waitUntil(lambda: vault.prompts == 1)
    controller.quit()
    qtbot.waitUntil(lambda: vault.closed, timeout=5000)


def test_a_vault_that_forgets_says_so_and_is_no_trouble(
    controller: AppController, engine: Engine, vault: FakeVault, qtbot: QtBot
) -> None:
    vault.persistent = False
    controller.running.presenter.keychain.probe()
    qtbot.waitUntil(
        lambda: "Accounts are not saved" in [b.title for b in controller.running.presenter.model.banners]
    )
    assert banners(controller) == []
    assert not controller.running.presenter.keychain.in_trouble
