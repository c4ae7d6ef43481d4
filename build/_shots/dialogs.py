"""The questions: before something is lost, for another name, and whether a program may have a token."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from _shots.registry import scene
from _shots.settings import UPLOAD
from keyfob.core.consent import Question
from keyfob.desktop.shared.confirm import Ask, Confirm

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from _shots.stage import Stage


def asked(stage: Stage, action: str, kind: type[QWidget]) -> QWidget:
    app = stage.app(stage.engine(stage.views("nexusmods")))
    app.running.ask(action, "key-nexusmods-aldis")
    found = app.window.findChild(kind)
    assert isinstance(found, kind)
    return found


@scene("confirm")
def disconnecting(stage: Stage) -> QWidget:
    return asked(stage, "disconnect", Confirm)


@scene("confirm-remove")
def removing(stage: Stage) -> QWidget:
    return asked(stage, "remove", Confirm)


@scene("rename")
def renaming(stage: Stage) -> QWidget:
    return asked(stage, "rename", Ask)


@scene("consent")
def consent(stage: Stage) -> QWidget:
    app = stage.app(stage.engine(stage.views("nexusmods", "google")))
    question = Question("google/work@example.org", UPLOAD)
    threading.Thread(target=app.consent_dialogs.ask, args=(question,), daemon=True).start()
    stage.until(lambda: app.consent_dialogs.dialog is not None)
    assert app.consent_dialogs.dialog is not None
    return app.consent_dialogs.dialog
