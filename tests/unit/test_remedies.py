"""What to do about each error: a table for terminals and one for the window, each with every code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import keyfob
from keyfob.agent.remedies import REMEDIES as TERMINAL
from keyfob.cli import remedies as cli
from keyfob.core.error_codes import CODES
from keyfob.core.errors import KeychainError, SettingWrong, SignInNeeded
from keyfob.core.facts import Facts, Remedies, filled
from keyfob.core.finding import Finding
from keyfob.desktop.shared import remedies as desktop
from support.samples import sample_views

OF_THE_WINDOW = re.compile(r"\b[Pp]ress\b|Reconnect\b|Settings|settings\.json|\bthe list\b")
OPTIONAL = re.compile(r"\[[^\[\]]*\{\w+\}[^\[\]]*\]")
PACKAGE = Path(keyfob.__file__).parent
# What is below the faces: it carries a code and facts, and each face has the words.
BELOW = ("core", "protocol", "providers", "service", "adapters", "process", "demo", "engine.py", "ports.py")
EVERY_FACT: Facts = {name: f"<{name}>" for name in Facts.__annotations__}  # type: ignore[misc, assignment]


@pytest.mark.parametrize("table", [TERMINAL, desktop.REMEDIES], ids=["terminal", "window"])
class TestATable:
    def test_it_has_a_sentence_or_two_for_every_code(self, table: Remedies) -> None:
        assert list(table) == list(CODES), "complete, and in the order of the errors"
        for template in table.values():
            for text in (filled(template, {}), filled(template, EVERY_FACT)):
                assert text[0].isupper()
                assert text.endswith((".", ").", "”."))
                assert not re.search(r"  |\{|\}|\s[.,]", text), "it reads well with its facts and without"

    def test_a_fact_that_is_not_known_leaves_no_gap(self, table: Remedies) -> None:
        for template in table.values():
            assert "{" not in OPTIONAL.sub("", template)
            assert set(re.findall(r"\{(\w+)\}", template)) <= set(Facts.__annotations__)


def test_a_terminal_names_no_button_and_no_page() -> None:
    assert not [code for code, text in TERMINAL.items() if OF_THE_WINDOW.search(text)]


def test_the_window_shows_no_markup_and_no_option_and_no_command_if_it_has_a_button() -> None:
    assert not [code for code, text in desktop.REMEDIES.items() if "`" in text]
    assert not [code for code, text in desktop.REMEDIES.items() if "keyfob reconnect" in text]


def _words(tree: ast.AST) -> Iterator[int]:
    """The lines on which an error gets its words about what to do."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(keywords=keywords):
                yield from (k.value.lineno for k in keywords if k.arg == "remedy" and _is_text(k.value))
            case ast.Assign(targets=[ast.Attribute(attr="remedy")], value=value) if _is_text(value):
                yield value.lineno


def _is_text(value: ast.expr) -> bool:
    return any(isinstance(each, ast.Constant | ast.JoinedStr) for each in ast.walk(value))


@pytest.mark.parametrize("below", BELOW)
def test_the_words_belong_to_the_faces(below: str) -> None:
    paths = [PACKAGE / below] if below.endswith(".py") else sorted((PACKAGE / below).rglob("*.py"))
    assert paths
    assert not [f"{path}:{line}" for path in paths for line in _words(ast.parse(path.read_text("utf-8")))]


def test_words_below_a_face_would_be_found() -> None:
    assert sorted(_words(ast.parse('raise Usage("No", remedy="Do it.")\nerror.remedy = f"{x}."'))) == [1, 2]


def test_every_code_is_raised_somewhere() -> None:
    tables = ("remedies.py", "error_codes.py")
    text = "".join(p.read_text("utf-8") for p in PACKAGE.rglob("*.py") if p.name not in tables)
    assert not [code for code in CODES if f'"{code}"' not in text]


def test_a_sentence_names_the_facts_of_its_error() -> None:
    ended = SignInNeeded("GitHub ended this sign-in", facts={"account": "github/alice"})
    assert cli.sentence(ended).endswith("Sign in again with `keyfob reconnect github/alice`.")
    assert desktop.sentence(ended).endswith("Sign in again with Reconnect.")
    missing = SettingWrong("No app", code="client_missing", facts={"page": "https://a.example/\x1b[2Japps"})
    expected = (
        "No app. Register an app at the provider (https://a.example/\\x1b[2Japps), and enter its client id."
    )
    assert cli.sentence(missing) == desktop.sentence(missing) == expected


def test_an_account_s_own_error_names_the_account() -> None:
    (google,) = (view for view in sample_views() if view.provider == "google")
    assert cli.of_account(google) == "Sign in again with `keyfob reconnect google/work@example.org`."
    (github,) = (view for view in sample_views() if view.provider == "github")
    assert cli.of_account(github) == desktop.of_account(github) == ""


def test_a_remedy_that_another_face_made_is_kept() -> None:
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
    assert cli.of_finding(Finding("keychain", False, "Locked", "fail", "keychain_locked")) == cli.NO_SCREEN
    needed = KeychainError("The encrypted file needs its passphrase", code="passphrase_needed")
    assert "KEYFOB_PASSPHRASE_FD" in cli.remedy(needed), "no screen helps here"
    monkeypatch.setenv("DISPLAY", ":0")
    assert cli.remedy(locked) == TERMINAL["keychain_locked"]


def test_a_finding_has_the_remedy_of_its_code() -> None:
    assert cli.of_finding(Finding("clock", True, "Matches")) is None
    assert (
        cli.of_finding(Finding("callback_port", False, "In use", code="port_taken"))
        == (TERMINAL["port_taken"])
    )
    faulty = Finding("settings", False, "No JSON", "fail", "settings_file_faulty", {"path": "/a/b.json"})
    assert (cli.of_finding(faulty) or "").startswith("Correct the file /a/b.json, or")
