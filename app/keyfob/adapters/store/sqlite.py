"""The account store on SQLite: accounts, intents, pending revocations, history and small named values.

Promises: each call is one transaction that is on disk when it returns (WAL, synchronous=FULL); safe across threads
and processes; the file and its -wal and -shm are 0600. Holds no secret: the codec refuses one. A damaged file is
copied aside and left where it is, never deleted and never replaced by an empty one. A row that cannot be read takes no
other away and is not written to; accounts that are missing are found by the key list (`adapters/store/key_list.py`).
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from keyfob.adapters.store import codec as codec
from keyfob.adapters.store.key_list import KeyList
from keyfob.adapters.store.rows import (
    BUSY_TIMEOUT,
    get_row,
    missing_fault,
    on_read_only_disk,
    put_row,
    read_only_address,
    readable,
    row_fault,
    set_up,
    text_as_it_is,
)
from keyfob.adapters.system.home import make_private
from keyfob.core.account import Intent, LoggedEvent, PendingRevocation, Record
from keyfob.core.errors import Fault
from keyfob.ports import Unread

HISTORY_MOST = 10_000  # events

# One step for each schema version, applied in order. A step that has been released is never edited.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE accounts (
        key TEXT PRIMARY KEY NOT NULL,
        provider TEXT NOT NULL,
        label TEXT NOT NULL COLLATE NOCASE,
        record TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX accounts_id ON accounts (provider, label);
    CREATE TABLE intents (key TEXT PRIMARY KEY NOT NULL, intent TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE revocations (entry TEXT PRIMARY KEY NOT NULL, revocation TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        account_id TEXT NOT NULL,
        account_key TEXT NOT NULL,
        kind TEXT NOT NULL,
        message TEXT NOT NULL,
        code TEXT
    );
    CREATE TABLE named (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
    """,
    # The history of one account is asked for by its page each time it is shown.
    "CREATE INDEX events_account ON events (account_key, seq);",
)

_COLUMNS = "SELECT at, account_id, account_key, kind, message, code, seq FROM events WHERE "
_EVENTS = _COLUMNS + "seq > :after ORDER BY seq DESC LIMIT :limit"
_EVENTS_OF_ACCOUNT = _COLUMNS + "account_key = :key AND seq > :after ORDER BY seq DESC LIMIT :limit"


class SqliteAccountStore:
    """ports.AccountStore. Thread-safe: calls take a connection each, which is kept for the next call."""

    def __init__(self, path: Path, *, anew: bool = False) -> None:
        """Opens, makes or migrates `path`. Raises Fault `store_too_new`, `store_damaged`, `store_unwritable`
        or `store_busy`. On a read-only disk it can be read, and a write raises `store_unwritable`. An empty or absent file is damage when accounts were in it, unless it is made `anew`."""
        self.path = path
        self._keys = KeyList(path.with_suffix(".keys"))
        self._anew = anew
        self._read_only = on_read_only_disk(path)
        self._guard = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        if not (anew or (path.exists() and path.stat().st_size)):
            self._refuse_empty()  # before SQLite opens it: that would delete what is left in the -wal
        try:
            make_private(path)  # SQLite gives -wal and -shm the file's own mode
        except OSError as error:
            raise Fault(f"{path} cannot be opened: {error.strerror}", code="store_unwritable") from error
        with self._faults():
            self._watcher = self._connect()
            try:
                self._migrate(self._watcher)
                self._list_older(self._watcher)
            except BaseException:
                self._watcher.close()
                raise
        self._watching = threading.Lock()

    def close(self) -> None:
        """Closes every connection that no call is using; the rest when their calls end."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        with self._watching:
            self._watcher.close()

    def data_version(self) -> int:
        """A number that differs from the last one whenever anybody, this process too, has written since."""
        with self._faults(), self._watching:
            return int(self._watcher.execute("PRAGMA data_version").fetchone()[0])

    def check(self) -> str | None:
        """None where the file is whole, else SQLite's first complaint. For the doctor: reads all of it."""
        with self._reading() as connection:
            answer = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        return None if answer == "ok" else answer

    # --- accounts -------------------------------------------------------------------------------------------

    def records(self) -> Sequence[Record]:
        """All that can be read, by provider and label."""
        with self._reading() as connection:
            rows = connection.execute("SELECT record FROM accounts ORDER BY provider, label").fetchall()
        return readable(codec.load_record, rows)

    def unread(self) -> Sequence[Unread]:
        """The accounts that `records` leaves out: rows that cannot be read, and accounts that are missing."""
        with self._reading() as connection:
            # Listed before the rows are read: who is put meanwhile is not missing.
            listed = self._keys.keys()
            rows = connection.execute(
                "SELECT key, provider, label, record FROM accounts ORDER BY provider, label"
            ).fetchall()
        found = []
        for key, provider, label, text in rows:
            try:
                codec.load_record(text)
            except codec.Unreadable as error:
                found.append(Unread(key, f"{provider}/{label}", row_fault(f"{provider}/{label}", error)))
        missing = set(listed).difference(row[0] for row in rows)
        if missing:
            missing.intersection_update(self._keys.keys())  # who was removed meanwhile is not missing
        return [*found, *(Unread(key, "", missing_fault(self.path)) for key in sorted(missing))]

    def get(self, key: str) -> Record | None:
        with self._reading() as connection:
            return get_row(connection, key)

    def put(self, record: Record) -> None:
        with self._writing() as connection:
            new = get_row(connection, record.account.key) is None
            put_row(connection, record)
        if new:
            self._keys.add(record.account.key)

    def restore(self, record: Record) -> None:
        key = record.account.key
        with self._writing() as connection:
            row = connection.execute("SELECT record FROM accounts WHERE key = ?", (key,)).fetchone()
            if row is not None:
                connection.execute(
                    "INSERT OR REPLACE INTO named (name, value) VALUES (?, ?)", (f"damaged/{key}", row[0])
                )
            put_row(connection, record)
        self._keys.add(key)

    def update(self, key: str, change: Callable[[Record], Record | None]) -> Record | None:
        """`change` runs inside the transaction: it must be quick and must not write to the store. What it
        raises undoes everything and comes out here."""
        with self._writing() as connection:
            record = get_row(connection, key)
            if record is None:
                return None
            changed = change(record)
            if changed is None:
                return record
            if changed.account.key != key:
                raise ValueError("an account's key never changes")
            put_row(connection, changed)
            return changed

    def remove(self, key: str) -> None:
        """The account and its intent; its history and pending revocations stay."""
        with self._writing() as connection:
            connection.execute("DELETE FROM accounts WHERE key = ?", (key,))
            connection.execute("DELETE FROM intents WHERE key = ?", (key,))
        self._keys.remove(key)

    # --- intents --------------------------------------------------------------------------------------------

    def intent(self, key: str) -> Intent | None:
        with self._reading() as connection:
            rows = connection.execute("SELECT intent FROM intents WHERE key = ?", (key,)).fetchall()
        # One that cannot be read counts as none: the next renewal sends the same refresh token as a replay would.
        return next(iter(readable(codec.load_intent, rows)), None)

    def put_intent(self, intent: Intent) -> None:
        with self._writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO intents (key, intent) VALUES (?, ?)",
                (intent.key, codec.dumps(intent)),
            )

    def clear_intent(self, key: str) -> None:
        with self._writing() as connection:
            connection.execute("DELETE FROM intents WHERE key = ?", (key,))

    def intents(self) -> Sequence[Intent]:
        with self._reading() as connection:
            rows = connection.execute("SELECT intent FROM intents ORDER BY key").fetchall()
        return readable(codec.load_intent, rows)

    # --- pending revocations --------------------------------------------------------------------------------

    def revocations(self) -> Sequence[PendingRevocation]:
        with self._reading() as connection:
            rows = connection.execute("SELECT revocation FROM revocations ORDER BY entry").fetchall()
        return readable(codec.load_revocation, rows)

    def put_revocation(self, pending: PendingRevocation) -> None:
        with self._writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO revocations (entry, revocation) VALUES (?, ?)",
                (pending.entry, codec.dumps(pending)),
            )

    def remove_revocation(self, entry: str) -> None:
        with self._writing() as connection:
            connection.execute("DELETE FROM revocations WHERE entry = ?", (entry,))

    # --- history --------------------------------------------------------------------------------------------

    def log(self, event: LoggedEvent) -> LoggedEvent:
        at = codec.time_out(event.at)
        with self._writing() as connection:
            seq = connection.execute(
                "INSERT INTO events (at, account_id, account_key, kind, message, code) VALUES (?, ?, ?, ?, ?, ?)",
                (at, event.account_id, event.account_key, event.kind, event.message, event.code),
            ).lastrowid
            assert seq is not None
            connection.execute("DELETE FROM events WHERE seq <= ?", (seq - HISTORY_MOST,))
        return LoggedEvent(
            at=event.at,
            account_id=event.account_id,
            account_key=event.account_key,
            kind=event.kind,
            message=event.message,
            code=event.code,
            seq=seq,
        )

    def events(
        self, *, after: int = 0, account_key: str | None = None, limit: int = 200
    ) -> Sequence[LoggedEvent]:
        with self._reading() as connection:
            rows = connection.execute(
                _EVENTS if account_key is None else _EVENTS_OF_ACCOUNT,
                {"after": after, "key": account_key, "limit": max(limit, 0)},
            ).fetchall()
        rows.reverse()
        return [LoggedEvent(at, *row[1:]) for row in rows for at in readable(codec.time_in, [row])]

    # --- small named values ---------------------------------------------------------------------------------

    def read(self, name: str) -> str | None:
        with self._reading() as connection:
            row = connection.execute("SELECT value FROM named WHERE name = ?", (name,)).fetchone()
            return str(row[0]) if row else None

    def write(self, name: str, value: str | None) -> None:
        with self._writing() as connection:
            if value is None:
                connection.execute("DELETE FROM named WHERE name = ?", (name,))
            else:
                connection.execute("INSERT OR REPLACE INTO named (name, value) VALUES (?, ?)", (name, value))

    def names(self, prefix: str) -> Sequence[str]:
        """In order. `prefix` is taken as it is: no wildcards."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT name FROM named WHERE substr(name, 1, length(:prefix)) = :prefix ORDER BY name",
                {"prefix": prefix},
            ).fetchall()
            return [str(row[0]) for row in rows]

    # --- connections and transactions -----------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._faults(), self._connection() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._faults(), self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._guard:
            if self._closed:
                raise Fault("The account store is closed")
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect()
        try:
            yield connection
        finally:
            with self._guard:
                keep = not self._closed
                if keep:
                    self._idle.append(connection)
            if not keep:
                connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            read_only_address(self.path) if self._read_only else self.path,
            uri=self._read_only,
            timeout=BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
        )
        # Text that is not UTF-8 would fail the query for every row; as it is, its own row fails in the codec.
        connection.text_factory = text_as_it_is
        try:
            if not self._read_only:
                set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        newest = len(MIGRATIONS)
        if self._version(connection) == newest:
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Looked at again under the write lock: another process may have just done it.
            version = self._version(connection)
            if version == 0 and not self._anew:
                self._refuse_empty()
            for step in MIGRATIONS[version:]:
                for statement in step.split(";"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {newest:d}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _list_older(self, connection: sqlite3.Connection) -> None:
        """Once, for a store of a version that had no key list."""
        if self._read_only or self._keys.path.exists():
            return
        connection.execute("BEGIN IMMEDIATE")  # nobody removes an account meanwhile
        try:
            keys = [row[0] for row in connection.execute("SELECT key FROM accounts")]
            if keys:
                self._keys.add(*keys)
        finally:
            connection.execute("COMMIT")

    def _version(self, connection: sqlite3.Connection) -> int:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise Fault(f"{self.path} was written by a newer Keyfob", code="store_too_new")
        return version

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """SQLite's errors as ours. Row contents are in none of them."""
        try:
            yield
        except sqlite3.Error as error:
            # The low byte is the primary code; an error of the module itself (closed, misuse) has none.
            match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF:
                case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                    raise Fault("The account store is busy", code="store_busy") from error
                case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                    raise self._damaged(str(error)) from error
                case (
                    sqlite3.SQLITE_FULL
                    | sqlite3.SQLITE_READONLY
                    | sqlite3.SQLITE_IOERR
                    | sqlite3.SQLITE_CANTOPEN
                    | sqlite3.SQLITE_PERM
                ):
                    raise Fault(f"{self.path} cannot be written: {error}", code="store_unwritable") from error
                case _:
                    raise Fault(f"The account store failed: {error}") from error

    def _refuse_empty(self) -> None:
        """Raises Fault `store_damaged` when this home has had accounts."""
        if self._keys.keys():
            raise self._damaged("it is empty, and accounts were in it")

    def _damaged(self, reason: str) -> Fault:
        """Copies the file aside once, as it was found, and tells where."""
        aside = self.path.with_name(self.path.name + ".damaged")
        kept = f"; a copy is kept as {aside.name}" if self.path.exists() else ""
        if not aside.exists():
            for suffix in ("-wal", ""):
                source = self.path.with_name(self.path.name + suffix)
                if source.exists():
                    target = aside.with_name(aside.name + suffix)
                    shutil.copyfile(source, target)
                    target.chmod(0o600)
        return Fault(f"{self.path} is damaged ({reason}){kept}", code="store_damaged")


def set_aside(path: Path) -> Path | None:
    """Moves a store that is damaged as a whole out of the way, with its -wal; where it is then, None when it is whole or
    absent. Only while nobody else has it open. Raises Fault `store_too_new`, `store_unwritable`, `store_busy`."""
    try:
        with closing(SqliteAccountStore(path)) as store:
            fault = store.check()
    except Fault as error:
        if error.code != "store_damaged":
            raise
        fault = error.message
    found = [suffix for suffix in ("-wal", "-shm", "") if path.with_name(path.name + suffix).exists()]
    if fault is None or not found:
        return None
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    for suffix in found:
        os.replace(path.with_name(path.name + suffix), aside.with_name(aside.name + suffix))
    return aside
