"""The core's values: secrets that do not show, times, labels, settings, errors with a remedy each."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.core import errors, resources
from keyfob.core.error_codes import CODES, Advice, ErrorCode, known_code
from keyfob.core.errors import KeyfobError
from keyfob.core.facts import filled
from keyfob.core.finding import Finding
from keyfob.core.grant import Grant, SigningKey, seal, seal_key, unseal, unseal_key
from keyfob.core.http import Callback, Outcome, Request, Response
from keyfob.core.provider import ClientProfile, Input, Policy, Provider
from keyfob.core.secret import Secret
from keyfob.core.settings import Settings
from keyfob.core.text import label_from, plain
from keyfob.core.times import from_epoch, from_rfc3339, to_rfc3339

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

# --- Secret -------------------------------------------------------------------------------------------------


def test_a_secret_shows_itself_nowhere_but_in_reveal(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret("canary-1")
    with caplog.at_level(logging.INFO):
        logging.getLogger("x").info("%s %r %s", secret, secret, [secret])
    shown = f"{secret} {secret!r} {secret:>20} {caplog.text} {vars.__name__}"
    assert "canary" not in shown
    assert secret.reveal() == "canary-1"


def test_a_secret_is_not_pickled_copied_out_or_changed() -> None:
    secret = Secret("canary-1")
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.copy(secret)
    for slot in Secret.__slots__:
        with pytest.raises(AttributeError):
            setattr(secret, slot, "x")
    with pytest.raises(TypeError):
        Secret(b"bytes")  # type: ignore[arg-type]


def test_secrets_compare_and_hash_by_their_text() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert bool(Secret("")) is False
    assert len(Secret("abc")) == 3
    assert Secret("a").fingerprint() != Secret("b").fingerprint()


def test_a_tail_is_shown_of_long_keys_only() -> None:
    assert Secret("sk-0123456789abcf3Qa").tail() == "f3Qa"
    assert Secret("short").tail() == ""


def test_requests_and_callbacks_do_not_show_what_they_carry() -> None:
    request = Request(
        "POST", "https://id.example/token?code=canary", "token", {"Authorization": "canary"}, b"canary"
    )
    assert "canary" not in repr(request)
    assert "canary" not in repr(Callback({"code": "canary"}, AT))
    assert "canary" not in repr(Response(200, {"x": "canary"}, b"canary", AT))
    assert Outcome(True, "t", "x").ok


# --- times --------------------------------------------------------------------------------------------------


def test_times_are_rfc_3339_in_utc() -> None:
    assert to_rfc3339(AT) == "2026-11-20T12:00:00Z"
    assert to_rfc3339(AT.astimezone(timezone(timedelta(hours=5)))) == "2026-11-20T12:00:00Z"
    assert to_rfc3339(None) is None
    assert from_rfc3339("") is None
    assert from_rfc3339("2026-11-20T13:00:00+01:00") == AT
    assert from_epoch(0).year == 1970
    with pytest.raises(ValueError):
        to_rfc3339(datetime(2026, 1, 1))
    with pytest.raises(ValueError):
        from_rfc3339("2026-01-01T00:00:00")


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9000, 1, 1), timezones=st.just(UTC)))
def test_times_come_back_to_the_second(at: datetime) -> None:
    assert from_rfc3339(to_rfc3339(at)) == at.replace(microsecond=0)


# --- text ---------------------------------------------------------------------------------------------------


def test_s65_controls_escapes_and_direction_marks_cannot_rewrite_a_line() -> None:
    assert plain("a\r\nb") == "a\\x0d\\x0ab"
    assert plain("\x1b[31mred") == "\\x1b[31mred"
    assert plain("‮moc.live") == "moc.live"
    assert plain("a \t b") == "a b"
    assert plain("a\u2007b\u00a0c") == "a b c"
    assert plain("​x") == "x"
    assert plain("x" * 300).endswith("…")
    assert len(plain("x" * 300)) == 200


@given(st.text())
def test_plain_text_is_one_printable_line(text: str) -> None:
    line = plain(text)
    assert len(line) <= 200
    assert all(char.isprintable() for char in line)


@given(st.text())
def test_a_label_is_always_a_label(text: str) -> None:
    label = label_from(text)
    assert re.fullmatch(r"[a-z0-9._@-]{1,64}", label)
    assert label_from(label) == label


def test_labels_are_what_people_expect() -> None:
    assert label_from("Alice Müller") == "alice-muller"
    assert label_from("https://acme.example/start") == "acme.example-start"
    assert label_from("work@Example.org") == "work@example.org"
    assert label_from("日本") == "account"


# --- settings -----------------------------------------------------------------------------------------------


def test_settings_have_the_promised_defaults() -> None:
    settings = Settings()
    assert settings.callback_port == 9876
    assert settings.margin == timedelta(minutes=10)
    assert Settings.from_mapping(settings.to_mapping()) == settings
    assert Settings.from_mapping({"unknown": 1}) == settings


@pytest.mark.parametrize(
    "bad",
    [
        {"callback_port": 80},
        {"callback_port": "9876"},
        {"callback_port": True},
        {"callback_port": 70000},
        {"renewal_margin": 1},
        {"renewal_margin": 1.5},
        {"renewal_margin": True},
        {"theme": "pink"},
        {"vault": "plaintext"},
        {"close_to_tray": 1},
        {"start_at_login": "yes"},
        {"named_app_consent": None},
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(bad: dict[str, object]) -> None:
    with pytest.raises(KeyfobError) as caught:
        Settings.from_mapping(bad)
    assert next(iter(bad)) in caught.value.message
    assert caught.value.code == "setting_faulty"


# --- errors -------------------------------------------------------------------------------------------------


def test_every_code_has_an_advice() -> None:
    assert list(CODES) == list(get_args(ErrorCode))
    assert set(CODES.values()) == set(Advice)


@pytest.mark.parametrize("advice", Advice)
def test_a_code_of_another_version_is_read_as_one_with_the_same_advice(advice: Advice) -> None:
    assert CODES[known_code("telepathy", str(advice))] is advice
    assert known_code("declined", str(advice)) == "declined"
    assert known_code(None, "pray") == "internal"


def _classes() -> list[type[KeyfobError]]:
    return [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, KeyfobError)]


def test_the_tree_has_one_class_an_exit_and_each_default_code_exists() -> None:
    exits = {c.exit_code for c in _classes() if c is not KeyfobError}
    assert exits == set(range(1, 10))
    for cls in _classes():
        error = cls("What happened")
        assert error.code in CODES
        assert error.sentence() == "What happened."
        assert error.sentence({error.code: "Do this."}) == "What happened. Do this."
        assert error.advice == CODES[error.code]


def test_an_error_says_until_when_it_holds_with_the_day_if_it_is_another() -> None:
    soon = KeyfobError("Acme asks to wait.", retry_after=timedelta(minutes=5), until=AT)
    assert soon.full_message(UTC) == "Acme asks to wait until 12:00:00"
    assert soon.full_message(timezone(timedelta(hours=2))) == "Acme asks to wait until 14:00:00"
    later = KeyfobError("Acme asks to wait", retry_after=timedelta(hours=13), until=AT)
    assert later.full_message(UTC) == "Acme asks to wait until 20 November 12:00:00"
    assert KeyfobError("Acme asks to wait", until=AT).full_message(UTC) == "Acme asks to wait until 12:00:00"


def test_a_finding_as_json() -> None:
    assert Finding("clock", True, "Agrees").to_json(None)["level"] == "ok"


# --- grants -------------------------------------------------------------------------------------------------

KEY = SigningKey("kid-1", "ES256", Secret('{"d":"secret"}'), {"kty": "EC"})
texts = st.text(min_size=1, max_size=50)


@given(
    access=texts,
    refresh=st.none() | texts,
    scopes=st.lists(texts, max_size=4).map(tuple),
    generation=st.integers(0, 10**9),
    key=st.sampled_from([None, KEY]),
    expires=st.none() | st.integers(0, 10**8),
    by_client=st.booleans(),
    new_id_token=st.none() | texts,
)
def test_a_sealed_grant_is_one_ascii_line_and_comes_back_whole(
    access: str,
    refresh: str | None,
    scopes: tuple[str, ...],
    generation: int,
    key: SigningKey | None,
    expires: int | None,
    by_client: bool,
    new_id_token: str | None,
) -> None:
    grant = Grant(
        access=Secret(access),
        obtained_at=AT,
        refresh=Secret(refresh) if refresh else None,
        expires_at=None if expires is None else AT + timedelta(seconds=expires),
        scopes=scopes,
        generation=generation,
        key=key,
        by_client=by_client,
        new_id_token=Secret(new_id_token) if new_id_token else None,
    )
    entry = seal(grant)
    assert entry.reveal().isascii()
    assert "\n" not in entry.reveal()
    assert unseal(entry) == grant


@given(cut=st.integers(1, 120))
def test_a_torn_entry_is_told_from_a_whole_one(cut: int) -> None:
    entry = seal(Grant(access=Secret("a"), obtained_at=AT)).reveal()
    with pytest.raises(KeyfobError) as caught:
        unseal(Secret(entry[:-cut]))
    assert caught.value.code == "entry_damaged"


def test_fresh_expired_and_lifetime() -> None:
    grant = Grant(access=Secret("a"), obtained_at=AT, expires_at=AT + timedelta(hours=1))
    assert grant.fresh(AT, timedelta(minutes=59))
    assert not grant.fresh(AT, timedelta(hours=1))
    assert grant.expired(AT + timedelta(hours=1))
    assert not grant.expired(AT + timedelta(minutes=59))
    assert grant.lifetime == timedelta(hours=1)
    endless = Grant(access=Secret("a"), obtained_at=AT)
    assert endless.fresh(AT, timedelta(days=9))
    assert not endless.expired(AT + timedelta(days=99))
    assert endless.lifetime is None


def test_keys_come_back_whole() -> None:
    assert unseal_key(seal_key(KEY)) == KEY


def test_a_key_of_an_unknown_kind_is_refused() -> None:
    row = json.loads(seal_key(KEY).reveal())
    with pytest.raises(ValueError, match="unknown algorithm"):
        unseal_key(Secret(json.dumps({**row, "alg": "HS256"})))


# --- the rest -----------------------------------------------------------------------------------------------


def test_resources_are_found_in_this_checkout_and_missed_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert (resources.resources() / "providers").is_dir()
    frozen = tmp_path / "keyfob" / "_resources" / "providers"
    frozen.mkdir(parents=True)
    monkeypatch.setattr("sys._MEIPASS", str(tmp_path), raising=False)
    assert resources.resources() == frozen.parent
    monkeypatch.setattr("sys._MEIPASS", None)
    monkeypatch.setattr(resources, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    with pytest.raises(FileNotFoundError):
        resources.resources()


def test_a_sentence_names_the_facts_that_are_known() -> None:
    template = "Run keyfob reconnect[ {account}].[ Ask for {access}: {offered}.]"
    assert filled(template, {}) == "Run keyfob reconnect."
    assert filled(template, {"account": "x/a", "access": "repo"}) == "Run keyfob reconnect x/a."
    assert filled(template, {"access": "repo", "offered": "a\x1b[2J"}) == (
        "Run keyfob reconnect. Ask for repo: a\\x1b[2J."
    )


def test_what_a_method_asks_of_its_client_and_its_user() -> None:
    every = Provider(
        "p",
        "P",
        inputs=(Input("instance", "Server"), Input("realm", "Realm", methods=("client_credentials",))),
    )
    assert [each.name for each in every.inputs_for("oauth")] == ["instance"]
    assert [each.name for each in every.inputs_for("client_credentials")] == ["instance", "realm"]
    assert every.secret_rule("client_credentials") == "required"
    signed = replace(every, client=ClientProfile(auth="private_key_jwt"))
    assert signed.secret_rule("client_credentials") == "never"
    assert every.secret_rule("device") == every.secret_rule("oauth") == every.client.secret


def test_a_user_registers_an_app_only_if_the_sign_in_needs_one_and_nobody_has() -> None:
    theirs = Provider(id="x", title="X", policy=Policy(client_id="user"))
    assert theirs.needs_own_app("oauth")
    assert not theirs.needs_own_app("api_key")
    assert not replace(theirs, publisher={"oauth": "published"}).needs_own_app("oauth")
    assert replace(theirs, publisher={"device": "published"}).needs_own_app("oauth")
    assert not replace(theirs, client=replace(theirs.client, client_id="mine")).needs_own_app("oauth")
    assert not replace(theirs, policy=Policy(client_id="none")).needs_own_app("oauth")


def test_a_provider_starts_with_what_its_preset_says() -> None:
    provider = Provider(id="x", title="X", issuer="https://x.example")
    assert provider.default_server().issuer == "https://x.example"
