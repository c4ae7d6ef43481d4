"""The names of Keyfob's entries in the keychain's own program, and in
its questions: each entry is named after its account.

The vault calls it with the entry's name, for each write. It never
raises: an entry without its account's name still works.
"""

from __future__ import annotations

import threading

from keyfob.core.errors import KeyfobError
from keyfob.ports import AccountRecords

NAME = "Keyfob"


class Labels:
    """Thread-safe. Reads the store, so it may block as long as that does."""

    def __init__(self, store: AccountRecords) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._expected: dict[str, str] = {}

    def expect(self, key: str, account_id: str) -> None:
        """The account `key` is about to be stored under this id; its entries are written before."""
        with self._lock:
            self._expected = {key: account_id}  # one sign-in commits at a time

    def __call__(self, name: str) -> str:
        """The title of the vault entry `name`, as keychain programs show it. Never raises a KeyfobError."""
        key = name.partition("/")[0]
        try:
            record = self._store.get(key)
        except KeyfobError:
            record = None
        with self._lock:
            account_id = record.account.id if record else self._expected.get(key)
        return f"{NAME}: {account_id}" if account_id else NAME
