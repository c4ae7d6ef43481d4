"""The page Check everything."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QApplication

from _shots.registry import scene
from keyfob.core.finding import Finding
from keyfob.core.http import Request, Response
from keyfob.desktop.shared.widgets import Scroller
from keyfob.tools.tool_setup import Asked
from support.fake_ports import NOW, ScriptedTransport

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from _shots.stage import Stage
    from keyfob.core.account import AccountView
    from keyfob.desktop.controller import AppController
    from keyfob.desktop.window.main_window import MainWindow

WELL = (
    Finding("keychain", True, "GNOME Keyring: written, read and deleted"),
    Finding("callback_port", True, "127.0.0.1:9876 is free"),
    Finding("browser", True, "A default browser is set"),
    Finding("clock", True, "Matches github.com to within 1 s"),
    Finding("ca", True, "From the system"),
    Finding("proxy", True, "None"),
    Finding("settings", True, "Settings are valid"),
    Finding("store", True, "6 accounts"),
    Finding("presets", True, "61 providers"),
    Finding("agent", True, "Running (version 1.0.0, process 24101)"),
    Finding("consent", True, "Keyfob does not ask about programs"),
    Finding("log", True, "In /home/aldislongname/.local/state/aratherlongfoldername/keyfob/log/keyfob.log"),
)
UNASKED = Finding(
    "consent",
    True,
    "The agent has no window to ask you about new programs, so they get no tokens",
    "warn",
    "consent_refused",
)
TAKEN = Finding(
    "callback_port", False, "Port 9876 is in use by python3 (process 24489)", "fail", "port_taken"
)
LOCKED = Finding("keychain", False, "GNOME Keyring is locked", "fail", "keychain_locked")
FAST = ("nexusmods", "google", "bluesky", "github")


def answers(request: Request) -> Response:
    return Response(200, {}, b"", NOW, request.url)


def opened(
    stage: Stage,
    *others: Finding,
    keep: Sequence[str] = FAST,
    answer: Callable[[Request], Response] | None = answers,
    run: bool = True,
    views: Sequence[AccountView] | None = None,
    environment: Mapping[str, str] | None = None,
) -> AppController:
    """The window with the page open. `others` take the place of the findings with their names."""
    found = {each.name: each for each in (*WELL, *others)}
    checks = [(each.name, partial(lambda finding: finding, each)) for each in found.values()]
    asked = ScriptedTransport(answer)
    views = stage.views(*keep) if views is None else views
    engine = stage.engine(views, checks=checks, check_transport=asked, environment=environment or {})
    app = stage.app(engine)
    assert app.running is not None
    check = app.running.check
    ticks = count()
    check.presenter.timer = lambda: next(ticks) * 0.112
    if run:
        check.nav.click()
        stage.until(lambda: check.presenter.report)
    return app


@scene("check")
def usual(stage: Stage) -> QWidget:
    return opened(stage, TAKEN).window


@scene("check-well")
def well(stage: Stage) -> QWidget:
    return opened(stage, keep=("nexusmods", "github")).window


@scene("check-several")
def several(stage: Stage) -> QWidget:
    return opened(stage, LOCKED, TAKEN, UNASKED).window


def changed_git(stage: Stage) -> AppController:
    """Another program has taken Keyfob's lines out of git's settings."""
    engine = stage.engine(stage.views("github"), checks=())
    asked = Asked(stage.folder, ("github",))
    engine.tool_setup.make("git", asked, engine.tool_setup.plan("git", asked))
    notes = engine.wiring.notes("git")
    assert notes is not None
    for name in notes["files"]:
        Path(name).write_text("[user]\n\tname = Aldis\n")
    return opened(stage, keep=("github",))


@scene("check-no-accounts")
def no_accounts(stage: Stage) -> QWidget:
    """Opened from the first page: a way back instead of the list."""
    app = opened(stage, keep=("none",), run=False)
    app.window.empty.check_button.click()
    assert app.running is not None
    check = app.running.check
    stage.until(lambda: check.presenter.report)
    return app.window


@scene("check-tool-changed")
def tool_changed(stage: Stage) -> QWidget:
    window = changed_git(stage).window
    stage.show(window)
    bar = window.pages.currentWidget().findChildren(Scroller)[0].verticalScrollBar()
    bar.setValue(bar.maximum())
    QApplication.processEvents()
    return window


@scene("check-tool-access")
def tool_access(stage: Stage) -> QWidget:
    """git is set up for an account that may not read repositories."""
    views = [replace(view, scopes=("user:email",)) for view in stage.views("github")]
    engine = stage.engine(views, checks=())
    asked = Asked(stage.folder, ("github",))
    engine.tool_setup.make("git", asked, engine.tool_setup.plan("git", asked))
    helper = stage.folder / "git-credential-keyfob"
    helper.write_text("#!/bin/sh\n")
    helper.chmod(0o755)
    window = opened(stage, views=views, environment={"PATH": str(stage.folder)}).window
    stage.show(window)
    bar = window.pages.currentWidget().findChildren(Scroller)[0].verticalScrollBar()
    bar.setValue(bar.maximum())
    QApplication.processEvents()
    return window


@scene("check-repair")
def repair(stage: Stage) -> QWidget:
    app = changed_git(stage)
    assert app.running is not None
    repair = app.running.tool_repair
    repair.ask("git")
    stage.until(lambda: repair.dialog)
    assert repair.dialog is not None
    return repair.dialog


@scene("check-offline")
def offline(stage: Stage) -> QWidget:
    return opened(stage, answer=None).window


@scene("check-many")
def many(stage: Stage) -> QWidget:
    return bottom(stage, opened(stage, UNASKED, keep=()).window)


@scene("check-running")
def running(stage: Stage) -> QWidget:
    gate = threading.Event()

    def waits(request: Request) -> Response:
        if "github" in request.url:
            gate.wait(20)
        return answers(request)

    app = opened(stage, answer=waits, run=False)
    stage.ending.append(gate.set)
    assert app.running is not None
    app.running.check.nav.click()
    stage.until(lambda: "of" in app.running.check.page.summary.text())
    stage.until(lambda: app.running.check.page.summary.text().startswith("Checking… 9"))
    return app.window


@scene("check-narrow")
def narrow(stage: Stage) -> MainWindow:
    window = opened(stage, TAKEN).window
    window.resize(stage.theme.px(780), stage.theme.px(480))
    return window


@scene("check-narrow-bottom")
def narrow_bottom(stage: Stage) -> QWidget:
    return bottom(stage, narrow(stage))


def bottom(stage: Stage, window: MainWindow) -> MainWindow:
    stage.show(window)
    bar = window.pages.currentWidget().findChildren(Scroller)[0].verticalScrollBar()
    bar.setValue(bar.maximum())
    QApplication.processEvents()
    return window
