"""The dialog Connect Account: gallery, form, waiting, outcome. Every sign-in is a real one at a scripted
provider.
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

from _shots.empty import Demo
from _shots.registry import scene
from _shots.stage import ALDIS
from _shots.window import LOCKED
from keyfob.desktop.connect import sign_in_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtWidgets import QWidget

    from _shots.stage import Stage
    from keyfob.desktop.connect.dialog import ConnectDialog
    from keyfob.engine import Engine

PORT = 9876


def gallery(stage: Stage, query: str = "", *, demo: bool = True) -> ConnectDialog:
    dialog = stage.connect(demo=Demo, with_demo=True) if demo else stage.connect()
    dialog.gallery.search.setText(query)
    return dialog


def form(stage: Stage, provider: str, method: str, engine: Engine | None = None) -> ConnectDialog:
    dialog = stage.connect(engine)
    dialog.connect_to(provider, method)
    stage.until(lambda: dialog.pages.currentWidget() is dialog.form)
    return dialog


def signing_in(stage: Stage, engine: Engine | None = None) -> ConnectDialog:
    """A browser sign-in at Nexus Mods, with an app of one's own."""
    dialog = form(stage, "nexusmods", "oauth", engine)
    dialog.form.fields["client_id"].setText("keyfob-of-aldis")
    dialog.form.go.click()
    stage.until(lambda: dialog.pages.currentWidget() in (dialog.waiting, dialog.failure))
    return dialog


def waiting(stage: Stage) -> ConnectDialog:
    dialog = signing_in(stage)
    stage.until(dialog.waiting.copy_link.isEnabled)
    stage.clock.forward(seconds=48)
    dialog.waiting.second.emit()
    return dialog


def pasting(stage: Stage, text: str = "") -> ConnectDialog:
    dialog = waiting(stage)
    dialog.show()
    dialog.waiting.nothing.click()
    if text:
        dialog.waiting.paste_field.setText(text)
        dialog.waiting.paste_button.click()
        stage.settle(lasting=1)
    return dialog


def ended(stage: Stage, end: Callable[[], None], engine: Engine | None = None) -> ConnectDialog:
    dialog = signing_in(stage, engine)
    stage.until(dialog.waiting.copy_link.isEnabled)
    end()
    stage.until(lambda: dialog.pages.currentWidget() in (dialog.success, dialog.failure))
    return dialog


def device(stage: Stage) -> ConnectDialog:
    dialog = form(stage, "github", "device")
    dialog.form.fields["client_id"].setText("Iv1.8a61f9b3a7aba766")
    dialog.form.go.click()
    stage.until(lambda: dialog.waiting.code.text() == "WDJB-MJHT")
    return dialog


@scene("connect-gallery")
def with_demo(stage: Stage) -> QWidget:
    return gallery(stage)


@scene("connect-method")
def method(stage: Stage) -> QWidget:
    dialog = gallery(stage)
    dialog.gallery.list.setCurrentRow(3)
    return dialog


@scene("connect-search")
def search(stage: Stage) -> QWidget:
    return gallery(stage, "ma")


@scene("connect-nothing")
def nothing(stage: Stage) -> QWidget:
    return gallery(stage, "zzz")


@scene("connect-form-app")
def form_app(stage: Stage) -> QWidget:
    return form(stage, "google", "oauth")


@scene("connect-form-access")
def form_access(stage: Stage) -> QWidget:
    """Many things to choose, and one of them ticked by the user."""
    dialog = form(stage, "github", "device")
    assert dialog.form.access is not None
    dialog.form.access.rows[2].check.click()
    return dialog


@scene("connect-form-more-access")
def form_more_access(stage: Stage) -> QWidget:
    """An account that exists, and has some of it."""
    engine = stage.engine()
    dialog = stage.connect(engine)
    view = next(each for each in engine.accounts.views() if each.provider == "github")
    dialog.ask_for_more(view)
    stage.until(lambda: dialog.pages.currentWidget() is dialog.form)
    return dialog


@scene("connect-form-access-scope")
def form_access_scope(stage: Stage) -> QWidget:
    dialog = form(stage, "google", "oauth")
    access = dialog.form.access
    assert access is not None
    access.add.click()
    access.further.edit.setText('https://www.googleapis.com/auth/tasks "quoted"')
    dialog.form.go.click()
    return dialog


@scene("connect-form-missing")
def form_missing(stage: Stage) -> QWidget:
    dialog = form(stage, "google", "oauth")
    dialog.form.go.click()
    return dialog


@scene("connect-form-known")
def form_known(stage: Stage) -> QWidget:
    """An app that was entered at an earlier sign-in."""
    engine = stage.engine([])
    engine.clients.keep(engine.providers.get("microsoft"), {"tenant": "common"}, "3f6c1d20-77aa", None)
    return form(stage, "microsoft", "oauth", engine)


@scene("connect-form-handle")
def form_handle(stage: Stage) -> QWidget:
    return form(stage, "bluesky", "atproto")


@scene("connect-form-key")
def form_key(stage: Stage) -> QWidget:
    return form(stage, "claude", "api_key")


@scene("connect-form-service")
def form_service(stage: Stage) -> QWidget:
    dialog = form(stage, "keycloak", "client_credentials")
    dialog.form.fields["instance"].setText("id.example.org")
    dialog.form.go.click()
    return dialog


@scene("connect-form-unencrypted")
def form_unencrypted(stage: Stage) -> QWidget:
    dialog = form(stage, "homeassistant", "oauth")
    dialog.form.fields["server"].setText("http://homeassistant.local:8123")
    dialog.form.go.click()
    return dialog


@scene("connect-form-two-parts")
def form_two_parts(stage: Stage) -> QWidget:
    dialog = form(stage, "trello", "api_key")
    dialog.form.fields["api_key"].setText("made-up-key")
    return dialog


@scene("connect-form-blocked")
def form_blocked(stage: Stage) -> QWidget:
    return form(stage, "claude", "oauth")


@scene("connect-waiting")
def waits(stage: Stage) -> QWidget:
    return waiting(stage)


@scene("connect-paste")
def paste(stage: Stage) -> QWidget:
    return pasting(stage)


@scene("connect-paste-wrong")
def paste_wrong(stage: Stage) -> QWidget:
    return pasting(stage, "see http://127.0.0.1:9876/callback")


@scene("connect-no-browser")
def no_browser(stage: Stage) -> QWidget:
    stage.browser.missing = True
    return waiting(stage)


@scene("connect-checking")
def checking(stage: Stage) -> QWidget:
    stage.provider.hold("token")
    dialog = waiting(stage)
    stage.browser.allow(ALDIS)
    stage.until(lambda: stage.provider.sent("token"))
    stage.settle(lasting=1)
    return dialog


@scene("connect-device")
def device_code(stage: Stage) -> QWidget:
    return device(stage)


@scene("connect-success")
def success(stage: Stage) -> QWidget:
    return ended(stage, lambda: stage.browser.allow(ALDIS))


@scene("connect-recognised")
def recognised(stage: Stage) -> QWidget:
    return ended(stage, lambda: stage.browser.allow(ALDIS), stage.engine(stage.views("nexusmods")))


@scene("connect-failure")
def failure(stage: Stage) -> QWidget:
    return ended(stage, stage.browser.deny)


@scene("connect-timed-out")
def timed_out(stage: Stage) -> QWidget:
    return ended(stage, lambda: stage.browser.listener.time_out())


@scene("connect-key-refused")
def key_refused(stage: Stage) -> QWidget:
    stage.provider.refuses = "made-up-key"
    dialog = form(stage, "gitlab", "api_key")
    dialog.form.fields["api_key"].setText("glpat-made-up-key")
    dialog.form.go.click()
    stage.until(lambda: dialog.pages.currentWidget() is dialog.failure)
    return dialog


@scene("connect-key-created")
def key_created(stage: Stage) -> QWidget:
    """The provider's client needs a private key, which the window has created."""
    engine = stage.engine([])
    public = engine.client_keys.generate("ES256", "work").published
    dialog = stage.connect(engine)
    dialog.show_failure(sign_in_text.key_created(json.dumps({"keys": [public]})))
    return dialog


@scene("connect-keychain")
def keychain(stage: Stage) -> QWidget:
    engine = stage.engine([])
    dialog = form(stage, "nexusmods", "oauth", engine)
    dialog.form.fields["client_id"].setText("keyfob-of-aldis")
    stage.vault.error = LOCKED
    dialog.form.go.click()
    stage.until(lambda: dialog.pages.currentWidget() is dialog.failure)
    return dialog


@scene("connect-unreachable")
def unreachable(stage: Stage) -> QWidget:
    stage.provider.offline = True
    dialog = form(stage, "github", "device")
    dialog.form.fields["client_id"].setText("Iv1.8a61f9b3a7aba766")
    dialog.form.go.click()
    stage.until(lambda: dialog.pages.currentWidget() is dialog.failure)
    return dialog


@scene("connect-port")
def port(stage: Stage) -> QWidget:
    """This program itself holds the port."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", PORT))
        taken.listen()
        stage.listeners.take = True
        dialog = signing_in(stage)
        stage.until(lambda: dialog.pages.currentWidget() is dialog.failure)
    return dialog


@scene("switch-method")
def switching(stage: Stage) -> QWidget:
    app = stage.app(stage.engine(stage.views("nexusmods")))
    app.running.ask("switch_method", "key-nexusmods-aldis")
    dialog = app.running.connect_dialog
    stage.until(lambda: dialog.pages.currentWidget() is dialog.gallery)
    return dialog


@scene("real-gallery")
def real(stage: Stage) -> QWidget:
    return gallery(stage, demo=False)


@scene("real-search")
def real_search(stage: Stage) -> QWidget:
    return gallery(stage, "ai", demo=False)


@scene("real-blocked")
def real_blocked(stage: Stage) -> QWidget:
    return form(stage, "claude", "oauth")


@scene("real-app")
def real_app(stage: Stage) -> QWidget:
    return form(stage, "openai-codex", "oauth")


@scene("real-oidc")
def real_oidc(stage: Stage) -> QWidget:
    return form(stage, "oidc", "oauth")


@scene("real-mastodon")
def real_mastodon(stage: Stage) -> QWidget:
    return form(stage, "mastodon", "oauth")


@scene("real-key")
def real_key(stage: Stage) -> QWidget:
    return form(stage, "openai-api", "api_key")


@scene("real-twitch")
def real_twitch(stage: Stage) -> QWidget:
    return form(stage, "twitch", "oauth")
