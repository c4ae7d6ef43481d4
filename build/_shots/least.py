"""The window and the dialogs at their smallest sizes; the gallery's and the form's are in `gallery`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QApplication

from _shots import account, connect, dialogs, imports, settings, window
from _shots.registry import scene

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from _shots.registry import Make
    from _shots.stage import Stage


def smallest(name: str, make: Make) -> None:
    """The scene `make` again, as small as its window lets itself be made."""

    @scene(name)
    def _small(stage: Stage) -> QWidget:
        widget = make(stage)
        stage.show(widget)
        widget.resize(widget.minimumSizeHint().expandedTo(widget.minimumSize()))
        QApplication.processEvents()
        return widget


smallest("least-window-keychain", window.keychain)
smallest("least-window-tested", window.tested)
smallest("least-window-said-bad", window.said_bad)
smallest("least-waiting", connect.paste_wrong)
smallest("least-device", connect.device_code)
smallest("least-success", connect.success)
smallest("least-failure", account.wrong_person)
smallest("least-moving", imports.done)
smallest("least-settings", settings.programs)
smallest("least-consent", dialogs.consent)
smallest("least-confirm", dialogs.removing)
smallest("least-rename", dialogs.renaming)
