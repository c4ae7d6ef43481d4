"""Bringing keys along from other tools."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from _shots.registry import scene
from keyfob.core.settings import Settings
from support.samples import write_tool_files

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from _shots.stage import Stage
    from keyfob.desktop.imports.dialog import ImportDialog


def offered(stage: Stage) -> ImportDialog:
    """The offer of a first start, in a home where other tools have left keys."""
    write_tool_files(stage.folder)
    home = os.environ.get("HOME")
    os.environ["HOME"] = str(stage.folder)
    stage.ending.append(lambda: os.environ.update(HOME=home or str(Path("/"))))
    engine = stage.engine([])
    before = engine.settings.load()
    engine.settings.save(Settings(theme=before.theme, first_start_done=False), before)
    app = stage.app(engine)
    stage.until(lambda: app.running.first_start is not None and app.running.first_start.dialog is not None)
    return app.running.first_start.dialog


@scene("moving")
def moving(stage: Stage) -> QWidget:
    return offered(stage)


@scene("moving-done")
def done(stage: Stage) -> QWidget:
    dialog = offered(stage)
    stage.provider.refuses = "canary-mN2c"
    dialog.go.click()
    stage.until(dialog.done_button.isVisible)
    return dialog
