"""Saves a grant that a provider has just issued, however long the keychain takes, and never drops one
silently.

The old refresh token may be used up by then, so the new one must reach the vault. The keeper calls `keep`
under the account's lock. If the vault refuses, a separate process gets the new refresh token at once
(`stand_by`), because it outlives this one. Then this process keeps trying. The program decides when to stop
waiting: the app and the agent never stop, a command stops after a while, or when a signal ends it (`let_go`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

from keyfob.core.account import Record
from keyfob.core.errors import KeychainError, SignInEnded, SignInNeeded
from keyfob.core.grant import Grant
from keyfob.ports import AccountStore, Clock, Locks
from keyfob.service.accounts.account_state import AccountState
from keyfob.service.accounts.grant_store import GrantStore, Slot, Stored, lock_name
from keyfob.service.accounts.revocations import Revocations, report
from keyfob.service.runner import pause

SAVE_RETRY = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds; the last one repeats


def saving_name(key: str) -> str:
    """The lock that a saving process holds until the account's new grant is saved."""
    return f"saving-{key}"


def essential(new: Grant, old: Grant) -> Grant:
    """What must not be lost of a renewal that has not been checked yet: its refresh token, next to the old
    access token.
    """
    return replace(old, refresh=new.refresh, generation=new.generation)


class Saving:
    """Thread-safe. One for each keeper."""

    def __init__(
        self,
        grants: GrantStore,
        store: AccountStore,
        locks: Locks,
        revocations: Revocations,
        state: AccountState,
        now: Clock,
        save_for: timedelta | None,
    ) -> None:
        """`save_for`: how long to keep trying; None means for as long as it takes."""
        self._grants = grants
        self._store = store
        self._locks = locks
        self._revocations = revocations
        self._state = state
        self._now = now
        self._save_for = save_for
        self._leaving = threading.Event()
        # Accounts whose new grant waits to be saved: why, and the grant before it.
        self._unsaved: dict[str, tuple[KeychainError, Stored]] = {}
        # Gives a grant and the slot to leave alone to a process that saves it when this one has ended
        # without; whether that holds it now. Must not raise.
        self.stand_by: Callable[[Record, Grant, str], bool] = lambda _record, _grant, _beside: False

    def waiting(self, key: str) -> tuple[KeychainError, Stored] | None:
        """Why this process has not saved the account's new grant yet, and the grant before it."""
        return self._unsaved.get(key)

    def elsewhere(self, key: str) -> bool:
        """Whether another process holds a new grant of this account: what the vault holds is used up."""
        return self._locks.held(saving_name(key))

    def let_go(self) -> None:
        """The user wants the program to end: wait for the keychain no more. Any thread."""
        self._leaving.set()

    def check_writable(self, key: str) -> None:
        """Prove that the vault can be written now. Raises KeychainError."""
        self._grants.check_writable(key)

    def keep(self, record: Record, grant: Grant, before: Stored) -> Slot:
        """Store what the provider gave; returns its slot only when it is stored. The caller holds the
        account's lock and has looked at nothing else in the answer. Raises KeychainError, and SignInNeeded
        `disconnected` if the account was disconnected in the meantime: the grant is then revoked, and nobody
        could read it before the lock is released.
        """
        key = record.account.key
        slot = self._save(record, grant, before)
        # An intent that stays because the disk is full is distinguished
        # from a lost answer by the newer generation.
        self._state.quietly(lambda: self._store.clear_intent(key))
        current = self._store.get(key)
        if current is None or current.epoch != record.epoch:
            # Queued before it is forgotten, so that a keychain which
            # refuses leaves it where the account's cleanup finds it.
            offered = self._revocations.can_revoke(record)
            pending = self._revocations.queue(record, grant) if offered else None
            self._grants.forget(key)
            if pending is not None:
                report(self._state.events, record, [self._revocations.settle(pending)])
            raise SignInNeeded(f"{record.account.id} was disconnected in the meantime", code="disconnected")
        return slot

    def save_in_turn(self, record: Record, grant: Grant, beside: Slot) -> None:
        """For a process that stands by: save `grant` unless the process that received it has done so.
        `record` is the account's at that time. Raises Transient `busy` while that process is still at it,
        KeychainError while the vault cannot be used, and SignInNeeded as `keep` does.
        """
        key = record.account.key
        with self._locks.hold(lock_name(key), timeout=timedelta(0)):
            held = self._grants.newest_or_none(key)
            if held is None or held.grant.generation < grant.generation:
                self._grants.check_writable(key)
                self.keep(record, grant, held or Stored(grant, beside))
                self._state.note_saved_late(key, grant)

    def _save(self, record: Record, grant: Grant, before: Stored) -> Slot:
        """The slot, once the vault holds the grant. Raises KeychainError if this process stops trying; its
        words say whether another goes on.
        """
        key = record.account.key
        started = self._now()
        stands_by = False
        tries = 0
        try:
            while True:
                try:
                    return self._grants.save(key, grant, beside=before.slot)
                except KeychainError as error:
                    if key not in self._unsaved:
                        self._unsaved[key] = (error, before)
                        stands_by = self._alarm(record, grant, before, error)
                    waited = self._now() - started
                    if self._leaving.is_set() or (self._save_for is not None and waited >= self._save_for):
                        raise _not_saved(record, error, stands_by, grant, before) from None
                with suppress(SignInEnded):  # one last try
                    pause(timedelta(seconds=SAVE_RETRY[min(tries, len(SAVE_RETRY) - 1)]), self._leaving)
                tries += 1
        finally:
            self._unsaved.pop(key, None)

    def _alarm(self, record: Record, grant: Grant, before: Stored, error: KeychainError) -> bool:
        self._state.events.notify(record, "unsaved")  # a command says at once what its person can do
        rotated = grant.refresh is not None and grant.refresh != before.grant.refresh
        stands_by = rotated and self.stand_by(record, essential(grant, before.grant), before.slot)
        self._state.quietly(partial(self._note, record, error))
        return stands_by

    def _note(self, record: Record, error: KeychainError) -> None:
        self._state.note_error(record, error)
        self._state.events.publish(
            record,
            "saving_failed",
            "Keyfob could not save a renewed token yet. It keeps the token in memory and saves it when the "
            "keychain works",
            error.code,
        )


def _not_saved(
    record: Record, error: KeychainError, stands_by: bool, grant: Grant, before: Stored
) -> KeychainError:
    why = error.message.rstrip(".")
    if stands_by:
        return KeychainError(
            f"{why}. The new token of {record.account.id} is waiting in a separate Keyfob process, which "
            "saves it",
            code=error.code,
        )
    if grant.refresh == before.grant.refresh:
        return error  # the old refresh token is still good
    return KeychainError(
        f"{why}. The new token of {record.account.id} could not be saved, and you may have to sign in again",
        code=error.code,
    )
