"""Menus: the tray's and the account's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtGui import QColor, QPainter, QPixmap
from PySide6.QtWidgets import QLabel, QWidget

from _shots.registry import scene
from keyfob.desktop.shared import icons
from keyfob.desktop.shared.palette import DARK, LIGHT

if TYPE_CHECKING:
    from _shots.stage import Stage


@scene("tray-menu")
def tray_menu(stage: Stage) -> QWidget:
    app = stage.app()
    app.tray.menu.popup(app.tray.menu.pos())
    return app.tray.menu


@scene("tray-icons")
def tray_icons(_stage: Stage) -> QWidget:
    """All states in the sizes of panels, on a light and a dark one; each four times as large."""
    picture = QPixmap(1000, 520)
    painter = QPainter(picture)
    for half, ground in enumerate((LIGHT.side, DARK.side)):
        painter.fillRect(half * 500, 0, 500, 520, QColor(ground))
        for row, state in enumerate(("fine", "renewing", "needs_you", "waiting")):
            left = half * 500 + 20
            for size in (16, 22, 24, 32):
                drawn = icons.tray_icon(state).pixmap(size, size)
                painter.drawPixmap(left, row * 130 + 1, drawn.scaled(size * 4, size * 4))
                left += size * 4 + 20
    painter.end()
    shown = QLabel()
    shown.setPixmap(picture)
    shown.setFixedSize(picture.size())
    return shown


@scene("account-menu")
def account_menu(stage: Stage) -> QWidget:
    menu = stage.window(keep=("nexusmods",)).account.menu
    menu.ensurePolished()
    menu.resize(menu.sizeHint())
    picture = QLabel()
    picture.setPixmap(menu.grab())
    return picture
