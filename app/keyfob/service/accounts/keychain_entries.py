"""Everything that this home has in the keychain, to be deleted at the end: `keyfob remove --everything`.

A keychain that lists its entries says itself what is there. For one that cannot, the names follow from the
account store: the accounts, those that it lost, revocations that wait, saved clients and private keys. Other
homes' entries have other names, and are never touched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from keyfob.core.account import PendingRevocation
from keyfob.core.errors import KeychainError
from keyfob.core.words import RevocationOutcome
from keyfob.ports import AccountStore, Vault
from keyfob.service.accounts.grant_store import ROLE_KEYS, SLOTS
from keyfob.service.accounts.revocations import Revocations

OF_AN_ACCOUNT = (*SLOTS, "probe", ROLE_KEYS, "client", "dpop", "account")
SAVED = ("client/", "jwk/")  # the prefixes of what has the same name in the account store


@dataclass(frozen=True, slots=True)
class Undeleted:
    """An entry that is still there. `error`: why; None for one that is empty and could not be deleted without
    asking the user.
    """

    name: str
    error: KeychainError | None


class KeychainEntries:
    """Blocking and thread-safe. Nobody else may write while `delete_all` runs."""

    def __init__(self, vault: Vault, store: AccountStore, revocations: Revocations) -> None:
        self._vault = vault
        self._store = store
        self._revocations = revocations

    def expected(self) -> set[str]:
        """The names that the account store knows. Not all of them need be in the keychain. Raises Fault."""
        keys = {record.account.key for record in self._store.records()}
        keys |= {unread.key for unread in self._store.unread()}
        names = {f"{key}/{part}" for key in keys for part in OF_AN_ACCOUNT}
        names |= {pending.entry for pending in self._store.revocations()}
        return names.union(*(self._store.names(prefix) for prefix in SAVED))

    def found(self) -> list[str]:
        """The names of the entries that are there, in order. Raises KeychainError, Fault."""
        listed = self._vault.names()
        if listed is not None:
            return sorted(listed)
        return [name for name in sorted(self.expected()) if self._is_there(name)]

    def revoke_waiting(self) -> list[tuple[PendingRevocation, RevocationOutcome]]:
        """Try once more what waits for its revocation, whatever time is left until the next try."""
        tried = []
        for pending in self._store.revocations():
            due = replace(pending, held=False)
            self._store.put_revocation(due)
            tried.append((pending, self._revocations.settle(due)))
        return tried

    def delete_all(self, stop: Callable[[], bool] = lambda: False) -> list[Undeleted]:
        """Delete every entry, and read each back. Returns what is still there, and ends early if `stop` says
        so. Raises KeychainError if the keychain cannot be read at all.
        """
        left: dict[str, Undeleted] = {}
        for name in self.found():
            if stop():
                break
            try:
                self._vault.delete(name)
            except KeychainError as error:
                left[name] = Undeleted(name, error)
        for name in [] if stop() else self.found():
            if name not in left:
                emptied = self._vault.load(name) is None
                left[name] = Undeleted(name, None if emptied else _still_there())
        return list(left.values())

    def _is_there(self, name: str) -> bool:
        try:
            return self._vault.load(name) is not None
        except KeychainError as error:
            if error.code == "entry_damaged":
                return True
            raise


def _still_there() -> KeychainError:
    return KeychainError("The keychain did not delete an entry", code="keychain_write_lost")
