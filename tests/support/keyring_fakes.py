"""Windows' and macOS's keychains, as far as keyring's own backends see them.

The backends are keyring's real ones; what is replaced is the system beneath: `win32cred` with its limit of
2,560 bytes and error 1783, and Apple's API, where replacing an item means deleting it and adding another.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from keyring.backend import KeyringBackend
from keyring.backends import Windows, macOS

BLOB_LIMIT = 2_560  # CRED_MAX_CREDENTIAL_BLOB_SIZE


class WinError(Exception):
    def __init__(self, winerror: int, funcname: str, text: str) -> None:
        super().__init__(winerror, funcname, text)
        self.winerror = winerror
        self.funcname = funcname


class CredentialManager:
    """What `win32cred` offers, over a dictionary of target names.
    `before_write` may raise, as a kill would.
    """

    CRED_TYPE_GENERIC = 1
    CRED_PERSIST_ENTERPRISE = 3

    def __init__(self) -> None:
        self.targets: dict[str, dict[str, Any]] = {}
        self.before_write: Callable[[str], None] = lambda target: None

    def CredRead(self, *, Type: int, TargetName: str) -> dict[str, Any]:
        if TargetName not in self.targets:
            raise WinError(1168, "CredRead", "Element not found.")
        return dict(self.targets[TargetName])

    def CredWrite(self, credential: dict[str, Any], flags: int) -> None:
        self.before_write(credential["TargetName"])
        blob = credential["CredentialBlob"].encode("utf-16-le")
        if len(blob) > BLOB_LIMIT:
            raise WinError(1783, "CredWrite", "The stub received bad data.")
        self.targets[credential["TargetName"]] = {**credential, "CredentialBlob": blob}

    def CredDelete(self, *, Type: int, TargetName: str) -> None:
        if TargetName not in self.targets:
            raise WinError(1168, "CredDelete", "Element not found.")
        del self.targets[TargetName]


def windows(monkeypatch: pytest.MonkeyPatch) -> tuple[KeyringBackend, CredentialManager]:
    """keyring's Windows backend over a Credential Manager that starts empty."""
    manager = CredentialManager()
    monkeypatch.setattr(Windows, "win32cred", manager, raising=False)
    monkeypatch.setattr(Windows, "pywintypes", SimpleNamespace(error=WinError), raising=False)
    return Windows.WinVaultKeyring(), manager


class AppleKeychain:
    """What keyring's module for Apple's API offers. `between` may raise, after the old item has been deleted
    and before the new one is added."""

    class Error(Exception):
        pass

    class NotFound(Error):
        pass

    class KeychainDenied(Error):
        pass

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], str] = {}
        self.between: Callable[[], None] = lambda: None

    def find_generic_password(self, keychain: object, service: str, account: str) -> str:
        if (service, account) not in self.items:
            raise self.NotFound
        return self.items[service, account]

    def set_generic_password(self, keychain: object, service: str, account: str, password: str) -> None:
        self.items.pop((service, account), None)
        self.between()
        self.items[service, account] = password

    def delete_generic_password(self, keychain: object, service: str, account: str) -> None:
        if (service, account) not in self.items:
            raise self.NotFound
        del self.items[service, account]


def apple(monkeypatch: pytest.MonkeyPatch) -> tuple[KeyringBackend, AppleKeychain]:
    """keyring's macOS backend over a keychain that starts empty."""
    keychain = AppleKeychain()
    monkeypatch.setattr(macOS, "api", keychain, raising=False)
    return macOS.Keyring(), keychain
