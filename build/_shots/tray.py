"""Menus: the tray's and the account's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QLabel, QWidget

from _shots.registry import scene

if TYPE_CHECKING:
    from _shots.stage import Stage


@scene("tray-menu")
def tray_menu(stage: Stage) -> QWidget:
    app = stage.app()
    app.tray.menu.popup(app.tray.menu.pos())
    return app.tray.menu


@scene("account-menu")
def account_menu(stage: Stage) -> QWidget:
    menu = stage.window(keep=("nexusmods",)).account.menu
    menu.ensurePolished()
    menu.resize(menu.sizeHint())
    picture = QLabel()
    picture.setPixmap(menu.grab())
    return picture
