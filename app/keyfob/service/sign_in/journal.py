"""Which sign-ins are in progress, written down so that the next start
can offer those again that a crash cut off.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from keyfob.core.times import from_rfc3339, to_rfc3339
from keyfob.ports import AccountStore, Clock, Locks
from keyfob.service.accounts.grant_store import GrantStore
from keyfob.service.sign_in.commit import quietly
from keyfob.service.sign_in.prepared import PreparedSignIn

OFFERED_FOR = timedelta(minutes=30)
_NAMES = "attempt/"


class Journal:
    """Blocking and thread-safe. A lock for each attempt says whether it still runs, in whichever process."""

    def __init__(self, store: AccountStore, locks: Locks, grants: GrantStore, clock: Clock) -> None:
        self._store = store
        self._locks = locks
        self._grants = grants
        self._clock = clock

    @contextmanager
    def entry(self, ready: PreparedSignIn) -> Iterator[None]:
        """Holds this attempt's entry while it runs. Raises the store's Fault."""
        name, lock = _NAMES + ready.attempt.id, _lock_of(ready.attempt.id)
        body = {
            "provider": ready.provider.id,
            "account_key": "" if ready.record else ready.account_key,
            "at": to_rfc3339(self._clock()),
        }
        with self._locks.hold(lock, timeout=timedelta(seconds=5)):
            self._store.write(name, json.dumps(body))
            try:
                yield
            finally:
                quietly(lambda: self._store.write(name, None))
                self._locks.retire(lock)

    def interrupted(self) -> list[str]:
        """The providers of sign-ins that a closed or crashed Keyfob left unfinished, each reported once:
        those younger than 30 minutes, to be started again. What they left in the vault is forgotten. Raises
        KeychainError.
        """
        providers: list[str] = []
        for name in self._store.names(_NAMES):
            lock = _lock_of(name.removeprefix(_NAMES))
            if self._locks.held(lock):
                continue
            try:
                body = json.loads(self._store.read(name) or "{}")
                at = from_rfc3339(body.get("at"))
                key = str(body.get("account_key") or "")
            except ValueError:
                at, key, body = None, "", {}
            if key and self._store.get(key) is None:
                self._grants.forget_all(key)
            self._store.write(name, None)
            self._locks.retire(lock)
            if at is not None and self._clock() - at < OFFERED_FOR:
                providers.append(str(body.get("provider")))
        return providers


def _lock_of(attempt_id: str) -> str:
    return f"attempt-{attempt_id}"
