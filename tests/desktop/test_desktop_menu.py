"""The account's menu, what Keyfob asks before an action, and what it says of an account's end."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from keyfob.core.times import to_rfc3339
from keyfob.desktop.controller import AppController
from keyfob.desktop.shared.confirm import Confirm
from keyfob.desktop.window import viewmodel
from keyfob.desktop.window.account_actions import disconnecting, removing
from keyfob.desktop.window.banners import banner_id
from keyfob.desktop.window.banners import banners as banners_of
from keyfob.desktop.window.models import Banner, Detail
from keyfob.engine import Engine
from support.desktop_app import choose
from support.sample_engine import sample_engine
from support.samples import NOW, view


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return sample_engine(tmp_path)


def detail(account: object) -> Detail:
    made = viewmodel.window([account], account.key, (), NOW, kept_in="GNOME Keyring", zone=UTC).detail  # type: ignore[attr-defined, list-item]
    assert made is not None
    return made


def test_the_menu_names_every_action(controller: AppController, qtbot: QtBot) -> None:
    choose(controller, "nexusmods", qtbot)
    texts = [a.text() for a in controller.window.account.menu.actions() if a.text()]
    assert texts == [
        "Rename…",
        "Copy name for tools",
        "Copy token",
        "Show all activity…",
        "Connected programs…",
        "Sign in again…",
        "Change sign-in method…",
        "Add another Nexus Mods account…",
        "Disconnect…",
        "Remove…",
    ]


def test_the_menu_leads_to_the_connected_programs(controller: AppController, qtbot: QtBot) -> None:
    choose(controller, "nexusmods", qtbot)
    menu = controller.window.account.menu
    next(each for each in menu.actions() if each.text() == "Connected programs…").trigger()
    settings = controller.settings_controller.dialog
    assert settings is not None
    assert settings.focusWidget() is settings.programs.switch
    assert (
        settings.programs.switch.visibleRegion().boundingRect().height() == settings.programs.switch.height()
    )


@pytest.mark.parametrize("reason", [QContextMenuEvent.Reason.Mouse, QContextMenuEvent.Reason.Keyboard])
def test_the_rows_have_the_same_menu(
    controller: AppController, qtbot: QtBot, reason: QContextMenuEvent.Reason
) -> None:
    rows = controller.window.sidebar.list
    mouse = reason == QContextMenuEvent.Reason.Mouse
    if mouse:
        choose(controller, "nexusmods", qtbot)
    at = rows.visualItemRect(rows.item(0)).center() if mouse else QPoint()
    event = QContextMenuEvent(reason, at, rows.viewport().mapToGlobal(at))
    QApplication.sendEvent(rows.viewport() if mouse else rows, event)
    menu = controller.window.account.menu
    qtbot.waitUntil(menu.isVisible)
    assert controller.window.account.another_action.text() == "Add another Bluesky account…"
    menu.close()


def test_add_another_opens_the_gallery_at_the_provider(controller: AppController, qtbot: QtBot) -> None:
    choose(controller, "nexusmods", qtbot)
    controller.window.account.another_action.trigger()
    dialog = controller.running.connect_dialog
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.gallery)
    assert dialog.gallery.current().id == "nexusmods"
    assert dialog.account is None


def test_remove_says_what_is_lost_and_waits_for_the_word(
    controller: AppController, engine: Engine, qtbot: QtBot
) -> None:
    choose(controller, "nexusmods", qtbot)
    controller.window.account.remove_action.trigger()
    asked = controller.window.findChild(Confirm)
    assert asked is not None
    words = " ".join(asked.accessibleName().split())
    assert words == "Remove Aldis?"
    assert engine.accounts.view("nexusmods/aldis").status == "connected"
    asked.action.click()
    qtbot.waitUntil(lambda: "nexusmods/aldis" not in [each.id for each in engine.accounts.views()])


def test_what_is_lost_is_told() -> None:
    account = view("nexusmods", "Nexus Mods", "aldis", name="Aldis")
    assert "nexusmods/aldis" in removing(account)[1]
    assert "cannot undo this" in removing(account)[1]
    key = view("openai", "OpenAI", "key", method="api_key", key_tail="f3Qa")
    assert "still accepts" in removing(key)[1]
    assert "still accepts" in disconnecting(key)[1]
    assert "revoke" not in disconnecting(key)[1]


def test_a_key_is_replaced_not_signed_in_to(controller: AppController, qtbot: QtBot) -> None:
    choose(controller, "openai", qtbot)
    assert controller.window.account.sign_in_action.text() == "Enter a new key…"
    controller.window.account.sign_in_action.trigger()
    dialog = controller.running.connect_dialog
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.form)
    assert "api_key" in dialog.form.fields


def test_a_key_shows_its_end_and_when_it_is_reminded_of() -> None:
    key = view(
        "openai", "OpenAI", "key", method="api_key", expires_at=NOW + timedelta(days=90), renewable=False
    )
    facts = dict(detail(key).facts)
    assert facts["Key expires"] == "18 February 2027"
    assert facts["Reminder"] == "11 February 2027"


def test_the_day_the_sign_in_ends_is_told_and_reminded_of() -> None:
    far = view("bluesky", "Bluesky", "a", grant_ends_at=NOW + timedelta(days=9))
    assert "ends on 29 November 2026" in detail(far).note
    assert banners_of([far], NOW, frozenset()) == ()
    near = view("bluesky", "Bluesky", "a", grant_ends_at=NOW + timedelta(hours=20))
    (banner,) = banners_of([near], NOW, frozenset())
    assert (banner.button, banner.action) == ("Sign in", "reconnect")
    assert banners_of([near], NOW, frozenset({banner_id(near)})) == ()


def test_a_token_that_stays_here_says_why(controller: AppController, engine: Engine, qtbot: QtBot) -> None:
    own = engine.home.config / "providers"
    own.mkdir(mode=0o700, exist_ok=True)
    terms = 'extends = "nexusmods"\nid = "nexusmods"\n[policy]\nshare = false\nshare_reason = "Its terms."\n'
    (own / "nexusmods.toml").write_text(terms)
    controller.running.presenter.reload()
    choose(controller, "nexusmods", qtbot)
    page = controller.window.account
    qtbot.waitUntil(lambda: not page.copy.isEnabled())
    assert not page.copy_action.isEnabled()
    assert "terms do not let other tools" in page.copy.toolTip()
    assert "terms do not let other tools" in page.note.text()


def test_what_was_not_granted_is_named(controller: AppController, qtbot: QtBot) -> None:
    choose(controller, "github", qtbot)
    assert controller.window.account.narrower.text() == "GitHub did not allow: Delete repositories"
    assert controller.window.account.narrower.isVisible()
    choose(controller, "nexusmods", qtbot)
    assert not controller.window.account.narrower.isVisible()


@pytest.fixture
def cut_off(engine: Engine) -> None:
    """Sign-ins that a Keyfob which was killed has left in the store."""
    for number, provider in enumerate(("openai", "gone", "openai")):
        body = {"provider": provider, "account_key": f"key-{number}", "at": to_rfc3339(NOW)}
        engine.store.write(f"attempt/{number}", json.dumps(body))


def test_a_sign_in_that_was_cut_off_is_told_once_and_begun_again(
    cut_off: None, controller: AppController, qtbot: QtBot
) -> None:
    def banners() -> list[Banner]:
        return [b for b in controller.running.presenter.model.banners if b.action == "start_again"]

    qtbot.waitUntil(lambda: len(banners()) == 1)
    assert banners()[0].text.startswith("Keyfob was closed while you were signing in at OpenAI")
    controller.window.banner_pressed.emit(banners()[0].action, banners()[0].key)
    assert banners() == []
    dialog = controller.running.connect_dialog
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.gallery)
    assert dialog.gallery.current().id == "openai"
