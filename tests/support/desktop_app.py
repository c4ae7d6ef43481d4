"""The whole desktop app in a test: a controller whose end does not end the test's own Qt loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from keyfob.desktop.controller import AppController, Start
from keyfob.desktop.shared import operation
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.main_window import MainWindow
from support.samples import NOW


def make_app(theme: Theme, build: Callable[[], Any], **start: Any) -> AppController:
    """A controller with a window of its own; `start` is what `Start`
    takes. The samples' time, if it names no clock.
    """
    parent = QApplication.instance()
    assert parent is not None
    return AppController(theme, build, MainWindow(theme), Start(**{"clock": lambda: NOW, **start}), parent)


class ShownIcon:
    """An icon in a tray, which off screen there is none of."""

    def __init__(self) -> None:
        self.tooltip = ""

    def isVisible(self) -> bool:
        return True

    def toolTip(self) -> str:
        return self.tooltip

    def setToolTip(self, text: str) -> None:
        self.tooltip = text

    def setIcon(self, icon: object) -> None:
        """Nothing draws it here."""

    def hide(self) -> None:
        """It stays as long as the scene."""

    def showMessage(self, *message: object) -> None:
        """A notification is the desktop's to draw."""


def is_loaded(controller: AppController) -> bool:
    """The engine is built, and the accounts are read."""
    return controller.running is not None and controller.running.presenter.loaded


def quit_app(controller: AppController, qtbot: QtBot) -> None:
    """Quit, and wait until everything has ended."""
    with qtbot.waitSignal(controller.ended, timeout=10_000) as ended:
        controller.quit()
    assert ended.args == [0]


def put_away(controller: AppController, qtbot: QtBot) -> None:
    """End what runs, with the engine left open, for a test that goes on to look at it."""
    if controller.running is not None:
        controller.running.close()
    controller.tray.close()
    controller.window.hide()
    qtbot.waitUntil(lambda: not operation.running() and not controller.threads.alive(), timeout=10_000)


def choose(controller: AppController, provider: str, qtbot: QtBot) -> str:
    """Select that provider's row; its account's key."""
    rows = controller.running.presenter.model.rows
    number = next(n for n, row in enumerate(rows) if row.id.startswith(f"{provider}/"))
    controller.window.sidebar.list.setCurrentRow(number)
    qtbot.waitUntil(lambda: controller.running.presenter.model.detail.key == rows[number].key)
    qtbot.waitUntil(lambda: not controller.running.presenter.loading)
    return rows[number].key
