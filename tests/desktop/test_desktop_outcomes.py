"""The pages of a sign-in: their place, their order for assistive technology, and what is read aloud."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtGui import QAccessible, QAccessibleInterface, QGuiApplication
from PySide6.QtWidgets import QPushButton, QWidget
from pytestqt.qtbot import QtBot

from keyfob.desktop.connect import sign_in_text
from keyfob.desktop.connect.dialog import ConnectDialog
from keyfob.desktop.connect.models import Failure
from keyfob.desktop.connect.waiting_page import StepRow
from keyfob.desktop.controller import AppController
from keyfob.engine import Engine
from keyfob.service.accounts.views import Progress
from support.announcements import announcements
from support.samples import NOW, view


@pytest.fixture
def dialog(controller: AppController) -> ConnectDialog:
    return controller.running.connect_dialog


@pytest.mark.parametrize("page", ["browser", "device"])
def test_the_waiting_page_has_one_left_edge_and_unfolds_downwards(
    dialog: ConnectDialog, qtbot: QtBot, page: str
) -> None:
    progress = Progress("waiting", "nexusmods", "Nexus Mods", "oauth", paste="url")
    if page == "device":
        progress = replace(progress, stage="code", method="device", user_code="WDJB-MJHT", paste=None)
    dialog.show_waiting(sign_in_text.waiting(progress, NOW))
    dialog.show()
    qtbot.wait(20)
    waiting = dialog.waiting

    def place(widget: QWidget) -> QPoint:
        return widget.mapTo(dialog, QPoint(0, 0))

    title = place(waiting.title)
    assert (title.x(), title.y()) == (28, 24)
    assert place(waiting.text).x() == 28
    assert place(waiting.findChildren(StepRow)[0]).x() == 28
    assert waiting.title.width() <= 560
    if page == "browser":
        steps = [place(row) for row in waiting.findChildren(StepRow)]
        link = place(waiting.nothing)
        waiting.nothing.click()
        qtbot.wait(20)
        assert waiting.paste_field.isVisible()
        assert place(waiting.title) == title
        assert [place(row) for row in waiting.findChildren(StepRow)] == steps
        assert place(waiting.nothing) == link
        assert place(waiting.paste_field).y() > link.y()
    dialog.show_failure(Failure("Nexus Mods was not connected", "No answer.", "", "", "Try again"))
    qtbot.wait(20)
    assert place(dialog.failure.title) == title


def test_assistive_technology_reads_the_steps_before_the_field(dialog: ConnectDialog, qtbot: QtBot) -> None:
    progress = Progress("waiting", "nexusmods", "Nexus Mods", "oauth", paste="url")
    dialog.show_waiting(sign_in_text.waiting(progress, NOW))
    dialog.show()
    dialog.waiting.nothing.click()
    order = list(spoken_order(QAccessible.queryAccessibleInterface(dialog.waiting)))
    wanted = ["Sign in at Nexus Mods", "Waiting for you: under way", "Browser did not open?",
              "Pasted address or code", "Copy link", "Cancel"]  # fmt: skip
    assert [name for name in order if name in wanted] == wanted


def spoken_order(node: QAccessibleInterface) -> Iterator[str]:
    yield node.text(QAccessible.Text.Name)
    for number in range(node.childCount()):
        child = node.child(number)
        if child is not None:
            yield from spoken_order(child)


def test_the_steps_and_the_outcome_are_read(dialog: ConnectDialog, monkeypatch: pytest.MonkeyPatch) -> None:
    spoken = announcements(monkeypatch)
    progress = Progress("waiting", "nexusmods", "Nexus Mods", "oauth", browser_opened=True)
    for left in (5, 4):
        now = replace(progress, deadline=NOW + timedelta(minutes=left))
        dialog.show_waiting(sign_in_text.waiting(now, NOW))
    dialog.show_waiting(sign_in_text.waiting(replace(progress, stage="checking"), NOW))
    assert [text for text, _ in spoken] == ["Waiting for you", "Check who signed in"]
    account = view("nexusmods", "Nexus Mods", "alice", name="Alice")
    dialog.show_success(sign_in_text.success(replace(progress, stage="done", account=account)))
    assert spoken[-1] == ("Connected as Alice. Nexus Mods", "Polite")
    dialog.show_failure(Failure("Not connected", "No answer.", "Try again.", "", "Try again"))
    assert spoken[-1] == ("Not connected. No answer. Try again.", "Assertive")
    dialog.waiting.say("Link copied.", True)
    assert spoken[-1] == ("Link copied.", "Polite")


def test_success_names_the_next_step(dialog: ConnectDialog, qtbot: QtBot) -> None:
    progress = Progress("done", "demo", "Demo", "oauth", account=view("demo", "Demo", "alice", name="Alice"))
    dialog.show_success(sign_in_text.success(progress))
    dialog.show()
    card = dialog.success.next_step
    assert card.command.full() == "keyfob token demo/alice"
    card.copy_command.click()
    assert QGuiApplication.clipboard().text() == "keyfob token demo/alice"
    assert card.copy_command.text() == "Copied"
    card.copy_name.click()
    assert QGuiApplication.clipboard().text() == "demo/alice"
    kinds = [b for b in dialog.success.findChildren(QPushButton) if b.property("kind") == "primary"]
    assert kinds == [dialog.success.done_button]
    kept = replace(progress, account=view("x", "X", "a", shareable=False))
    dialog.show_success(sign_in_text.success(kept))
    assert not card.copy_command.isVisible()
    assert card.words.text() == "X’s terms do not let other tools use this token."


WITH_KEY = """\
id = "work"
title = "Work"
methods = ["oauth"]
issuer = "https://id.example.org"
scopes = ["openid"]
[endpoints]
authorization_endpoint = "https://id.example.org/authorize"
token_endpoint = "https://id.example.org/token"
jwks_uri = "https://id.example.org/keys"
[client]
client_id = "keyfob"
auth = "private_key_jwt"
alg = "RS256"
[identity]
source = "id_token"
"""


def test_a_missing_client_key_is_created_in_the_window(
    dialog: ConnectDialog, engine: Engine, qtbot: QtBot
) -> None:
    folder = engine.home.config / "providers"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "work.toml").write_text(WITH_KEY)
    dialog.connect_to("work", "oauth")
    failure = dialog.failure
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is failure)
    assert failure.text.text() == "Work needs a private key for its client, and there is none."
    assert "terminal" not in failure.remedy.text()
    assert failure.retry_button.text() == "Create a key"
    failure.retry_button.click()
    assert not failure.retry_button.isEnabled()
    qtbot.waitUntil(lambda: failure.retry_button.text() == "Try again")
    assert failure.title.text() == "The key is in your keychain"
    assert failure.copy.accessibleName() == "Copy public key"
    failure.copy.click()
    copied = json.loads(QGuiApplication.clipboard().text())
    assert copied == engine.client_keys.published("work")
    assert copied["keys"][0]["kty"] == "RSA"
    assert "d" not in copied["keys"][0]
    failure.retry_button.click()
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.waiting)
    dialog.waiting.cancel.click()
    dialog.show_failure(Failure("Not connected", "No answer.", "", "code: x", "Try again"))
    assert failure.copy.accessibleName() == "Copy details"
