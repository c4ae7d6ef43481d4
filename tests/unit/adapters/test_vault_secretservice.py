"""What D-Bus and secretstorage raise, as the caller sees it."""

from __future__ import annotations

import pytest
import secretstorage
from jeepney import DBusErrorResponse, HeaderFields
from jeepney.low_level import Header, Message, MessageType

from keyfob.adapters.vault import secret_service_bus
from keyfob.adapters.vault.secret_service import SecretServiceVault
from keyfob.core.errors import KeychainError
from keyfob.core.secret import Secret

CANARY = "canary-7f3a"


def dbus_error(name: str) -> DBusErrorResponse:
    header = Header(None, MessageType.error, 0, 1, 0, 1, {HeaderFields.error_name: name})
    return DBusErrorResponse(Message(header, (CANARY,)))


@pytest.mark.parametrize(
    ("error", "code", "detail"),
    [
        (secretstorage.LockedException(CANARY), "keychain_locked", ""),
        (secretstorage.PromptDismissedException(CANARY), "keychain_locked", ""),
        (secretstorage.SecretServiceNotAvailableException(CANARY), "keychain_absent", ""),
        (ConnectionResetError(CANARY), "keychain_absent", ""),
        (FileNotFoundError(CANARY), "keychain_absent", ""),
        (TimeoutError(CANARY), "keychain_timeout", ""),
        (dbus_error("org.freedesktop.Secret.Error.IsLocked"), "keychain_locked", "IsLocked"),
        (dbus_error("org.freedesktop.DBus.Error.AccessDenied"), "keychain_refused", "AccessDenied"),
        (dbus_error("org.freedesktop.DBus.Error.ServiceUnknown"), "keychain_absent", ""),
        (secretstorage.SecretStorageException(CANARY), "keychain_refused", "SecretStorageException"),
        (ValueError(CANARY), "keychain_refused", "ValueError"),
    ],
)
def test_what_is_raised_below_is_told_by_code_and_without_its_words(
    error: Exception, code: str, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(secret_service_bus, "connect", fail)
    vault = SecretServiceVault("1f" * 16)
    for call in (
        lambda: vault.load("a"),
        lambda: vault.save("a", Secret(CANARY)),
        lambda: vault.delete("a"),
        vault.unlock,
    ):
        with pytest.raises(KeychainError) as caught:
            call()
        assert caught.value.code == code
        assert caught.value.detail.endswith(detail)
        assert CANARY not in caught.value.sentence() + caught.value.detail
    assert vault.probe().code == code
