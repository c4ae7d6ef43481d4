"""What an account has in the keychain: its grant and its client's credentials, saved together and put back
together.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from keyfob.core.errors import KeyfobError
from keyfob.core.grant import Grant
from keyfob.core.secret import Secret
from keyfob.ports import Vault
from keyfob.service.accounts.grant_store import GrantStore, Slot, Stored
from keyfob.service.accounts.labels import Labels
from keyfob.service.contexts import NO_SECRETS, ClientSecrets

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Replaced:
    """Where a grant was saved, and the client's credentials that were there before."""

    slot: Slot
    client: Secret | None


class AccountEntries:
    """Blocking and thread-safe; raises KeychainError. The caller holds the account's lock."""

    def __init__(self, vault: Vault, grants: GrantStore, labels: Labels) -> None:
        self._vault = vault
        self._grants = grants
        self._labels = labels

    def check_writable(self, key: str) -> None:
        """Prove that the keychain can be written now."""
        self._grants.check_writable(key)

    def newest(self, key: str) -> Stored | None:
        """The newest grant, and its slot. None if there is none, or if the entries are damaged."""
        return self._grants.newest_or_none(key)

    def save(
        self, key: str, account_id: str, grant: Grant, secrets: ClientSecrets, *, reconnects: bool
    ) -> Replaced:
        """`account_id` names the entries for the user."""
        client_before = self._vault.load(f"{key}/client") if reconnects else None
        self._labels.expect(key, account_id)
        if secrets != NO_SECRETS:
            self._vault.save(f"{key}/client", secrets.sealed())
        return Replaced(self._grants.save(key, grant), client_before)

    def put_back(self, key: str, replaced: Replaced) -> None:
        """The entries as they were before `save`. Raises nothing."""
        try:
            self._vault.delete(f"{key}/{replaced.slot}")
            if replaced.client is not None:
                self._vault.save(f"{key}/client", replaced.client)
        except KeyfobError as error:
            log.warning("putting an account back as it was failed: %s", error.code)

    def forget(self, key: str) -> None:
        """Raises nothing: what stays is forgotten at the next start."""
        try:
            self._grants.forget_all(key)
        except KeyfobError as error:
            log.info("what a failed sign-in left in the keychain stays until the next start: %s", error.code)
