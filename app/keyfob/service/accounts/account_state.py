"""Saves an account's state: the result of a renewal, why it failed, or that the sign-in ended.

The keeper calls it under the account's lock. It creates the event, stores what `core.transitions.after`
returns, and adds each change to the history once. It reads and writes no secret.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import NoReturn

from keyfob.core.account import Connected, Disconnected, Intent, NeedsSignIn, Record, Stale, still_tried
from keyfob.core.errors import Fault, KeyfobError, NotFound, SignInNeeded
from keyfob.core.grant import Grant
from keyfob.core.settings import Settings
from keyfob.core.time_words import short_span
from keyfob.core.transitions import (
    ErrorNoted,
    GrantEnded,
    GrantKept,
    GrantSavedLate,
    Relisted,
    Renamed,
    RenewalFailed,
    Renewed,
    after,
)
from keyfob.ports import AccountRecords, Clock
from keyfob.service.events import EventBus

log = logging.getLogger(__name__)


class AccountState:
    """Thread-safe as far as the store is."""

    def __init__(
        self, store: AccountRecords, events: EventBus, settings: Callable[[], Settings], now: Clock
    ) -> None:
        self._store = store
        self.events = events
        self._settings = settings
        self._now = now
        self.slept: timedelta | None = None  # set by the renewer after a suspend, for the history's words

    def apply_grant(self, key: str, grant: Grant) -> Record:
        """Bring the store's row up to a good grant that the vault holds. Raises NotFound, and SignInNeeded
        `disconnected` if the account was disconnected in the meantime: no token of it is returned any more.
        """
        before = self._store.get(key)
        record = self._store.update(key, partial(after, event=Renewed(grant, self._settings().margin)))
        if record is None:
            raise NotFound("The account was removed in the meantime")
        if isinstance(record.status, Disconnected):
            raise SignInNeeded(f"{record.account.id} was disconnected in the meantime", code="disconnected")
        if before is not None and before.generation != record.generation:
            slept, self.slept = self.slept, None
            words = f"Renewed after {short_span(_minutes(slept))} asleep" if slept else "Renewed"
            self.events.publish(record, "renewed", words)
        return record

    def note_kept(self, key: str, grant: Grant) -> None:
        """The vault holds `grant` of an answer that was wrong in another respect."""
        self._store.update(key, partial(after, event=GrantKept(grant, self._settings().margin)))

    def note_saved_late(self, key: str, grant: Grant) -> None:
        """The vault holds `grant` now, which it refused before."""
        self._store.update(key, partial(after, event=GrantSavedLate(grant, self._settings().margin)))

    def relisted(self, record: Record, grant: Grant | None) -> Record:
        """`record`, found in the vault with the grant that is there. Stores nothing."""
        return after(record, Relisted(self._now(), grant, self._settings().margin))

    def rename(self, record: Record, label: str) -> Record:
        """Give the account another label. Raises Usage `label_taken`, NotFound."""
        changed = self._store.update(record.account.key, partial(after, event=Renamed(label)))
        if changed is None:
            raise NotFound("The account was removed in the meantime")
        if changed.account.label != record.account.label:
            self.events.publish(changed, "renamed", f"Renamed from {record.account.label} to {label}")
        return changed

    def record_failure(
        self,
        record: Record,
        grant: Grant,
        error: KeyfobError,
        *,
        refused: bool = False,
        lost: Intent | None = None,
    ) -> Record | None:
        """Write down a failure that may pass; what is then stored, or None if the store could not be written.
        `grant` is what the vault holds now. `refused`: the server refused the request, and did not say that
        the grant has ended. `lost`: the request may have arrived, and its answer did not.
        """
        event = RenewalFailed(self.events.error_note(error), grant, error.retry_after, refused, lost)
        try:
            changed = self._store.update(record.account.key, partial(after, event=event))
        except Fault as fault:
            log.error("the account store: %s", fault.code)
            return None
        if changed is None:
            return None
        if still_tried(changed.status) and not still_tried(record.status):
            self.events.publish(changed, "needs_sign_in", error.message, error.code)
        elif isinstance(changed.status, Connected | Stale) and (
            record.last_error is None or record.last_error.code != error.code
        ):
            self.events.publish(changed, "renewal_failed", f"{error.message}; Keyfob tries again", error.code)
        else:
            self.events.notify(changed, "renewal_failed")
        return changed

    def note_error(self, record: Record, error: KeyfobError) -> None:
        """Write the error to the account's record without changing its status. Raises Fault."""
        self._store.update(
            record.account.key, partial(after, event=ErrorNoted(self.events.error_note(error)))
        )

    def mark_ended(self, record: Record, error: SignInNeeded) -> NoReturn:
        """The grant has ended. Nothing is deleted: what the vault holds
        stays until the user signs in again.
        """
        event = GrantEnded(self.events.error_note(error))
        changed = self._store.update(record.account.key, partial(after, event=event))
        known = isinstance(record.status, NeedsSignIn)
        if changed is not None and not known and isinstance(changed.status, NeedsSignIn):
            self.events.publish(changed, "needs_sign_in", error.message, error.code)
        raise error

    def quietly(self, write: Callable[[], object]) -> None:
        """A write to the store that matters less than what is in progress: a grant is not dropped for want of
        a line of history, on a disk that is full.
        """
        try:
            write()
        except Fault as fault:
            log.error("the account store: %s", fault.code)


def _minutes(length: timedelta) -> timedelta:
    """Rounded to whole minutes, one at least."""
    minute = timedelta(minutes=1)
    return max(minute, round(length / minute) * minute)
