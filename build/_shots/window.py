"""The main window, with an account in every state."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from _shots.registry import scene
from _shots.stage import NEXUS
from keyfob.core.errors import Fault, KeychainError
from keyfob.core.secret import Secret
from keyfob.core.times import to_rfc3339
from keyfob.desktop.shared.passphrase_dialog import PassphraseDialog
from keyfob.service.accounts.recovery import Recovered
from support.samples import NOW, D, view
from support.scripted_provider import BUSY

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from _shots.stage import Stage
    from keyfob.desktop.controller import AppController
    from keyfob.desktop.window.main_window import MainWindow
    from keyfob.engine import Engine

LOCKED = KeychainError("The keychain is locked", code="keychain_locked")
SILENT = KeychainError("The keychain did not answer in time", code="keychain_timeout")
SEALED = KeychainError("The encrypted file needs its passphrase", code="passphrase_needed")
ABSENT = KeychainError("This system has no keychain, or it is not running", code="keychain_absent")


@scene("window")
def window(stage: Stage) -> QWidget:
    return stage.window()


@scene("window-readme")
def readme(stage: Stage) -> QWidget:
    """For the first page of the project: an account with the page that most accounts have."""
    return stage.window("github")


@scene("window-needs-you")
def needs_you(stage: Stage) -> QWidget:
    return stage.window("google")


@scene("window-api-key")
def api_key(stage: Stage) -> QWidget:
    return stage.window("openai-api")


@scene("window-waiting")
def waiting(stage: Stage) -> QWidget:
    return stage.window("mastodon")


@scene("window-renewing")
def renewing(stage: Stage) -> QWidget:
    return stage.window("keycloak")


@scene("window-disconnected")
def disconnected(stage: Stage) -> QWidget:
    return stage.window("spotify")


@scene("window-many-scopes")
def many_scopes(stage: Stage) -> QWidget:
    return stage.window("github")


@scene("window-fine")
def fine(stage: Stage) -> QWidget:
    return stage.window("bluesky", keep=("nexusmods", "bluesky", "github", "openai-api"))


@scene("window-keychain")
def keychain(stage: Stage) -> QWidget:
    engine = stage.engine()
    stage.vault.error = LOCKED
    app = stage.app(engine)
    stage.choose(app, "nexusmods")
    return app.window


def without_keychain(stage: Stage, error: KeychainError) -> MainWindow:
    engine = stage.engine(stage.views("nexusmods", "bluesky", "github"))
    stage.vault.error = error
    app = stage.app(engine)
    stage.choose(app, "nexusmods")
    return app.window


@scene("window-no-keychain")
def no_keychain(stage: Stage) -> QWidget:
    return without_keychain(stage, ABSENT)


@scene("window-keychain-silent")
def silent_keychain(stage: Stage) -> QWidget:
    return without_keychain(stage, SILENT)


@scene("window-keychain-expired")
def expired_behind_the_lock(stage: Stage) -> QWidget:
    """Locked for so long that the token has expired."""
    engine = stage.engine(stage.views("nexusmods", "bluesky", "github"))
    stage.clock.forward(minutes=61)
    stage.vault.error = LOCKED
    app = stage.app(engine)
    stage.choose(app, "nexusmods")
    return app.window


@scene("window-keychain-asking")
def asking(stage: Stage) -> QWidget:
    """The system's prompt is open."""
    window = without_keychain(stage, LOCKED)
    window.banner_pressed.emit("keychain", "keychain_locked")
    stage.settle(lasting=1)
    return window


def behind_the_file(stage: Stage) -> AppController:
    """The tokens are in the encrypted file, which nobody has opened since the start."""
    engine = stage.engine(stage.views("nexusmods", "bluesky", "github"))
    engine.encrypted_file().open_with(Secret("correct horse battery"))
    stage.vault.error = SEALED
    app = stage.app(engine)
    stage.choose(app, "nexusmods")
    return app


@scene("window-file-locked")
def file_locked(stage: Stage) -> QWidget:
    return behind_the_file(stage).window


@scene("passphrase")
def passphrase(stage: Stage) -> QWidget:
    app = behind_the_file(stage)
    assert app.running is not None
    app.window.banner_pressed.emit("keychain", "passphrase_needed")
    asking = app.running.passphrase
    stage.until(lambda: asking.dialog)
    assert asking.dialog is not None
    return asking.dialog


@scene("passphrase-wrong")
def wrong_passphrase(stage: Stage) -> QWidget:
    dialog = passphrase(stage)
    assert isinstance(dialog, PassphraseDialog)
    dialog.field.setText("correct house")
    dialog.action.click()
    stage.until(lambda: dialog.problem.isVisible())
    return dialog


def damaged(stage: Stage) -> AppController:
    """The account store cannot be read at the start."""

    def build() -> Engine:
        raise Fault(
            "~/.local/share/keyfob/accounts.db is damaged (file is not a database); a copy is kept as "
            "accounts.db.damaged",
            code="store_damaged",
        )

    app = stage.opened(build, restore=Recovered)
    stage.until(lambda: app.window.banners)
    return app


@scene("window-store-damaged")
def store_damaged(stage: Stage) -> QWidget:
    return damaged(stage).window


@scene("restore")
def restore(stage: Stage) -> QWidget:
    app = damaged(stage)
    app.window.banner_pressed.emit("restore", "")
    assert app.restoring.dialog is not None
    return app.restoring.dialog


@scene("window-provider-down")
def provider_down(stage: Stage) -> QWidget:
    """The renewal is due and fails; the token lives for some minutes more."""
    engine = stage.engine(stage.views("nexusmods", "bluesky", "github"))
    stage.provider.next("refresh", BUSY, BUSY)
    stage.clock.forward(minutes=45)
    stage.renews = True
    app = stage.app(engine)
    stage.choose(app, "nexusmods")
    return app.window


@scene("window-key-refused")
def key_refused(stage: Stage) -> QWidget:
    app = stage.app(stage.engine(stage.views("openai-api", "bluesky")))
    stage.choose(app, "openai-api")
    stage.provider.refuses = "canary-access-token"
    app.running.ask("test", "key-openai-key-f3qa")
    stage.settle()
    return app.window


@scene("window-copied")
def copied(stage: Stage) -> QWidget:
    return pressed(stage, "copy")


@scene("window-tested")
def tested(stage: Stage) -> QWidget:
    return pressed(stage, "test")


def pressed(stage: Stage, action: str) -> MainWindow:
    app = stage.app(stage.engine(stage.views("nexusmods", "bluesky", "github")))
    stage.choose(app, "nexusmods")
    app.running.ask(action, NEXUS)
    stage.settle()
    return app.window


@scene("window-no-tray")
def no_tray(stage: Stage) -> QWidget:
    app = stage.app(stage.engine(stage.views("nexusmods", "bluesky")), tray=False)
    stage.choose(app, "nexusmods")
    app.running.presenter.set_offline(True)
    return app.window


@scene("window-said")
def said(stage: Stage) -> QWidget:
    app = stage.app(stage.engine(stage.views("nexusmods", "bluesky", "github")))
    stage.choose(app, "bluesky")
    app.running.presenter.act("disconnect", "key-bluesky-aldis.bsky.social")
    stage.settle()
    return app.window


@scene("window-said-bad")
def said_bad(stage: Stage) -> QWidget:
    app = stage.app(stage.engine(stage.views("nexusmods", "bluesky", "github")))
    stage.choose(app, "nexusmods")
    stage.provider.offline = True
    app.running.ask("renew", "key-nexusmods-aldis")
    stage.settle()
    return app.window


@scene("window-expired")
def expired(stage: Stage) -> QWidget:
    app = stage.app(stage.engine(stage.views("nexusmods", "bluesky")))
    stage.choose(app, "nexusmods")
    stage.clock.forward(minutes=61)
    app.running.presenter.publish()
    return app.window


@scene("window-loading")
def loading(stage: Stage) -> QWidget:
    built = threading.Event()
    engine = stage.engine()

    def build() -> object:
        built.wait(20)
        return engine

    app = stage.opened(build)
    stage.ending.append(built.set)
    return app.window


@scene("window-narrow")
def narrow(stage: Stage) -> QWidget:
    result = stage.window("keycloak")
    result.resize(stage.theme.px(780), stage.theme.px(520))
    return result


@scene("window-not-shared")
def not_shared(stage: Stage) -> QWidget:
    own = view("openai", "OpenAI", "aldis", name="Aldis", grant_ends_at=NOW + 9 * D)
    app = stage.app(
        stage.engine([replace(own, expires_at=NOW + timedelta(minutes=52)), *stage.views("bluesky")])
    )
    stage.choose(app, "openai")
    return app.window


@scene("window-interrupted")
def interrupted(stage: Stage) -> QWidget:
    engine = stage.engine(stage.views("nexusmods", "bluesky"))
    # As a Keyfob leaves it that is killed during a sign-in.
    body = {"provider": "openai", "account_key": "key-1", "at": to_rfc3339(stage.clock())}
    engine.store.write("attempt/1", json.dumps(body))
    app = stage.app(engine)
    stage.choose(app, "nexusmods")
    return app.window
