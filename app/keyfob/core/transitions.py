"""How an account's record changes: the events, and `after`, the only function that applies them.

Services create an event and store `after(record, event)`. No other code sets a record's fields. An event says
what happened and when. This file decides what follows from it (the status, the next try, what is reset).
`docs/architecture.md` has a diagram of states that is generated from this function.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

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
    refused_in_test,
    still_tried,
)
from keyfob.core.error_codes import CODES, Advice, ErrorCode
from keyfob.core.grant import Grant
from keyfob.core.renewal import (
    DOUBTED_EVERY,
    DOUBTS_MOST,
    REFUSED_FOR,
    REPEAT_WITHIN,
    UNANSWERED_FOR,
    backoff,
    ends_at,
    jitter_of,
    renews_at,
)

# --- events -------------------------------------------------------------------------------------------------
# `margin` is how long before its expiry the user wants a token renewed.


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The account was connected or reconnected. Its label stays as it is."""

    at: datetime
    account: Account
    grant: Grant
    margin: timedelta
    grant_ends_at: datetime | None = None
    key_tail: str | None = None


@dataclass(frozen=True, slots=True)
class Renewed:
    """A renewal's grant is in the vault, and it is good. This process or another one renewed."""

    grant: Grant
    margin: timedelta


@dataclass(frozen=True, slots=True)
class GrantKept:
    """The vault holds what the provider sent, and the answer was wrong in another respect. It says nothing
    about the account.
    """

    grant: Grant
    margin: timedelta


@dataclass(frozen=True, slots=True)
class GrantSavedLate:
    """The separate process has saved a grant that the keychain refused before. It has not been
    checked yet.
    """

    grant: Grant
    margin: timedelta


@dataclass(frozen=True, slots=True)
class RenewalFailed:
    """A renewal failed for a reason that may pass.

    `grant` is what the vault holds now. `refused`: the server refused the request, and did not say that the
    grant has ended. `lost`: the request may have arrived, and its answer did not.
    """

    error: ErrorNote
    grant: Grant
    retry_after: timedelta | None = None  # how long the provider asked to wait
    refused: bool = False
    lost: Intent | None = None


@dataclass(frozen=True, slots=True)
class GrantEnded:
    """The provider has ended the grant, or it is gone from the keychain."""

    error: ErrorNote


@dataclass(frozen=True, slots=True)
class ErrorNoted:
    """Something went wrong that changes nothing about the grant, such as a locked keychain."""

    error: ErrorNote


@dataclass(frozen=True, slots=True)
class KeychainUnlocked:
    """The user unlocked the keychain: what failed because of it is tried again at once."""


@dataclass(frozen=True, slots=True)
class TokenAccepted:
    """The provider accepted the account's token. None means that the provider did not say. An account that
    needs a sign-in only because the provider refused this token in a test is connected again.
    """

    name: str | None
    email: str | None
    avatar_url: str | None
    plan: str | None


@dataclass(frozen=True, slots=True)
class RefusalDoubted:
    """The provider refused this account's token in a test, and then the tokens of other accounts too: that
    says more about the provider than about the token.
    """


@dataclass(frozen=True, slots=True)
class Renamed:
    """The user gave the account another label."""

    label: str


@dataclass(frozen=True, slots=True)
class UserDisconnected:
    """The user ended the account. Its secrets are still to be forgotten and revoked."""

    at: datetime


@dataclass(frozen=True, slots=True)
class SecretsForgotten:
    """Nothing of a disconnected account is left in the keychain."""


@dataclass(frozen=True, slots=True)
class Relisted:
    """The store had lost the account, and its description was found in the vault, with its grant or
    without.
    """

    at: datetime
    grant: Grant | None
    margin: timedelta


# What renewals and the keychain bring about. None of it changes an account that the user has disconnected.
RenewalEvent = (
    Renewed | GrantKept | GrantSavedLate | RenewalFailed | GrantEnded | ErrorNoted | KeychainUnlocked
)
AccountEvent = (
    SignedIn | TokenAccepted | RefusalDoubted | Renamed | UserDisconnected | SecretsForgotten | Relisted
)
Event = AccountEvent | RenewalEvent


# --- what follows -------------------------------------------------------------------------------------------


def after(record: Record, event: Event) -> Record:
    """The record after `event`. Total: any event may meet any status, since processes race.

    A late answer of a renewal never brings back an account that the user disconnected: what happens to its
    grant leaves it unchanged. While an account needs a sign-in, a failing renewal does not hide the reason.
    """
    match event:
        case SignedIn(at=at, account=account, grant=grant):
            return replace(
                _holding(_reset(record), grant, event.margin),
                account=replace(account, label=record.account.label),
                status=Connected(),
                epoch=record.epoch + 1,
                connected_at=at,
                last_renewed_at=None,
                grant_ends_at=event.grant_ends_at,
                key_tail=event.key_tail,
                cleanup=False,
            )
        case TokenAccepted():
            account = record.account
            status = Connected() if refused_in_test(record.status) else record.status
            well = isinstance(status, Connected) and not record.failures
            return replace(
                record,
                status=status,
                account=replace(
                    account,
                    name=event.name or account.name,
                    email=event.email or account.email,
                    avatar_url=event.avatar_url or account.avatar_url,
                    plan=event.plan or account.plan,
                ),
                last_error=None if well else record.last_error,
            )
        case RefusalDoubted():
            doubted = refused_in_test(record.status)
            return replace(record, status=Connected(), last_error=None) if doubted else record
        case Renamed(label=label):
            return replace(record, account=replace(record.account, label=label))
        case UserDisconnected(at=at):
            return replace(_disconnected(record, at), epoch=record.epoch + 1, cleanup=True)
        case SecretsForgotten():
            return replace(record, cleanup=False)
        case Relisted(at=at, grant=grant):
            if grant is None:
                return replace(_disconnected(record, at), cleanup=False)
            kept = _holding(_reset(record), grant, event.margin)
            return replace(kept, status=Connected(), cleanup=False)
    # mypy knows that only a RenewalEvent is left.
    return record if isinstance(record.status, Disconnected) else _after_renewal(record, event)


def _after_renewal(record: Record, event: RenewalEvent) -> Record:
    """What renewals and the keychain do to an account that the user has not disconnected."""
    match event:
        case Renewed(grant=grant, margin=margin):
            renewed = _holding(_reset(record), grant, margin)
            # Also if a sign-in was needed: the saved renewal of another
            # process, which won a race, is the truth.
            return replace(renewed, status=Connected(), last_renewed_at=grant.obtained_at)
        case GrantKept(grant=grant, margin=margin):
            return _holding(record, grant, margin)
        case GrantSavedLate(grant=grant, margin=margin):
            # The provider answered and the keychain works, so nothing is left to wait for.
            needed = record.status.error if isinstance(record.status, NeedsSignIn) else None
            return replace(_holding(_reset(record), grant, margin), last_error=needed)
        case RenewalFailed():
            return _after_failure(record, event)
        case GrantEnded(error=error):
            return replace(_reset(record), status=_needing(record.status, error), last_error=error)
        case ErrorNoted(error=error):
            return replace(record, last_error=error)
        case KeychainUnlocked():
            why = record.last_error
            waited_for_it = why is not None and why.advice is Advice.UNLOCK_KEYCHAIN
            return replace(record, retry_at=None) if waited_for_it else record
    assert_never(event)


def _after_failure(record: Record, event: RenewalFailed) -> Record:
    """The account stays connected while its access token lives. If refusals or lost answers go on after the
    token's end, the user is asked to sign in again, and one try an hour continues.
    """
    status, error, now = record.status, event.error, event.error.at
    if isinstance(status, NeedsSignIn) and not still_tried(status):
        return record  # the grant has ended: a renewal that was in progress says no more
    ended = ends_at(event.grant.obtained_at, event.grant.expires_at)
    failures = record.failures + 1
    wait = _wait(record, event, failures, ended)
    counted = _counted(record, event, ended)
    code = _gives_up(record, counted, now)
    if code is not None and not isinstance(status, NeedsSignIn):
        status = NeedsSignIn(now, ErrorNote(code, error.message, CODES[code], now, error.detail))
    elif isinstance(status, Stale):
        status = replace(status, error=error)
    elif isinstance(status, Connected) and event.grant.expired(now):
        status = Stale(now, error)
    if isinstance(status, NeedsSignIn):
        wait = max(wait, DOUBTED_EVERY)
    return replace(
        counted,
        status=status,
        last_error=status.error if isinstance(status, NeedsSignIn) else error,
        failures=failures,
        retry_at=now + wait,
        asked_until=record.asked_until if event.retry_after is None else now + event.retry_after,
    )


def _counted(record: Record, event: RenewalFailed, ended: datetime) -> Record:
    """With this failure counted, if it puts the grant in doubt: the access token has ended, and the renewal
    was refused, or a repeat of it was not answered.
    """
    now = event.error.at
    if now < ended:
        return record
    if event.refused:
        since = record.refused_since or now
        return replace(record, refusals=record.refusals + 1, refused_since=since)
    if event.lost is not None and event.lost.replays > 0:
        return replace(record, doubts=record.doubts + 1, doubted_since=record.doubted_since or now)
    return record


def _gives_up(before: Record, counted: Record, now: datetime) -> ErrorCode | None:
    """Why only a sign-in may help from now on, if this failure was the one that says so; else None."""
    kinds: tuple[tuple[ErrorCode, timedelta, int, int, datetime | None], ...] = (
        ("renewal_refused", REFUSED_FOR, before.refusals, counted.refusals, counted.refused_since),
        ("renewal_unanswered", UNANSWERED_FOR, before.doubts, counted.doubts, counted.doubted_since),
    )
    for code, span, had, has, since in kinds:
        if has > had and has >= DOUBTS_MOST and since is not None and now - since >= span:
            return code
    return None


def _wait(record: Record, event: RenewalFailed, failures: int, ended: datetime) -> timedelta:
    """How long until Keyfob tries again."""
    now, lost = event.error.at, event.lost
    jitter = jitter_of(record.account.key + str(failures))
    wait = backoff(failures, jitter)
    if lost is not None:
        # Repeats come while a server that allows them still does; after that, when nothing can be lost.
        soon = backoff(lost.replays + 1, jitter)
        if lost.replays == 0 or now + soon <= lost.at + REPEAT_WITHIN:
            wait = soon
        else:
            wait = max(wait, ended - now)
    return max(wait, event.retry_after or wait)


def _needing(status: Status, error: ErrorNote) -> NeedsSignIn:
    """Since when a sign-in is needed stays; the newest reason counts."""
    since = status.since if isinstance(status, NeedsSignIn) else error.at
    return NeedsSignIn(since, error)


def _holding(record: Record, grant: Grant, margin: timedelta) -> Record:
    """With the times and scopes of `grant`, which the vault holds now."""
    return replace(
        record,
        generation=grant.generation,
        scopes=grant.scopes,
        obtained_at=grant.obtained_at,
        expires_at=grant.expires_at,
        renews_at=renews_at(grant, margin, jitter_of(record.account.key)),
        renewable=grant.renewable,
    )


def _reset(record: Record) -> Record:
    """With no error, no failure counted, no doubt and nothing to wait for."""
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


def _disconnected(record: Record, at: datetime) -> Record:
    """Without a grant. An account that was disconnected already has been since then."""
    return replace(
        _reset(record),
        status=record.status if isinstance(record.status, Disconnected) else Disconnected(at),
        obtained_at=None,
        expires_at=None,
        renews_at=None,
        grant_ends_at=None,
        renewable=False,
    )
