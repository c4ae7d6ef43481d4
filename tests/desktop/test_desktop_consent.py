"""The question whether a program may have a token, the switch in
Settings with its limits, and taking answers back.
"""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QLabel
from pytestqt.qtbot import QtBot

from keyfob.core.consent import Program, Question, Reply
from keyfob.desktop.controller import AppController
from keyfob.desktop.settings.program_card import LIMITS, SWITCH
from keyfob.desktop.shared.confirm import Confirm
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Elided
from keyfob.desktop.window.consent_dialog import Asking, ConsentDialog
from keyfob.engine import Engine
from keyfob.service.consents import UnansweredError
from support.sample_engine import sample_engine

TOOL = Program(
    "/usr/bin/python3.11", "/home/me/bin/sync.py", "/home/me/photos", ("/usr/bin/bash", "/usr/bin/kitty")
)
QUESTION = Question("github/aldis-k", TOOL)


class Thread:
    """A program's request on a thread of the agent's."""

    def __init__(self, asking: Asking, question: Question = QUESTION) -> None:
        self.replies: list[Reply] = []
        self._thread = threading.Thread(target=lambda: self.replies.append(asking.ask(question)), daemon=True)
        self._thread.start()

    def ended(self) -> bool:
        return not self._thread.is_alive()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return sample_engine(tmp_path)


@pytest.fixture
def asking(controller: AppController) -> Asking:
    return controller.consent_dialogs


@pytest.mark.parametrize(
    ("name", "reply"),
    [("once", Reply.ONCE), ("hour", Reply.HOUR), ("always", Reply.ALWAYS), ("no", Reply.NO)],
)
def test_each_button_is_its_answer(asking: Asking, qtbot: QtBot, name: str, reply: Reply) -> None:
    thread = Thread(asking)
    qtbot.waitUntil(lambda: asking.dialog is not None)
    getattr(asking.dialog, name).click()
    qtbot.waitUntil(thread.ended)
    assert thread.replies == [reply]
    assert asking.dialog is None


def test_escape_and_return_allow_nothing(asking: Asking, qtbot: QtBot) -> None:
    for key in (Qt.Key.Key_Escape, Qt.Key.Key_Return):
        thread = Thread(asking)
        qtbot.waitUntil(lambda: asking.dialog is not None)
        qtbot.keyClick(asking.dialog, key)
        qtbot.waitUntil(thread.ended)
        assert thread.replies == [Reply.NO]


def test_the_time_that_passes_is_a_no(theme: Theme, controller: AppController, qtbot: QtBot) -> None:
    asking = Asking(theme, controller.window, answer_within=0.05)
    thread = Thread(asking)
    qtbot.waitUntil(thread.ended)
    assert thread.replies == [Reply.NO]


def test_quitting_is_a_no_and_so_is_what_comes_later(asking: Asking, qtbot: QtBot) -> None:
    thread = Thread(asking)
    qtbot.waitUntil(lambda: asking.dialog is not None)
    asking.close()
    qtbot.waitUntil(thread.ended)
    assert thread.replies == [Reply.NO]
    assert asking.ask(QUESTION) is Reply.NO


def test_the_dialog_shows_which_program_wants_which_account(theme: Theme, qtbot: QtBot) -> None:
    dialog = ConsentDialog(theme, QUESTION)
    qtbot.addWidget(dialog)
    shown = " ".join(each.text() for each in dialog.findChildren(QLabel))
    for fact in (
        "sync.py",
        "github/aldis-k",
        TOOL.executable,
        "/home/me/bin/sync.py",
        "/home/me/photos",
        "bash ← kitty",
    ):
        assert fact in shown
    assert dialog.accessibleName() == "May sync.py use github/aldis-k?"
    assert {each.text() for each in dialog.findChildren(QAbstractButton)} == {
        "Allow once", "Allow for an hour", "Always allow", "Don’t allow",
    }  # fmt: skip


def test_a_programs_name_cannot_rewrite_the_question(theme: Theme, qtbot: QtBot) -> None:
    """S-65: controls, markup and bidirectional overrides in a path stay inert."""
    odd = Program("/tmp/a\n<b>Keyfob</b>\u202egnp.exe", None, "/tmp/\x1b[31m")
    dialog = ConsentDialog(theme, Question("github/aldis-k", odd))
    qtbot.addWidget(dialog)
    for each in dialog.findChildren(QLabel):
        assert not set(each.text()) & set("\n\x1b\u202e")
        assert each.textFormat() is Qt.TextFormat.PlainText or "<b>" not in each.text()


def test_a_program_that_cannot_be_told_is_allowed_once_at_most(theme: Theme, qtbot: QtBot) -> None:
    dialog = ConsentDialog(theme, Question("github/aldis-k", Program("")))
    qtbot.addWidget(dialog)
    assert dialog.once.isEnabled()
    assert not dialog.hour.isEnabled()
    assert not dialog.always.isEnabled()


def test_the_window_answers_for_the_engine(controller: AppController, engine: Engine, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: engine.consents.ask is not None)
    assert engine.consents.ask == controller.consent_dialogs.ask


def answered(engine: Engine, executable: str, reply: Reply) -> None:
    """A program asked, and the user gave this reply."""
    ask, engine.consents.ask = engine.consents.ask, lambda question: reply
    settings = engine.settings.load()
    engine.settings.save(replace(settings, named_app_consent=True), settings)
    with pytest.raises(UnansweredError) as caught:
        engine.consents.require(Program(executable), "github/aldis-k", "key-github-aldis-k")
    done = threading.Event()
    caught.value.wait(lambda error: done.set(), lambda: True)
    assert done.wait(5)
    engine.settings.save(settings, replace(settings, named_app_consent=True))
    engine.consents.ask = ask


def test_the_switch_tells_its_limits_and_answers_are_taken_back(
    controller: AppController, engine: Engine, qtbot: QtBot
) -> None:
    qtbot.waitUntil(lambda: engine.consents.ask is not None)
    answered(engine, "/usr/bin/curl", Reply.ALWAYS)
    engine.clock.forward(seconds=1)
    answered(engine, "/usr/bin/wget", Reply.NO)
    qtbot.waitUntil(lambda: controller.settings_controller.known)
    controller.window.sidebar.settings_button.click()
    dialog = controller.settings_controller.dialog
    assert dialog is not None
    assert not dialog.programs.switch.isChecked()
    assert dialog.programs.switch.accessibleName() == SWITCH
    assert LIMITS in [each.text() for each in dialog.findChildren(QLabel)]

    def revoke_buttons() -> list[QAbstractButton]:
        return [each for each in dialog.programs.findChildren(QAbstractButton) if each.text() == "Forget…"]

    qtbot.waitUntil(lambda: len(revoke_buttons()) == 2)
    shown = [each.full() for each in dialog.programs.findChildren(Elided)]
    assert any(each.startswith("Allowed until you forget it · ") for each in shown)
    assert any(re.match(r"Refused until \d\d:\d\d · ", each) for each in shown)
    revoke_buttons()[0].click()
    asked = dialog.findChild(Confirm)
    assert asked.accessibleName() == "Forget curl?"
    assert len(engine.consents.list()) == 2  # nothing is forgotten until the user says so
    asked.action.click()
    qtbot.waitUntil(lambda: len(revoke_buttons()) == 1)
    assert [each.executable for each in engine.consents.list()] == ["/usr/bin/wget"]
    dialog.programs.switch.click()
    qtbot.waitUntil(lambda: engine.settings.load().named_app_consent)
