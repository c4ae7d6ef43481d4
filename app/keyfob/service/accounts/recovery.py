"""Restores accounts that the account store has lost or cannot read, from their descriptions in the vault.

A description is saved next to an account's tokens when it is connected or renamed, and once for accounts that
an older version connected. It contains no secret, only who is connected at which provider, and the addresses
that the tokens may go to. Called by `keyfob doctor --recover`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from keyfob.core.account import Record
from keyfob.core.errors import Fault, KeyfobError, Usage
from keyfob.core.transitions import Renamed, after
from keyfob.ports import AccountStore
from keyfob.service.accounts.account_state import AccountState
from keyfob.service.accounts.grant_store import GrantStore

log = logging.getLogger(__name__)
DESCRIBED = "described"  # names the store's note that every account has its description


@dataclass(frozen=True, slots=True)
class Recovered:
    """`listed`: the ids that are listed again. `lost`: how many the vault holds no description of. `newer`:
    the ids that only a newer Keyfob can read; they are left alone.
    """

    listed: tuple[str, ...] = ()
    lost: int = 0
    newer: tuple[str, ...] = ()


class Recovery:
    """Thread-safe as far as the store and the vault are. `write` and `read` turn a record into a description
    and back; `read` raises ValueError.
    """

    def __init__(
        self,
        store: AccountStore,
        grants: GrantStore,
        state: AccountState,
        write: Callable[[Record], str],
        read: Callable[[str], Record],
    ) -> None:
        self._store = store
        self._grants = grants
        self._state = state
        self._write = write
        self._read = read

    def describe(self, record: Record) -> None:
        """Keep the account's description. A keychain that refuses fails nothing that has been done."""
        try:
            self._grants.describe(record.account.key, self._write(record))
        except KeyfobError as error:
            log.warning("%s is not described in the keychain: %s", record.account.id, error.code)

    def describe_older(self) -> None:
        """Describe the accounts of a version that described none. Does its work once in each home; a keychain
        that refuses leaves it for the next call, and KeychainError says so.
        """
        if self._store.read(DESCRIBED) is not None:
            return
        for record in self._store.records():
            key = record.account.key
            if self._grants.description(key) is None:
                self._grants.describe(key, self._write(record))
                if self._store.get(key) is None:
                    self._grants.forget_all(key)  # it was removed in the meantime
        self._store.write(DESCRIBED, "1")

    def recover(self) -> Recovered:
        """Raises KeychainError when the vault cannot be read, SettingWrong
        when it is not known which vault it is.
        """
        listed: list[str] = []
        lost = 0
        unread = {each.key: each for each in self._store.unread()}
        newer = [each.account_id for each in unread.values() if each.fault.code == "store_too_new"]
        for key, each in unread.items():
            if each.fault.code == "store_too_new":
                continue
            description = self._grants.description(key)
            try:
                record = None if description is None else self._read(description)
            except ValueError:
                record = None
            if record is None or record.account.key != key:
                lost += 1
                if not each.account_id:
                    self._store.remove(key)  # it is said now, once; a damaged row stays
                continue
            listed.append(self._list_again(record))
        return Recovered(tuple(listed), lost, tuple(newer))

    def _list_again(self, record: Record) -> str:
        """As the vault's own grant has it: connected with one, disconnected without."""
        key = record.account.key
        stored = self._grants.newest_or_none(key)
        kept = self._state.relisted(record, stored.grant if stored else None)
        base = record.account.label
        for label in (base, *(f"{base[:60]}-{number}" for number in range(2, 1000))):
            kept = after(kept, Renamed(label))
            try:
                self._store.restore(kept)
            except Usage:
                continue  # another account has that label in the meantime
            return kept.account.id
        raise Fault(f"No unused label was found for {record.account.id}")
