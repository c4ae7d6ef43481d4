"""The dialog Settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from _shots.registry import scene
from keyfob.core.consent import Program, Reply
from keyfob.desktop.shared.confirm import Confirm
from keyfob.desktop.shared.passphrase_dialog import PassphraseDialog
from keyfob.desktop.shared.widgets import Scroller
from keyfob.service.consents import UnansweredError

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from _shots.stage import Stage
    from keyfob.desktop.settings.dialog import SettingsDialog
    from keyfob.engine import Engine

UPLOAD = Program(
    "/usr/bin/python3.11",
    "/home/aldis/work/reports/upload.py",
    "/home/aldis/work/reports",
    ("/usr/bin/zsh", "/usr/lib/gnome-terminal/gnome-terminal-server"),
)
SCRAPE = Program("/usr/bin/node", "/home/aldis/work/scrape.js", "/home/aldis/work", ("/usr/bin/zsh",))


def settings(stage: Stage, engine: Engine | None = None, *, tray: bool = True) -> SettingsDialog:
    app = stage.app(engine or stage.engine(stage.views("nexusmods", "google", "spotify")), tray=tray)
    app.running.open_settings()
    stage.settle()
    assert app.settings_controller.dialog is not None
    return app.settings_controller.dialog


def answer(stage: Stage, engine: Engine, program: Program, reply: Reply) -> None:
    """The person is asked about this program, and answers."""
    engine.consents.ask = lambda _question: reply
    told: list[object] = []
    try:
        engine.consents.require(program, "google/work@example.org", "key-google-work-example.org")
    except UnansweredError as asked:
        asked.wait(told.append, lambda: True)
    stage.until(lambda: told)


@scene("settings")
def usual(stage: Stage) -> QWidget:
    return settings(stage)


@scene("settings-no-tray")
def no_tray(stage: Stage) -> QWidget:
    return settings(stage, stage.engine([]), tray=False)


@scene("settings-wrong")
def wrong(stage: Stage) -> QWidget:
    dialog = settings(stage)
    dialog.port.setText("80")
    dialog.port.textEdited.emit("80")
    return dialog


@scene("settings-programs")
def programs(stage: Stage) -> QWidget:
    engine = stage.engine(stage.views("nexusmods", "google", "spotify"))
    answer(stage, engine, UPLOAD, Reply.ALWAYS)
    answer(stage, engine, SCRAPE, Reply.NO)
    return at_the_bottom(stage, settings(stage, engine))


def at_the_bottom(stage: Stage, dialog: SettingsDialog) -> SettingsDialog:
    stage.show(dialog)
    bar = dialog.findChildren(Scroller)[0].verticalScrollBar()
    bar.setValue(bar.maximum())
    return dialog


@scene("settings-about")
def about(stage: Stage) -> QWidget:
    dialog = settings(stage)
    stage.until(dialog.about.copy.isEnabled)
    dialog.about.show_licenses.click()
    return at_the_bottom(stage, dialog)


@scene("settings-vault")
def vault(stage: Stage) -> QWidget:
    dialog = settings(stage)
    dialog.vault.setCurrentText("pass")
    dialog.vault.activated.emit(dialog.vault.currentIndex())
    return dialog.findChildren(Confirm)[0]


@scene("settings-vault-passphrase")
def passphrase(stage: Stage) -> QWidget:
    """The encrypted file is chosen: it needs a new passphrase."""
    dialog = settings(stage)
    dialog.vault.setCurrentText("Encrypted file")
    dialog.vault.activated.emit(dialog.vault.currentIndex())
    stage.until(lambda: dialog.findChildren(PassphraseDialog))
    asked = dialog.findChildren(PassphraseDialog)[0]
    asked.field.setText("correct horse battery")
    return asked
