"""The Secret Service (GNOME Keyring, KeePassXC, KWallet) through secretstorage, over one shared session.

keyring opens a connection and an encrypted session for each call (10 ms a read) and prompts where the keychain
is locked, with no time limit. This asks first whether it is locked, prompts only when it was told to, and keeps
its session (1 ms a read). Entries carry keyring's own attributes, so that both read and replace each other's.

Never here: a deadline for the calls themselves. A daemon that hangs blocks the calling thread, so callers wrap
this in vault_process or vault_deadline.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import jeepney
import secretstorage
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from secretstorage.collection import COLLECTION_IFACE
from secretstorage.defines import ALGORITHM_DH, SS_PATH
from secretstorage.dhcrypto import DH_PRIME_1024, Session
from secretstorage.item import ITEM_IFACE
from secretstorage.util import SERVICE_IFACE, DBusAddressWrapper, add_match_rules, open_session

from keyfob.adapters.vault_entries import EntryVault
from keyfob.adapters.vault_keyring import USER
from keyfob.core.errors import KeychainError, KeyfobError

T = TypeVar("T")

_APPLICATION = "Python keyring library"  # what keyring writes: equal attributes make one item of both
# A group of 1024 bits resists as 80 bits do, which an exponent of twice that matches (RFC 3526, section 8; NIST
# SP 800-57). secretstorage takes one of 1024 bits, which is no safer in this group and costs 9 ms a session, not 2.
_EXPONENT = 32  # bytes
_IS_LOCKED = "org.freedesktop.Secret.Error.IsLocked"
# Seconds a person has for the keychain's own prompt, where prompting is allowed.
PROMPT_TIME = 55.0
_DAEMONS = {
    "gnome-keyring-d": "GNOME Keyring",
    "kwalletd5": "KWallet",
    "kwalletd6": "KWallet",
    "ksecretd": "KWallet",
    "keepassxc": "KeePassXC",
}


class SecretServiceVault(EntryVault):
    """A `ports.Vault` in the Secret Service's default collection.

    A locked collection raises KeychainError `keychain_locked` at once; with `prompt=True` the person is asked
    first and has `prompt_time` seconds (`keychain_timeout` after that). Thread-safe; connects at the first call.
    """

    def __init__(self, home_id: str, *, prompt: bool = False, prompt_time: float = PROMPT_TIME) -> None:
        self._service = _ServiceEntries(prompt, prompt_time)
        super().__init__(home_id, self._service)

    def reachable(self) -> bool:
        """Whether a Secret Service is running, or can be started through D-Bus. Never prompts; the connection is
        kept for the calls to come."""
        with self._lock:
            try:
                self._service.connect()
            except KeychainError:
                return False
        return True

    def unlock(self, timeout: float = PROMPT_TIME) -> None:
        """Ask the person to unlock the keychain, for at most `timeout` seconds. Returns at once where it is
        open. Raises KeychainError `keychain_locked` (dismissed), `keychain_timeout`, `keychain_absent`."""
        with self._lock:
            self._service.unlock(timeout)

    def close(self) -> None:
        """Give the connection back; the next call makes another."""
        with self._lock:
            self._service.close()


class _ServiceEntries:
    persistent = True
    limit = None

    def __init__(self, prompt: bool, prompt_time: float) -> None:
        self._prompt = prompt
        self._prompt_time = prompt_time
        self._connection: DBusConnection | None = None
        self._session: Session | None = None
        self._collection: secretstorage.Collection | None = None

    @property
    def title(self) -> str:
        return "Secret Service" if self._connection is None else _title(self._connection)

    def get(self, name: str) -> str | None:
        return self._again(lambda: self._get(name))

    def put(self, name: str, text: str) -> None:
        # Writing the same once more changes nothing, so a lost connection is no reason to give up.
        self._again(lambda: self._put(name, text))

    def drop(self, name: str) -> None:
        self._again(lambda: self._drop(name))

    def unlock(self, timeout: float) -> None:
        def ask() -> None:
            collection = self._default(timeout)
            if collection.is_locked():
                _ask(collection, timeout)

        self._again(ask)

    def connect(self) -> DBusConnection:
        if self._connection is None:
            self._connection = _connect()
        return self._connection

    def close(self) -> None:
        connection = self._connection
        self._connection = self._session = self._collection = None
        if connection is not None:
            connection.close()

    # --- one call -------------------------------------------------------------------------------------------

    def _get(self, name: str) -> str | None:
        return self._unlocked(lambda collection: self._find(collection, name))

    def _find(self, collection: secretstorage.Collection, name: str) -> str | None:
        for path in self._paths(collection, name):
            item = _Item(collection.connection, path, self._session)
            try:
                return str(item.get_secret().decode("utf-8"))
            except jeepney.DBusErrorResponse as error:
                # KeePassXC locks single items until the person has confirmed each.
                if error.name != _IS_LOCKED or not self._prompt or collection.is_locked():
                    raise
            _ask(item, self._prompt_time)
            return str(item.get_secret().decode("utf-8"))
        if collection.is_locked():
            raise secretstorage.LockedException  # a locked one may show no items at all
        return None

    def _put(self, name: str, text: str) -> None:
        attributes = {**_query(name), "application": _APPLICATION}
        label = f"Password for '{USER}' on '{name}'"
        self._unlocked(lambda c: c.create_item(label, attributes, text.encode(), replace=True))

    def _drop(self, name: str) -> None:
        def drop(collection: secretstorage.Collection) -> None:
            collection.ensure_not_locked()
            for path in self._paths(collection, name):
                _Item(collection.connection, path, self._session).delete()

        self._unlocked(drop)

    @staticmethod
    def _paths(collection: secretstorage.Collection, name: str) -> list[str]:
        address = DBusAddressWrapper(collection.collection_path, COLLECTION_IFACE, collection.connection)
        (paths,) = address.call("SearchItems", "a{ss}", _query(name))
        return list(paths)

    def _unlocked(self, call: Callable[[secretstorage.Collection], T]) -> T:
        """`call` on the default collection, which is asked for its lock only by what it answers."""
        collection = self._default(self._prompt_time if self._prompt else None)
        try:
            return call(collection)
        except secretstorage.LockedException:
            pass
        except jeepney.DBusErrorResponse as error:
            if error.name != _IS_LOCKED:
                raise
        if not self._prompt:
            raise KeychainError("The keychain is locked", code="keychain_locked")
        _ask(collection, self._prompt_time)
        return call(collection)

    # --- connection -----------------------------------------------------------------------------------------

    def _again(self, call: Callable[[], T]) -> T:
        """`call`, and once more on a new connection where the kept one was lost: a keychain that was restarted
        knows nothing of our session."""
        kept = self._connection is not None
        try:
            with _errors():
                return call()
        except KeychainError as error:
            if error.code not in ("keychain_absent", "keychain_refused"):
                raise
            self.close()
            if not kept:
                raise
        try:
            with _errors():
                return call()
        except KeychainError:
            self.close()
            raise

    def _default(self, prompt_time: float | None) -> secretstorage.Collection:
        if self._collection is not None:
            return self._collection
        connection = self.connect()
        session = self._session = self._session or _open_session(connection)
        try:
            self._collection = secretstorage.Collection(connection, session=session)
        except secretstorage.ItemNotFoundException:
            if prompt_time is None:
                raise KeychainError(
                    "The keychain has not been set up yet",
                    code="keychain_locked",
                    remedy="Open your keychain once, choose its password, and try again.",
                ) from None
            self._collection = secretstorage.create_collection(connection, "Default", "default", session)
        return self._collection


class _Item(secretstorage.Item):
    """An item whose existence and lock are told by the call itself, not asked for before it: two round trips
    fewer a read."""

    def __init__(self, connection: DBusConnection, path: str, session: Session | None) -> None:
        self.item_path = path
        self._item = DBusAddressWrapper(path, ITEM_IFACE, connection)
        self.session = session
        self.connection = connection

    def ensure_not_locked(self) -> None:
        pass

    def get_secret(self) -> bytes:
        """The same as secretstorage's, without the 6 ms that importing its cipher's backend by name costs."""
        assert self.session is not None
        path = self.session.object_path
        ((_, iv, encrypted, _),) = self._item.call("GetSecret", "o", path)
        if not self.session.encrypted:
            return bytes(encrypted)
        assert self.session.aes_key is not None
        decryptor = Cipher(algorithms.AES(self.session.aes_key), modes.CBC(bytes(iv))).decryptor()
        padded = decryptor.update(bytes(encrypted)) + decryptor.finalize()
        if not padded or not 1 <= padded[-1] <= 16:
            raise ValueError("the secret's padding is wrong")
        return bytes(padded[: -padded[-1]])


class _Session(Session):
    """The key exchange with a shorter exponent."""

    def __init__(self) -> None:
        self.object_path = None
        self.aes_key = None
        self.encrypted = True
        self.my_private_key = int.from_bytes(os.urandom(_EXPONENT), "big")
        self.my_public_key = pow(2, self.my_private_key, DH_PRIME_1024)


def _open_session(connection: DBusConnection) -> Session:
    """An encrypted session; where the keychain knows none, whatever secretstorage agrees on with it."""
    service = DBusAddressWrapper(SS_PATH, SERVICE_IFACE, connection)
    session = _Session()
    public = session.my_public_key.to_bytes(128, "big")
    try:
        output, path = service.call("OpenSession", "sv", ALGORITHM_DH, ("ay", public))
    except jeepney.DBusErrorResponse:
        return open_session(connection)
    _, theirs = output
    session.set_server_public_key(int.from_bytes(theirs, "big"))
    session.object_path = path
    return session


def _ask(what: secretstorage.Collection | secretstorage.Item, timeout: float) -> None:
    until = time.monotonic() + timeout
    dismissed = what.unlock(timeout=timeout)
    if dismissed or what.is_locked():
        late = time.monotonic() >= until
        raise KeychainError("The keychain is locked", code="keychain_timeout" if late else "keychain_locked")


def _connect() -> DBusConnection:
    with _errors():
        if os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
            connection = secretstorage.dbus_init()
        else:
            # A shell over SSH or a timer has no address set; systemd's bus is where it always is.
            runtime = os.environ.get("XDG_RUNTIME_DIR", "")
            path = Path(runtime, "bus")
            if not runtime or not path.exists():
                raise KeychainError("There is no session bus, so no keychain", code="keychain_absent")
            connection = open_dbus_connection(f"unix:path={path}")
            add_match_rules(connection)
        try:
            if not secretstorage.check_service_availability(connection):
                raise KeychainError("No keychain is running on this desktop", code="keychain_absent")
        except BaseException:
            connection.close()
            raise
    return connection


def _title(connection: DBusConnection) -> str:
    """Who keeps the secrets, by the name of its process; a general word where that cannot be told."""
    try:
        bus = jeepney.DBusAddress(
            "/org/freedesktop/DBus", bus_name="org.freedesktop.DBus", interface="org.freedesktop.DBus"
        )
        ask = jeepney.new_method_call(bus, "GetConnectionUnixProcessID", "s", ("org.freedesktop.secrets",))
        reply = connection.send_and_get_reply(ask)
        comm = Path(f"/proc/{int(reply.body[0])}/comm").read_text("utf-8").strip()
    except (OSError, ValueError, IndexError, TypeError):
        return "Secret Service"
    return _DAEMONS.get(comm, "Secret Service")


def _query(name: str) -> dict[str, str]:
    return {"service": name, "username": USER}


@contextmanager
def _errors() -> Iterator[None]:
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
        locked = error.name == _IS_LOCKED
        raise KeychainError(
            "The keychain is locked" if locked else "The keychain refused",
            code="keychain_locked" if locked else "keychain_refused",
            detail=str(error.name),
        ) from None
    except Exception as error:  # its libraries let parsing and authentication errors through
        raise KeychainError("The keychain refused", detail=type(error).__qualname__) from None
