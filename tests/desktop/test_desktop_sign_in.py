"""Real sign-ins in the dialog Connect Account, at a scripted provider, to every end that they can have."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from keyfob.core.http import Outcome
from keyfob.core.secret import Secret
from keyfob.desktop.connect.dialog import ConnectDialog
from keyfob.desktop.connect.waiting_page import StepRow
from keyfob.desktop.controller import AppController
from keyfob.desktop.shared import operation
from keyfob.engine import Engine
from keyfob.service.sign_in.attempt import Attempt
from support.connecting import begun, choose, ends_at
from support.fake_ports import NOW, FakeListeners
from support.scripted_provider import ALICE, BOB, ScriptedBrowser, ScriptedProvider, Someone

MALLORY = Someone(66666, "mallory", "Mallory")


@pytest.fixture
def signing_in(
    dialog: ConnectDialog, attempts: list[Attempt], browser: ScriptedBrowser, qtbot: QtBot
) -> Attempt:
    """A browser sign-in that waits for its person: OpenAI's needs nothing told."""
    choose(dialog, "openai")
    attempt = begun(attempts, dialog, qtbot)
    qtbot.waitUntil(lambda: attempt.progress.stage == "waiting" and dialog.waiting.copy_link.isEnabled())
    return attempt


def test_from_the_gallery_to_connected(
    dialog: ConnectDialog,
    signing_in: Attempt,
    browser: ScriptedBrowser,
    engine: Engine,
    controller: AppController,
    qtbot: QtBot,
) -> None:
    texts = [row.accessibleName() for row in dialog.waiting.findChildren(StepRow)]
    assert texts[:3] == [
        "Ready on 127.0.0.1:9876: done",
        "Browser opened: done",
        "Waiting for you: under way",
    ]
    browser.allow(ALICE)
    ends_at(dialog, dialog.success, qtbot)
    assert dialog.success.title.text() == "Connected as Alice"
    qtbot.waitUntil(
        lambda: "openai/alice@example.org" in [r.id for r in controller.running.presenter.model.rows][-3:]
    )
    made = engine.accounts.view("openai/alice@example.org")
    assert controller.running.presenter.selected == made.key
    assert made.expires_at == NOW + timedelta(seconds=browser.provider.lifetime)
    assert browser.listener.outcome == Outcome(
        True, "Connected as Alice", "You can close this tab and go back to Keyfob."
    )
    dialog.success.done_button.click()
    assert not dialog.isVisible()


def test_not_you_revokes_and_removes_in_one_press(
    dialog: ConnectDialog, signing_in: Attempt, browser: ScriptedBrowser, engine: Engine, qtbot: QtBot
) -> None:
    """S-26."""
    browser.allow(MALLORY)
    ends_at(dialog, dialog.success, qtbot)
    assert "openai/mallory@example.org" in [row.id for row in engine.accounts.views()]
    dialog.success.undo.click()
    ends_at(dialog, dialog.gallery, qtbot)
    assert "openai/mallory@example.org" not in [row.id for row in engine.accounts.views()]
    (revoked,) = browser.provider.sent("revoke")
    assert b"made-up-refresh-token" in (revoked.body or b"")


@pytest.mark.parametrize("held", ["discovery", "", "token", "jwks"])
def test_cancel_at_every_moment(
    dialog: ConnectDialog,
    attempts: list[Attempt],
    browser: ScriptedBrowser,
    engine: Engine,
    controller: AppController,
    qtbot: QtBot,
    held: str,
) -> None:
    """S-12: before the browser, while it is open, and while the provider is asked; the listener's thread
    ends, and what came is given back.
    """
    provider, before = browser.provider, len(engine.accounts.views())
    provider.hold(held)
    choose(dialog, "openai")
    attempt = begun(attempts, dialog, qtbot)
    if held != "discovery":
        qtbot.waitUntil(lambda: attempt.progress.stage == "waiting")
    if held in ("token", "jwks"):
        browser.allow()
        qtbot.waitUntil(lambda: bool(provider.sent(held)))
    dialog.waiting.cancel.click()
    assert not dialog.isVisible()
    assert attempt.progress.stage == "cancelled"
    provider.let_go()
    qtbot.waitUntil(lambda: controller.threads.alive() == 0, timeout=1000)
    qtbot.waitUntil(lambda: not operation.running())
    assert len(engine.accounts.views()) == before
    assert bool(provider.sent("revoke")) is (held in ("token", "jwks"))


def test_escape_cancels_too(dialog: ConnectDialog, signing_in: Attempt, qtbot: QtBot) -> None:
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert signing_in.progress.stage == "cancelled"


def test_what_went_wrong_and_the_one_thing_to_do(
    dialog: ConnectDialog,
    signing_in: Attempt,
    attempts: list[Attempt],
    browser: ScriptedBrowser,
    qtbot: QtBot,
) -> None:
    browser.deny()
    ends_at(dialog, dialog.failure, qtbot)
    page = dialog.failure
    assert page.text.text() == "You declined access at OpenAI (Sign in with ChatGPT)."
    assert page.remedy.text() == "Start again and allow access."
    page.copy.click()
    copied = QGuiApplication.clipboard().text()
    assert "code: declined" in copied
    assert "access_denied: The resource owner denied the request" in copied
    page.retry_button.click()
    begun(attempts, dialog, qtbot, 2)


def test_a_sign_in_that_takes_too_long_can_be_started_again(
    dialog: ConnectDialog,
    signing_in: Attempt,
    attempts: list[Attempt],
    browser: ScriptedBrowser,
    qtbot: QtBot,
) -> None:
    browser.listener.time_out()
    ends_at(dialog, dialog.failure, qtbot)
    assert dialog.failure.text.text() == "The sign-in was not finished in time."
    dialog.failure.retry_button.click()
    begun(attempts, dialog, qtbot, 2)


def test_somebody_else_may_be_added_instead(
    controller: AppController,
    attempts: list[Attempt],
    browser: ScriptedBrowser,
    engine: Engine,
    qtbot: QtBot,
) -> None:
    engine.clients.keep(engine.providers.get("google"), {}, "id-1", Secret("canary-secret"))
    dialog = controller.running.connect_dialog
    key = "key-google-work-example.org"
    controller.running.ask("reconnect", key)
    begun(attempts, dialog, qtbot)
    qtbot.waitUntil(lambda: len(browser.opened) == 1)
    assert "login_hint=work%40example.org" in browser.opened[0]
    browser.allow(BOB)
    ends_at(dialog, dialog.failure, qtbot)
    assert dialog.waiting.title.text() == "Sign in as work@example.org at Google"
    page = dialog.failure
    assert page.title.text() == "work@example.org was not signed in again"
    assert page.text.text() == "You signed in as Bob, not as google/work@example.org."
    assert (page.retry_button.text(), page.retry_button.property("kind")) == (
        "Try again as work@example.org",
        "primary",
    )
    page.retry_button.click()
    again = begun(attempts, dialog, qtbot, 2)
    assert again.request.account == key
    qtbot.waitUntil(lambda: len(browser.opened) == 2)
    browser.allow(BOB)
    ends_at(dialog, dialog.failure, qtbot)
    assert engine.accounts.view(key).status == "needs_sign_in"
    assert page.other_button.text() == "Connect as a new account"
    page.other_button.click()
    third = begun(attempts, dialog, qtbot, 3)
    assert third.request.account is None
    qtbot.waitUntil(lambda: dialog.waiting.title.text() == "Sign in at Google")


def test_the_link_is_copied_for_another_browser(
    dialog: ConnectDialog, signing_in: Attempt, browser: ScriptedBrowser
) -> None:
    dialog.waiting.copy_link.click()
    assert QGuiApplication.clipboard().text() == browser.opened[0]


def test_without_a_browser_the_link_is_all_there_is(
    dialog: ConnectDialog, attempts: list[Attempt], browser: ScriptedBrowser, qtbot: QtBot
) -> None:
    browser.missing = True
    choose(dialog, "openai")
    begun(attempts, dialog, qtbot)
    qtbot.waitUntil(dialog.waiting.copy_link.isEnabled)
    qtbot.waitUntil(
        lambda: dialog.waiting.text.text() == "No browser opened. Copy the link and open it in any browser."
    )
    browser.allow()  # in another one
    ends_at(dialog, dialog.success, qtbot)


def test_an_address_may_be_pasted(
    dialog: ConnectDialog, signing_in: Attempt, browser: ScriptedBrowser, qtbot: QtBot
) -> None:
    browser.provider.hold("token")
    address = browser.provider.allowed(browser.opened[0], ALICE)
    dialog.waiting.nothing.click()
    dialog.waiting.paste_field.setText(f" {address} ")
    qtbot.keyClick(dialog.waiting.paste_field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: dialog.waiting.paste_field.text() == "")
    assert dialog.isVisible()
    browser.provider.let_go()
    ends_at(dialog, dialog.success, qtbot)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("see http://127.0.0.1:9876/auth/callback", "The pasted text has spaces or line breaks in it."),
        ("https://example.org/?code=c&state=s", "This is not the address of the browser's last page."),
        (
            "http://127.0.0.1:9876/auth/callback?code=c&state=s&client_id=x",
            "This address belongs to another sign-in.",
        ),
    ],
)
def test_a_pasted_text_that_does_not_fit_stays_to_be_corrected(
    dialog: ConnectDialog, signing_in: Attempt, qtbot: QtBot, text: str, said: str
) -> None:
    dialog.waiting.nothing.click()
    dialog.waiting.paste_field.setText(text)
    dialog.waiting.paste_button.click()
    qtbot.waitUntil(lambda: dialog.waiting.note.text().startswith(said))
    assert dialog.waiting.paste_field.text() == text
    assert signing_in.progress.stage == "waiting"


@pytest.fixture
def taken(listeners: FakeListeners) -> Iterator[int]:
    """A port that another program holds."""
    listeners.take = True
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@pytest.fixture
def port_setting(engine: Engine, taken: int) -> None:
    """That port is the callback port. Ask for it before the app, which reads the settings once."""
    settings = engine.settings.load()
    engine.settings.save(replace(settings, callback_port=taken), settings)


def nexus(dialog: ConnectDialog, qtbot: QtBot) -> None:
    """A browser sign-in at Nexus Mods, whose callback port Settings sets."""
    dialog.connect_to("nexusmods", "oauth")
    ends_at(dialog, dialog.form, qtbot)
    dialog.form.fields["client_id"].setText("id-1")
    dialog.form.go.click()


def test_a_taken_port_leads_to_its_setting(
    port_setting: None, taken: int, dialog: ConnectDialog, controller: AppController, qtbot: QtBot
) -> None:
    nexus(dialog, qtbot)
    page = dialog.failure
    ends_at(dialog, page, qtbot)
    assert page.text.text().startswith(f"Port {taken} is in use")
    assert page.retry_button.isDefault()
    assert page.settings_button.isVisible()
    page.settings_button.click()
    settings = controller.settings_controller.dialog
    assert settings is not None
    assert settings.isVisible()
    qtbot.waitUntil(lambda: settings.focusWidget() is settings.port)
    assert settings.port.hasSelectedText()
    settings.close()


def test_a_presets_own_port_is_not_looked_for_in_settings(
    dialog: ConnectDialog, engine: Engine, taken: int, qtbot: QtBot
) -> None:
    own = engine.home.config / "providers"
    own.mkdir(exist_ok=True)
    fixed = f'extends = "nexusmods"\nid = "nexusmods"\n[redirect]\nport = "fixed"\nports = [{taken}]\n'
    (own / "nexusmods.toml").write_text(fixed)
    nexus(dialog, qtbot)
    page = dialog.failure
    ends_at(dialog, page, qtbot)
    assert page.text.text().startswith(f"Port {taken} is in use")
    assert "Settings" not in page.remedy.text()
    assert not page.settings_button.isVisible()


def test_nothing_can_be_changed_where_nothing_was_entered(
    dialog: ConnectDialog, signing_in: Attempt, browser: ScriptedBrowser, qtbot: QtBot
) -> None:
    browser.deny("invalid_scope")
    ends_at(dialog, dialog.failure, qtbot)
    dialog.failure.copy.click()
    assert "code: scope_refused" in QGuiApplication.clipboard().text()
    assert dialog.failure.retry_button.text() == "Try again"


def test_a_device_code_is_large_and_a_picture(
    dialog: ConnectDialog, attempts: list[Attempt], provider: ScriptedProvider, engine: Engine, qtbot: QtBot
) -> None:
    device(dialog, attempts, qtbot)
    assert dialog.waiting.qr.isVisible()
    dialog.waiting.copy_code.click()
    assert QGuiApplication.clipboard().text() == "WDJB-MJHT"
    provider.decide(ALICE)
    ends_at(dialog, dialog.success, qtbot)
    assert engine.accounts.view("github/alice").method == "device"


def test_a_device_code_that_is_declined_is_said(
    dialog: ConnectDialog, attempts: list[Attempt], provider: ScriptedProvider, qtbot: QtBot
) -> None:
    device(dialog, attempts, qtbot)
    provider.decide(None)
    ends_at(dialog, dialog.failure, qtbot)
    assert dialog.failure.text.text() == "You declined access at GitHub."


def device(dialog: ConnectDialog, attempts: list[Attempt], qtbot: QtBot) -> None:
    """A sign-in at GitHub that shows its code."""
    dialog.connect_to("github", "device")
    ends_at(dialog, dialog.form, qtbot)
    dialog.form.fields["client_id"].setText("id-1")
    dialog.form.go.click()
    begun(attempts, dialog, qtbot)
    qtbot.waitUntil(lambda: dialog.waiting.code.text() == "WDJB-MJHT")


def test_switching_the_method_is_on_purpose(
    controller: AppController,
    attempts: list[Attempt],
    engine: Engine,
    provider: ScriptedProvider,
    qtbot: QtBot,
) -> None:
    dialog = controller.running.connect_dialog
    controller.running.ask("switch_method", "key-nexusmods-aldis")
    qtbot.waitUntil(
        lambda: dialog.gallery.list.count() == 1 and dialog.pages.currentWidget() is dialog.gallery
    )
    assert [dialog.gallery.method.itemData(n) for n in range(dialog.gallery.method.count())] == ["api_key"]
    assert "Aldis" in dialog.gallery.title.text()
    assert not dialog.gallery.search.isVisible()
    assert not dialog.gallery.method.isVisible()  # there is one other method
    assert dialog.gallery.go.hasFocus()
    dialog.gallery.go.click()
    ends_at(dialog, dialog.form, qtbot)
    provider.person = Someone(41882907, "aldis", "Aldis")
    dialog.form.fields["api_key"].setText("canary-key")
    dialog.form.go.click()
    qtbot.waitUntil(lambda: len(attempts) == 1)
    request = attempts[0].request
    assert (request.account, request.method, request.switch_method) == (
        "key-nexusmods-aldis",
        "api_key",
        True,
    )
    ends_at(dialog, dialog.success, qtbot)
    assert engine.accounts.view("nexusmods/aldis").method == "api_key"


@pytest.mark.parametrize("outcome", ["success", "failure"])
def test_the_window_comes_to_the_front_however_a_sign_in_ends(
    dialog: ConnectDialog,
    signing_in: Attempt,
    browser: ScriptedBrowser,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    outcome: str,
) -> None:
    """The browser covers it at that moment."""
    asked: list[str] = []
    monkeypatch.setattr(dialog, "raise_", lambda: asked.append("raise"))
    monkeypatch.setattr(dialog, "activateWindow", lambda: asked.append("activate"))
    monkeypatch.setattr(QApplication, "alert", lambda widget, *_: asked.append("alert"))
    if outcome == "success":
        browser.allow()
    else:
        browser.deny()
    ends_at(dialog, getattr(dialog, outcome), qtbot)
    assert asked == ["raise", "activate", "alert"]
