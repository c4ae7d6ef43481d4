"""This system's keychain, whichever it is. For `choice`, the keychain process and the fast path of `keyfob
token`.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from keyfob.adapters.vault import keyring_choice
from keyfob.adapters.vault.entries import Labels, plain_label
from keyfob.core.errors import KeychainError

# The keychain process and the fast path start with this module: what
# only a failure needs is imported with it.
if TYPE_CHECKING:
    from keyfob.adapters.vault.entries import EntryVault
    from keyfob.core.secret import Secret
    from keyfob.ports import VaultHealth


def keychain_there(home_id: str) -> bool:
    """Whether this system has a keychain at all, locked or not. Never prompts, never blocks on a keychain
    that hangs.
    """
    try:
        _system_vault(home_id)
    except KeychainError as error:
        return error.code not in ("keychain_absent", "keychain_no_session", "keychain_off")
    return True


class SystemVault:
    """This system's keychain, found at the first call that needs it, and looked for again while there is
    none. Thread-safe. Its calls may block: see `deadline` and `process`.
    """

    def __init__(self, home_id: str, labels: Labels = plain_label) -> None:
        self._home_id = home_id
        self._labels = labels
        self._found: EntryVault | None = None
        self._lock = threading.Lock()

    def load(self, name: str) -> Secret | None:
        """The value, from this system's keychain. Raises KeychainError."""
        return self._vault().load(name)

    def save(self, name: str, value: Secret) -> None:
        """Save in this system's keychain. Raises KeychainError."""
        self._vault().save(name, value)

    def delete(self, name: str) -> None:
        """Delete from this system's keychain. Raises KeychainError."""
        self._vault().delete(name)

    def names(self) -> list[str] | None:
        """All entries of this home in this system's keychain. Raises KeychainError."""
        return self._vault().names()

    def probe(self) -> VaultHealth:
        """The health of this system's keychain; not usable if there is none. Never raises a KeychainError."""
        try:
            return self._vault().probe()
        except KeychainError as error:
            from keyfob.ports import unhealthy

            return unhealthy(error)

    def unlock(self, timeout: float, cancel: threading.Event | None = None) -> None:
        """`cancel` is not looked at: `process` and `deadline`, which wrap this, do."""
        self._vault().unlock(timeout)

    @property
    def trusts_this_process(self) -> bool:
        """Whether the keychain allowed its entries to this very process, and would ask the user again for
        another one (KeePassXC).
        """
        return bool(getattr(self._found, "trusts_this_process", False))

    def close(self) -> None:
        """Close the keychain's connection, if there is one. The next call makes another."""
        with self._lock:
            found, self._found = self._found, None
        closing = getattr(found, "close", None)
        if closing is not None:
            closing()

    def _vault(self) -> EntryVault:
        with self._lock:
            if self._found is None:
                self._found = _system_vault(self._home_id, self._labels)
            return self._found


def _system_vault(home_id: str, labels: Labels = plain_label) -> EntryVault:
    """Raises KeychainError `keychain_absent`, `keychain_plaintext`."""
    missing = None
    named = keyring_choice.allowed_name()
    if sys.platform.startswith(("linux", "freebsd")) and named in (None, keyring_choice.SECRET_SERVICE):
        from keyfob.adapters.vault.secret_service import SecretServiceVault

        vault = SecretServiceVault(home_id, labels)
        missing = vault.missing()
        if named is not None or missing is None:
            return vault
    from keyfob.adapters.vault.keyring_backend import KeyringVault

    try:
        return KeyringVault(home_id)
    except KeychainError as error:
        # Why there is no Secret Service says more than that nothing else is there either.
        raise error if missing is None else missing from None
