"""Keyfob's own update: a bundle with the real start script, and a signed repository on loopback."""

from __future__ import annotations

import platform
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from _shots.registry import scene
from _shots.updates import of
from keyfob.desktop.shared.remedies import REMEDIES
from keyfob.updates.installation import Installation
from keyfob.updates.service import Updates
from keyfob.updates.source import Source
from support.bundles import WELL, new_bundle, packed
from support.fake_ports import NOW
from support.release_server import noise
from support.tuf_repository import served, slowly

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from _shots.stage import Stage
    from keyfob.desktop.controller import AppController
    from keyfob.desktop.updates.dialog import UpdateDialog
    from keyfob.engine import Engine

NOTES = """
## New

- **Tools and updates** shows the programs that you use with your accounts.
- Nexus Mods: downloads continue after a restart.
- The window asks for the encrypted file's passphrase.

## Changed

- Tokens are renewed a margin before they end, also after a long sleep. [More about renewing](https://example.org/renewing)

![a picture that is not loaded](https://example.org/picture.png)
"""


class OwnShop:
    """A bundle of Keyfob with a signed repository on loopback that has a newer one."""

    def __init__(self, stage: Stage, *, newest: str = "1.5.0", source: bool = True) -> None:
        self.stage = stage
        self.root = new_bundle(stage.folder / "keyfob", "1.4.2")
        self._served = served(stage.folder / "published")
        self.published = self._served.__enter__()
        stage.ending.append(self.end)
        self.open = True
        if newest:
            archive = packed(stage.folder, newest, f"{WELL}# {noise(1_500_000).hex()}\n")
            self.published.add(newest, archive, notes=NOTES, machine=platform.machine().lower())
        self.source = self.published.source if source else Source()
        self.installation = Installation("bundle", "1.4.2", root=self.root)

    def end(self) -> None:
        if self.open:
            self.open = False
            self._served.__exit__(None, None, None)

    def updates(self, engine: Engine) -> Updates:
        return Updates(
            self.installation,
            self.source,
            engine.home.state / "updates",
            remedies=REMEDIES,
            clock=self.stage.clock,
        )

    def window(self, *, checked: bool = True) -> AppController:
        stage = self.stage
        engine = stage.engine(stage.views("nexusmods", "github"))
        made = self.updates(engine)
        if checked:
            stage.clock.at = NOW - timedelta(minutes=12)
            made.check()
            stage.clock.at = NOW
        app = stage.app(engine, updates=lambda _: made)
        updates = of(app)
        stage.until(lambda: updates.own.status is not None and not updates.own.busy)
        updates.nav.click()
        stage.until(lambda: updates.presenter.loaded and not updates.presenter.busy)
        return app


def opened_dialog(app: AppController) -> UpdateDialog:
    updates = of(app)
    updates.open_dialog()
    assert updates.dialog is not None
    return updates.dialog


@scene("own-newer")
def own_newer(stage: Stage) -> QWidget:
    return OwnShop(stage).window().window


@scene("own-current")
def own_current(stage: Stage) -> QWidget:
    return OwnShop(stage, newest="").window().window


@scene("own-no-source")
def own_no_source(stage: Stage) -> QWidget:
    return OwnShop(stage, source=False).window(checked=False).window


@scene("own-managed")
def own_managed(stage: Stage) -> QWidget:
    shop = OwnShop(stage, source=False)
    shop.installation = Installation("deb", "1.4.2", "sudo apt update && sudo apt install keyfob")
    return shop.window(checked=False).window


@scene("own-offline")
def own_offline(stage: Stage) -> QWidget:
    shop = OwnShop(stage, newest="")
    shop.end()
    return shop.window().window


@scene("own-dialog")
def own_dialog(stage: Stage) -> QWidget:
    return opened_dialog(OwnShop(stage).window())


@scene("own-dialog-progress")
def own_dialog_progress(stage: Stage) -> QWidget:
    shop = OwnShop(stage)
    app = shop.window()
    gate = threading.Event()
    stage.ending.insert(0, gate.set)
    shop.published.before = slowly(shop.published.folder / "repository", gate)
    dialog = opened_dialog(app)
    dialog.action.click()
    stage.until(lambda: dialog.bar.value() > 300)
    return dialog


@scene("own-dialog-failed")
def own_dialog_failed(stage: Stage) -> QWidget:
    """The archive differs from the signed one."""
    shop = OwnShop(stage)
    app = shop.window()
    for path in (shop.published.folder / "repository" / "targets").iterdir():
        path.write_bytes(path.read_bytes()[:-9] + b"tampered!")
    dialog = opened_dialog(app)
    dialog.action.click()
    updates = of(app)
    stage.until(lambda: dialog.problem.text() and not updates.own.busy)
    return dialog


def installed(stage: Stage) -> AppController:
    app = OwnShop(stage).window()
    updates = of(app)
    updates.own.install()
    stage.until(lambda: not updates.own.busy, 30)
    return app


@scene("own-ready")
def own_ready(stage: Stage) -> QWidget:
    return installed(stage).window


@scene("own-dialog-ready")
def own_dialog_ready(stage: Stage) -> QWidget:
    return opened_dialog(installed(stage))
