"""Which vault this home uses: the keychain, or one of the two alternatives that the user can choose.

A vault that fails is never replaced by another: a user who chose the keychain must not find their tokens in a file. The
engine calls `choose_vault`, and the keychain process builds its `SystemVault`.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from keyfob.adapters.vault import keyring_choice
from keyfob.adapters.vault.deadline import DEADLINE, PROMPT_DEADLINE, DeadlineVault
from keyfob.adapters.vault.entries import Labels, plain_label
from keyfob.core.errors import KeychainError

# The keychain process and a command's fast path start with this module: what only the other vaults need, or only
# a failure, is imported with them.
if TYPE_CHECKING:
    from keyfob.adapters.vault.entries import EntryVault
    from keyfob.adapters.vault.passphrase import Ask
    from keyfob.core.errors import SettingWrong
    from keyfob.core.secret import Secret
    from keyfob.core.settings import Settings
    from keyfob.ports import Vault, VaultHealth
    from keyfob.process.home import Home

SEALED_FILE = "vault.sealed"


def choose_vault(
    settings: Settings,
    home: Home,
    *,
    in_process: bool,
    labels: Labels = plain_label,
    ask: Ask | None = None,
) -> Vault:
    """The vault that `settings.vault` names. Opens nothing yet and never raises: what is wrong with it is reported
    by the first call, or by `probe()`.

    `in_process=True` is for a command that ends after its work: the keychain is called in this process, which
    must end soon after a `keychain_timeout`. Otherwise the calls go to a separate process. `labels` gives the
    words by which a user knows an entry, from its name. `ask` asks for
    the encrypted file's passphrase if neither systemd's credentials nor a descriptor has it; without it, the
    terminal does.
    """
    match settings.vault:
        case "sealed":
            from keyfob.adapters.vault.passphrase import ask_in_terminal, find_passphrase
            from keyfob.adapters.vault.sealed import SealedVault

            return SealedVault(home.id, home.data / SEALED_FILE, find_passphrase(ask or ask_in_terminal))
        case "pass":
            from keyfob.adapters.vault.password_store import PassVault

            return PassVault(home.id)
        case _:
            # macOS asks automatically, whenever the program that calls is new to it.
            deadline = PROMPT_DEADLINE if sys.platform == "darwin" else DEADLINE
            if in_process:
                return DeadlineVault(SystemVault(home.id, labels), deadline)
            from keyfob.adapters.vault.process import HelperVault

            return HelperVault(home.id, deadline=deadline, labels=labels)


def keychain_there(home_id: str) -> bool:
    """Whether this system has a keychain at all, locked or not. Never prompts, never blocks on a keychain that
    hangs."""
    try:
        _system_vault(home_id)
    except KeychainError as error:
        return error.code != "keychain_absent"
    return True


class UnchosenVault:
    """Used while the settings cannot be read, so that the user's choice is not known: opens no vault. What
    needs no vault (the list of accounts, the doctor) works; every call raises the settings' own fault."""

    def __init__(self, fault: SettingWrong) -> None:
        self._fault = fault

    def load(self, name: str) -> Secret | None:
        raise self._fault

    def save(self, name: str, value: Secret) -> None:
        raise self._fault

    def delete(self, name: str) -> None:
        raise self._fault

    def probe(self) -> VaultHealth:
        from keyfob.ports import unhealthy

        return unhealthy(self._fault, "vault")

    def unlock(self, timeout: float, cancel: threading.Event | None = None) -> None:
        raise self._fault


class SystemVault:
    """This system's keychain, found at the first call that needs it, and looked for again while there is none.
    Thread-safe. Its calls may block: see `deadline` and `process`."""

    def __init__(self, home_id: str, labels: Labels = plain_label) -> None:
        self._home_id = home_id
        self._labels = labels
        self._found: EntryVault | None = None
        self._lock = threading.Lock()

    def load(self, name: str) -> Secret | None:
        return self._vault().load(name)

    def save(self, name: str, value: Secret) -> None:
        self._vault().save(name, value)

    def delete(self, name: str) -> None:
        self._vault().delete(name)

    def probe(self) -> VaultHealth:
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
        another one (KeePassXC)."""
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
