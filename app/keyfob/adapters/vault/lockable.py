"""A vault that its user can close for one process: for the app and the agent, which live on.

`keyfob agent --lock` closes it, in two steps. First nothing is read any more, so that no token is given out
and no renewal begins, but a renewal in progress can still save what it received. Then every call is refused,
and an encrypted file's key is gone from memory, so that only the passphrase opens it again. Other processes,
and the keychain itself, are not affected.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from keyfob.adapters.vault.sealed import SealedVault
from keyfob.core.errors import KeychainError
from keyfob.core.secret import Secret
from keyfob.ports import Vault, VaultHealth, unhealthy


class LockableVault:
    """A `ports.Vault` and `ports.VaultLock` over another vault. Thread-safe."""

    def __init__(self, inner: Vault) -> None:
        self._inner = inner
        self._locked = False  # nothing is read
        self._closed = False  # and nothing is written

    @property
    def locked(self) -> bool:
        """Whether its user has closed it."""
        return self._locked

    @property
    def is_open(self) -> bool:
        """Whether it can be used without a passphrase from its user."""
        return not self._locked and (self.file is None or self.file.is_open)

    def refuse(self) -> None:
        """Read nothing from now on. What was received is still saved, until `lock`. Idempotent."""
        self._locked = True

    def lock(self) -> None:
        """Refuse every call from now on. Idempotent."""
        self._locked = self._closed = True
        self.close()

    def open(self, passphrase: Secret | None) -> None:
        """Work again. Raises KeychainError `passphrase_needed`, `passphrase_wrong` and what reading the file
        raises.
        """
        if self.file is not None and passphrase is not None:
            self.file.open_with(passphrase)
        elif self.file is not None and not self.file.is_open:
            raise _needs_passphrase()
        self._locked = self._closed = False

    # --- the encrypted file, as a window opens it -----------------------------------------------------------

    @property
    def file(self) -> SealedVault | None:
        """The encrypted file, if tokens are kept in one."""
        return self._inner if isinstance(self._inner, SealedVault) else None

    def exists(self) -> bool:
        """Whether there is a file yet."""
        return self.file is not None and self.file.exists()

    def open_with(self, passphrase: Secret) -> None:
        """As `open`."""
        self.open(passphrase)

    # --- the vault ------------------------------------------------------------------------------------------

    def load(self, name: str) -> Secret | None:
        """As the vault's. Raises KeychainError `agent_locked`, as the calls below."""
        _check(self._locked)
        return self._inner.load(name)

    def save(self, name: str, value: Secret) -> None:
        """As the vault's."""
        _check(self._closed)
        self._inner.save(name, value)

    def delete(self, name: str) -> None:
        """As the vault's."""
        _check(self._closed)
        self._inner.delete(name)

    def names(self) -> Sequence[str] | None:
        """As the vault's."""
        _check(self._locked)
        return self._inner.names()

    def probe(self) -> VaultHealth:
        """As the vault's. Never raises."""
        return unhealthy(_locked()) if self._locked else self._inner.probe()

    def unlock(self, timeout: float, cancel: threading.Event | None = None) -> None:
        """A user who unlocks the keychain in the window opens this, too. Raises KeychainError as the vault's,
        and `passphrase_needed` for an encrypted file, whose passphrase the window asks for itself.
        """
        if self._locked and self.file is not None:
            raise _needs_passphrase()
        self._inner.unlock(timeout, cancel)
        self._locked = self._closed = False

    def close(self) -> None:
        """End what the vault has started, and forget what it has read."""
        closing = getattr(self._inner, "close", None)
        if closing is not None:
            closing()


def _check(refused: bool) -> None:
    if refused:
        raise _locked()


def _needs_passphrase() -> KeychainError:
    return KeychainError("The encrypted file needs its passphrase", code="passphrase_needed")


def _locked() -> KeychainError:
    return KeychainError("The agent is locked", code="agent_locked")
