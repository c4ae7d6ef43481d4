"""The form before a sign-in: numbered steps, methods, what is kept, and the question before it is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QDate, QLocale, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QLineEdit, QPushButton
from pytestqt.qtbot import QtBot

from keyfob.core.methods import METHOD_FACTS, Method
from keyfob.core.provider import Provider
from keyfob.core.secret import Secret
from keyfob.desktop.connect import cards, forms
from keyfob.desktop.connect.dialog import ConnectDialog
from keyfob.desktop.connect.form_cards import Expiry
from keyfob.desktop.connect.form_parts import Numbered
from keyfob.desktop.connect.listener_thread import Threads
from keyfob.desktop.connect.models import KnownClient
from keyfob.desktop.connect.presenter import SignInPresenter
from keyfob.desktop.shared.confirm import Confirm
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Switch
from keyfob.desktop.window.presenter import Presenter
from keyfob.engine import Engine
from keyfob.providers.catalogue import standard
from keyfob.service.sign_in.attempt import Attempt
from support.announcements import announcements
from support.fake_ports import NOW
from support.scripted_provider import ScriptedBrowser

GOOGLE_ID = "12-ab.apps.googleusercontent.com"


@pytest.fixture
def presets(tmp_path: Path) -> dict[str, Provider]:
    return {preset.id: preset for preset in standard(tmp_path).all()}


@pytest.fixture
def dialog(
    theme: Theme,
    engine: Engine,
    presenter: Presenter,
    threads: Threads,
) -> Iterator[ConnectDialog]:
    result = ConnectDialog(theme, SignInPresenter(engine, presenter, threads, clock=lambda: NOW))
    yield result
    result.end()


def open_form(dialog: ConnectDialog, qtbot: QtBot, provider: str, method: Method) -> None:
    dialog.connect_to(provider, method)
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.form)
    dialog.activateWindow()
    qtbot.waitUntil(dialog.isActiveWindow)


def steps(dialog: ConnectDialog) -> list[str]:
    return [step.title.accessibleName() for step in dialog.form.findChildren(Numbered)]


def button(dialog: ConnectDialog, name: str) -> QPushButton:
    return next(b for b in dialog.form.findChildren(QPushButton) if b.accessibleName() == name)


def field(dialog: ConnectDialog, name: str) -> QLineEdit | None:
    found = (f for f in dialog.form.findChildren(QLineEdit) if f.accessibleName() == name)
    return next(found, None)


def test_the_steps_of_an_app_tick_themselves_off(dialog: ConnectDialog, qtbot: QtBot) -> None:
    opened: list[str] = []
    dialog.form.opened.disconnect()
    dialog.form.opened.connect(opened.append)
    open_form(dialog, qtbot, "github", "device")
    first, second, third = (
        "Open the page for apps at GitHub.",
        "Register an app there with this redirect address.",
        "Copy the client id from GitHub and paste it here.",
    )
    assert steps(dialog) == [f"Step 1: {first}", f"Step 2: {second}", f"Step 3: {third}"]
    assert button(dialog, "Open GitHub").hasFocus()
    qtbot.mouseClick(button(dialog, "Open GitHub"), Qt.MouseButton.LeftButton)
    assert opened == ["https://github.com/settings/applications/new"]
    qtbot.mouseClick(button(dialog, "Copy redirect URI"), Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == "http://127.0.0.1/callback"
    assert steps(dialog) == [f"Step 1, done: {first}", f"Step 2, done: {second}", f"Step 3: {third}"]
    qtbot.keyClicks(dialog.form.fields["client_id"], "Ov23")
    assert steps(dialog)[2] == f"Step 3, done: {third}"
    dialog.form.fields["client_id"].clear()
    assert steps(dialog)[2] == f"Step 3: {third}"


def test_a_screen_reader_hears_that_a_step_is_done(
    dialog: ConnectDialog, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_form(dialog, qtbot, "github", "device")
    spoken = announcements(monkeypatch)
    button(dialog, "Copy redirect URI").click()
    qtbot.keyClicks(dialog.form.fields["client_id"], "Ov23")
    assert [text for text, _ in spoken if "Step" in text] == ["Step 2 done", "Step 3 done", "Step 1 done"]


def test_a_client_id_that_is_there_says_nothing_of_the_redirect(dialog: ConnectDialog, qtbot: QtBot) -> None:
    open_form(dialog, qtbot, "github", "device")
    qtbot.keyClicks(dialog.form.fields["client_id"], "Ov23")
    assert ["done" in step for step in steps(dialog)] == [True, False, True]


@pytest.mark.parametrize(("provider", "shown"), [("google", False), ("strava", False), ("discord", True)])
def test_a_redirect_is_shown_only_if_the_provider_has_a_field_for_it(
    dialog: ConnectDialog, qtbot: QtBot, provider: str, shown: bool
) -> None:
    open_form(dialog, qtbot, provider, "oauth")
    address = field(dialog, "Redirect address")
    assert (address is not None) is shown
    if address is not None:
        assert address.isReadOnly()
        assert address.text() == "http://127.0.0.1:9876/callback"


def test_a_client_id_is_checked_where_the_preset_knows_its_form(
    dialog: ConnectDialog, attempts: list[Attempt], qtbot: QtBot
) -> None:
    open_form(dialog, qtbot, "google", "oauth")
    page = dialog.form
    page.fields["client_id"].setText("12-ab")
    page.fields["client_secret"].setText("canary-secret")
    page.go.click()
    assert page.problems["client_id"].text() == (
        "This is not a client id of Google. It ends with .apps.googleusercontent.com."
    )
    assert page.fields["client_id"].text() == "12-ab"
    assert page.fields["client_secret"].text() == "canary-secret"
    assert page.fields["client_id"].hasFocus()
    assert attempts == []
    page.fields["client_id"].setText(GOOGLE_ID)
    assert not page.problems["client_id"].isVisible()
    assert [
        w.isVisible()
        for w in page.findChildren(type(page.problems["client_id"]))
        if w.text() == "Looks right"
    ] == [True, False, False], "of the id, the secret and further scopes"
    assert steps(dialog)[-1].startswith("Step 3, done")
    page.go.click()
    qtbot.waitUntil(lambda: len(attempts) == 1)
    assert attempts[0].request.client_secret == Secret("canary-secret")


def test_the_page_of_a_server_opens_when_the_server_is_known(dialog: ConnectDialog, qtbot: QtBot) -> None:
    opened: list[str] = []
    dialog.form.opened.disconnect()
    dialog.form.opened.connect(opened.append)
    open_form(dialog, qtbot, "gitlab", "oauth")
    press, server = button(dialog, "Open GitLab"), dialog.form.fields["instance"]
    server.setText("not a host/")
    assert not press.isEnabled()
    server.setText("git.example.org")
    assert press.isEnabled()
    press.click()
    assert opened == ["https://git.example.org/-/user_settings/applications"]


@pytest.mark.parametrize("server", ["", "a b", "x@evil.example", "evil.example/path", "javascript:x"])
def test_s84_what_is_entered_leads_to_no_other_page(presets: dict[str, Provider], server: str) -> None:
    """S-84: a host is a host before it becomes part of an address that is opened."""
    gitlab = presets["keycloak"]
    page = forms.form(gitlab, "oauth", known=None, setting_port=1).registration
    assert page is not None
    assert page.page is not None
    assert forms.page_at(page.page, gitlab.inputs, {"instance": server, "realm": "r"}) is None


def test_the_method_is_changed_in_the_form_and_what_was_typed_stays(
    dialog: ConnectDialog, qtbot: QtBot
) -> None:
    open_form(dialog, qtbot, "github", "device")
    page = dialog.form
    page.fields["client_id"].setText("Ov23")
    assert page.methods is not None
    before, radios = page.methods, page.methods.radios()
    assert list(radios) == ["device", "oauth"]
    radios["device"].setFocus()
    qtbot.keyClick(radios["device"], Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: page.methods is not before)
    assert page.fields["client_id"].text() == "Ov23"
    assert page.methods.radios()["oauth"].hasFocus()
    qtbot.mouseClick(page.instead, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "api_key" in page.fields)
    assert page.instead.text() == "Use your own app instead"
    assert steps(dialog) == ["Step 1: Create a token at GitHub.", "Step 2: Copy it and paste it here."]
    page.fields["api_key"].setText("github_pat_canary")
    qtbot.mouseClick(page.instead, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "client_id" in page.fields)
    assert page.instead.text() == "Use a token instead"
    assert page.fields["client_id"].text() == "Ov23"


def test_a_key_of_the_wrong_form_is_refused_at_its_field(
    dialog: ConnectDialog, attempts: list[Attempt], qtbot: QtBot
) -> None:
    open_form(dialog, qtbot, "anthropic", "api_key")
    page = dialog.form
    page.fields["api_key"].setText("sk-ant-oat-canary")
    page.go.click()
    assert page.problems["api_key"].text().startswith("This is not an API key of Anthropic API. Begins with")
    assert page.fields["api_key"].text() == "sk-ant-oat-canary"
    assert attempts == []


@pytest.mark.parametrize("leave", ["escape", "cancel"])
def test_a_filled_form_is_not_lost_without_a_question(
    dialog: ConnectDialog, qtbot: QtBot, leave: str
) -> None:
    open_form(dialog, qtbot, "github", "device")
    page = dialog.form
    page.fields["client_id"].setText("Ov23")

    def question() -> Confirm:
        if leave == "escape":
            qtbot.keyClick(dialog, Qt.Key.Key_Escape)
        else:
            page.cancel.click()
        found = [c for c in dialog.findChildren(Confirm) if c.isVisible()]
        assert len(found) == 1
        assert found[0].accessibleName() == "Discard what you typed?"
        return found[0]

    question().cancel.click()
    assert dialog.isVisible()
    assert page.fields["client_id"].text() == "Ov23"
    QApplication.processEvents()
    question().action.click()
    assert not dialog.isVisible()
    open_form(dialog, qtbot, "github", "device")
    assert page.fields["client_id"].text() == ""


def test_an_empty_form_closes_at_once_and_so_does_any_when_the_app_ends(
    dialog: ConnectDialog, qtbot: QtBot
) -> None:
    open_form(dialog, qtbot, "gitlab", "oauth")
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    open_form(dialog, qtbot, "gitlab", "oauth")
    dialog.form.fields["client_id"].setText("x")
    dialog.end()
    assert not dialog.isVisible()


def test_back_to_the_gallery_loses_nothing(dialog: ConnectDialog, qtbot: QtBot) -> None:
    dialog.choose(demo=False)
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.gallery)
    for _ in range(2):
        dialog.gallery.chosen.emit("discord", "oauth")
        qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.form)
        if not dialog.form.fields["client_id"].text():
            dialog.form.fields["client_id"].setText("123")
            button(dialog, "Back").click()
            assert dialog.pages.currentWidget() is dialog.gallery
    assert dialog.form.fields["client_id"].text() == "123"


@pytest.mark.parametrize("origin", ["keyfob", "user"])
def test_an_app_of_before_is_offered_where_there_is_a_choice(
    dialog: ConnectDialog, presets: dict[str, Provider], attempts: list[Attempt], qtbot: QtBot, origin: str
) -> None:
    """A preset of the user's own is for one app: there is nothing to choose."""
    preset = replace(presets["discord"], origin=origin)
    asked = forms.form(preset, "oauth", known=KnownClient("Ov23liXk0a7Qd9TnB2mE", "yours"), setting_port=9876)
    dialog.show()
    dialog.show_form(forms.with_choices(asked, preset))
    if origin == "user":
        qtbot.waitUntil(lambda: len(attempts) == 1)
        return
    assert dialog.pages.currentWidget() is dialog.form
    assert "client_id" not in dialog.form.fields
    button(dialog, "Change the app").click()
    assert dialog.form.fields["client_id"].text() == ""
    button(dialog, "Use your app Ov23li…B2mE instead").click()
    assert "client_id" not in dialog.form.fields
    dialog.form.go.click()
    qtbot.waitUntil(lambda: len(attempts) == 1)
    assert attempts[0].request.client_id is None


def test_every_preset_that_needs_an_app_has_steps_that_can_be_read(presets: dict[str, Provider]) -> None:
    seen = 0
    for preset in presets.values():
        for method in preset.methods:
            if not (METHOD_FACTS[method].needs_client and cards.wants_own_app(preset)):
                continue
            app = forms.form(preset, method, known=None, setting_port=9876).registration
            assert app is not None
            # Any OAuth server: its page for service accounts is not known.
            assert app.page is not None or (preset.id, method) == ("oauth2", "client_credentials"), preset.id
            assert len(app.note) <= 200, preset.id
            assert not app.note or app.note.endswith("."), preset.id
            assert "shown here" not in app.note, preset.id
            assert app.redirect is not None or app.note, preset.id
            seen += 1
    assert seen > 30


def test_what_the_terms_forbid_is_no_choice_of_the_form(presets: dict[str, Provider]) -> None:
    claude = presets["claude"]
    asked = forms.with_choices(forms.form(claude, "api_key", known=None, setting_port=1), claude)
    assert asked.instead is None
    assert asked.choices == ()


@pytest.mark.parametrize("missing", [False, True])
def test_a_page_opens_in_the_browser_that_signs_in_or_the_form_says_its_address(
    dialog: ConnectDialog, browser: ScriptedBrowser, qtbot: QtBot, missing: bool
) -> None:
    browser.missing = missing
    open_form(dialog, qtbot, "figma", "api_key")
    before = dialog.form.text.text()
    (page,) = [b for b in dialog.form.findChildren(QPushButton) if b.text().startswith("Open")]
    page.click()
    qtbot.waitUntil(lambda: bool(browser.opened))
    (address,) = browser.opened
    assert address.startswith("https://www.figma.com/")
    wanted = f"Keyfob could not open a browser. Open {address} yourself." if missing else before
    qtbot.waitUntil(lambda: dialog.form.text.text() == wanted)


def test_a_key_of_two_parts_has_a_field_for_each(
    dialog: ConnectDialog, attempts: list[Attempt], qtbot: QtBot, tmp_path: Path
) -> None:
    folder = tmp_path / "home" / "config" / "providers"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "two.toml").write_text(
        'id = "two"\ntitle = "Two"\nmethods = ["api_key"]\n[api_key]\ncreate_at = "https://two.example/keys"\n'
        '[api_key.api]\nbase = "https://two.example"\nplacement = "header"\nname = "X-Key"\n'
        '[api_key.api.second]\ntitle = "Application key"\nhint = "It begins with app-"\npattern = "app-.+"\n'
        'name = "X-App"\n[api_key.identity]\nurl = "https://two.example/me"\n'
    )
    open_form(dialog, qtbot, "two", "api_key")
    page = dialog.form
    page.fields["api_key"].setText("canary-first")
    page.go.click()
    assert page.problems["second_key"].text() == "Application key is needed."
    page.fields["second_key"].setText("canary-second")
    page.go.click()
    refused = "This is not the Application key of Two. It begins with app-."
    assert page.problems["second_key"].text() == refused
    assert field(dialog, "Application key") is page.fields["second_key"]
    assert page.fields["second_key"].echoMode() == QLineEdit.EchoMode.Password
    page.fields["second_key"].setText("app-canary")
    page.go.click()
    qtbot.waitUntil(lambda: len(attempts) == 1)
    assert attempts[0].request.api_key == Secret("canary-first app-canary")
    assert steps(dialog)[1].endswith("Copy both parts and paste them here.")


def test_a_code_asks_for_no_secret_that_only_the_browser_needs(dialog: ConnectDialog, qtbot: QtBot) -> None:
    """GitHub's device flow uses no client secret, and no browser opens next."""
    open_form(dialog, qtbot, "github", "device")
    page = dialog.form
    assert "client_secret" not in page.fields
    assert "browser" not in page.text.text().lower()
    dialog.connect_to("github", "oauth")
    qtbot.waitUntil(lambda: "client_secret" in page.fields)


def test_a_service_account_is_one_button_away_and_asks_for_its_secret(
    dialog: ConnectDialog, attempts: list[Attempt], qtbot: QtBot
) -> None:
    open_form(dialog, qtbot, "keycloak", "oauth")
    page = dialog.form
    assert page.instead.text() == "Use a service account instead"
    qtbot.mouseClick(page.instead, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(
        lambda: "client_secret" in page.fields and page.instead.text() != "Use a service account instead"
    )
    assert steps(dialog) == [
        "Step 1: Open Keycloak.",
        "Step 2: Create a service account there.",
        "Step 3: Copy the client id and the client secret from Keycloak and paste them here.",
    ]
    assert "signs in as itself, not as you" in page.text.text()
    assert field(dialog, "Redirect address") is None
    page.fields["instance"].setText("id.example.org")
    page.fields["realm"].setText("staff")
    page.fields["client_id"].setText("robot")
    page.go.click()
    assert page.problems["client_secret"].text() == "Client secret is needed."
    page.fields["client_secret"].setText("canary-secret")
    page.go.click()
    qtbot.waitUntil(lambda: len(attempts) == 1)
    request = attempts[0].request
    assert (request.method, request.client_id) == ("client_credentials", "robot")
    assert request.client_secret == Secret("canary-secret")


def test_a_saved_app_is_not_offered_as_a_service_account(presets: dict[str, Provider]) -> None:
    known = KnownClient("app-of-mine", "yours")
    asked = forms.form(presets["keycloak"], "client_credentials", known=known, setting_port=9876)
    assert (asked.known_client, asked.needs_secret, asked.empty) == (None, True, False)
    assert asked.registration is not None
    assert asked.registration.service
    assert cards.card(presets["keycloak"], has_app=True).ways[-1].method == "client_credentials"
    assert cards.card(presets["keycloak"]).group == "own_app"


def test_a_date_has_english_names_in_an_english_window(theme: Theme, qtbot: QtBot) -> None:
    before = QLocale()
    QLocale.setDefault(QLocale("de_DE"))
    try:
        expiry = Expiry(theme)
    finally:
        QLocale.setDefault(before)
    qtbot.addWidget(expiry)
    expiry.day.setMinimumDate(QDate(2027, 1, 1))
    expiry.day.setDate(QDate(2027, 3, 12))
    assert expiry.day.text() == "12 March 2027"


def test_s86_the_form_asks_before_a_server_at_home_is_used_without_encryption(
    dialog: ConnectDialog, attempts: list[Attempt], qtbot: QtBot
) -> None:
    open_form(dialog, qtbot, "homeassistant", "api_key")
    page = dialog.form
    switch = next(s for s in page.findChildren(Switch) if s.accessibleName() == "Connect without encryption")
    assert not switch.isVisible()
    page.fields["user"].setText("marianne")
    page.fields["api_key"].setText("canary-key")
    page.fields["server"].setText("https://home.example.org")
    assert not switch.isVisible()
    page.fields["server"].setText("http://homeassistant.local:8123")
    assert switch.isVisible()
    assert not button(dialog, "Open Home Assistant").isEnabled()
    page.go.click()
    assert page.problems["server"].text() == (
        "Enter an https address, or switch on Connect without encryption."
    )
    assert attempts == []
    switch.setChecked(True)
    assert not page.problems["server"].isVisible()
    opened: list[str] = []
    page.opened.disconnect()
    page.opened.connect(opened.append)
    button(dialog, "Open Home Assistant").click()
    assert opened == ["http://homeassistant.local:8123/profile/security"]
    page.fields["server"].setText("http://nas:8123")
    assert not switch.isChecked()
    switch.setChecked(True)
    page.go.click()
    qtbot.waitUntil(lambda: len(attempts) == 1)
    assert attempts[0].request.allow_http == "nas:8123"


def test_another_providers_key_is_recognised_and_not_sent(
    dialog: ConnectDialog, attempts: list[Attempt], qtbot: QtBot
) -> None:
    open_form(dialog, qtbot, "github", "api_key")
    page = dialog.form
    page.fields["api_key"].setText("sk-ant-api03-" + "canary0123456789" * 3)
    page.go.click()
    assert page.problems["api_key"].text().startswith("This looks like an Anthropic key. ")
    page.fields["api_key"].setText("anything")
    page.go.click()
    assert page.problems["api_key"].text().startswith("This is not a token of GitHub. ")
    assert attempts == []


def test_a_page_that_needs_what_is_not_asked_for_is_not_offered(presets: dict[str, Provider]) -> None:
    """The page of an OAuth server is its authorization endpoint, which a service account does not need."""
    asked = forms.form(presets["oauth2"], "client_credentials", known=None, setting_port=9876)
    assert "authorization_endpoint" not in {each.name for each in asked.inputs}
    assert asked.registration is not None
    assert asked.registration.page is None
    browser = forms.form(presets["oauth2"], "oauth", known=None, setting_port=9876)
    assert browser.registration is not None
    assert browser.registration.page == "{authorization_endpoint}"
