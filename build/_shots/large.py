"""With a font of one and a half the usual size: a scene whose name begins with `large` is drawn so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from _shots import account, connect, dialogs, empty, imports, settings
from _shots.registry import scene

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from _shots.stage import Stage


@scene("large-window")
def window(stage: Stage) -> QWidget:
    return stage.window("keycloak")


@scene("large-empty")
def no_account(stage: Stage) -> QWidget:
    return empty.no_tray(stage)


@scene("large-gallery")
def gallery(stage: Stage) -> QWidget:
    return connect.gallery(stage)


@scene("large-form")
def form(stage: Stage) -> QWidget:
    return connect.form(stage, "google", "oauth")


@scene("large-device")
def device(stage: Stage) -> QWidget:
    return connect.device(stage)


@scene("large-settings")
def all_settings(stage: Stage) -> QWidget:
    return settings.settings(stage)


@scene("large-settings-bottom")
def settings_at_the_bottom(stage: Stage) -> QWidget:
    return settings.programs(stage)


@scene("large-consent")
def consent(stage: Stage) -> QWidget:
    return dialogs.consent(stage)


@scene("large-moving")
def moving(stage: Stage) -> QWidget:
    return imports.moving(stage)


@scene("large-moving-done")
def moved(stage: Stage) -> QWidget:
    return imports.done(stage)


@scene("large-failure")
def failure(stage: Stage) -> QWidget:
    return account.wrong_person(stage)
