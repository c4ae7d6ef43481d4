"""Calls of the Secret Service's D-Bus API, for `secret_service`: connecting, prompts with a deadline, errors.

secretstorage has these only in private modules, or prompts in them without a limit: its `Item.delete` opens a
prompt, its `create_collection` waits for the user forever, and it unlocks one object at a time where one
prompt can ask for all. https://specifications.freedesktop.org/secret-service-spec/latest/ describes the API.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jeepney
import secretstorage
from jeepney.io.blocking import DBusConnection, Proxy, open_dbus_connection

from keyfob.core.errors import KeychainError, KeyfobError

IS_LOCKED = "org.freedesktop.Secret.Error.IsLocked"
_BUS_NAME = "org.freedesktop.secrets"
_PATH = "/org/freedesktop/secrets"
_SERVICE = "org.freedesktop.Secret.Service"
_PROMPT = "org.freedesktop.Secret.Prompt"
_NONE = "/"  # the path that means no object
_GONE = frozenset(
    f"org.freedesktop.DBus.Error.{name}"
    for name in ("ServiceUnknown", "NameHasNoOwner", "NoReply", "Disconnected", "Spawn.ExecFailed")
)
_DAEMONS = {
    "gnome-keyring-d": "GNOME Keyring",
    "kwalletd5": "KWallet",
    "kwalletd6": "KWallet",
    "ksecretd": "KWallet",
    "keepassxc": "KeePassXC",
}


def connect() -> DBusConnection:
    """A connection to the session bus, if a Secret Service runs there or can be started. Raises KeychainError
    `keychain_absent`.
    """
    with errors():
        if os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
            connection = secretstorage.dbus_init()
        else:
            # A shell over SSH or a timer has no address set; systemd's bus is where it always is.
            runtime = os.environ.get("XDG_RUNTIME_DIR", "")
            path = Path(runtime, "bus")
            if not runtime or not path.exists():
                raise KeychainError(
                    "The keychain is not available: there is no session bus",
                    code="keychain_no_session",
                )
            connection = open_dbus_connection(f"unix:path={path}")
        try:
            if not secretstorage.check_service_availability(connection):
                raise KeychainError("No keychain is running on this desktop", code="keychain_absent")
        except BaseException:
            connection.close()
            raise
    return connection


def title_of(connection: DBusConnection) -> str:
    """Who keeps the secrets, by the name of its process; a general word if that cannot be found out."""
    try:
        (pid,) = Proxy(jeepney.message_bus, connection).GetConnectionUnixProcessID(_BUS_NAME)
        comm = Path(f"/proc/{int(pid)}/comm").read_text("utf-8").strip()
    except (OSError, ValueError, TypeError, jeepney.DBusErrorResponse):
        return "Secret Service"
    return _DAEMONS.get(comm, "Secret Service")


def locked_items(connection: DBusConnection, attributes: dict[str, str]) -> list[str]:
    """The paths of the locked items that have these attributes, in all collections."""
    _, locked = _call(connection, _PATH, _SERVICE, "SearchItems", "a{ss}", attributes)
    return list(locked)


def unlock(connection: DBusConnection, paths: Sequence[str], until: float) -> bool:
    """Has the user unlock these with one prompt, until a moment of the monotonic clock. False if they
    dismissed it. Raises TimeoutError.
    """
    _, prompt = _call(connection, _PATH, _SERVICE, "Unlock", "ao", list(paths))
    return prompt == _NONE or _answer(connection, prompt, until) is not None


def create_default(connection: DBusConnection, label: str, until: float) -> str | None:
    """The path of a new default collection, for which a prompt asks the user to choose a password. None if
    they dismissed it. Raises TimeoutError.
    """
    properties = {"org.freedesktop.Secret.Collection.Label": ("s", label)}
    path, prompt = _call(connection, _PATH, _SERVICE, "CreateCollection", "a{sv}s", properties, "default")
    found = path if path != _NONE else _answer(connection, prompt, until)
    return None if found in (None, _NONE) else str(found)


def delete(connection: DBusConnection, item: str) -> bool:
    """Deletes an item. False if the service would ask the user first: it is not asked, and the item is
    still there.
    """
    (prompt,) = _call(connection, item, "org.freedesktop.Secret.Item", "Delete")
    if prompt == _NONE:
        return True
    _call(connection, prompt, _PROMPT, "Dismiss")
    return False


def _answer(connection: DBusConnection, prompt: str, until: float) -> object:
    """What the user's answer to a prompt led to; None if they dismissed it. Raises TimeoutError."""
    rule = jeepney.MatchRule(
        type=jeepney.MessageType.signal, path=prompt, interface=_PROMPT, member="Completed"
    )
    # Some services send the signal to the subscriber instead of to us.
    Proxy(jeepney.message_bus, connection).AddMatch(rule)
    with connection.filter(rule) as signals:
        _call(connection, prompt, _PROMPT, "Prompt", "s", "")
        message = connection.recv_until_filtered(signals, timeout=max(until - time.monotonic(), 0.0))
    dismissed, (_, result) = message.body
    return None if dismissed else result


def _call(
    connection: DBusConnection, path: str, interface: str, method: str, signature: str = "", *body: object
) -> tuple[Any, ...]:
    address = jeepney.DBusAddress(path, bus_name=_BUS_NAME, interface=interface)
    reply = connection.send_and_get_reply(jeepney.new_method_call(address, method, signature or None, body))
    if reply.header.message_type is jeepney.MessageType.error:
        raise jeepney.DBusErrorResponse(reply)
    answer: tuple[Any, ...] = reply.body
    return answer


@contextmanager
def errors() -> Iterator[None]:
    """What D-Bus and secretstorage raise, as KeychainError, without their texts."""
    try:
        yield
    except KeyfobError:
        raise
    except TimeoutError:
        raise KeychainError("The keychain did not answer in time", code="keychain_timeout") from None
    except (secretstorage.LockedException, secretstorage.PromptDismissedException):
        raise KeychainError("The keychain is locked", code="keychain_locked") from None
    except (secretstorage.SecretServiceNotAvailableException, OSError, EOFError, RuntimeError, KeyError):
        raise KeychainError("No keychain is running on this desktop", code="keychain_absent") from None
    except jeepney.DBusErrorResponse as error:
        raise _refusal(str(error.name)) from None
    except Exception as error:  # its libraries let parsing and authentication errors through
        raise KeychainError("The keychain refused", detail=type(error).__qualname__) from None


def _refusal(name: str) -> KeychainError:
    """What the D-Bus error of this name means."""
    if name == IS_LOCKED:
        return KeychainError("The keychain is locked", code="keychain_locked", detail=name)
    if name in _GONE:
        return KeychainError("No keychain is running on this desktop", code="keychain_absent")
    return KeychainError("The keychain refused", code="keychain_refused", detail=name)
