"""How an account stands and what is shown of it; and when to renew."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.core import account
from keyfob.core.access import GrantedAccess
from keyfob.core.account import (
    NO_COLOR,
    STILL_TRIED,
    AccountView,
    Connected,
    Disconnected,
    ErrorNote,
    LoggedEvent,
    NeedsSignIn,
    Pin,
    Stale,
    Status,
    shown_status,
    status_word,
    still_tried,
)
from keyfob.core.error_codes import Advice
from keyfob.core.grant import Grant
from keyfob.core.provider import Endpoints, Server
from keyfob.core.renewal import (
    BACKOFF_FIRST,
    BACKOFF_MOST,
    LOOK_AGAIN,
    MIN_SPACING,
    REPEAT_WITHIN,
    backoff,
    jitter_of,
    margin_for,
    may_repeat,
    renews_at,
)
from keyfob.core.secret import Secret
from keyfob.core.words import ClientAuth, StatusWord
from support.records import a_record
from support.samples import sample_views

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
NOTE = ErrorNote("grant_ended", "It ended", Advice.SIGN_IN_AGAIN, AT)
STATUSES: list[Status] = [Connected(), Stale(AT, NOTE), NeedsSignIn(AT, NOTE), Disconnected(AT)]


def test_renewals_go_on_where_the_provider_did_not_say_that_the_grant_has_ended() -> None:
    for code in sorted(STILL_TRIED):
        assert still_tried(NeedsSignIn(AT, replace(NOTE, code=code)))
    assert not still_tried(NeedsSignIn(AT, replace(NOTE, code="grant_ended")))
    assert not still_tried(Stale(AT, NOTE))


def test_the_words_of_the_interface() -> None:
    assert [status_word(status) for status in STATUSES] == [
        "connected",
        "stale",
        "needs_sign_in",
        "disconnected",
    ]


def test_a_view_comes_back_from_json_as_far_as_that_says() -> None:
    for view in sample_views():
        view = replace(view, hosts=("api.example.org", "example.org:8443"), shareable=False)
        back = AccountView.from_json(view.to_json())
        assert back.to_json() == view.to_json()
        assert (back.key, back.provider_title, back.color) == (view.id, view.provider, NO_COLOR)
    older = {k: v for k, v in sample_views()[0].to_json().items() if k not in ("email", "shareable", "hosts")}
    back = AccountView.from_json(older)
    assert (back.email, back.shareable, back.hosts) == (None, True, ())


@pytest.mark.parametrize("field", ["method", "status"])
def test_a_word_of_a_newer_version_is_not_taken_for_another(field: str) -> None:
    row = sample_views()[0].to_json()
    with pytest.raises(ValueError, match="newer"):
        AccountView.from_json(row | {field: "telepathy"})


def test_an_error_note_comes_back_from_json() -> None:
    assert ErrorNote.from_json(NOTE.to_json()) == NOTE
    with pytest.raises(ValueError, match="time"):
        ErrorNote.from_json(NOTE.to_json() | {"at": None})


def test_values_as_json() -> None:
    assert NOTE.to_json()["at"] == "2026-11-20T12:00:00Z"
    event = LoggedEvent(AT, "demo/alice", "k", "renewed", "Renewed", None, 7)
    assert event.to_json()["seq"] == 7
    record = a_record()
    assert replace(record.account, label="x").id.endswith("/x")
    assert account.__doc__ is not None


# --- when to renew ------------------------------------------------------------------------------------------

TEN = timedelta(minutes=10)


def grant(seconds: float | None, *, refresh: bool = True) -> Grant:
    return Grant(
        access=Secret("a"),
        obtained_at=AT,
        refresh=Secret("r") if refresh else None,
        expires_at=None if seconds is None else AT + timedelta(seconds=seconds),
    )


def test_ten_minutes_before_expiry_or_a_fifth_of_a_shorter_life() -> None:
    assert margin_for(grant(7200).lifetime, TEN, 0) == TEN
    assert margin_for(grant(60).lifetime, TEN, 0) == timedelta(seconds=12)
    assert margin_for(None, TEN, 0) == timedelta(0)


def test_an_unknown_lifetime_is_renewed_once_in_23_and_a_half_hours() -> None:
    assert renews_at(grant(None), TEN, 0) == AT + timedelta(hours=23.5)
    assert renews_at(grant(None, refresh=False), TEN, 0) is None


@given(st.floats(0.5, 10**8), st.floats(0, 0.999), st.integers(30, 86_400))
def test_renewal_is_always_before_expiry_and_never_at_once(
    seconds: float, jitter: float, setting: int
) -> None:
    when = renews_at(grant(seconds), timedelta(seconds=setting), jitter)
    assert when is not None
    assert when >= AT + MIN_SPACING
    if seconds > 2:
        assert when < AT + timedelta(seconds=seconds)


@given(st.integers(-5, 10**6), st.floats(0, 0.999))
def test_backoff_grows_and_has_an_end(failures: int, jitter: float) -> None:
    wait = backoff(failures, jitter)
    assert BACKOFF_FIRST * 0.75 <= wait <= BACKOFF_MOST * 1.25


@given(st.text(min_size=1))
def test_jitter_is_steady_and_spread(key: str) -> None:
    assert 0 <= jitter_of(key) < 1
    assert jitter_of(key) == jitter_of(key)


def test_a_thousand_accounts_do_not_fall_into_step() -> None:
    spread = {round(jitter_of(f"account-{n:04}"), 2) for n in range(1000)}
    assert len(spread) > 60
    assert LOOK_AGAIN.total_seconds() <= 37


@pytest.mark.parametrize(
    ("word", "renewable", "alive", "after_expiry", "without_keychain"),
    [
        ("connected", True, "connected", "stale", "stale"),
        ("connected", False, "connected", "needs_sign_in", "stale"),
        ("stale", True, "stale", "stale", "stale"),
        ("renewing", True, "renewing", "renewing", "renewing"),
        ("needs_sign_in", True, "needs_sign_in", "needs_sign_in", "needs_sign_in"),
        ("disconnected", True, "disconnected", "disconnected", "disconnected"),
    ],
)
def test_what_is_shown_is_never_connected_after_the_token_has_expired(
    word: str, renewable: bool, alive: str, after_expiry: str, without_keychain: str
) -> None:
    def shown(now: datetime, keychain_ok: bool = True) -> str:
        return shown_status(word, expires_at=LATER, renewable=renewable, now=now, keychain_ok=keychain_ok)

    assert shown(LATER - timedelta(seconds=1)) == alive
    assert shown(LATER) == after_expiry
    assert shown(AT, keychain_ok=False) == without_keychain
    assert shown_status(word, expires_at=None, renewable=renewable, now=LATER) == alive


@pytest.mark.parametrize("word", get_args(StatusWord))
def test_a_renewal_under_way_is_shown_of_an_account_that_may_be_renewed(word: StatusWord) -> None:
    shown = shown_status(word, expires_at=AT, renewable=True, now=LATER, keychain_ok=False, renewing=True)
    assert shown == ("renewing" if word in ("connected", "stale") else word)


def test_a_view_that_is_looked_at_later_shows_that_its_token_has_expired() -> None:
    view = sample_views()[0]
    assert view.expires_at is not None
    assert view.at(view.expires_at - timedelta(seconds=1)) is view
    assert view.at(view.expires_at) == replace(view, status="stale")
    assert replace(view, renewable=False).at(view.expires_at).status == "needs_sign_in"
    assert view.at(view.expires_at - timedelta(seconds=1), keychain_ok=False).status == "stale"


@pytest.mark.parametrize(
    ("replays", "age", "alive", "waiting", "may"),
    [
        (0, timedelta(days=2), True, True, True),  # the first repeat comes at once, whenever that is
        (1, REPEAT_WITHIN, True, False, True),
        (7, REPEAT_WITHIN, True, False, True),
        (1, REPEAT_WITHIN, True, True, False),
        (1, REPEAT_WITHIN + timedelta(seconds=1), True, False, False),
        (1, timedelta(seconds=-1), True, False, False),  # a clock that was set back says nothing of a grace
        (1, timedelta(days=2), False, False, True),
        (1, timedelta(days=2), False, True, False),
    ],
)
def test_s36_when_a_refresh_token_may_be_sent_again(
    replays: int, age: timedelta, alive: bool, waiting: bool, may: bool
) -> None:
    assert may_repeat(replays, age, alive=alive, waiting=waiting) is may


def test_the_address_of_the_server_or_of_a_keys_api() -> None:
    at = Server("https://id.example.org/realm", Endpoints(token_endpoint="https://as.example.org/token"))
    assert Pin(server=at).address == "https://id.example.org"
    assert Pin(server=replace(at, issuer=None)).address == "https://as.example.org"
    keys = Pin(server=Server(None, Endpoints()), api_base="https://api.example.org:8443/v1")
    assert keys.address == "https://api.example.org:8443"
    assert Pin(server=Server("nothing", Endpoints())).address is None


@pytest.mark.parametrize(
    ("auth", "confidential"), [("none", False), ("basic_empty", False), ("client_secret_basic", True)]
)
def test_a_client_is_confidential_if_it_has_a_secret_or_a_key(auth: ClientAuth, confidential: bool) -> None:
    assert Pin(server=Server(None, Endpoints()), client_auth=auth).confidential is confidential


def test_what_was_refused_is_named_by_bundles_and_by_the_scopes_of_none() -> None:
    view = replace(
        sample_views()[0],
        narrower_scopes=("a", "b", "c"),
        refused_access=(GrantedAccess("mail", "Mail", ("a", "b")),),
    )
    assert view.refused_words == ("Mail", "c")
