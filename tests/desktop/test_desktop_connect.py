"""The dialog Connect Account, from the gallery to its end."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QGuiApplication
from PySide6.QtWidgets import QApplication, QLineEdit, QPushButton
from pytestqt.qtbot import QtBot

from keyfob.adapters.loopback.ports import take_port
from keyfob.core.errors import PeerFault, SettingWrong
from keyfob.core.provider import Policy, Provider, RedirectProfile
from keyfob.core.secret import Secret
from keyfob.desktop.connect import cards, forms, models, sign_in_text
from keyfob.desktop.connect.dialog import ConnectDialog
from keyfob.desktop.connect.qr import qr_matrix
from keyfob.desktop.connect.waiting_page import StepRow
from keyfob.desktop.controller import AppController
from keyfob.desktop.shared import operation
from keyfob.desktop.shared.widgets import IconButton
from keyfob.protocol.effects import Expectation
from keyfob.protocol.oauth.callback import read_paste
from keyfob.providers.catalogue import standard
from keyfob.service.accounts.views import Progress
from support import fake_engine as fake
from support.samples import view


@pytest.fixture
def dialog(controller: AppController, qtbot: QtBot) -> ConnectDialog:
    controller.window.sidebar.connect_button.click()
    result = controller.running.connect_dialog
    assert result is not None
    qtbot.waitUntil(lambda: result.pages.currentWidget() is result.gallery)
    return result


def choose(dialog: ConnectDialog, query: str) -> None:
    dialog.gallery.search.setText(query)
    dialog.gallery.go.click()


def begun(engine: fake.FakeEngine, dialog: ConnectDialog, qtbot: QtBot) -> fake.FakeAttempt:
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.waiting)
    return engine.sign_in.attempts[-1]


def nexus(dialog: ConnectDialog, engine: fake.FakeEngine, qtbot: QtBot) -> fake.FakeAttempt:
    """A browser sign-in under way: OpenAI's needs nothing told."""
    choose(dialog, "openai")
    return begun(engine, dialog, qtbot)


def test_names_that_assistive_technology_sees(dialog: ConnectDialog) -> None:
    assert dialog.accessibleName() == dialog.windowTitle() == "Connect Account"
    assert dialog.gallery.list.accessibleName() == "Providers"
    assert dialog.gallery.search.accessibleName() == "Search providers"
    assert dialog.gallery.method.accessibleName() == "Method"
    assert dialog.gallery.go.accessibleName() == "Continue"
    assert dialog.gallery.cancel.accessibleName() == "Cancel"
    assert dialog.waiting.copy_link.accessibleName() == "Copy link"
    assert dialog.waiting.cancel.accessibleName() == "Cancel"
    assert dialog.success.done_button.accessibleName() == "Done"


def test_the_demo_is_in_the_gallery_only_while_it_runs(dialog: ConnectDialog) -> None:
    titles = [dialog.gallery.list.item(n).text() for n in range(dialog.gallery.list.count())]
    assert "Nexus Mods" in titles
    assert "Demo provider" not in titles


def test_searching_finds_by_name_and_by_method(dialog: ConnectDialog) -> None:
    page = dialog.gallery

    def shown() -> list[str]:
        return [page.list.item(n).text() for n in range(page.list.count()) if not page.list.isRowHidden(n)]

    page.search.setText("nexus")
    assert shown() == ["Nexus Mods"]
    page.search.setText("device")
    assert shown() == ["GitHub"]
    page.search.setText("zzz")
    assert shown() == []
    assert not page.go.isEnabled()
    assert page.nothing.isVisible()


def test_the_method_is_chosen_in_the_gallery(dialog: ConnectDialog, qtbot: QtBot) -> None:
    page = dialog.gallery
    page.search.setText("nexus")
    assert [page.method.itemText(n) for n in range(page.method.count())] == ["API key", "Browser sign-in"]
    page.method.setCurrentIndex(1)
    qtbot.keyClick(page.search, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.form)
    assert "client_id" in dialog.form.fields


@pytest.mark.parametrize(("service", "call"), [("clients", "known"), ("sign_in", "begin")])
def test_closed_before_a_sign_in_begins_it_starts_none(
    dialog: ConnectDialog,
    engine: fake.FakeEngine,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    call: str,
) -> None:
    """No browser opens after the dialog was closed, and quitting waits for no sign-in."""
    reached, go_on, ran = threading.Event(), threading.Event(), []
    real = getattr(getattr(engine, service), call)

    def slow(*arguments: object) -> object:
        reached.set()
        go_on.wait(5)
        return real(*arguments)

    monkeypatch.setattr(getattr(engine, service), call, slow)
    monkeypatch.setattr(engine.sign_in, "run", lambda *_: ran.append(1))
    choose(dialog, "openai")
    qtbot.waitUntil(reached.is_set)
    dialog.reject()
    go_on.set()
    qtbot.waitUntil(lambda: not operation.running())
    qtbot.wait(50)
    assert ran == []


def test_from_the_gallery_to_connected(
    dialog: ConnectDialog, engine: fake.FakeEngine, controller: AppController, qtbot: QtBot
) -> None:
    attempt = nexus(dialog, engine, qtbot)
    attempt.step("ready", redirect_uri="http://127.0.0.1:9876/callback")
    attempt.step("waiting", browser_opened=True, url=Secret("https://example.org/?state=canary"))
    qtbot.waitUntil(lambda: dialog.waiting.copy_link.isEnabled())
    texts = [row.accessibleName() for row in dialog.waiting.findChildren(StepRow)]
    assert texts[:3] == [
        "Ready on 127.0.0.1:9876: done",
        "Browser opened: done",
        "Waiting for you: under way",
    ]
    attempt.finish(view("openai", "OpenAI", "alice", name="Alice"))
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.success)
    assert dialog.success.title.text() == "Connected as Alice"
    qtbot.waitUntil(lambda: controller.running.presenter.model.rows[-1].id == "openai/alice")
    assert controller.running.presenter.selected == "key-openai-alice"
    dialog.success.done_button.click()
    assert not dialog.isVisible()


def test_not_you_revokes_and_removes_in_one_press(
    dialog: ConnectDialog, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    """S-26."""
    attempt = nexus(dialog, engine, qtbot)
    attempt.finish(view("openai", "OpenAI", "mallory", name="Mallory"))
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.success)
    dialog.success.undo.click()
    qtbot.waitUntil(lambda: attempt.undone)
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.gallery)
    assert "openai/mallory" not in [row.id for row in engine.accounts.views()]


@pytest.mark.parametrize("stage", ["preparing", "ready", "waiting", "checking"])
def test_cancel_at_every_moment(
    dialog: ConnectDialog, engine: fake.FakeEngine, controller: AppController, qtbot: QtBot, stage: str
) -> None:
    """S-12: and the listener's thread ends with it."""
    attempt = nexus(dialog, engine, qtbot)
    attempt.step(stage)
    dialog.waiting.cancel.click()
    assert not dialog.isVisible()
    assert attempt.progress.stage == "cancelled"
    qtbot.waitUntil(lambda: controller.threads.alive() == 0, timeout=1000)


def test_escape_cancels_too(dialog: ConnectDialog, engine: fake.FakeEngine, qtbot: QtBot) -> None:
    attempt = nexus(dialog, engine, qtbot)
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert attempt.progress.stage == "cancelled"


def test_what_went_wrong_and_the_one_thing_to_do(
    dialog: ConnectDialog, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    attempt = nexus(dialog, engine, qtbot)
    attempt.fail(fake.declined("OpenAI"))
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.failure)
    page = dialog.failure
    assert page.text.text() == "You declined access at OpenAI."
    assert page.remedy.text() == "Start again and allow access."
    page.copy.click()
    copied = QGuiApplication.clipboard().text()
    assert "code: declined" in copied
    assert "access_denied: The resource owner denied the request" in copied
    page.retry_button.click()
    qtbot.waitUntil(lambda: len(engine.sign_in.attempts) == 2)


def test_somebody_else_may_be_added_instead(
    controller: AppController, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    dialog = controller.running.connect_dialog
    controller.running.ask("reconnect", "key-google-work-example.org")
    attempt = begun(engine, dialog, qtbot)
    attempt.fail(PeerFault("Bob signed in, not work@example.org", code="subject_mismatch"))
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.failure)
    assert dialog.waiting.title.text() == "Sign in as work@example.org at Google"
    page = dialog.failure
    assert page.title.text() == "work@example.org was not connected"
    assert (page.retry_button.text(), page.retry_button.property("kind")) == (
        "Try again as work@example.org",
        "primary",
    )
    page.retry_button.click()
    qtbot.waitUntil(lambda: len(engine.sign_in.attempts) == 2)
    again = begun(engine, dialog, qtbot)
    assert again.request.account == "key-google-work-example.org"
    again.fail(PeerFault("Bob signed in, not work@example.org", code="subject_mismatch"))
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.failure)
    assert page.other_button.text() == "Connect as a new account"
    page.other_button.click()
    qtbot.waitUntil(lambda: len(engine.sign_in.attempts) == 3)
    assert engine.sign_in.attempts[2].request.account is None
    qtbot.waitUntil(lambda: dialog.waiting.title.text() == "Sign in at Google")


def test_the_link_is_copied_for_another_browser(
    dialog: ConnectDialog, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    attempt = nexus(dialog, engine, qtbot)
    attempt.step("waiting", url=Secret("https://example.org/?state=s"))
    qtbot.waitUntil(lambda: dialog.waiting.copy_link.isEnabled())
    dialog.waiting.copy_link.click()
    assert QGuiApplication.clipboard().text() == "https://example.org/?state=s"


def test_an_address_may_be_pasted(dialog: ConnectDialog, engine: fake.FakeEngine, qtbot: QtBot) -> None:
    attempt = nexus(dialog, engine, qtbot)
    attempt.step("waiting", paste="url")
    qtbot.waitUntil(lambda: dialog.waiting.nothing.isVisible())
    dialog.waiting.nothing.click()
    dialog.waiting.paste_field.setText(" http://127.0.0.1:9876/callback?code=c ")
    qtbot.keyClick(dialog.waiting.paste_field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: attempt.pasted == ["http://127.0.0.1:9876/callback?code=c"])
    qtbot.waitUntil(lambda: dialog.waiting.paste_field.text() == "")
    assert dialog.isVisible()


def test_a_pasted_text_that_does_not_fit_stays_to_be_corrected(
    dialog: ConnectDialog, engine: fake.FakeEngine, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = nexus(dialog, engine, qtbot)

    def paste(text: str) -> None:
        read_paste(
            text,
            form="url",
            redirect_uri="http://127.0.0.1:9876/callback",
            expectation=Expectation(Secret("s")),
        )

    monkeypatch.setattr(attempt, "paste", paste)
    attempt.step("waiting", paste="url")
    qtbot.waitUntil(lambda: dialog.waiting.nothing.isVisible())
    dialog.waiting.nothing.click()
    dialog.waiting.paste_field.setText("see http://127.0.0.1:9876/callback")
    dialog.waiting.paste_button.click()
    said = (
        "The pasted text has spaces or line breaks in it. "
        "Copy the full address or code from the browser, and nothing else."
    )
    qtbot.waitUntil(lambda: dialog.waiting.note.text() == said)
    assert dialog.waiting.paste_field.text() == "see http://127.0.0.1:9876/callback"


def test_a_taken_port_leads_to_its_setting(
    dialog: ConnectDialog, controller: AppController, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    attempt = nexus(dialog, engine, qtbot)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SettingWrong) as caught:
        take_port(RedirectProfile(), taken.getsockname()[1])
    attempt.fail(caught.value)
    page = dialog.failure
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is page)
    assert page.retry_button.text() == "Try again"
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
    dialog: ConnectDialog, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    attempt = nexus(dialog, engine, qtbot)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SettingWrong) as caught:
        take_port(RedirectProfile(port="fixed", ports=(taken.getsockname()[1],)), 0)
    attempt.fail(caught.value)
    page = dialog.failure
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is page)
    assert "Settings" not in page.remedy.text()
    assert not page.settings_button.isVisible()


def test_nothing_can_be_changed_where_nothing_was_entered(
    dialog: ConnectDialog, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    nexus(dialog, engine, qtbot).fail(SettingWrong("OpenAI does not accept the scopes", code="scope_refused"))
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.failure)
    assert dialog.failure.retry_button.text() == "Try again"


def test_a_device_code_is_large_and_a_picture(
    dialog: ConnectDialog, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    choose(dialog, "github")
    attempt = begun(engine, dialog, qtbot)
    attempt.step("code", user_code="WDJB-MJHT", verification_uri="https://github.com/login/device")
    qtbot.waitUntil(lambda: dialog.waiting.code.text() == "WDJB-MJHT")
    assert dialog.waiting.qr.isVisible()
    dialog.waiting.copy_code.click()
    assert QGuiApplication.clipboard().text() == "WDJB-MJHT"


def test_an_app_of_ones_own_is_asked_for_with_the_exact_redirect(
    dialog: ConnectDialog, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    choose(dialog, "google")
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.form)
    page = dialog.form
    page.go.click()
    assert page.problems["client_id"].text() == "Client id is needed."
    assert engine.sign_in.attempts == []
    page.fields["client_id"].setText("id-1")
    page.fields["client_secret"].setText("canary-secret")
    next(b for b in page.findChildren(IconButton) if b.accessibleName() == "Copy redirect URI").click()
    assert QGuiApplication.clipboard().text() == "http://127.0.0.1:9876/callback"
    page.go.click()
    attempt = begun(engine, dialog, qtbot)
    assert attempt.request.client_id == "id-1"
    assert attempt.request.client_secret == Secret("canary-secret")
    left = [f.text() for f in dialog.findChildren(QLineEdit)]
    assert not any("canary" in text for text in left)


def test_a_handle_is_asked_for(dialog: ConnectDialog, engine: fake.FakeEngine, qtbot: QtBot) -> None:
    choose(dialog, "bluesky")
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.form)
    dialog.form.fields["handle"].setText("alice.test")
    dialog.form.go.click()
    attempt = begun(engine, dialog, qtbot)
    assert dict(attempt.request.inputs) == {"handle": "alice.test"}


def test_what_terms_forbid_is_said_before_anything_is_tried(
    dialog: ConnectDialog, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    choose(dialog, "subscription")
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.form)
    assert not dialog.form.go.isVisible()
    assert engine.sign_in.attempts == []


def test_switching_the_method_is_on_purpose(
    controller: AppController, engine: fake.FakeEngine, qtbot: QtBot
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
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.form)
    dialog.form.fields["api_key"].setText("canary-key")
    dialog.form.go.click()
    request = begun(engine, dialog, qtbot).request
    assert (request.account, request.method, request.switch_method) == (
        "key-nexusmods-aldis",
        "api_key",
        True,
    )


def test_only_pages_of_the_web_are_offered() -> None:
    preset = fake.sample_providers()[5]
    asked = forms.form(preset, "api_key", known=None, setting_port=1).key
    assert asked is not None
    assert asked.page is not None
    for bad in ("file:///etc/passwd", "javascript:x", "-x", "https://{instance}/keys"):
        assert forms.web_page(bad) is None


@pytest.mark.parametrize(
    ("port", "ports", "registered", "expected"),
    [
        ("setting", (), True, "http://127.0.0.1:9876/callback"),
        ("fixed", (1455,), True, "http://127.0.0.1:1455/callback"),
        ("any", (), True, "http://127.0.0.1/callback"),
        ("setting", (), False, "http://127.0.0.1/callback"),
    ],
)
def test_the_redirect_to_register(port: str, ports: tuple[int, ...], registered: bool, expected: str) -> None:
    redirect = fake.RedirectProfile(port=port, ports=ports, registered_port=registered)
    provider = fake.Provider("p", "P", redirect=redirect)
    assert forms.redirect_uri(provider, 9876) == expected


def test_recognised_accounts_are_not_promised_to_be_removed() -> None:
    progress = Progress(
        "done", "demo", "Demo", "oauth", account=view("demo", "Demo", "alice"), recognised=True
    )
    success = sign_in_text.success(progress)
    assert success.undo == "Disconnect"
    assert "already connected" in success.text


def test_a_qr_code_has_its_three_finders() -> None:
    matrix = qr_matrix("https://example.com/device?user_code=WDJB-MJHT")
    assert matrix is not None
    size = len(matrix)
    assert all(len(row) == size for row in matrix)
    for top, left in ((0, 0), (0, size - 7), (size - 7, 0)):
        assert all(matrix[top][left + n] and matrix[top + 6][left + n] for n in range(7))
        assert matrix[top + 3][left + 3]
        assert not matrix[top + 1][left + 1]
    assert qr_matrix("x" * 601) is None


def test_an_account_with_one_way_is_told_so(
    controller: AppController, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    dialog = controller.running.connect_dialog
    controller.running.ask("switch_method", "key-bluesky-aldis.bsky.social")
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.failure)
    assert "no other method" in dialog.failure.title.text()
    assert not dialog.failure.retry_button.isVisible()
    dialog.failure.close_button.click()
    assert not engine.sign_in.attempts


def test_what_the_terms_forbid_is_seen_before_and_the_other_ways_are_offered(
    dialog: ConnectDialog, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    blocked = replace(engine.providers.get("claude-ai"), methods=("oauth", "api_key"))
    engine.providers.rows = [p for p in engine.providers.rows if p.id != "claude-ai"] + [blocked]
    dialog.choose(demo=False)
    qtbot.waitUntil(lambda: [len(c.ways) for c in dialog.gallery.cards if c.id == "claude-ai"] == [2])
    dialog.gallery.search.setText("claude subscription")
    dialog.gallery.method.setCurrentIndex(dialog.gallery.method.findData("oauth"))
    assert dialog.gallery.foot.what.text() == "Claude subscription: not allowed by its terms"
    assert dialog.gallery.foot.lead.text() == "Anthropic’s terms allow this sign-in only for its own apps."
    dialog.gallery.go.click()
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.form)
    assert not dialog.form.go.isVisible()
    other = dialog.form.findChild(QPushButton, "other_api_key")
    assert other.text() == "Paste an API key"
    other.click()
    qtbot.waitUntil(lambda: "api_key" in dialog.form.fields)


def test_an_app_given_before_is_shown_and_can_be_changed(dialog: ConnectDialog, qtbot: QtBot) -> None:
    choose(dialog, "microsoft")
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.form)
    assert "client_id" not in dialog.form.fields
    change = next(b for b in dialog.form.findChildren(QPushButton) if b.accessibleName() == "Change the app")
    change.click()
    assert dialog.form.fields["client_id"].text() == ""


def test_the_popular_stand_first_and_any_server_last() -> None:
    order = [c.id for c in cards.cards(fake.sample_providers(), demo=True)]
    assert order[:4] == ["demo", "nexusmods", "bluesky", "github"]
    assert order[-2:] == ["openid", "claude-ai"]  # what the terms forbid comes after all that can be used


def test_every_port_that_has_to_be_registered_is_told() -> None:
    listed = Provider(
        "x", "X", redirect=RedirectProfile(port="list", ports=(1455, 1457)), policy=Policy("user")
    )
    form = forms.form(listed, "oauth", known=None, setting_port=9876)
    assert form.registration is not None
    assert form.registration.redirect == "http://127.0.0.1:1455/callback"
    assert form.registration.also_ports == (1457,)
    any_port = Provider("x", "X", redirect=RedirectProfile(host="localhost", port="any", path=""))
    assert forms.redirect_uri(any_port, 9876) == "http://localhost"


def test_the_choice_is_found_by_its_name(dialog: ConnectDialog) -> None:
    """On Linux Qt would name it by what it shows."""
    dialog.gallery.search.setText("nexus")
    told = QAccessible.queryAccessibleInterface(dialog.gallery.method)
    assert told.text(QAccessible.Text.Name) == "Method"
    assert told.text(QAccessible.Text.Value) == "API key"
    assert told.role() == QAccessible.Role.ComboBox
    assert told.child(0).childCount() == 2
    assert told.actionInterface() is not None


def test_what_assistive_technology_selects_in_the_gallery_goes_on(
    dialog: ConnectDialog, engine: fake.FakeEngine, qtbot: QtBot
) -> None:
    accessible = QAccessible.queryAccessibleInterface(dialog.gallery.list)
    chosen: list[str] = []
    dialog.gallery.chosen.disconnect()
    dialog.gallery.chosen.connect(lambda provider, _: chosen.append(provider))
    titles = [dialog.gallery.list.item(n).text() for n in range(dialog.gallery.list.count())]
    assert accessible.selectionInterface().select(accessible.child(titles.index("Bluesky")))
    dialog.gallery.go.click()
    assert chosen == ["bluesky"]


@pytest.mark.parametrize("outcome", ["success", "failure"])
def test_the_window_comes_to_the_front_however_a_sign_in_ends(
    dialog: ConnectDialog,
    engine: fake.FakeEngine,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    outcome: str,
) -> None:
    """The browser covers it at that moment."""
    nexus(dialog, engine, qtbot)
    asked: list[str] = []
    monkeypatch.setattr(dialog, "raise_", lambda: asked.append("raise"))
    monkeypatch.setattr(dialog, "activateWindow", lambda: asked.append("activate"))
    monkeypatch.setattr(QApplication, "alert", lambda widget, *_: asked.append("alert"))
    attempt = engine.sign_in.attempts[-1]
    if outcome == "success":
        attempt.finish(view("nexusmods", "Nexus Mods", "new"))
    else:
        attempt.fail(fake.declined("Nexus Mods"))
    page = getattr(dialog, outcome)
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is page)
    assert asked == ["raise", "activate", "alert"]


def test_the_way_that_works_at_once_is_chosen(dialog: ConnectDialog) -> None:
    """Nexus Mods gives out apps by hand: its API key works now."""
    page, foot = dialog.gallery, dialog.gallery.foot
    page.search.setText("nexus")
    assert page.method.currentData() == "api_key"
    assert foot.what.text() == "Nexus Mods: paste an API key"
    assert foot.lead.text() == "You create it on a page that Keyfob opens. No app needed."
    page.method.setCurrentIndex(page.method.findData("oauth"))
    assert foot.what.text() == "Nexus Mods: sign in with your own app"
    assert foot.lead.text() == "First you register an app at Nexus Mods. Keyfob shows you each step."
    page.search.setText("openai")
    assert page.method.currentData() == "oauth"
    assert foot.what.text() == "OpenAI: sign in with your browser"
    page.search.setText("microsoft")
    assert foot.lead.text() == "You sign in with the app that you registered before."
    page.search.setText("claude subscription")
    assert foot.what.text() == "Claude subscription: not allowed by its terms"
    described = page.list.currentItem().data(Qt.ItemDataRole.AccessibleDescriptionRole)
    assert described == ("Not allowed. Anthropic’s terms allow this sign-in only for its own apps.")


def test_of_the_real_presets_those_that_work_at_once_stand_first(tmp_path: Path) -> None:
    presets = standard(tmp_path).all()
    providers = [p for p in presets if p.category != "custom" and p.id not in cards.ANY_SERVER]
    shown = [c for c in cards.cards(providers, demo=False) if not c.id.endswith("-sandbox")]
    at_once = [card.group == "at_once" for card in shown]
    assert at_once == sorted(at_once, reverse=True)
    assert 0 < sum(at_once) < len(at_once)
    chosen = {card.id: card.ways[0].method for card in shown}
    assert {chosen[name] for name in ("nexusmods", "github", "gitlab", "huggingface")} == {"api_key"}


def test_a_form_that_asks_for_an_app_promises_no_browser() -> None:
    own = Provider("x", "X", policy=Policy("user"))
    asked = forms.form(own, "oauth", known=None, setting_port=9876)
    assert asked.text == "First register an app. Then sign in with it."
    known = models.KnownClient("client-1", "yours")
    assert (
        forms.form(own, "oauth", known=known, setting_port=9876).text
        == "Your browser opens in the next step."
    )
