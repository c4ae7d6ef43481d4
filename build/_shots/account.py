"""The page of one account in the states that the window's scenes leave out, at its sizes, and its history."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from _shots.registry import scene
from _shots.stage import GOOGLE, NEXUS
from keyfob.core.account import AccountView
from keyfob.core.errors import KeychainError, SettingWrong
from support.sample_engine import change
from support.samples import NOW, D, H
from support.scripted_provider import Someone

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from _shots.stage import Stage
    from keyfob.desktop.connect.dialog import ConnectDialog
    from keyfob.desktop.controller import AppController
    from keyfob.desktop.window.history_dialog import HistoryDialog

LOCKED = KeychainError("The keychain is locked", code="keychain_locked")


def with_account(stage: Stage, view: AccountView) -> AppController:
    """The window with this account alone."""
    app = stage.app(stage.engine([view]))
    stage.choose(app, view.provider)
    return app


def sized(stage: Stage, provider: str, width: int, height: int) -> QWidget:
    result = stage.window(provider)
    result.resize(stage.theme.px(width), stage.theme.px(height))
    return result


@scene("account-wide")
def wide(stage: Stage) -> QWidget:
    return sized(stage, "nexusmods", 1920, 1040)


@scene("account-access")
def access(stage: Stage) -> QWidget:
    """What tools may do, in words; the provider gave less than was asked for."""
    return sized(stage, "github", 980, 720)


@scene("account-unencrypted")
def unencrypted(stage: Stage) -> QWidget:
    """A server at home that the user allowed without TLS."""
    engine = stage.engine()
    account = engine.accounts.resolve("nexusmods").account
    change(
        engine, "nexusmods", account=replace(account, pin=replace(account.pin, plain_host="nas.local:8123"))
    )
    app = stage.app(engine)
    stage.choose(app, "nexusmods")
    return app.window


@scene("account-least")
def least(stage: Stage) -> QWidget:
    return sized(stage, "nexusmods", 780, 480)


@scene("account-least-needs-you")
def least_needs_you(stage: Stage) -> QWidget:
    return sized(stage, "google", 780, 480)


@scene("account-keychain-needs-you")
def keychain(stage: Stage) -> QWidget:
    engine = stage.engine()
    stage.vault.error = LOCKED
    app = stage.app(engine)
    stage.choose(app, "google")
    return app.window


@scene("account-retry")
def retry(stage: Stage) -> QWidget:
    """The provider could not be reached, and the token still works."""
    (view,) = stage.views("github")
    app = with_account(stage, view)
    stage.provider.offline = True
    app.running.ask("renew", view.key)
    stage.settle()
    app.window.note.hide()
    return app.window


@scene("account-fix")
def fix(stage: Stage) -> QWidget:
    """Only a setting helps: the reason and the remedy, and no button."""
    (view,) = stage.views("github")
    app = with_account(stage, view)
    why = "The connection to github.com cannot be trusted: certificate has expired"
    stage.provider.next("refresh", SettingWrong(why, code="tls_untrusted"))
    app.running.ask("renew", view.key)
    stage.settle()
    app.window.note.hide()
    return app.window


@scene("account-key-soon")
def key_soon(stage: Stage) -> QWidget:
    (view,) = stage.views("openai-api")
    return with_account(stage, replace(view, expires_at=NOW + 3 * D)).window


@scene("account-ends-soon")
def ends_soon(stage: Stage) -> QWidget:
    (view,) = stage.views("bluesky")
    return with_account(stage, replace(view, grant_ends_at=NOW + 20 * H)).window


def history(stage: Stage, query: str = "") -> HistoryDialog:
    app = stage.app(stage.engine(stage.views("nexusmods", "bluesky")))
    app.running.ask("history", NEXUS if query != "-" else "key-bluesky-aldis.bsky.social")
    stage.settle()
    dialog = app.running.history.dialog
    assert dialog is not None
    dialog.search.setText(query.strip("-"))
    return dialog


@scene("account-history")
def all_activity(stage: Stage) -> QWidget:
    return history(stage)


@scene("account-history-nothing")
def no_match(stage: Stage) -> QWidget:
    return history(stage, "zzz")


@scene("account-history-empty")
def no_activity(stage: Stage) -> QWidget:
    return history(stage, "-")


def again(stage: Stage, provider: str, key: str) -> ConnectDialog:
    """Signing in again to this account, in the browser."""
    app = stage.app(stage.engine(stage.views(provider)))
    app.running.ask("reconnect", key)
    dialog = app.running.connect_dialog
    stage.until(lambda: dialog.pages.currentWidget() is dialog.waiting)
    stage.until(dialog.waiting.copy_link.isEnabled)
    return dialog


@scene("connect-again")
def signs_in_again(stage: Stage) -> QWidget:
    return again(stage, "google", GOOGLE)


@scene("connect-wrong-person")
def wrong_person(stage: Stage) -> QWidget:
    """Somebody else signed in."""
    dialog = again(stage, "nexusmods", NEXUS)
    stage.browser.allow(Someone(7, "bob", "Bob", "member"))
    stage.until(lambda: dialog.pages.currentWidget() is dialog.failure)
    return dialog


@scene("large-account-needs-you")
def large(stage: Stage) -> QWidget:
    return stage.window("google")


@scene("large-account-history")
def large_history(stage: Stage) -> QWidget:
    return history(stage)
