"""How an account's record changes: every event at every status, with all the fields."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.core.account import (
    Account,
    Connected,
    Disconnected,
    ErrorNote,
    Intent,
    NeedsSignIn,
    Record,
    Stale,
    Status,
    still_tried,
)
from keyfob.core.error_codes import Advice, ErrorCode
from keyfob.core.grant import Grant
from keyfob.core.renewal import (
    DOUBTED_EVERY,
    REFUSED_FOR,
    REPEAT_WITHIN,
    UNANSWERED_FOR,
    backoff,
    jitter_of,
    renews_at,
)
from keyfob.core.secret import Secret
from keyfob.core.transitions import (
    ErrorNoted,
    Event,
    GrantEnded,
    GrantKept,
    GrantSavedLate,
    KeychainUnlocked,
    RefusalDoubted,
    Relisted,
    Renamed,
    RenewalFailed,
    Renewed,
    SecretsForgotten,
    SignedIn,
    TokenAccepted,
    UserDisconnected,
    after,
)
from support.records import a_pin, records

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
BEFORE = AT - timedelta(hours=3)
LATER = AT + timedelta(hours=1)
MARGIN = timedelta(minutes=10)
OLD = ErrorNote("network_timeout", "Too slow", Advice.RETRY, BEFORE)
ENDED = ErrorNote("grant_ended", "It ended", Advice.SIGN_IN_AGAIN, BEFORE)
REFUSED = ErrorNote("renewal_refused", "No", Advice.SIGN_IN_AGAIN, BEFORE)
NEW = ErrorNote("provider_unavailable", "It is down", Advice.RETRY, AT, "503")
LOCKED = ErrorNote("keychain_locked", "It is locked", Advice.UNLOCK_KEYCHAIN, AT)

CONNECTED, STALE, DOUBTED = Connected(), Stale(BEFORE, OLD), NeedsSignIn(BEFORE, REFUSED)
NEEDS_SIGN_IN, DISCONNECTED = NeedsSignIn(BEFORE, ENDED), Disconnected(BEFORE)
STATUSES: list[Status] = [CONNECTED, STALE, DOUBTED, NEEDS_SIGN_IN, DISCONNECTED]
ACCOUNT = Account("key-1", "demo", "alice", "oauth", "subject", a_pin(), name="Alice", email="a@a.test")
GRANT = Grant(
    Secret("a"), AT, Secret("r"), expires_at=AT + timedelta(hours=2), scopes=("read",), generation=9
)
EXPIRED = replace(GRANT, obtained_at=AT - timedelta(hours=2), expires_at=AT)
SIGNED_IN = SignedIn(AT, replace(ACCOUNT, label="bob", name="Bob"), GRANT, MARGIN, LATER, "tail")


def a_record(status: Status) -> Record:
    """With every field set, so that a field which is reset, or is not, shows."""
    return Record(
        ACCOUNT,
        status,
        epoch=4,
        generation=7,
        scopes=("write",),
        obtained_at=BEFORE,
        expires_at=LATER,
        renews_at=LATER,
        renewable=True,
        connected_at=BEFORE,
        last_renewed_at=BEFORE,
        grant_ends_at=LATER,
        last_error=status.error if isinstance(status, NeedsSignIn) else OLD,
        failures=2,
        retry_at=LATER,
        asked_until=LATER,
        doubts=1,
        doubted_since=BEFORE,
        refusals=1,
        refused_since=BEFORE,
        key_tail="abcd",
        cleanup=True,
    )


def holding(record: Record, grant: Grant = GRANT) -> Record:
    """With what a row says of the grant in the vault."""
    return replace(
        record,
        generation=grant.generation,
        scopes=grant.scopes,
        obtained_at=grant.obtained_at,
        expires_at=grant.expires_at,
        renews_at=renews_at(grant, MARGIN, jitter_of("key-1")),
        renewable=True,
    )


def reset(record: Record) -> Record:
    """With nothing that failed, and nothing to wait for."""
    return replace(
        record,
        last_error=None,
        failures=0,
        retry_at=None,
        asked_until=None,
        doubts=0,
        doubted_since=None,
        refusals=0,
        refused_since=None,
    )


def failed(record: Record, status: Status, error: ErrorNote) -> Record:
    wait = backoff(3, jitter_of("key-13"))
    return replace(record, status=status, last_error=error, failures=3, retry_at=AT + wait)


def without_grant(record: Record) -> Record:
    return replace(
        reset(record), obtained_at=None, expires_at=None, renews_at=None, grant_ends_at=None, renewable=False
    )


def expected(record: Record, event: Event) -> Record:  # noqa: C901 - a table, one case an event
    """What should be stored, written down once more, status by status."""
    status = record.status
    match event:
        case SignedIn():
            return replace(
                holding(reset(record)),
                account=replace(ACCOUNT, name="Bob"),
                status=CONNECTED,
                epoch=5,
                connected_at=AT,
                last_renewed_at=None,
                grant_ends_at=LATER,
                key_tail="tail",
                cleanup=False,
            )
        case TokenAccepted():
            return replace(record, account=replace(ACCOUNT, name="Alice B", plan="pro"))
        case RefusalDoubted():
            return record  # no status of the table is a refusal in a test
        case Renamed():
            return replace(record, account=replace(ACCOUNT, label="carol"))
        case UserDisconnected():
            ended = DISCONNECTED if status == DISCONNECTED else Disconnected(AT)
            return replace(without_grant(record), status=ended, epoch=5)
        case SecretsForgotten():
            return replace(record, cleanup=False)
        case Relisted(grant=None):
            ended = DISCONNECTED if status == DISCONNECTED else Disconnected(AT)
            return replace(without_grant(record), status=ended, cleanup=False)
        case Relisted():
            return replace(holding(reset(record)), status=CONNECTED, cleanup=False)
        case _ if status == DISCONNECTED:
            return record
        case Renewed():
            return replace(holding(reset(record)), status=CONNECTED, last_renewed_at=AT)
        case GrantKept():
            return holding(record)
        case GrantSavedLate():
            needed = status.error if isinstance(status, NeedsSignIn) else None
            return replace(holding(reset(record)), last_error=needed)
        case GrantEnded():
            since = BEFORE if isinstance(status, NeedsSignIn) else AT
            return replace(reset(record), status=NeedsSignIn(since, NEW), last_error=NEW)
        case ErrorNoted():
            return replace(record, last_error=LOCKED)
        case KeychainUnlocked():
            return record  # what is noted has nothing to do with the keychain
        case RenewalFailed() if status == NEEDS_SIGN_IN:
            return record
        case RenewalFailed() if status == DOUBTED:
            return replace(failed(record, DOUBTED, REFUSED), retry_at=AT + DOUBTED_EVERY)
        case RenewalFailed() if status == STALE:
            return failed(record, Stale(BEFORE, NEW), NEW)
        case RenewalFailed(grant=grant):
            return failed(record, CONNECTED if grant is GRANT else Stale(AT, NEW), NEW)
    raise AssertionError(event)


EVENTS: list[Event] = [
    SIGNED_IN,
    Renewed(GRANT, MARGIN),
    GrantKept(GRANT, MARGIN),
    GrantSavedLate(GRANT, MARGIN),
    RenewalFailed(NEW, GRANT),
    RenewalFailed(NEW, EXPIRED),
    GrantEnded(NEW),
    ErrorNoted(LOCKED),
    KeychainUnlocked(),
    TokenAccepted("Alice B", None, None, "pro"),
    RefusalDoubted(),
    Renamed("carol"),
    UserDisconnected(AT),
    SecretsForgotten(),
    Relisted(AT, GRANT, MARGIN),
    Relisted(AT, None, MARGIN),
]


def test_every_event_and_every_status_has_an_example() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(Event))
    assert {type(status) for status in STATUSES} == set(get_args(Status))


@pytest.mark.parametrize(
    ("status", "event"), list(product(STATUSES, EVENTS)), ids=lambda value: type(value).__name__
)
def test_every_event_at_every_status(status: Status, event: Event) -> None:
    record = a_record(status)
    assert after(record, event) == expected(record, event)


@given(records, st.sampled_from(EVENTS))
def test_any_record_takes_any_event(record: Record, event: Event) -> None:
    changed = after(record, event)
    assert changed.account.key in (record.account.key, "key-1")
    assert changed.epoch >= record.epoch
    if isinstance(record.status, Disconnected) and not isinstance(event, SignedIn | Relisted):
        assert changed.status == record.status, "only a sign-in mends what the person ended"


def test_no_failure_of_the_network_ever_needs_a_sign_in() -> None:
    for status, grant in product((CONNECTED, STALE), (GRANT, EXPIRED)):
        record = a_record(status)
        for _ in range(50):
            record = after(record, RenewalFailed(NEW, grant))
        assert isinstance(record.status, Connected | Stale)
        assert (record.doubts, record.failures) == (1, 52)


def test_a_test_that_passes_clears_the_error_of_a_well_account_alone() -> None:
    tested = TokenAccepted(None, "new@a.test", "https://a.test/face", None)
    well = replace(a_record(CONNECTED), failures=0)
    cleared = after(well, tested)
    account = replace(ACCOUNT, email="new@a.test", avatar_url="https://a.test/face")
    assert cleared == replace(well, last_error=None, account=account)
    assert after(replace(a_record(STALE), failures=0), tested).last_error == OLD


@pytest.mark.parametrize(
    ("code", "ends"), [("key_rejected", True), ("token_rejected", True), ("grant_ended", False)]
)
def test_a_test_that_passes_ends_what_a_refused_test_began(code: ErrorCode, ends: bool) -> None:
    refused = ErrorNote(code, "Example refused this key", Advice.SIGN_IN_AGAIN, BEFORE)
    ended = after(replace(a_record(CONNECTED), failures=0), GrantEnded(refused))
    assert ended.status == NeedsSignIn(BEFORE, refused)
    tested = after(ended, TokenAccepted(None, None, None, None))
    assert (tested.status, tested.last_error) == ((CONNECTED, None) if ends else (ended.status, refused))
    doubted = after(ended, RefusalDoubted())
    assert (doubted.status, doubted.last_error) == (tested.status, tested.last_error)


def test_an_unlocked_keychain_ends_its_own_wait_alone() -> None:
    record = replace(a_record(CONNECTED), last_error=LOCKED)
    assert after(record, KeychainUnlocked()) == replace(record, retry_at=None)
    unknown = replace(record, last_error=None)
    assert after(unknown, KeychainUnlocked()) == unknown


def test_the_provider_s_wait_counts_if_it_is_longer_than_ours() -> None:
    hour, second = timedelta(hours=1), timedelta(seconds=1)
    record = a_record(CONNECTED)
    asked = after(record, RenewalFailed(NEW, GRANT, retry_after=hour))
    assert (asked.retry_at, asked.asked_until) == (AT + hour, AT + hour)
    short = after(record, RenewalFailed(NEW, GRANT, retry_after=second))
    assert (short.retry_at, short.asked_until) == (AT + backoff(3, jitter_of("key-13")), AT + second)


def lost(replays: int, ago: timedelta) -> Intent:
    return Intent("key-1", 7, "hash", AT - ago, replays)


def test_s36_a_lost_answer_is_asked_for_again_soon_and_then_when_nothing_can_be_lost() -> None:
    record = a_record(CONNECTED)
    jitter = jitter_of("key-13")

    def wait(intent: Intent, grant: Grant = GRANT) -> timedelta:
        retry_at = after(record, RenewalFailed(NEW, grant, lost=intent)).retry_at
        assert retry_at is not None
        return retry_at - AT

    assert wait(lost(0, timedelta(0))) == backoff(1, jitter)
    assert wait(lost(0, timedelta(days=1))) == backoff(1, jitter), "the first repeat comes soon, whenever"
    assert wait(lost(1, timedelta(seconds=5))) == backoff(2, jitter)
    assert wait(lost(1, REPEAT_WITHIN)) == timedelta(hours=2), "the token's end"
    assert wait(lost(1, REPEAT_WITHIN), EXPIRED) == backoff(3, jitter)


REFUSAL = RenewalFailed(NEW, EXPIRED, refused=True)
UNANSWERED = RenewalFailed(NEW, EXPIRED, lost=lost(1, REPEAT_WITHIN))


def counting(record: Record, event: RenewalFailed, count: int, span: timedelta) -> Record:
    """After `count` failures like `event`, of which the first was `span` ago."""
    since = AT - span if count else None
    if event.refused:
        return replace(record, refusals=count, refused_since=since, doubts=0, doubted_since=None)
    return replace(record, doubts=count, doubted_since=since, refusals=0, refused_since=None)


@pytest.mark.parametrize(
    ("event", "span", "code"),
    [(REFUSAL, REFUSED_FOR, "renewal_refused"), (UNANSWERED, UNANSWERED_FOR, "renewal_unanswered")],
    ids=["refused", "unanswered"],
)
@pytest.mark.parametrize("status", [CONNECTED, STALE])
def test_a_grant_in_doubt_asks_for_a_sign_in_and_is_tried_once_an_hour(
    event: RenewalFailed, span: timedelta, code: str, status: Status
) -> None:
    record = a_record(status)
    first = after(counting(record, event, 0, span), event)
    counted = (first.refusals, first.refused_since) if event.refused else (first.doubts, first.doubted_since)
    assert counted == (1, AT)
    assert isinstance(first.status, Stale)
    early = after(counting(record, event, 50, span - timedelta(seconds=1)), event)
    assert isinstance(early.status, Stale), "not long enough"
    few = after(counting(record, event, 1, span), event)
    assert isinstance(few.status, Stale), "not often enough"
    enough = after(counting(record, event, 2, span), event)
    assert enough.status == NeedsSignIn(
        AT, ErrorNote(code, NEW.message, Advice.SIGN_IN_AGAIN, AT, NEW.detail)
    )
    assert still_tried(enough.status)
    assert enough.last_error == enough.status.error
    assert enough.retry_at == AT + DOUBTED_EVERY
    assert (enough.generation, enough.renewable) == (record.generation, True), "nothing is forgotten"
    again = after(enough, event)
    assert (again.status, again.retry_at) == (enough.status, AT + DOUBTED_EVERY)


def test_refusals_and_lost_answers_are_counted_apart() -> None:
    record = replace(a_record(STALE), doubts=2, doubted_since=BEFORE, refusals=0, refused_since=None)
    refused = after(record, REFUSAL)
    assert isinstance(refused.status, Stale), "one refusal"
    assert (refused.doubts, refused.refusals) == (2, 1)
    record = replace(record, doubts=0, doubted_since=None, refusals=9, refused_since=BEFORE)
    assert isinstance(after(record, UNANSWERED).status, Stale), "one lost answer"
    assert isinstance(after(record, RenewalFailed(NEW, EXPIRED)).status, Stale), "a server that is down"


def test_whatever_fails_after_that_nothing_is_sent_within_the_hour() -> None:
    asked = after(counting(a_record(STALE), REFUSAL, 2, REFUSED_FOR), REFUSAL)
    assert after(asked, RenewalFailed(NEW, EXPIRED)).retry_at == AT + DOUBTED_EVERY
    long = replace(REFUSAL, retry_after=timedelta(hours=3))
    assert after(asked, long).retry_at == AT + timedelta(hours=3), "the provider may ask for longer"


@pytest.mark.parametrize(
    "event",
    [
        RenewalFailed(NEW, GRANT, refused=True),  # its access token lives
        RenewalFailed(NEW, EXPIRED, lost=lost(0, timedelta(0))),  # it has not been repeated yet
    ],
)
def test_a_single_lost_answer_or_a_token_that_lives_is_no_doubt(event: RenewalFailed) -> None:
    record = replace(a_record(CONNECTED), doubts=50, refusals=50)
    after_it = after(record, event)
    assert (after_it.doubts, after_it.refusals) == (50, 50)


def test_a_reason_that_a_keychain_s_error_had_hidden_comes_back() -> None:
    record = after(a_record(DOUBTED), ErrorNoted(LOCKED))
    assert after(record, RenewalFailed(NEW, EXPIRED)).last_error == REFUSED
