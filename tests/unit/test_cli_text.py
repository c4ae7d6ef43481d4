"""S-80, S-65: text from outside reaches the terminal as text, whatever
verb prints it, in words and in JSON.
"""

from __future__ import annotations

import io
import json
import sys
import unicodedata
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keyfob.cli import docker_credential, host_lookup, words
from keyfob.cli.failure import json_text
from keyfob.cli.options import complete_accounts
from keyfob.cli.session import Session, shown
from keyfob.core.account import ErrorNote, LoggedEvent, Record
from keyfob.core.error_codes import Advice
from keyfob.core.errors import SettingWrong
from keyfob.core.provider import Provider
from keyfob.engine import Engine, build
from support.cli_run import opens, run
from support.fake_ports import fake_ports
from support.running import Ran
from support.sample_engine import record_of
from support.samples import NOW, sample_views

EVIL = "GitHub\x1b]0;x\x07\x1b[2J\x9b31m\r\n\u202egro\u2066\u200b\u2028\u2029\ue000\x00\x7f\ufeff\ud800"


def steering(text: str) -> str:
    """What in a text could steer a terminal; our colours and line ends apart."""
    text = words.ANSI.sub("", text).replace("\n", "").replace("\t", "")
    return "".join(c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp"))


def evil_records() -> list[Record]:
    """One account that waits and one that needs its person, each with
    EVIL wherever text from outside can stand.
    """
    error = ErrorNote("grant_ended", EVIL, Advice.SIGN_IN_AGAIN, NOW)
    texts: dict[str, Any] = dict.fromkeys(["provider", "label", "name", "email", "plan", "subject"], EVIL)
    one = replace(
        sample_views()[0], scopes=(EVIL,), narrower_scopes=(EVIL,), last_error=error, key_tail=EVIL, **texts
    )
    stale = replace(one, status="stale", expires_at=NOW - timedelta(minutes=1))
    ended = replace(one, key="other", label=f"{EVIL}2", status="needs_sign_in")
    return [record_of(each, Provider(EVIL, EVIL)) for each in (stale, ended)]


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    made = build(fake_ports(tmp_path))
    for record in evil_records():
        made.store.put(record)
    made.store.log(LoggedEvent(NOW, EVIL, "key", "changed", EVIL, code=EVIL))
    return made


def never(_: object) -> int:
    raise AssertionError


def call(engine: Engine, *argv: str) -> Ran:
    return run(argv, opens(engine), now=lambda: NOW)


@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.parametrize("argv", [("accounts",), ("status",), ("status", f"{EVIL}/{EVIL}"), ("events",)])
def test_s80_accounts_and_events_are_inert(
    engine: Engine, argv: tuple[str, ...], form: tuple[str, ...]
) -> None:
    ran = call(engine, *argv, *form)
    assert ran.code == 0, ran.err
    assert "GitHub" in ran.out
    assert steering(ran.out + ran.err) == ""
    if form:
        assert "\x9b31m" in json.dumps(json.loads(ran.out), ensure_ascii=False), "the same text for a program"


def test_s80_an_error_is_inert(engine: Engine) -> None:
    for form in ((), ("--json",)):
        for argv in (
            ("status", EVIL),
            (EVIL,),
            ("providers", "show", EVIL),
            ("wire", EVIL),
            ("test", "--" + EVIL),
        ):
            ran = call(engine, *argv, *form)
            assert ran.code != 0
            assert steering(ran.err) == ""
            assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    "key", ["title", "policy.note", "policy.register_note", "inputs.0.title", "api_key.hint"]
)
@pytest.mark.parametrize("char", ["\x9b", "\u202e", "\u2028", "\u200b", "\x85", "\n"])
def test_s84_a_preset_with_steering_text_is_refused_and_told_inertly(
    engine: Engine, key: str, char: str
) -> None:
    told = dict.fromkeys(
        ["title", "policy.note", "policy.register_note", "inputs.0.title", "api_key.hint"], "x"
    )
    told[key] = "GitHub" + char
    text = f"""
id = "evil"
title = {json.dumps(told["title"])}
methods = ["api_key"]
docs = "https://{{tenant}}.evil.example"
[policy]
client_id = "none"
note = {json.dumps(told["policy.note"])}
register_note = {json.dumps(told["policy.register_note"])}
[[inputs]]
name = "tenant"
title = {json.dumps(told["inputs.0.title"])}
[api_key]
hint = {json.dumps(told["api_key.hint"])}
[api_key.api]
base = "https://evil.example"
"""
    folder = engine.home.config / "providers"
    folder.mkdir()
    (folder / "evil.toml").write_text(text)
    listed = call(engine, "providers", "list")
    assert listed.code == 0
    assert f"Ignored: evil.toml: {key}" in listed.err
    assert "GitHub" + char not in listed.out
    for ran in (
        listed,
        call(engine, "providers", "show", "evil"),
        call(engine, "providers", "list", "--json"),
    ):
        assert steering(ran.out + ran.err) == ""


def test_s80_the_programs_that_tools_call_are_inert(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host_lookup.say(EVIL)

    def broken() -> Any:
        raise SettingWrong(EVIL)

    monkeypatch.setattr(docker_credential.tokens, "accounts", broken)
    assert docker_credential.main(["list"]) == 1
    out, err = capsys.readouterr()
    assert "GitHub" in out
    assert "GitHub" in err
    assert steering(out + err) == ""


def test_s80_a_shells_completion_is_inert(engine: Engine) -> None:
    context = click.Context(click.Command("x"), obj=Session(never, open_engine=lambda *_, **__: engine))
    found = complete_accounts(context, click.Argument(["account"]), "GitHub")
    assert [steering(each.help or "") for each in found] == ["", ""]


@given(st.text())
def test_s80_of_a_line_only_our_colours_are_left(text: str) -> None:
    assert steering(shown(text)) == ""
    styled = click.style(text, fg="red")
    assert shown(styled).startswith("\x1b[31m")
    assert steering(shown(styled)) == ""


@given(
    st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
@example(document="\u0890\U000110bd\x7f")
def test_s80_json_is_the_same_for_a_program(document: Any) -> None:
    text = json_text(document)
    assert json.loads(text) == document
    assert steering(text) == ""
    text.encode()


def test_a_token_is_printed_to_the_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    Session(never).exactly("a  b\u00ad")
    assert out.getvalue() == "a  b\u00ad\n"


def test_a_choice_that_is_missing_is_told_in_one_line_without_escapes(engine: Engine) -> None:
    ran = call(engine, "completion")
    assert ran.code == 2
    assert "\\x0a" not in ran.err
    assert "Choose from: bash, zsh, fish. See `keyfob completion --help`." in ran.err


@pytest.mark.parametrize("verb", ["token", "renew", "request"])
def test_an_empty_account_is_named_as_what_is_wrong(engine: Engine, verb: str) -> None:
    ran = call(engine, verb, "", *(["GET", "/"] if verb == "request" else []))
    assert (ran.code, ran.out) == (2, "")
    assert ran.last == "keyfob: The account is empty. To list your accounts, run `keyfob accounts`."
