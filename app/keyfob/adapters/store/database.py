"""The SQLite database of the account store: its file, connections,
transactions and schema, and what happens if it is damaged.

Each transaction is on disk when it ends (WAL, synchronous=FULL). Safe across threads and processes. The file
and its -wal and -shm are 0600. A damaged file is copied and left in place, never deleted and never replaced
by an empty one. The key list (`adapters/store/key_list.py`) knows which accounts were in it. Used by the
parts of the store, each of which has its own tables.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from keyfob.adapters.store.key_list import KeyList
from keyfob.adapters.store.schema import MIGRATIONS
from keyfob.core.errors import Fault
from keyfob.process.home import make_private

BUSY_TIMEOUT = 10.0  # s; a transaction takes milliseconds, so this is a machine under heavy load


class Database:
    """One file. Thread-safe: calls take a connection each, which is kept for the next call."""

    def __init__(self, path: Path, *, anew: bool = False) -> None:
        """Opens, makes or migrates `path`. Raises Fault `store_too_new`, `store_damaged`, `store_unwritable`
        or `store_busy`. On a read-only disk it can be read, and a write raises `store_unwritable`. An empty
        or absent file is damage when accounts were in it, unless it is made `anew`.
        """
        self.path = path
        self.keys = KeyList(path.with_suffix(".keys"))
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
        """None if the file is whole, else SQLite's first complaint. For the doctor: reads all of it."""
        with self.reading() as connection:
            answer = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        return None if answer == "ok" else answer

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading. SQLite's errors become Fault."""
        with self._faults(), self.connection() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: committed at the end, rolled back on any exception. SQLite's errors become
        Fault.
        """
        with self._faults(), self.connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection that no other thread has while the block runs.
        Raises Fault once the database is closed.
        """
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
        if self._read_only or self.keys.path.exists():
            return
        connection.execute("BEGIN IMMEDIATE")  # no account is removed in the meantime
        try:
            keys = [row[0] for row in connection.execute("SELECT key FROM accounts")]
            if keys:
                self.keys.add(*keys)
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
        if self.keys.keys():
            raise self._damaged("it is empty, but it had accounts")

    def _damaged(self, reason: str) -> Fault:
        """Copies the file aside once, as it was found, and says where."""
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


class Tables:
    """Some tables of a database: a part of the store."""

    def __init__(self, database: Database) -> None:
        self.database = database


def on_read_only_disk(path: Path) -> bool:
    """Whether this file's folder is read-only for everyone."""
    if not hasattr(os, "statvfs"):
        return False
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def read_only_address(path: Path) -> str:
    """For `sqlite3.connect(uri=True)`. SQLite reads a WAL database only with its -shm, which it cannot make
    here; without one, and with nothing left in the -wal, the file alone is complete and no process
    changes it.
    """
    wal, shm = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    alone = not shm.exists() and not (wal.exists() and wal.stat().st_size)
    return f"file:{quote(str(path.absolute()))}?mode=ro{'&immutable=1' if alone else ''}"


def set_up(connection: sqlite3.Connection) -> None:
    """Make a new connection's settings: WAL, a busy timeout, and a write that is on disk before it counts."""
    end = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            # Two processes that switch to WAL at once: SQLite does not wait here.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.02)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")


def text_as_it_is(data: bytes) -> str:
    """SQLite's text as str, with bytes that are not UTF-8 kept as surrogates."""
    return data.decode("utf-8", "surrogateescape")
