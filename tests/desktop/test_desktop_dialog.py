"""What every modal dialog does."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QWidget
from pytestqt.qtbot import QtBot

from keyfob.core.settings import Settings
from keyfob.desktop.settings.dialog import SettingsDialog
from keyfob.desktop.shared.confirm import Ask, Confirm
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.main_window import MainWindow


@pytest.mark.parametrize("kind", ["confirm", "ask", "settings", "confirm over settings"])
def test_ctrl_q_ends_the_app_from_a_modal_dialog(theme: Theme, qtbot: QtBot, kind: str) -> None:
    window = MainWindow(theme)
    qtbot.addWidget(window)
    window.show()
    asked: list[bool] = []
    window.quit_asked.connect(lambda: asked.append(True))
    above: QWidget = window
    if "settings" in kind:
        above = SettingsDialog(theme, Settings(), tray=True, parent=window)
        above.open()
    match kind:
        case "ask":
            dialog: QDialog = Ask(theme, "Label", "", "a", "Rename", above)
        case "settings":
            assert isinstance(above, QDialog)
            dialog = above
        case _:
            dialog = Confirm(theme, "Remove?", "Gone.", "Remove", above)
    done: list[bool] = []
    if isinstance(dialog, Confirm):
        dialog.confirmed.connect(lambda: done.append(True))
    dialog.open()
    dialog.activateWindow()
    qtbot.waitUntil(dialog.isActiveWindow)
    qtbot.keyClick(dialog, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
    assert asked == [True]
    assert not dialog.isVisible()
    assert done == []
    for each in window.findChildren(QDialog):
        each.close()
