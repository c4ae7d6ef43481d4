"""The dialog Connect Account: its gallery, its forms, and what each asks for."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QGuiApplication
from PySide6.QtWidgets import QLineEdit, QPushButton
from pytestqt.qtbot import QtBot

from keyfob.core.provider import Policy, Provider, RedirectProfile
from keyfob.core.secret import Secret
from keyfob.desktop.connect import cards, forms, models, sign_in_text
from keyfob.desktop.connect.dialog import ConnectDialog
from keyfob.desktop.connect.qr import qr_matrix
from keyfob.desktop.controller import AppController
from keyfob.desktop.shared import operation
from keyfob.desktop.shared.widgets import IconButton
from keyfob.engine import Engine
from keyfob.providers.catalogue import standard
from keyfob.service.accounts.views import Progress
from keyfob.service.sign_in.attempt import Attempt
from support.connecting import begun, choose, ends_at
from support.samples import view
from support.scripted_provider import ScriptedBrowser


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
    assert "Demo Provider" not in titles


def test_searching_finds_by_name_and_by_method(dialog: ConnectDialog) -> None:
    page = dialog.gallery

    def shown() -> list[str]:
        return [page.list.item(n).text() for n in range(page.list.count()) if not page.list.isRowHidden(n)]

    page.search.setText("nexus")
    assert shown() == ["Nexus Mods"]
    page.search.setText("device")
    by_method = {c.title for c in page.cards if "device" in [way.method for way in c.ways]}
    assert {"GitHub", "GitLab"} <= by_method == set(shown())
    assert "Nexus Mods" not in shown()
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
    engine: Engine,
    browser: ScriptedBrowser,
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
    assert browser.opened == []


def test_an_app_of_ones_own_is_asked_for_with_the_exact_redirect(
    dialog: ConnectDialog, attempts: list[Attempt], browser: ScriptedBrowser, qtbot: QtBot
) -> None:
    choose(dialog, "discord")
    ends_at(dialog, dialog.form, qtbot)
    page = dialog.form
    page.go.click()
    assert page.problems["client_id"].text() == "Client id is needed."
    assert attempts == []
    page.fields["client_id"].setText("id-1")
    page.fields["client_secret"].setText("canary-secret")
    next(b for b in page.findChildren(IconButton) if b.accessibleName() == "Copy redirect URI").click()
    redirect = "http://127.0.0.1:9876/callback"
    assert QGuiApplication.clipboard().text() == redirect
    page.go.click()
    attempt = begun(attempts, dialog, qtbot)
    assert attempt.request.client_id == "id-1"
    assert attempt.request.client_secret == Secret("canary-secret")
    left = [f.text() for f in dialog.findChildren(QLineEdit)]
    assert not any("canary" in text for text in left)
    qtbot.waitUntil(lambda: bool(browser.opened))
    sent = dict(parse_qsl(urlsplit(browser.opened[0]).query))
    assert (sent["client_id"], sent["redirect_uri"]) == ("id-1", redirect)


def test_a_handle_is_asked_for(dialog: ConnectDialog, attempts: list[Attempt], qtbot: QtBot) -> None:
    choose(dialog, "bluesky")
    ends_at(dialog, dialog.form, qtbot)
    dialog.form.fields["handle"].setText("alice.test")
    dialog.form.go.click()
    qtbot.waitUntil(lambda: len(attempts) == 1)
    assert dict(attempts[0].request.inputs) == {"handle": "alice.test"}


def test_what_terms_forbid_is_said_before_anything_is_tried(
    dialog: ConnectDialog, attempts: list[Attempt], qtbot: QtBot
) -> None:
    dialog.gallery.search.setText("claude")
    dialog.gallery.method.setCurrentIndex(dialog.gallery.method.findData("oauth"))
    dialog.gallery.go.click()
    ends_at(dialog, dialog.form, qtbot)
    assert not dialog.form.go.isVisible()
    assert attempts == []


def test_only_pages_of_the_web_are_offered() -> None:
    preset = standard(Path("/nowhere")).get("anthropic")
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
    redirect = RedirectProfile(port=port, ports=ports, registered_port=registered)
    provider = Provider("p", "P", redirect=redirect)
    assert forms.redirect_uri(provider, 9876) == expected


def test_recognised_accounts_are_not_promised_to_be_removed() -> None:
    progress = Progress(
        "done", "demo", "Demo", "oauth", account=view("demo", "Demo", "alice"), recognised=True
    )
    success = sign_in_text.success(progress)
    assert success.undo == "Disconnect"
    assert "already in your list" in success.text


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
    controller: AppController, attempts: list[Attempt], qtbot: QtBot
) -> None:
    dialog = controller.running.connect_dialog
    controller.running.ask("switch_method", "key-bluesky-aldis.bsky.social")
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.failure)
    assert "no other method" in dialog.failure.title.text()
    assert not dialog.failure.retry_button.isVisible()
    dialog.failure.close_button.click()
    assert attempts == []


def test_what_the_terms_forbid_is_seen_before_and_the_other_ways_are_offered(
    dialog: ConnectDialog, qtbot: QtBot
) -> None:
    (card,) = [c for c in dialog.gallery.cards if c.id == "claude"]
    assert [way.method for way in card.ways] == ["api_key", "oauth"]
    dialog.gallery.search.setText("claude")
    dialog.gallery.method.setCurrentIndex(dialog.gallery.method.findData("oauth"))
    assert dialog.gallery.foot.what.text() == "Claude: not allowed by its terms"
    assert dialog.gallery.foot.lead.text().startswith(
        "Anthropic does not let other apps offer Claude.ai sign-in"
    )
    dialog.gallery.go.click()
    ends_at(dialog, dialog.form, qtbot)
    assert not dialog.form.go.isVisible()
    other = dialog.form.findChild(QPushButton, "other_api_key")
    assert other.text() == "Paste an API key"
    other.click()
    qtbot.waitUntil(lambda: "api_key" in dialog.form.fields)


@pytest.fixture
def own_app(engine: Engine) -> None:
    """The person's app at Microsoft, of an earlier sign-in."""
    engine.clients.keep(engine.providers.get("microsoft"), {"tenant": "common"}, "3f6c1d20-77aa", None)


def test_an_app_given_before_is_shown_and_can_be_changed(
    own_app: None, dialog: ConnectDialog, qtbot: QtBot
) -> None:
    choose(dialog, "microsoft")
    ends_at(dialog, dialog.form, qtbot)
    assert "client_id" not in dialog.form.fields
    change = next(b for b in dialog.form.findChildren(QPushButton) if b.accessibleName() == "Change the app")
    change.click()
    assert dialog.form.fields["client_id"].text() == ""


def test_the_popular_stand_first_and_any_server_last() -> None:
    presets = standard(Path("/nowhere")).all()
    only_blocked = replace(next(p for p in presets if p.policy.blocked), id="blocked", methods=("oauth",))
    order = [c.id for c in cards.cards([*presets, only_blocked], demo=True)]
    assert order[:4] == ["demo", "nexusmods", "bluesky", "github"]
    assert set(order[-1 - len(cards.ANY_SERVER) : -1]) >= {"oidc", "oauth2"}
    assert order[-1] == "blocked"  # what the terms forbid comes after all that can be used


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
    dialog: ConnectDialog, qtbot: QtBot
) -> None:
    accessible = QAccessible.queryAccessibleInterface(dialog.gallery.list)
    chosen: list[str] = []
    dialog.gallery.chosen.disconnect()
    dialog.gallery.chosen.connect(lambda provider, _: chosen.append(provider))
    titles = [dialog.gallery.list.item(n).text() for n in range(dialog.gallery.list.count())]
    assert accessible.selectionInterface().select(accessible.child(titles.index("Bluesky")))
    dialog.gallery.go.click()
    assert chosen == ["bluesky"]


def test_the_way_that_works_at_once_is_chosen(own_app: None, dialog: ConnectDialog) -> None:
    """Nexus Mods gives out apps by hand: its API key works now."""
    page, foot = dialog.gallery, dialog.gallery.foot
    page.search.setText("nexus")
    assert page.method.currentData() == "api_key"
    assert foot.what.text() == "Nexus Mods: paste an API key"
    assert foot.lead.text() == (
        "You create it on a page that Keyfob opens. No app needed. "
        "Keyfob then shows updates of your mods, and downloads them."
    )
    page.method.setCurrentIndex(page.method.findData("oauth"))
    assert foot.what.text() == "Nexus Mods: sign in with your own app"
    assert foot.lead.text() == "First you register an app at Nexus Mods. Keyfob shows you each step."
    page.search.setText("openai")
    assert page.method.currentData() == "oauth"
    assert foot.what.text() == "OpenAI (Sign in with ChatGPT): sign in with your browser"
    page.search.setText("microsoft")
    assert foot.lead.text() == "You sign in with the app that you registered before."
    page.search.setText("claude")
    assert page.method.currentData() == "api_key"


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
