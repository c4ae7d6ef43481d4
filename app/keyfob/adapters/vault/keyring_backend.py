"""The operating system's keychain through `keyring`: macOS Keychain, Windows Credential Manager, KWallet.

Each entry has its own service name, and all share one user name. keyring deletes and then adds on macOS, and
on Windows it copies the current entry to `user@service` on each write. Two users under one service would put
the only good copy at risk. The copy, an older secret, is dropped after the new one is written.

Not here: a choice of backend (see keyring_choice), or a deadline. A backend may block while a prompt is open,
so callers wrap this in `process` or `deadline`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from keyfob.adapters.vault.entries import EntryVault
from keyfob.adapters.vault.keyring_choice import WINDOWS, choose_backend
from keyfob.core.errors import KeychainError, KeyfobError

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

USER = "keyfob"
# Credential Manager holds 2,560 bytes, and keyring writes UTF-16: 1,280 units. Rounded down.
WINDOWS_LIMIT = 1_200
_TITLES = {
    "macOS.Keyring": "macOS Keychain",
    "Windows.WinVaultKeyring": "Windows Credential Manager",
    "SecretService.Keyring": "Secret Service",
    "libsecret.Keyring": "Secret Service",
    "kwallet.DBusKeyring": "KWallet",
    "kwallet.DBusKeyringKWallet4": "KWallet",
}


class KeyringVault(EntryVault):
    """A `ports.Vault` over one keyring backend. `limit` is the longest value in characters (None: no limit
    worth splitting for; default: the backend's own). Thread-safe; blocks for as long as the backend does.
    `backend` must be one that keyring_choice allows; without it, it is chosen there (KeychainError).
    """

    def __init__(
        self,
        home_id: str,
        *,
        backend: KeyringBackend | None = None,
        limit: int | None = None,
    ) -> None:
        chosen = choose_backend() if backend is None else backend
        super().__init__(home_id, _KeyringEntries(chosen, limit))


class _KeyringEntries:
    persistent = True

    def __init__(self, backend: KeyringBackend, limit: int | None) -> None:
        cls = type(backend)
        self._backend = backend
        # A subclass of the Windows backend has its limits too.
        self._copies = any(f"{c.__module__}.{c.__qualname__}" == WINDOWS for c in cls.__mro__)
        self.limit = WINDOWS_LIMIT if limit is None and self._copies else limit
        self.title = _TITLES.get(f"{cls.__module__.rpartition('.')[2]}.{cls.__qualname__}", cls.__qualname__)

    def get(self, name: str) -> str | None:
        with keyring_errors():
            text: str | None = self._backend.get_password(name, USER)
            return text

    def put(self, name: str, text: str) -> None:
        with keyring_errors():
            self._backend.set_password(name, USER, text)
        if self._copies:
            self._drop_copy(name)

    def drop(self, name: str) -> None:
        from keyring.errors import PasswordDeleteError

        with keyring_errors():
            try:
                self._backend.delete_password(name, USER)
            except PasswordDeleteError:
                # Raised for "there was none" and for "not allowed" alike: reading distinguishes them.
                if self._backend.get_password(name, USER) is not None:
                    raise

    def names(self, _prefix: str) -> None:
        """Keyring cannot list entries."""

    def _drop_copy(self, name: str) -> None:
        """The older secret that keyring left under `user@service`. A copy that stays is not a failure of the
        write: it goes with the next one, or with the entry.
        """
        with suppress(KeychainError), keyring_errors():
            self._backend.delete_password(f"{USER}@{name}", USER)


@contextmanager
def keyring_errors() -> Iterator[None]:
    """What keyring and its backends raise, as KeychainError. Their texts
    are left out: one could quote a secret.
    """
    from keyring import errors

    try:
        yield
    except KeyfobError:
        raise
    except errors.KeyringLocked:
        raise KeychainError("The keychain is locked", code="keychain_locked") from None
    except errors.NoKeyringError:
        raise KeychainError("This system has no keychain", code="keychain_absent") from None
    except Exception as error:  # backends let through what their system raises: D-Bus, Win32, GLib errors
        raise KeychainError("The keychain refused", code="keychain_refused", detail=_kind(error)) from None


def _kind(error: Exception) -> str:
    """The error's class, and the system's number if it has one."""
    number = getattr(error, "winerror", None)
    return type(error).__qualname__ + (f" {number}" if isinstance(number, int) else "")
