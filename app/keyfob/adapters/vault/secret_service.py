"""The Secret Service (GNOME Keyring, KeePassXC, KWallet) through secretstorage, over one shared session.

keyring's backend opens a connection and an encrypted session for each call (10 ms a read), and prompts
without a time limit if the keychain is locked. This one keeps its session (1 ms a read), and only `unlock`
ever prompts. Entries have keyring's attributes, so that both read and replace each other's. It uses the
documented part of secretstorage.

KeePassXC asks the user before it replaces an entry and, with its usual settings, before it gives one to a
program that it has not seen since that program connected. So an existing entry gets its new secret in place,
which no service asks about. What would ask (deleting, with some settings) is not done: the entry is emptied.

Not here: a deadline for the calls. A daemon that hangs blocks the
calling thread, so callers wrap this in `process` or `deadline`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import jeepney
import secretstorage
from jeepney.io.blocking import DBusConnection

from keyfob.adapters.vault import secret_service_bus as bus
from keyfob.adapters.vault.entries import PREFIX, EntryVault, Labels, plain_label
from keyfob.adapters.vault.keyring_backend import USER
from keyfob.core.errors import KeychainError

if TYPE_CHECKING:  # a command that only reads a token pays for what it imports
    from keyfob.ports import VaultHealth

T = TypeVar("T")

_APPLICATION = "Python keyring library"  # what keyring writes: equal attributes make one item of both
_EMPTIED = "keyfob:emptied"  # what stands in an entry that could not be deleted without asking the user
# Seconds a user has for the keychain's own prompt.
PROMPT_TIME = 55.0


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
        connection is kept for the calls to come.
        """
        with self._lock:
            try:
                self._service.connect()
            except KeychainError as error:
                return error
        return None

    def unlock(self, timeout: float = PROMPT_TIME, cancel: threading.Event | None = None) -> None:
        """Ask the user to unlock the keychain, for at most `timeout` seconds. Returns at once when it is
        open. Raises KeychainError `keychain_locked` or `keychain_not_set_up` (dismissed), `keychain_timeout`,
        `keychain_absent`.
        """
        with self._lock:
            self._service.unlock(timeout)

    def probe(self) -> VaultHealth:
        """As the others, but the Secret Service must not keep entries from this program."""
        from keyfob.ports import unhealthy

        try:
            with self._lock:
                self._service.refuse_withheld()
        except KeychainError as error:
            return unhealthy(error, self.title)
        return super().probe()

    @property
    def trusts_this_process(self) -> bool:
        """Whether a user allowed entries to this process, which another would have to ask for again."""
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
        self._collection: secretstorage.Collection | None = None

    @property
    def title(self) -> str:
        return "Secret Service" if self._connection is None else bus.title_of(self._connection)

    def get(self, name: str) -> str | None:
        return self._again(lambda: self._get(name))

    def put(self, name: str, text: str) -> None:
        # Writing the same again changes nothing, so a lost connection is no reason to give up.
        self._again(lambda: self._put(name, text))

    def drop(self, name: str) -> None:
        self._again(lambda: self._drop(name))

    def names(self, prefix: str) -> list[str]:
        def look(collection: secretstorage.Collection) -> list[str]:
            collection.ensure_not_locked()  # a locked one may show no items at all
            items = collection.search_items({"username": USER})
            names = [str(item.get_attributes().get("service", "")) for item in items]
            return [name for name in names if name.startswith(prefix)]

        return self._again(lambda: self._unlocked(look))

    def unlock(self, timeout: float) -> None:
        until = time.monotonic() + timeout

        def ask() -> None:
            collection = self._default(until)
            if collection.is_locked():
                unlocked = bus.unlock(self.connect(), [collection.collection_path], until)
                if not unlocked or collection.is_locked():
                    raise _not_unlocked()
            withheld = self._withheld()
            if withheld:
                if not bus.unlock(self.connect(), withheld, until) or self._withheld():
                    raise _not_unlocked()
                self.trusted = True

        self._again(ask)

    def refuse_withheld(self) -> None:
        """Raises KeychainError `keychain_withheld` when the keychain is open and keeps Keyfob's entries from
        this process until the user allows them.
        """

        def look() -> None:
            if not self._default().is_locked() and self._withheld():
                raise _withheld_error()

        self._again(look)

    def connect(self) -> DBusConnection:
        if self._connection is None:
            self._connection = bus.connect()
        return self._connection

    def close(self) -> None:
        connection = self._connection
        self._connection = self._collection = None
        if connection is not None:
            connection.close()

    # --- one call -------------------------------------------------------------------------------------------

    def _get(self, name: str) -> str | None:
        return self._unlocked(lambda collection: self._find(collection, name))

    def _find(self, collection: secretstorage.Collection, name: str) -> str | None:
        for item in self._items(collection, name):
            text = item.get_secret().decode("utf-8")
            collection.session = item.session  # one encrypted session for all that follows
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
                collection.session = item.session
                _rename(item, label)
                return
            collection.create_item(label, attributes, text.encode())

        self._unlocked(put)

    def _drop(self, name: str) -> None:
        def drop(collection: secretstorage.Collection) -> None:
            collection.ensure_not_locked()
            for item in self._items(collection, name):
                if not bus.delete(collection.connection, item.item_path):
                    item.set_secret(_EMPTIED.encode())

        self._unlocked(drop)

    @staticmethod
    def _items(collection: secretstorage.Collection, name: str) -> list[secretstorage.Item]:
        """In an order that every process agrees on: two that wrote a first entry at once may have made
        two.
        """
        return sorted(collection.search_items(_query(name)), key=lambda item: str(item.item_path))

    def _withheld(self) -> list[str]:
        """Our entries that are locked."""
        return bus.locked_items(self.connect(), {"username": USER, "application": _APPLICATION})

    def _unlocked(self, call: Callable[[secretstorage.Collection], T]) -> T:
        """`call` on the default collection, which is asked for its lock only by what it answers."""
        collection = self._default()
        try:
            return call(collection)
        except secretstorage.LockedException:
            pass
        except jeepney.DBusErrorResponse as error:
            if error.name != bus.IS_LOCKED:
                raise
        if not collection.is_locked():
            raise _withheld_error()
        raise KeychainError("The keychain is locked", code="keychain_locked")

    # --- connection -----------------------------------------------------------------------------------------

    def _again(self, call: Callable[[], T]) -> T:
        """`call`, and again on a new connection if the kept one was lost: a keychain that was
        restarted does not know our session.
        """
        kept = self._connection is not None
        try:
            with bus.errors():
                return call()
        except KeychainError as error:
            if error.code not in ("keychain_absent", "keychain_no_session", "keychain_refused"):
                raise
            self.close()
            if not kept:
                raise
        try:
            with bus.errors():
                return call()
        except KeychainError:
            self.close()
            raise

    def _default(self, until: float | None = None) -> secretstorage.Collection:
        """The default collection. When there is none yet, the user is asked to set it up if there is an
        `until`, a moment of the monotonic clock.
        """
        if self._collection is not None:
            return self._collection
        connection = self.connect()
        try:
            self._collection = secretstorage.Collection(connection)
        except secretstorage.ItemNotFoundException:
            path = bus.create_default(connection, "Default keyring", until) if until is not None else None
            if path is None:
                raise _not_set_up() from None
            self._collection = secretstorage.Collection(connection, path)
        return self._collection


def _rename(item: secretstorage.Item, label: str) -> None:
    """An entry of an older version, or of an account that was renamed. What a user reads is no reason for a
    write to fail.
    """
    with suppress(jeepney.DBusErrorResponse, secretstorage.SecretStorageException):
        if item.get_label() != label:
            item.set_label(label)


def _not_set_up() -> KeychainError:
    return KeychainError("The keychain has not been set up yet", code="keychain_not_set_up")


def _not_unlocked() -> KeychainError:
    return KeychainError("The keychain was not unlocked", code="keychain_locked")


def _withheld_error() -> KeychainError:
    return KeychainError(
        "The keychain needs your permission to open Keyfob's entries",
        code="keychain_withheld",
    )


def _query(name: str) -> dict[str, str]:
    return {"service": name, "username": USER}
