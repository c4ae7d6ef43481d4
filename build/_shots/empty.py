"""The window without an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from _shots.registry import scene
from _shots.window import LOCKED
from keyfob.core.settings import Settings

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
    app.window.banner_put_off.emit("welcome", "")
    return app.window


@scene("empty-first")
def first(stage: Stage) -> QWidget:
    return first_start(stage).window


@scene("empty-skipped")
def skipped(stage: Stage) -> QWidget:
    return stage.app(stage.engine([]), demo=Demo).window


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
