"""Which vault this home uses: the keychain, or one of the two alternatives that the user can choose.

A vault that fails is never replaced by another: a user who chose the keychain must not find their tokens in a
file. The engine calls `choose_vault`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keyfob.adapters.vault.deadline import DEADLINE, PROMPT_DEADLINE, DeadlineVault
from keyfob.adapters.vault.entries import Labels, plain_label
from keyfob.adapters.vault.system import SystemVault

# The keychain process and a command's fast path start with this module: what only the other vaults need, or
# only a failure, is imported with them.
if TYPE_CHECKING:
    from keyfob.adapters.vault.passphrase import Ask
    from keyfob.core.errors import SettingWrong
    from keyfob.core.secret import Secret
    from keyfob.core.settings import Settings
    from keyfob.ports import EncryptedFile, Vault, VaultHealth
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
    """The vault that `settings.vault` names. Opens nothing yet and never raises: what is wrong with it is
    reported by the first call, or by `probe()`.

    `in_process=True` is for a command that ends after its work: the keychain is called in this process, which
    must end soon after a `keychain_timeout`. Otherwise the calls go to a separate process. `labels` gives the
    words by which a user knows an entry, from its name. `ask` asks for the encrypted file's passphrase if
    neither systemd's credentials nor a descriptor has it; without it, the terminal does.
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


def encrypted_file(home: Home, vault: Vault) -> EncryptedFile:
    """The encrypted file of this home: `vault` itself if tokens are kept in it, so that opening it opens the
    vault; else one that opens nothing by itself.
    """
    from keyfob.adapters.vault.lockable import LockableVault
    from keyfob.adapters.vault.passphrase import ask_nowhere
    from keyfob.adapters.vault.sealed import SealedVault

    if isinstance(vault, SealedVault) or (isinstance(vault, LockableVault) and vault.file is not None):
        return vault
    return SealedVault(home.id, home.data / SEALED_FILE, ask_nowhere)


class UnchosenVault:
    """Used while the settings cannot be read, so that the user's choice is not known: opens no vault. What
    needs no vault (the list of accounts, the doctor) works; every call raises the settings' own fault.
    """

    def __init__(self, fault: SettingWrong) -> None:
        self._fault = fault

    def load(self, name: str) -> Secret | None:
        """Raises the error that says why no vault could be chosen."""
        raise self._fault

    def save(self, name: str, value: Secret) -> None:
        """Raises the same error as `load`. The value goes nowhere."""
        raise self._fault

    def delete(self, name: str) -> None:
        """Raises the same error as `load`."""
        raise self._fault

    def names(self) -> Sequence[str] | None:
        """Raises the same error as `load`."""
        raise self._fault

    def probe(self) -> VaultHealth:
        """Not usable, with the error's words."""
        from keyfob.ports import unhealthy

        return unhealthy(self._fault, "vault")

    def unlock(self, timeout: float, cancel: threading.Event | None = None) -> None:
        """Raises the same error as `load`: there is nothing to unlock."""
        raise self._fault
