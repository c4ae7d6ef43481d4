"""The Secret Service (GNOME Keyring, KeePassXC, KWallet) through secretstorage, over one shared session.

keyring opens a connection and an encrypted session for each call (10 ms a read) and prompts when the keychain is
locked, with no time limit. This keeps its session (1 ms a read), and nothing but `unlock` ever prompts. Entries
carry keyring's own attributes, so that both read and replace each other's.

KeePassXC asks the person before it replaces an entry and, with its usual settings, before it gives one to a
program that it has not seen since that program connected. So an entry that exists gets its new secret in place,
which no service asks about, and what would ask (deleting, with some settings) is not done: the entry is emptied.

Never here: a deadline for the calls themselves. A daemon that hangs blocks the calling thread, so callers wrap
this in vault_process or vault_deadline.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import jeepney
import secretstorage
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from secretstorage.collection import COLLECTION_IFACE
from secretstorage.defines import ALGORITHM_DH, SS_PATH
from secretstorage.dhcrypto import DH_PRIME_1024, Session
from secretstorage.item import ITEM_IFACE
from secretstorage.util import (
    PROMPT_IFACE,
    SERVICE_IFACE,
    DBusAddressWrapper,
    add_match_rules,
    exec_prompt,
    open_session,
    unlock_objects,
)

from keyfob.adapters.vault_entries import PREFIX, EntryVault, Labels, plain_label
from keyfob.adapters.vault_keyring import USER
from keyfob.core.errors import KeychainError, KeyfobError

if TYPE_CHECKING:  # a command that only reads a token pays for what it imports
    from keyfob.ports import VaultHealth

T = TypeVar("T")

_APPLICATION = "Python keyring library"  # what keyring writes: equal attributes make one item of both
# A group of 1024 bits resists as 80 bits do, which an exponent of twice that matches (RFC 3526, section 8; NIST
# SP 800-57). secretstorage takes one of 1024 bits, which is no safer in this group and costs 9 ms a session, not 2.
_EXPONENT = 32  # bytes
_EMPTIED = "keyfob:emptied"  # what stands in an entry that could not be deleted without asking the person
_IS_LOCKED = "org.freedesktop.Secret.Error.IsLocked"
# Seconds a person has for the keychain's own prompt.
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

    A locked collection raises KeychainError `keychain_locked` at once, and one that was never made raises
    `keychain_not_set_up`. Thread-safe; connects at the first call.
    """

    def __init__(self, home_id: str, labels: Labels = plain_label) -> None:
        self._service = _ServiceEntries(lambda full: labels(full.removeprefix(f"{PREFIX}/{home_id}/")))
        super().__init__(home_id, self._service)

    def missing(self) -> KeychainError | None:
        """Why there is no Secret Service; None when one is running or D-Bus can start one. Never prompts; the
        connection is kept for the calls to come."""
        with self._lock:
            try:
                self._service.connect()
            except KeychainError as error:
                return error
        return None

    def unlock(self, timeout: float = PROMPT_TIME, cancel: threading.Event | None = None) -> None:
        """Ask the person to unlock the keychain, for at most `timeout` seconds. Returns at once when it is
        open. Raises KeychainError `keychain_locked` or `keychain_not_set_up` (dismissed), `keychain_timeout`,
        `keychain_absent`."""
        with self._lock:
            self._service.unlock(timeout)

    def probe(self) -> VaultHealth:
        from keyfob.ports import unhealthy

        try:
            with self._lock:
                self._service.refuse_withheld()
        except KeychainError as error:
            return unhealthy(error, self.title)
        return super().probe()

    @property
    def trusts_this_process(self) -> bool:
        """Whether a person allowed entries to this process, which another would have to ask for again."""
        return self._service.trusted

    def close(self) -> None:
        """Give the connection back; the next call makes another."""
        with self._lock:
            self._service.close()


class _ServiceEntries:
    persistent = True
    limit = None

    def __init__(self, labels: Labels) -> None:
        self.trusted = False
        self._labels = labels
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
        until = time.monotonic() + timeout

        def ask() -> None:
            collection = self._default(until)
            if collection.is_locked():
                _ask(collection, until)
            withheld = self._withheld()
            if withheld:
                dismissed = unlock_objects(self.connect(), withheld, timeout=_left(until))
                if dismissed or self._withheld():
                    raise _not_unlocked()
                self.trusted = True

        self._again(ask)

    def refuse_withheld(self) -> None:
        """Raises KeychainError `keychain_locked` when the keychain is open and keeps entries of ours from this
        process until the person allows them."""

        def look() -> None:
            if not self._default().is_locked() and self._withheld():
                raise _withheld_error()

        self._again(look)

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
        for item in self._items(collection, name):
            text = item.get_secret().decode("utf-8")
            return None if text == _EMPTIED else text
        if collection.is_locked():
            raise secretstorage.LockedException  # a locked one may show no items at all
        return None

    def _put(self, name: str, text: str) -> None:
        attributes = {**_query(name), "application": _APPLICATION}
        label = self._labels(name)

        def put(collection: secretstorage.Collection) -> None:
            for item in self._items(collection, name):
                item.set_secret(text.encode())
                item.become(label)
                return
            collection.create_item(label, attributes, text.encode())

        self._unlocked(put)

    def _drop(self, name: str) -> None:
        def drop(collection: secretstorage.Collection) -> None:
            collection.ensure_not_locked()
            for item in self._items(collection, name):
                item.drop()

        self._unlocked(drop)

    def _items(self, collection: secretstorage.Collection, name: str) -> list[_Item]:
        """In an order that every process agrees on: two that wrote a first entry at once may have made two."""
        paths = sorted(self._paths(collection, name))
        return [_Item(collection.connection, path, self._session) for path in paths]

    def _withheld(self) -> list[str]:
        """Our entries that are locked."""
        service = DBusAddressWrapper(SS_PATH, SERVICE_IFACE, self.connect())
        _, locked = service.call("SearchItems", "a{ss}", {"username": USER, "application": _APPLICATION})
        return list(locked)

    @staticmethod
    def _paths(collection: secretstorage.Collection, name: str) -> list[str]:
        address = DBusAddressWrapper(collection.collection_path, COLLECTION_IFACE, collection.connection)
        (paths,) = address.call("SearchItems", "a{ss}", _query(name))
        return list(paths)

    def _unlocked(self, call: Callable[[secretstorage.Collection], T]) -> T:
        """`call` on the default collection, which is asked for its lock only by what it answers."""
        collection = self._default()
        try:
            return call(collection)
        except secretstorage.LockedException:
            pass
        except jeepney.DBusErrorResponse as error:
            if error.name != _IS_LOCKED:
                raise
        if not collection.is_locked():
            raise _withheld_error()
        raise KeychainError("The keychain is locked", code="keychain_locked")

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

    def _default(self, until: float | None = None) -> secretstorage.Collection:
        """The default collection. When there is none yet, the person is asked to set it up if there is an
        `until`, a moment of the monotonic clock."""
        if self._collection is not None:
            return self._collection
        connection = self.connect()
        session = self._session = self._session or _open_session(connection)
        try:
            self._collection = secretstorage.Collection(connection, session=session)
        except secretstorage.ItemNotFoundException:
            if until is None:
                raise _not_set_up() from None
            self._collection = _set_up(connection, session, until)
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

    def become(self, label: str) -> None:
        """Call it so, if it is not: an entry of an older version, or of an account that was renamed. What a person
        reads is no reason for a write to fail."""
        with suppress(jeepney.DBusErrorResponse, secretstorage.SecretStorageException):
            if self.get_label() != label:
                self.set_label(label)

    def drop(self) -> None:
        """Delete it; where the service would ask the person first, empty it instead and leave it there."""
        (prompt,) = self._item.call("Delete", "")
        if prompt != "/":
            DBusAddressWrapper(prompt, PROMPT_IFACE, self.connection).call("Dismiss", "")
            self.set_secret(_EMPTIED.encode())

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


def _ask(collection: secretstorage.Collection, until: float) -> None:
    dismissed = collection.unlock(timeout=_left(until))
    if dismissed or collection.is_locked():
        raise _not_unlocked()


def _set_up(connection: DBusConnection, session: Session, until: float) -> secretstorage.Collection:
    """A default collection, for which the service's prompt asks the person to choose a password."""
    service = DBusAddressWrapper(SS_PATH, SERVICE_IFACE, connection)
    properties = {f"{COLLECTION_IFACE}.Label": ("s", "Default keyring")}
    path, prompt = service.call("CreateCollection", "a{sv}s", properties, "default")
    if path == "/":
        dismissed, (_, path) = exec_prompt(connection, prompt, timeout=_left(until))
        if dismissed or path == "/":
            raise _not_set_up()
    return secretstorage.Collection(connection, path, session=session)


def _left(until: float) -> float:
    return max(until - time.monotonic(), 0.0)


def _not_set_up() -> KeychainError:
    return KeychainError("The keychain has not been set up yet", code="keychain_not_set_up")


def _not_unlocked() -> KeychainError:
    return KeychainError("The keychain was not unlocked", code="keychain_locked")


def _withheld_error() -> KeychainError:
    return KeychainError(
        "The keychain asks you before it gives Keyfob its entries",
        code="keychain_locked",
        remedy="Press Unlock in Keyfob's window, and allow all entries in the prompt.",
    )


def _connect() -> DBusConnection:
    with _errors():
        if os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
            connection = secretstorage.dbus_init()
        else:
            # A shell over SSH or a timer has no address set; systemd's bus is where it always is.
            runtime = os.environ.get("XDG_RUNTIME_DIR", "")
            path = Path(runtime, "bus")
            if not runtime or not path.exists():
                raise KeychainError(
                    "There is no session bus, so no keychain",
                    code="keychain_absent",
                    remedy="Start Keyfob from your desktop, or with `dbus-run-session`.",
                )
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
