"""A test's way through the dialog Connect Account."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from keyfob.desktop.connect.dialog import ConnectDialog
from keyfob.service.sign_in.attempt import Attempt


def choose(dialog: ConnectDialog, query: str) -> None:
    dialog.gallery.search.setText(query)
    dialog.gallery.go.click()


def begun(attempts: list[Attempt], dialog: ConnectDialog, qtbot: QtBot, number: int = 1) -> Attempt:
    qtbot.waitUntil(lambda: len(attempts) == number and dialog.pages.currentWidget() is dialog.waiting)
    return attempts[-1]


def ends_at(dialog: ConnectDialog, page: QWidget, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is page)
