"""What has the keyboard's focus shows a ring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt

from _shots import connect, dialogs, settings
from _shots.registry import scene

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from _shots.stage import Stage


def focused(stage: Stage, window: QWidget, target: QWidget) -> QWidget:
    """As the Tab key leaves it."""
    stage.show(window)
    window.activateWindow()
    stage.until(window.isActiveWindow)
    target.setFocus(Qt.FocusReason.TabFocusReason)
    return window


@scene("focus-list")
def accounts(stage: Stage) -> QWidget:
    window = stage.window()
    return focused(stage, window, window.sidebar.list)


@scene("focus-button")
def button(stage: Stage) -> QWidget:
    window = stage.window()
    return focused(stage, window, window.account.renew)


@scene("focus-primary")
def primary(stage: Stage) -> QWidget:
    window = stage.window()
    return focused(stage, window, window.sidebar.connect_button)


@scene("focus-gallery")
def gallery(stage: Stage) -> QWidget:
    dialog = connect.gallery(stage)
    return focused(stage, dialog, dialog.gallery.list)


@scene("focus-field")
def field(stage: Stage) -> QWidget:
    dialog = connect.form(stage, "google", "oauth")
    return focused(stage, dialog, dialog.form.fields["client_id"])


@scene("focus-link")
def link(stage: Stage) -> QWidget:
    dialog = connect.success(stage)
    return focused(stage, dialog, dialog.success.undo)


@scene("focus-switch")
def switch(stage: Stage) -> QWidget:
    dialog = settings.settings(stage)
    return focused(stage, dialog, dialog.login)


@scene("focus-consent")
def consent(stage: Stage) -> QWidget:
    dialog = dialogs.consent(stage)
    return focused(stage, dialog, dialog.once)
