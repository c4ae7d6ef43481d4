"""Saving a finished sign-in as an account: into the keychain, then into the store, under the account's lock.

A new account is recognised if it is there already. Reconnecting requires the same subject. The grant that a
new one replaces is held until it can be revoked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from keyfob.core.account import Connected, Record
from keyfob.core.errors import Fault, NotFound, PeerFault, Usage
from keyfob.core.grant import Grant
from keyfob.core.settings import Settings
from keyfob.core.text import plain
from keyfob.core.transitions import Renamed, SignedIn, after
from keyfob.core.words import LoggedKind
from keyfob.ports import AccountStore, Clock, Locks
from keyfob.service.accounts.grant_store import lock_name
from keyfob.service.accounts.keeper import LOCK_WAIT
from keyfob.service.accounts.revocations import HELD_MOST, Revocations
from keyfob.service.events import EventBus
from keyfob.service.sign_in.account_entries import AccountEntries, Replaced
from keyfob.service.sign_in.new_account import (
    account_of,
    grant_ends,
    labels,
    same_account,
    same_grant,
    same_subject,
)
from keyfob.service.sign_in.prepared import PreparedSignIn, SignInOutcome

log = logging.getLogger(__name__)


class Commit:
    """Blocking and thread-safe."""

    def __init__(
        self,
        store: AccountStore,
        entries: AccountEntries,
        locks: Locks,
        revocations: Revocations,
        events: EventBus,
        settings: Callable[[], Settings],
        clock: Clock,
    ) -> None:
        self._store = store
        self._entries = entries
        self._locks = locks
        self._revocations = revocations
        self._events = events
        self._settings = settings
        self._clock = clock

    def check_writable(self, account_key: str) -> None:
        """Raises KeychainError."""
        self._entries.check_writable(account_key)

    def save(self, ready: PreparedSignIn, outcome: SignInOutcome) -> tuple[Record, bool]:
        """The account, and whether a new sign-in turned out to be of an account that was there. Raises
        PeerFault `subject_mismatch`, SignInEnded `cancelled`, Usage `label_taken`, NotFound, KeychainError,
        and the store's Fault: nothing is saved then.
        """
        identity, record = outcome.result.identity, ready.record
        if record is not None:
            if not same_subject(record.account.subject, identity.subject):
                who = identity.name or identity.username or identity.subject
                raise PeerFault(
                    f"You signed in as {plain(who, 60)}, not as {record.account.id}", code="subject_mismatch"
                )
            stored = self._under_lock(ready, outcome, record)
        else:
            # One at a time, or two windows that sign in the same user would each make an account.
            with self._locks.hold("new-account", timeout=LOCK_WAIT):
                record = self._recognised(ready, outcome)
                stored = self._under_lock(ready, outcome, record)
        kind: LoggedKind = "reconnected" if record is not None else "connected"
        words = f"{'Signed in again' if record else 'Connected'} as {identity.name or stored.account.label}"
        # It is saved: a full disk's missing line of history must not have it revoked and forgotten again.
        quietly(lambda: self._events.publish(stored, kind, words))
        return stored, ready.record is None and record is not None

    def _recognised(self, ready: PreparedSignIn, outcome: SignInOutcome) -> Record | None:
        records = self._store.records()
        return next((each for each in records if same_account(each.account, ready, outcome)), None)

    def _under_lock(self, ready: PreparedSignIn, outcome: SignInOutcome, record: Record | None) -> Record:
        """`record`: the account whose grant this one replaces."""
        ready.attempt.advance(stage="saving")
        ready.attempt.commit()
        key = record.account.key if record else ready.account_key
        with self._locks.hold(lock_name(key), timeout=LOCK_WAIT):
            held = self._entries.newest(key)
            generation = max(held.grant.generation if held else 0, record.generation if record else 0) + 1
            grant = replace(outcome.result.grant, generation=generation)
            replaced = None
            if record is not None and held is not None and not same_grant(held.grant, grant):
                replaced = self._revocations.hold(record, held.grant)
            try:
                stored = self._save(ready, outcome, grant, key, record)
            except BaseException:
                if replaced is not None:
                    self._revocations.drop(replaced)
                raise
            quietly(lambda: self._revocations.hold_pending(key))
            quietly(lambda: self._report_dropped(stored, self._revocations.trim(key)))
            quietly(lambda: self._store.clear_intent(key))
            return stored

    def _save(
        self, ready: PreparedSignIn, outcome: SignInOutcome, grant: Grant, key: str, record: Record | None
    ) -> Record:
        now = self._clock()
        account = account_of(ready, outcome, key, record.account.created_at if record else now)
        ends = grant_ends(ready.provider, outcome, now)
        event = SignedIn(now, account, grant, self._settings().margin, ends, outcome.key_tail)
        replaced = self._entries.save(key, account.id, grant, outcome.secrets, reconnects=record is not None)
        try:
            if record is None:
                return self._add(event, ready.attempt.request.label)
            changed = self._store.update(key, partial(after, event=event))
            if changed is None:
                raise NotFound("The account was removed in the meantime")
            return changed
        except BaseException:
            if record is not None:
                self._put_back(key, replaced)
            raise

    def _put_back(self, key: str, replaced: Replaced) -> None:
        """The account as it was: the store could not be written, and the new grant is about to be revoked."""
        try:
            gone = self._store.get(key) is None
        except Fault as fault:
            log.warning("putting an account back as it was failed: %s", fault.code)
            return
        if gone:
            self._entries.forget(key)
        else:
            self._entries.put_back(key, replaced)

    def _add(self, event: SignedIn, asked_label: str | None) -> Record:
        new = after(Record(event.account, Connected()), event)
        for label in labels(event.account.label, asked_label):
            try:
                new = after(new, Renamed(label))
                self._store.put(new)
                return new
            except Usage as error:
                if error.code != "label_taken":
                    raise
        raise Usage(f"The label {event.account.label} is taken", code="label_taken")

    def _report_dropped(self, record: Record, count: int) -> None:
        if count:
            self._events.publish(
                record,
                "revocation_failed",
                f"Keyfob remembers {HELD_MOST} older sign-ins of an account and removed the oldest without "
                "revoking it. To end its access, use your account settings at the provider",
            )


def quietly(write: Callable[[], object]) -> None:
    """A write to the store that matters less than the account itself: on
    a full disk it is missing, and that is all.
    """
    try:
        write()
    except Fault as fault:
        log.error("the account store: %s", fault.code)
