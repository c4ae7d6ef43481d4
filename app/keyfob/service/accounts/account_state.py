"""Writes down how an account stands: what a renewal brought, why it failed, that it ended.

Called by the Keeper under the account's lock. It changes the store's row by the one table of `core.account` and tells
the history once of each change; it reads and writes no secret.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import NoReturn

from keyfob.core.account import (
    ErrorNote,
    Event,
    Expired,
    GrantEnded,
    Intent,
    NeedsSignIn,
    Record,
    RenewalFailed,
    Renewed,
    after,
    still_tried,
)
from keyfob.core.errors import CODES, Fault, KeyfobError, NotFound, SignInNeeded
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
from keyfob.core.settings import Settings
from keyfob.ports import AccountRecords
from keyfob.service.contexts import Signing
from keyfob.service.events import Hub

log = logging.getLogger(__name__)


class Ledger:
    """Thread-safe as far as the store is."""

    def __init__(
        self, store: AccountRecords, hub: Hub, settings: Callable[[], Settings], signing: Signing
    ) -> None:
        self._store = store
        self._hub = hub
        self._settings = settings
        self._signing = signing
        self.slept: timedelta | None = None  # set by the renewer after a suspend, for the history's words

    def adopt(self, key: str, grant: Grant, *, quiet: bool = False) -> Record:
        """Bring the store's row up to what the vault holds."""
        now = self._signing.now()
        margin = self._settings().margin

        def change(record: Record) -> Record:
            return replace(
                record,
                status=record.status if quiet else after(record.status, Renewed(now)),
                generation=grant.generation,
                scopes=grant.scopes,
                obtained_at=grant.obtained_at,
                expires_at=grant.expires_at,
                renews_at=renews_at(grant, margin, jitter_of(key)),
                renewable=grant.refresh is not None,
                last_renewed_at=record.last_renewed_at if quiet else grant.obtained_at,
                last_error=record.last_error if quiet else None,
                failures=record.failures if quiet else 0,
                retry_at=record.retry_at if quiet else None,
                asked_until=record.asked_until if quiet else None,
                doubts=record.doubts if quiet else 0,
                doubted_since=record.doubted_since if quiet else None,
            )

        before = self._store.get(key)
        record = self._store.update(key, change)
        if record is None:
            raise NotFound("The account was removed meanwhile")
        if not quiet and before is not None and before.generation != grant.generation:
            slept, self.slept = self.slept, None
            words = f"Renewed after {_span(slept)} asleep" if slept else "Renewed"
            self._hub.say(record, "renewed", words)
        return record

    def failed(
        self,
        record: Record,
        grant: Grant,
        error: KeyfobError,
        *,
        refused: bool = False,
        lost: Intent | None = None,
    ) -> Record | None:
        """Write down a failure that may pass; what is then stored. The account stays connected while its access token
        lives. `refused`: the server looked at the request, and said nothing of the grant. `lost`: the request may
        have arrived, and its answer did not. Where either goes on after the access token's end, the person is asked to sign in again, and the account is tried once an hour."""
        now = self._signing.now()
        note = self._hub.note(error)
        event: Event = Expired(now, note) if grant.expired(now) else RenewalFailed(now, note)
        ended = ends_at(grant.obtained_at, grant.expires_at)
        key = record.account.key

        def change(current: Record) -> Record:
            failures = current.failures + 1
            jitter = jitter_of(key + str(failures))
            wait = backoff(failures, jitter)
            repeated = lost is not None and lost.replays > 0
            if lost is not None:
                # Repeats come while a server that allows them still does; after that, when nothing can be lost.
                soon = backoff(lost.replays + 1, jitter)
                wait = (
                    soon
                    if now + soon <= lost.at + REPEAT_WITHIN
                    else max(wait, ended - now)
                    if repeated
                    else soon
                )
            retry_at = now + max(wait, error.retry_after or wait)
            doubted = (refused or repeated) and now >= ended
            changed = replace(
                current,
                status=after(current.status, event),
                last_error=current.last_error if still_tried(current.status) else note,
                failures=failures,
                retry_at=retry_at,
                asked_until=current.asked_until if error.retry_after is None else now + error.retry_after,
                doubts=current.doubts + doubted,
                doubted_since=current.doubted_since or (now if doubted else None),
            )
            return _doubted(changed, note, refused=refused) if doubted else changed

        try:
            changed = self._store.update(key, change)
        except Fault as fault:
            log.error("the account store: %s", fault.code)
            return None
        if changed is None:
            return None
        if still_tried(changed.status):
            if still_tried(record.status):
                self._hub.hint(changed, "renewal_failed")
            else:
                self._hub.say(changed, "needs_sign_in", error.message, error.code)
        elif record.last_error is None or record.last_error.code != error.code:
            self._hub.say(changed, "renewal_failed", f"{error.message}; trying again by itself", error.code)
        else:
            self._hub.hint(changed, "renewal_failed")
        return changed

    def remember(self, record: Record, error: KeyfobError) -> None:
        note = self._hub.note(error)
        self._store.update(record.account.key, lambda current: replace(current, last_error=note))

    def ended(self, record: Record, error: SignInNeeded) -> NoReturn:
        """The grant has ended. Nothing is deleted: what the vault holds stays until the person signs in again."""
        now = self._signing.now()
        note = self._hub.note(error)
        fresh = not isinstance(record.status, NeedsSignIn)
        changed = self._store.update(
            record.account.key,
            lambda current: replace(
                current,
                status=after(current.status, GrantEnded(now, note)),
                last_error=note,
                failures=0,
                retry_at=None,
                asked_until=None,
                doubts=0,
                doubted_since=None,
            ),
        )
        if changed is not None and fresh and isinstance(changed.status, NeedsSignIn):
            self._hub.say(changed, "needs_sign_in", error.message, error.code)
        raise error

    def quietly(self, write: Callable[[], object]) -> None:
        """A write to the store that matters less than what is under way: a grant is not dropped for want of a line of
        history, on a disk that is full."""
        try:
            write()
        except Fault as fault:
            log.error("the account store: %s", fault.code)


def _doubted(record: Record, note: ErrorNote, *, refused: bool) -> Record:
    """`record` after one more renewal that leaves in doubt whether the grant is alive: once there were enough of them, its
    person is asked to sign in, and one try an hour goes on."""
    assert record.doubted_since is not None
    span = REFUSED_FOR if refused else UNANSWERED_FOR
    enough = record.doubts >= DOUBTS_MOST and note.at - record.doubted_since >= span
    if enough and not isinstance(record.status, NeedsSignIn):
        code = "renewal_refused" if refused else "renewal_unanswered"
        why = ErrorNote(code, note.message, str(CODES[code].advice), note.at, note.detail)
        record = replace(record, status=after(record.status, GrantEnded(note.at, why)), last_error=why)
    if still_tried(record.status):
        record = replace(record, retry_at=note.at + DOUBTED_EVERY)
    return record


def _span(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    return f"{minutes // 60} h" if minutes >= 60 else f"{max(minutes, 1)} min"
