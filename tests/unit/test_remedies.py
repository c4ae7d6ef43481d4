"""What to do about each error: a table for terminals and one for the window, each with every code."""

from __future__ import annotations

import re

import pytest

from keyfob.agent.remedies import REMEDIES as TERMINAL
from keyfob.cli import remedies as cli
from keyfob.core.error_codes import CODES
from keyfob.core.errors import KeychainError, SettingWrong
from keyfob.core.finding import Finding
from keyfob.desktop.shared import remedies as desktop

OF_THE_WINDOW = re.compile(r"\b[Pp]ress\b|Reconnect|Settings|settings\.json|\bthe list\b")


@pytest.mark.parametrize("table", [TERMINAL, desktop.REMEDIES], ids=["terminal", "window"])
def test_each_face_has_one_sentence_or_two_for_every_code(table: dict[str, str]) -> None:
    assert list(table) == list(CODES), "complete, and in the order of the errors"
    for text in table.values():
        assert text[0].isupper()
        assert text.endswith(".")


def test_a_terminal_names_no_button_and_no_page() -> None:
    assert not [code for code, text in TERMINAL.items() if OF_THE_WINDOW.search(text)]


def test_the_window_sends_nobody_to_a_command_where_it_has_a_button() -> None:
    assert not [code for code, text in desktop.REMEDIES.items() if "keyfob reconnect" in text]


def test_an_errors_own_remedy_comes_first() -> None:
    own = SettingWrong("The disk is full", remedy="Make room.")
    assert cli.sentence(own) == desktop.sentence(own) == "The disk is full. Make room."
    assert desktop.remedy(own) == cli.remedy(own) == "Make room."
    plain = SettingWrong("The port is in use", code="port_taken")
    assert cli.sentence(plain) == f"The port is in use. {TERMINAL['port_taken']}"
    assert desktop.sentence(plain) == f"The port is in use. {desktop.REMEDIES['port_taken']}"
    assert plain.sentence() == "The port is in use."


def test_a_prompt_that_needs_a_screen_is_not_waited_for_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    locked = KeychainError("The keychain is locked", code="keychain_locked")
    assert cli.remedy(locked) == cli.NO_SCREEN
    assert (
        cli.of_finding(Finding("keychain", False, "Locked", None, "fail", "keychain_locked")) == cli.NO_SCREEN
    )
    monkeypatch.setenv("DISPLAY", ":0")
    assert cli.remedy(locked) == TERMINAL["keychain_locked"]


def test_a_finding_has_its_own_remedy_or_its_codes() -> None:
    assert cli.of_finding(Finding("clock", True, "Matches")) is None
    assert cli.of_finding(Finding("clock", False, "Off", "Correct it.")) == "Correct it."
    assert cli.of_finding(Finding("port", False, "In use", code="port_taken")) == TERMINAL["port_taken"]
    assert cli.of_finding(Finding("store", False, "Old", "Update.", code="store_too_new")) == "Update."
