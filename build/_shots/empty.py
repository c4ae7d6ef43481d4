"""The window without an account."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from unittest.mock import patch

from PySide6.QtWidgets import QWidget

from _shots import imports
from _shots.registry import scene
from _shots.window import LOCKED
from keyfob.core.settings import Settings
from keyfob.demo import server

if TYPE_CHECKING:
    from _shots.stage import Stage
    from keyfob.desktop.controller import AppController


class Demo:
    """The demo provider, as far as the window sees it before a sign-in."""

    def stop(self) -> None:
        """Nothing runs."""


def first_start(stage: Stage) -> AppController:
    engine = stage.engine([])
    before = engine.settings.load()
    engine.settings.save(Settings(theme=before.theme, first_start_done=False), before)
    app = stage.app(engine, demo=Demo)
    stage.until(lambda: app.running.connect_dialog.gallery.isVisible())
    return app


@scene("empty")
def empty(stage: Stage) -> QWidget:
    app = first_start(stage)
    app.running.connect_dialog.reject()
    return app.window


@scene("empty-tall")
def tall(stage: Stage) -> QWidget:
    window = stage.app(stage.engine([]), demo=Demo).window
    window.resize(1200, 940)
    return window


@scene("empty-demo-starting")
def demo_starting(stage: Stage) -> QWidget:
    gate = threading.Event()
    stage.ending.append(gate.set)

    def serve() -> Demo:
        gate.wait()
        return Demo()

    window = stage.app(stage.engine([]), demo=serve).window
    window.empty.demo_button.click()
    return window


@scene("empty-demo-failed")
def demo_failed(stage: Stage) -> QWidget:
    def serve() -> server.DemoServer:
        taken = patch.object(server.DemoServer, "_bind", side_effect=OSError)
        with taken, patch.object(server, "_who_serves", return_value=None):
            return server.DemoServer(stage.folder / "demo").start()

    app = stage.app(stage.engine([]), demo=serve)
    app.window.empty.demo_button.click()
    stage.until(app.window.empty.problem.isVisible)
    return app.window


@scene("empty-keys-found")
def keys_found(stage: Stage) -> QWidget:
    imports.offered(stage).later.click()
    return stage.apps[-1].window


@scene("empty-no-keys")
def no_keys(stage: Stage) -> QWidget:
    window = stage.app(stage.engine([]), demo=Demo).window
    window.empty.keys_button.click()
    stage.until(lambda: window.empty.keys_button.text() == "Look again")
    return window


@scene("empty-first")
def first(stage: Stage) -> QWidget:
    return first_start(stage).window


@scene("empty-no-tray")
def no_tray(stage: Stage) -> QWidget:
    return stage.app(stage.engine([]), demo=Demo, tray=False).window


@scene("empty-least")
def least(stage: Stage) -> QWidget:
    engine = stage.engine([])
    stage.vault.error = LOCKED
    window = stage.app(engine, demo=Demo).window
    window.resize(window.minimumSize())
    return window
