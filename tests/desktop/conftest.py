"""Windows off screen, on the real engine with sample accounts. A Qt message or warning fails the test that
caused it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QtMsgType, qInstallMessageHandler
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from keyfob.desktop.connect.dialog import ConnectDialog
from keyfob.desktop.connect.listener_thread import Threads
from keyfob.desktop.controller import AppController
from keyfob.desktop.shared import operation
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.presenter import Presenter
from keyfob.engine import Engine
from keyfob.service.accounts.views import SignInRequest
from keyfob.service.sign_in.attempt import Attempt
from support.desktop_app import make_app, put_away
from support.fake_ports import NOW, FakeListeners, FakeVault, ScriptedTransport
from support.sample_engine import sample_engine
from support.scripted_provider import ScriptedBrowser, ScriptedProvider

# What the offscreen platform says of itself, whatever the app does.
PLATFORM = ("This plugin does not support", "QFontDatabase: Cannot find font directory")


@pytest.fixture(autouse=True)
def qt_messages() -> Iterator[list[str]]:
    """Every message of Qt is a fault of ours."""
    seen: list[str] = []

    def keep(kind: QtMsgType, _context: object, message: str) -> None:
        if kind != QtMsgType.QtDebugMsg and not message.startswith(PLATFORM):
            seen.append(message)

    before = qInstallMessageHandler(keep)
    yield seen
    qInstallMessageHandler(before)
    assert seen == []


@pytest.fixture(scope="session")
def theme(qapp: QApplication) -> Theme:
    return Theme(qapp, "light")


@pytest.fixture
def vault() -> Iterator[FakeVault]:
    result = FakeVault()
    yield result
    # A test that failed may have left a call waiting: a thread that runs at the exit would crash it.
    result.answered.set()
    if result.gate is not None:
        result.gate.set()


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    """Every account's provider."""
    result = ScriptedProvider()
    yield result
    result.let_go()


@pytest.fixture
def listeners() -> FakeListeners:
    return FakeListeners()


@pytest.fixture
def browser(provider: ScriptedProvider, listeners: FakeListeners) -> ScriptedBrowser:
    return ScriptedBrowser(provider, listeners)


@pytest.fixture
def world(
    vault: FakeVault, provider: ScriptedProvider, listeners: FakeListeners, browser: ScriptedBrowser
) -> dict[str, Any]:
    """What the engine reaches outside, as fields of its ports."""
    return {
        "vault": vault,
        "transport": ScriptedTransport(provider),
        "listeners": listeners,
        "browser": browser,
    }


@pytest.fixture
def engine(tmp_path: Path, world: dict[str, Any]) -> Engine:
    return sample_engine(tmp_path, **world)


@pytest.fixture
def attempts(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[Attempt]:
    """Every sign-in that has begun."""
    begun: list[Attempt] = []
    begin = engine.sign_in.begin

    def noted(request: SignInRequest) -> Attempt:
        begun.append(begin(request))
        return begun[-1]

    monkeypatch.setattr(engine.sign_in, "begin", noted)
    return begun


@pytest.fixture
def clock() -> list[datetime]:
    """What the app takes for the time, in its last entry; the samples' own time."""
    return [NOW]


@pytest.fixture
def threads(qapp: QApplication) -> Iterator[Threads]:
    result = Threads()
    yield result
    assert result.wait(5000)


@pytest.fixture(autouse=True)
def nothing_ends_the_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After a real exit no event loop of Qt runs again: every later test
    would wait in vain for its time-outs.
    """
    ended: list[int] = []
    monkeypatch.setattr(QApplication, "exit", staticmethod(ended.append))
    yield
    assert ended == []


@pytest.fixture(autouse=True)
def nothing_left(qapp: QApplication, qtbot: QtBot) -> Iterator[None]:
    """Every operation of a test has ended, and every window is gone, before the next test begins."""
    yield
    operation.ask_all_to_end()
    desks = [each for each in qapp.children() if isinstance(each, AppController)]
    try:
        qtbot.waitUntil(lambda: not operation.running(), timeout=10_000)
        qtbot.waitUntil(lambda: not any(each.threads.alive() for each in desks), timeout=10_000)
    finally:
        for left in (*qapp.topLevelWidgets(), *desks):
            left.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert [each for each in qapp.topLevelWidgets() if each.isVisible()] == []


@pytest.fixture
def presenter(engine: Engine, qtbot: QtBot) -> Iterator[Presenter]:
    result = Presenter(engine, clock=lambda: NOW)
    yield result
    result.close()


@pytest.fixture
def controller(
    qapp: QApplication, theme: Theme, engine: Engine, clock: list[datetime], qtbot: QtBot
) -> Iterator[AppController]:
    """The whole app on the sample engine, its window shown and filled."""
    result = make_app(theme, lambda: engine, clock=lambda: clock[-1])
    result.begin()
    qtbot.waitUntil(lambda: bool(result.window.sidebar.list.count()), timeout=5000)
    yield result
    put_away(result, qtbot)


@pytest.fixture
def dialog(controller: AppController, qtbot: QtBot) -> ConnectDialog:
    """Connect Account, at its gallery."""
    controller.window.sidebar.connect_button.click()
    result = controller.running.connect_dialog
    assert result is not None
    qtbot.waitUntil(lambda: result.pages.currentWidget() is result.gallery)
    return result


@pytest.fixture
def back_to_usual(qapp: QApplication, theme: Theme) -> Iterator[None]:
    """Ends what a test of larger fonts has set."""
    yield
    qapp.setFont(QFont())
    theme.apply()
