"""Ready-made values of accounts for tests, and hypothesis strategies for all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from hypothesis import strategies as st

from keyfob.core.account import (
    Account,
    Connected,
    Disconnected,
    ErrorNote,
    Intent,
    LoggedEvent,
    NeedsSignIn,
    PendingRevocation,
    Pin,
    Record,
    Stale,
    Status,
)
from keyfob.core.error_codes import CODES
from keyfob.core.methods import METHODS
from keyfob.core.provider import Endpoints, Server
from keyfob.core.words import CLIENT_AUTHS

AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)


def a_pin() -> Pin:
    return Pin(
        Server("https://op.test", Endpoints(token_endpoint="https://op.test/token")), client_id="keyfob"
    )


def a_record(
    key: str = "k1", provider: str = "demo", label: str = "alice", status: Status | None = None
) -> Record:
    return Record(
        Account(key, provider, label, "oauth", f"subject-of-{key}", a_pin(), created_at=AT),
        status or Connected(),
        expires_at=AT + timedelta(hours=1),
        renewable=True,
    )


def an_event(number: int = 0, key: str = "k1") -> LoggedEvent:
    return LoggedEvent(AT + timedelta(seconds=number), f"demo/{key}", key, "renewed", f"Renewed {number}")


def an_intent(key: str = "k1", generation: int = 3) -> Intent:
    return Intent(key, generation, "ab" * 32, AT)


def a_revocation(entry: str = "revoke/1") -> PendingRevocation:
    return PendingRevocation(entry, "demo/alice", a_pin(), "demo", AT, account_key="k1")


# --- strategies ---------------------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8"), max_size=20)
times = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2999, 1, 1), timezones=st.just(UTC))
words = st.lists(texts, max_size=3).map(tuple)
mappings = st.dictionaries(texts, texts, max_size=3).map(MappingProxyType)
codes = st.sampled_from(list(CODES))
notes = st.builds(lambda code, message, at: ErrorNote(code, message, CODES[code], at), codes, texts, times)
statuses = st.one_of(
    st.just(Connected()),
    st.builds(Stale, since=times, error=notes),
    st.builds(NeedsSignIn, since=times, error=notes),
    st.builds(Disconnected, since=times),
)


def maybe(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | strategy


endpoints = st.builds(Endpoints, **{name: maybe(texts) for name in Endpoints.__dataclass_fields__})
servers = st.builds(
    Server,
    issuer=maybe(texts),
    endpoints=endpoints,
    code_challenge_methods_supported=maybe(words),
    authorization_response_iss_parameter_supported=st.booleans(),
    scopes_supported=maybe(words),
    require_pushed_authorization_requests=st.booleans(),
)
pins = st.builds(
    Pin,
    server=servers,
    client_id=maybe(texts),
    client_auth=st.sampled_from(CLIENT_AUTHS),
    redirect_uri=maybe(texts),
    resource=maybe(texts),
    registration_uri=maybe(texts),
    inputs=mappings,
    api_base=maybe(texts),
    api_hosts=words,
    dpop=st.booleans(),
)
accounts = st.builds(
    Account,
    key=texts,
    provider=texts,
    label=texts,
    method=st.sampled_from(METHODS),
    subject=texts,
    pin=pins,
    name=maybe(texts),
    email=maybe(texts),
    avatar_url=maybe(texts),
    plan=maybe(texts),
    asked_scopes=words,
    created_at=maybe(times),
)
records = st.builds(
    Record,
    account=accounts,
    status=statuses,
    epoch=st.integers(0, 2**40),
    generation=st.integers(0, 2**40),
    scopes=words,
    obtained_at=maybe(times),
    expires_at=maybe(times),
    renews_at=maybe(times),
    renewable=st.booleans(),
    connected_at=maybe(times),
    last_renewed_at=maybe(times),
    grant_ends_at=maybe(times),
    last_error=maybe(notes),
    failures=st.integers(0, 100),
    retry_at=maybe(times),
    asked_until=maybe(times),
    doubts=st.integers(0, 9),
    doubted_since=maybe(times),
    key_tail=maybe(texts),
    cleanup=st.booleans(),
)
intents = st.builds(
    Intent, key=texts, generation=st.integers(0), refresh_hash=texts, at=times, replays=st.integers(0, 9)
)
revocations = st.builds(
    PendingRevocation,
    entry=texts,
    account_id=texts,
    pin=pins,
    provider=texts,
    at=times,
    tries=st.integers(0, 9),
    retry_at=maybe(times),
    account_key=texts,
)
