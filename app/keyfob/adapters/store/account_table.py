"""The accounts, one row each: implements `ports.AccountRecords`.

A row that cannot be read is an error of its own account only: other accounts still work, and the row is not
overwritten. The error does not contain the row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keyfob.adapters.store import codec
from keyfob.adapters.store.database import Tables
from keyfob.core.account import Record
from keyfob.core.errors import Fault, Usage
from keyfob.core.text import plain
from keyfob.ports import Unread

RuleOf = Callable[[Record], str | None]


class AccountTable(Tables):
    """`rule_of`: how an account's token may be handed out without the engine, as `token_rule.py` has it; None
    if it may not. Called inside the transaction, so it must be quick and must not raise.
    """

    rule_of: RuleOf

    def records(self) -> Sequence[Record]:
        """All that can be read, by provider and label."""
        with self.database.reading() as connection:
            rows = connection.execute("SELECT record FROM accounts ORDER BY provider, label").fetchall()
        return codec.readable(codec.load_record, rows)

    def unread(self) -> Sequence[Unread]:
        """The accounts that `records` leaves out: rows that cannot be read, and accounts that are missing."""
        with self.database.reading() as connection:
            # Listed before the rows are read: who is put in the meantime is not missing.
            listed = self.database.keys.keys()
            rows = connection.execute(
                "SELECT key, provider, label, record FROM accounts ORDER BY provider, label"
            ).fetchall()
        found = []
        for key, provider, label, text in rows:
            try:
                codec.load_record(text)
            except codec.UnreadableError as error:
                found.append(Unread(key, f"{provider}/{label}", row_fault(f"{provider}/{label}", error)))
        missing = set(listed).difference(row[0] for row in rows)
        if missing:
            missing.intersection_update(
                self.database.keys.keys()
            )  # who was removed in the meantime is not missing
        return [*found, *(Unread(key, "", missing_fault(self.database.path)) for key in sorted(missing))]

    def get(self, key: str) -> Record | None:
        """The account's record, None if there is no such account."""
        with self.database.reading() as connection:
            return get_row(connection, key)

    def put(self, record: Record) -> None:
        """Insert or replace the record, with the rule that the fast path reads."""
        with self.database.writing() as connection:
            new = get_row(connection, record.account.key) is None
            put_row(connection, record, self.rule_of)
        if new:
            self.database.keys.add(record.account.key)

    def restore(self, record: Record) -> None:
        """Replace a record that cannot be read. The old text is kept under `damaged/KEY`."""
        key = record.account.key
        with self.database.writing() as connection:
            row = connection.execute("SELECT record FROM accounts WHERE key = ?", (key,)).fetchone()
            if row is not None:
                connection.execute(
                    "INSERT OR REPLACE INTO named (name, value) VALUES (?, ?)", (f"damaged/{key}", row[0])
                )
            put_row(connection, record, self.rule_of)
        self.database.keys.add(key)

    def update(self, key: str, change: Callable[[Record], Record | None]) -> Record | None:
        """`change` runs inside the transaction: it must be quick and must not write to the store. What it
        raises undoes everything and comes out here.
        """
        with self.database.writing() as connection:
            record = get_row(connection, key)
            if record is None:
                return None
            changed = change(record)
            if changed is None:
                return record
            if changed.account.key != key:
                raise ValueError("an account's key never changes")
            put_row(connection, changed, self.rule_of)
            return changed

    def refresh(self, key: str) -> None:
        """Make the account's token rule again, if its record is readable and the rule has changed."""
        with self.database.writing() as connection:
            record = get_row(connection, key)
            if record is None:
                return
            rule = self.rule_of(record)
            connection.execute(
                "UPDATE accounts SET token_rule = :rule WHERE key = :key AND token_rule IS NOT :rule",
                {"key": key, "rule": rule},
            )

    def remove(self, key: str) -> None:
        """The account and its intent; its history and pending revocations stay."""
        with self.database.writing() as connection:
            connection.execute("DELETE FROM accounts WHERE key = ?", (key,))
            connection.execute("DELETE FROM intents WHERE key = ?", (key,))
        self.database.keys.remove(key)


def row_fault(account_id: str, error: codec.UnreadableError) -> Fault:
    """The error for a row that cannot be read: newer than this version, or damaged."""
    name = plain(account_id, 160)
    if isinstance(error, codec.TooNewError):
        return Fault(f"{name} was written by a newer Keyfob ({error})", code="store_too_new")
    return Fault(f"The data of {name} is damaged ({error})", code="store_damaged")


def missing_fault(path: Path) -> Fault:
    """The error for an account that the key list names and the database does not have."""
    return Fault(f"An account is missing from {path.name}", code="store_damaged")


def get_row(connection: sqlite3.Connection, key: str) -> Record | None:
    """The record of one row, inside the caller's transaction. Raises Fault for one that cannot be read."""
    row: Any = connection.execute(
        "SELECT record, provider, label FROM accounts WHERE key = ?", (key,)
    ).fetchone()
    if row is None:
        return None
    try:
        return codec.load_record(row[0])
    except codec.UnreadableError as error:
        raise row_fault(f"{row[1]}/{row[2]}", error) from None


def put_row(connection: sqlite3.Connection, record: Record, rule_of: RuleOf) -> None:
    """Insert or replace one row, inside the caller's transaction. Raises Usage if the label is taken."""
    account = record.account
    try:
        connection.execute(
            "INSERT INTO accounts (key, provider, label, record, token_rule)"
            " VALUES (:key, :provider, :label, :record, :rule) ON CONFLICT (key)"
            " DO UPDATE SET provider = :provider, label = :label, record = :record, token_rule = :rule",
            {
                "key": account.key,
                "provider": account.provider,
                "label": account.label,
                "record": codec.dumps(record),
                "rule": rule_of(record),
            },
        )
    except sqlite3.IntegrityError as error:
        raise Usage(f"There is already an account {account.id}", code="label_taken") from error
