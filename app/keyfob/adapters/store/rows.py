"""One row of the account store, and one connection to it: read, written and set up for `adapters/store/sqlite.py` alone.

A row that cannot be read is an error of its own account and of no other. Its content is in no error.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from keyfob.adapters.store import codec as codec
from keyfob.core.account import Record
from keyfob.core.errors import Fault, Usage
from keyfob.core.text import plain

T = TypeVar("T")
BUSY_TIMEOUT = 10.0  # s; a transaction takes milliseconds, so this is a machine under heavy load


def on_read_only_disk(path: Path) -> bool:
    """Whether nobody can write where this file is."""
    if not hasattr(os, "statvfs"):
        return False
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def read_only_address(path: Path) -> str:
    """For `sqlite3.connect(uri=True)`. SQLite reads a WAL database only with its -shm, which it cannot make here; without
    one, and with nothing left in the -wal, the file by itself is the whole truth and nobody changes it."""
    wal, shm = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    alone = not shm.exists() and not (wal.exists() and wal.stat().st_size)
    return f"file:{quote(str(path.absolute()))}?mode=ro{'&immutable=1' if alone else ''}"


def set_up(connection: sqlite3.Connection) -> None:
    end = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            # Two processes that turn to WAL at once: SQLite does not wait by itself here.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.02)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")


def text_as_it_is(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def readable(load: Callable[[Any], T], rows: Sequence[Sequence[Any]]) -> list[T]:
    """The first columns as `load` reads them, without those that it cannot read."""
    found = []
    for row in rows:
        try:
            found.append(load(row[0]))
        except codec.Unreadable:
            continue
    return found


def row_fault(account_id: str, error: codec.Unreadable) -> Fault:
    name = plain(account_id, 160)
    if isinstance(error, codec.TooNew):
        return Fault(f"{name} was written by a newer Keyfob ({error})", code="store_too_new")
    return Fault(f"The data of {name} is damaged ({error})", code="store_damaged")


def missing_fault(path: Path) -> Fault:
    return Fault(f"An account is missing from {path.name}", code="store_damaged")


def get_row(connection: sqlite3.Connection, key: str) -> Record | None:
    row: Any = connection.execute(
        "SELECT record, provider, label FROM accounts WHERE key = ?", (key,)
    ).fetchone()
    if row is None:
        return None
    try:
        return codec.load_record(row[0])
    except codec.Unreadable as error:
        raise row_fault(f"{row[1]}/{row[2]}", error) from None


def put_row(connection: sqlite3.Connection, record: Record) -> None:
    account = record.account
    try:
        connection.execute(
            "INSERT INTO accounts (key, provider, label, record) VALUES (:key, :provider, :label, :record)"
            " ON CONFLICT (key) DO UPDATE SET provider = :provider, label = :label, record = :record",
            {
                "key": account.key,
                "provider": account.provider,
                "label": account.label,
                "record": codec.dumps(record),
            },
        )
    except sqlite3.IntegrityError as error:
        raise Usage(f"There is already an account {account.id}", code="label_taken") from error
