"""Ends accounts: forgets their tokens here, has their provider revoke them, and finishes what was cut short.

The account's row says first that it is disconnected, so that no renewal in progress stores its answer. Then
the tokens are taken from the keychain into the queue of revocations. What a locked keychain or a crash leaves
undone is marked at the account (`cleanup`), and the renewer calls `clean_up` until it is done.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from keyfob.core.account import Disconnected, PendingRevocation, Record
from keyfob.core.errors import KeychainError, KeyfobError, NotFound, Transient
from keyfob.core.methods import METHOD_FACTS
from keyfob.core.transitions import SecretsForgotten, UserDisconnected, after
from keyfob.core.words import RevocationOutcome, Revoked, UnrevokedReason
from keyfob.ports import AccountStore, Clock, Locks
from keyfob.service.accounts.grant_store import GrantStore, lock_name
from keyfob.service.accounts.keeper import LOCK_WAIT, Keeper
from keyfob.service.accounts.revocations import UNREVOKED, Revocations, report
from keyfob.service.accounts.views import Disconnection
from keyfob.service.events import EventBus

log = logging.getLogger(__name__)


class Disconnector:
    """Blocking and thread-safe."""

    def __init__(
        self,
        store: AccountStore,
        grants: GrantStore,
        locks: Locks,
        revocations: Revocations,
        keeper: Keeper,
        events: EventBus,
        now: Clock,
    ) -> None:
        self._store = store
        self._grants = grants
        self._locks = locks
        self._revocations = revocations
        self._keeper = keeper
        self._events = events
        self._now = now

    def disconnect(self, record: Record, *, local: bool = False) -> Disconnection:
        """Forget the grant here at once, and revoke it at the provider, now or later; with it every older
        sign-in of the account that may still live. The account stays. Raises KeychainError if the tokens
        could not be deleted yet: the account is disconnected all the same, and the rest is done once the
        keychain opens.
        """
        return self._with_page(record, self._end(record, local=local))

    def remove(self, record: Record, *, local: bool = False) -> Disconnection:
        """Disconnect, then forget the account and all that was kept for it. Raises what `disconnect` raises,
        and Transient `busy` while a renewal runs.
        """
        ended = self._end(record, local=local)
        current = self._store.get(record.account.key)
        if current is not None:
            if current.cleanup:
                raise Transient(
                    f"{current.account.id} is already disconnected, but a renewal is still running",
                    code="still_renewing",
                )
            if not local:
                self._revocations.unregister_account(current)
            self._grants.forget_all(record.account.key)
            self._events.publish(current, "removed", "Removed")
            self._store.remove(record.account.key)
        return self._with_page(record, ended)

    def _with_page(self, record: Record, ended: Disconnection) -> Disconnection:
        """With the page for ending access by hand, if something may be left to end."""
        return replace(ended, page=self._revocations.page_of(record)) if ended.left else ended

    def clean_up(self, key: str) -> None:
        """Finish a disconnect that was cut short by a crash, a locked keychain or a renewal in progress."""
        record = self._store.get(key)
        if record is not None and record.cleanup:
            self._forget(record, local=self._store.read(_local(key)) is not None)

    def settle_all(self, key: str) -> None:
        """Try the revocations that an earlier disconnect of this account left."""
        due = [p for p in self._store.revocations() if p.account_key == key and not p.held]
        record = self._store.get(key)
        if record is not None and due:
            outcomes = self._revocations.settle_each(due)
            report(self._events, record, [outcome for outcome in outcomes if outcome != "pending"])

    def settle(self, pending: PendingRevocation) -> None:
        """Try a revocation that is still pending."""
        answer = self._revocations.settle(pending)
        record = self._store.get(pending.account_key)
        if record is not None and answer != "pending":
            report(self._events, record, [answer])

    def _end(self, record: Record, *, local: bool) -> Disconnection:
        key = record.account.key
        now = self._now()
        if isinstance(record.status, Disconnected) and not record.cleanup:
            return self._how_it_ended(record)
        if not local:
            self._renew_for_revocation(record)
        self._store.write(_local(key), "1" if local else None)
        # The tombstone comes first: from here no answer of a renewal is stored, and no token is returned.
        marked = self._store.update(key, partial(after, event=UserDisconnected(now)))
        if marked is None:
            raise NotFound(f"There is no account {record.account.id}")
        if not isinstance(record.status, Disconnected):
            self._events.publish(marked, "disconnected", "Disconnected")
        try:
            return self._forget(marked, local=local)
        except KeychainError as error:
            # The account is disconnected; that the tokens are still
            # there must not read as if nothing had been done.
            rest = "deletes them" if local else "deletes them and asks the provider to revoke them"
            why = f"{error.message[:1].lower()}{error.message[1:]}"
            raise KeychainError(
                f"{record.account.id} is disconnected, but its tokens are still stored: {why}. The app or "
                f"the agent {rest} as soon as it can",
                code=error.code,
                facts=error.facts,
            ) from error

    def _renew_for_revocation(self, record: Record) -> None:
        """Renew the token if it has expired and the provider revokes only with one that works. Raises
        nothing: what becomes of the revocation without it is told as it is.
        """
        key = record.account.key
        try:
            stored = self._grants.newest_or_none(key)
            if stored is not None and self._revocations.needs_living_token(record, stored.grant):
                self._keeper.grant(key, min_life=timedelta(0))
        except KeyfobError as error:
            log.info("%s is not renewed before its revocation: %s", record.account.id, error.code)

    def _how_it_ended(self, record: Record) -> Disconnection:
        """What is known of a disconnect that was carried out before, or by another process."""
        key = record.account.key
        if any(pending.account_key == key and not pending.held for pending in self._store.revocations()):
            return Disconnection(None, "pending")
        for event in reversed(self._store.events(account_key=key, limit=20)):
            if event.kind == "revocation_failed":
                return Disconnection(None, "unsupported", "refused", left=1)
            if event.kind == "revoked":
                return Disconnection(None, "yes")
            if event.kind == "disconnected":
                break
        offered = self._revocations.can_revoke(record)
        return Disconnection(
            None, "unsupported", "nothing_left" if offered else "not_offered", left=int(not offered)
        )

    def _forget(self, record: Record, *, local: bool) -> Disconnection:
        key = record.account.key
        try:
            with self._locks.hold(lock_name(key), timeout=LOCK_WAIT):
                current = self._store.get(key)
                if current is None or not current.cleanup:
                    return self._how_it_ended(record)
                stored = self._grants.newest_or_none(key)
                # With nothing here: a renewal that was in progress may
                # have got an answer and revoked it itself.
                before = self._how_it_ended(record) if stored is None else None
                offered = self._revocations.can_revoke(record)
                due = [] if local else self._revocations.release(key)
                if stored is not None and offered and not local:
                    due.insert(0, self._revocations.queue(record, stored.grant))
                self._grants.forget(key)
                if METHOD_FACTS[record.account.method].by_client:
                    self._grants.forget_client(key)
                untold = self._revocations.held(key) if local else []
                for pending in untold:
                    self._revocations.drop(pending)
                self._store.clear_intent(key)
                self._store.update(key, partial(after, event=SecretsForgotten()))
                self._store.write(_local(key), None)
        except Transient:
            # A renewal in progress still holds the lock; the renewer goes on with the cleanup.
            return Disconnection(None, "pending")
        if before is not None and not due and not untold:
            return before
        if local:
            count = len(untold) + (stored is not None)
            return Disconnection(None, "unsupported", "local", sign_ins=count, left=count)
        settled = self._revocations.settle_each(due)
        report(self._events, record, settled)
        if before is not None and before.reason is None:
            settled.insert(0, before.revoked)
        elif before is None and not offered:
            settled.insert(0, "unsupported")
        return _ended(settled)


def _local(key: str) -> str:
    """Names the note that a disconnect which is not finished yet must not reach the provider."""
    return f"local/{key}"


def _ended(outcomes: Sequence[RevocationOutcome]) -> Disconnection:
    """`outcomes` of all sign-ins, as `Revocations.settle` has them."""
    left = sum(outcome in UNREVOKED for outcome in outcomes)
    revoked: Revoked = "pending" if "pending" in outcomes else "unsupported" if left else "yes"
    reason: UnrevokedReason | None = None
    if left:
        known: tuple[UnrevokedReason, ...] = ("refused", "unconfirmed")
        reason = next((word for word in known if word in outcomes), "not_offered")
    return Disconnection(None, revoked, reason, sign_ins=len(outcomes), left=left)
