"""The account store of one tenant in PostgreSQL. It contains no secret: the codec refuses them.

Every write takes the tenant's row of `keyfob_changes` first. So the writes of a tenant follow each other, as
they do in SQLite, and the history's numbers are in the order in which others see them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from keyfob.adapters.database.database import ServerDatabase
from keyfob.adapters.database.fences import NO_FENCES, Fences
from keyfob.adapters.store import codec
from keyfob.adapters.store.account_table import row_fault
from keyfob.adapters.store.event_table import event_of
from keyfob.core.account import Intent, LoggedEvent, PendingRevocation, Record
from keyfob.core.errors import Usage
from keyfob.ports import HISTORY_MOST, Unread

T = TypeVar("T")
PRUNE_EVERY = 50  # events between two looks for those that are too many

_CHANGED = text(
    "INSERT INTO keyfob_changes AS c (tenant, version) VALUES (:tenant, 1)"
    " ON CONFLICT (tenant) DO UPDATE SET version = c.version + 1"
)
_VERSION = text("SELECT version FROM keyfob_changes WHERE tenant = :tenant")
_ROWS = text(
    "SELECT record, key, provider, label FROM keyfob_accounts WHERE tenant = :tenant"
    ' ORDER BY provider COLLATE "C", lower(label) COLLATE "C"'
)
_RECORD = text("SELECT record, provider, label FROM keyfob_accounts WHERE tenant = :tenant AND key = :key")
_PUT_RECORD = text(
    "INSERT INTO keyfob_accounts (tenant, key, provider, label, record)"
    " VALUES (:tenant, :key, :provider, :label, :record) ON CONFLICT (tenant, key)"
    " DO UPDATE SET provider = excluded.provider, label = excluded.label, record = excluded.record"
)
_REMOVE_RECORD = text("DELETE FROM keyfob_accounts WHERE tenant = :tenant AND key = :key")
_INTENT = text("SELECT intent FROM keyfob_intents WHERE tenant = :tenant AND key = :key")
_INTENTS = text('SELECT intent FROM keyfob_intents WHERE tenant = :tenant ORDER BY key COLLATE "C"')
_PUT_INTENT = text(
    "INSERT INTO keyfob_intents (tenant, key, intent) VALUES (:tenant, :key, :intent)"
    " ON CONFLICT (tenant, key) DO UPDATE SET intent = excluded.intent"
)
_CLEAR_INTENT = text("DELETE FROM keyfob_intents WHERE tenant = :tenant AND key = :key")
_REVOCATIONS = text(
    'SELECT revocation FROM keyfob_revocations WHERE tenant = :tenant ORDER BY entry COLLATE "C"'
)
_PUT_REVOCATION = text(
    "INSERT INTO keyfob_revocations (tenant, entry, revocation) VALUES (:tenant, :entry, :revocation)"
    " ON CONFLICT (tenant, entry) DO UPDATE SET revocation = excluded.revocation"
)
_REMOVE_REVOCATION = text("DELETE FROM keyfob_revocations WHERE tenant = :tenant AND entry = :entry")
_LOG = text(
    "INSERT INTO keyfob_events (tenant, at, account_id, account_key, kind, message, code)"
    " VALUES (:tenant, :at, :account_id, :account_key, :kind, :message, :code) RETURNING seq"
)
_PRUNE = text(
    "DELETE FROM keyfob_events WHERE tenant = :tenant AND seq <= (SELECT seq FROM keyfob_events"
    " WHERE tenant = :tenant ORDER BY seq DESC OFFSET :most LIMIT 1)"
)
_COLUMNS = "SELECT at, account_id, account_key, kind, message, code, seq FROM keyfob_events"
_NEWEST = " AND seq > :after ORDER BY seq DESC LIMIT :limit"
_EVENTS = text(f"{_COLUMNS} WHERE tenant = :tenant{_NEWEST}")
_EVENTS_OF_ACCOUNT = text(f"{_COLUMNS} WHERE tenant = :tenant AND account_key = :key{_NEWEST}")
_READ = text("SELECT value FROM keyfob_named WHERE tenant = :tenant AND name = :name")
_WRITE = text(
    "INSERT INTO keyfob_named (tenant, name, value) VALUES (:tenant, :name, :value)"
    " ON CONFLICT (tenant, name) DO UPDATE SET value = excluded.value"
)
_FORGET = text("DELETE FROM keyfob_named WHERE tenant = :tenant AND name = :name")
_NAMES = text(
    "SELECT name FROM keyfob_named WHERE tenant = :tenant AND starts_with(name, :prefix)"
    ' ORDER BY name COLLATE "C"'
)


class DatabaseAccountStore:
    """ports.AccountStore. Each call is one transaction. Thread-safe. Raises Fault `store_*`."""

    def __init__(self, database: ServerDatabase, tenant: str | None, fences: Fences = NO_FENCES) -> None:
        """Connects at the first call."""
        self._database = database
        self._tenant = tenant or ""
        self._fences = fences

    def data_version(self) -> int:
        """A number that grows with each write to this tenant's accounts."""
        return int(self._read(lambda connection: connection.execute(_VERSION, self._of()).scalar()) or 0)

    def check(self) -> str | None:
        """None: PostgreSQL checks its files itself."""
        self.data_version()
        return None

    # --- accounts -------------------------------------------------------------------------------------------

    def records(self) -> Sequence[Record]:
        """All that can be read, by provider and label."""
        return codec.readable(codec.load_record, self._rows(_ROWS))

    def unread(self) -> Sequence[Unread]:
        """The accounts that `records` leaves out."""
        found = []
        for written, key, provider, label in self._rows(_ROWS):
            try:
                codec.load_record(written)
            except codec.UnreadableError as error:
                name = f"{provider}/{label}"
                found.append(Unread(key, name, row_fault(name, error)))
        return found

    def refresh(self, key: str) -> None:
        """Nothing is kept next to a record: the fast path of `keyfob token` does not read this store."""

    def get(self, key: str) -> Record | None:
        """The account's record, None if there is no such account."""
        return self._read(lambda connection: self._record(connection, key))

    def put(self, record: Record) -> None:
        """Insert or replace the record."""

        def work(connection: Connection) -> None:
            self._fences.check(connection, self._tenant, record.account.key)
            self._record(connection, record.account.key)  # one that cannot be read is not replaced
            self._put(connection, record)

        self._write(work)

    def restore(self, record: Record) -> None:
        """Replace a record that cannot be read. The old text is kept under `damaged/KEY`."""
        key = record.account.key

        def work(connection: Connection) -> None:
            row = connection.execute(_RECORD, self._of(key=key)).one_or_none()
            if row is not None:
                connection.execute(_WRITE, self._of(name=f"damaged/{key}", value=row[0]))
            self._put(connection, record)

        self._write(work)

    def update(self, key: str, change: Callable[[Record], Record | None]) -> Record | None:
        """`change` runs inside the transaction: it must be quick and must not write to the store. It may run
        again on what is then there. What it raises undoes everything and comes out here.
        """

        def work(connection: Connection) -> Record | None:
            self._fences.check(connection, self._tenant, key)
            record = self._record(connection, key)
            if record is None:
                return None
            changed = change(record)
            if changed is None:
                return record
            if changed.account.key != key:
                raise ValueError("an account's key never changes")
            self._put(connection, changed)
            return changed

        return self._write(work)

    def remove(self, key: str) -> None:
        """The account and its intent; its history and pending revocations stay."""

        def work(connection: Connection) -> None:
            connection.execute(_REMOVE_RECORD, self._of(key=key))
            connection.execute(_CLEAR_INTENT, self._of(key=key))

        self._write(work)

    # --- journal --------------------------------------------------------------------------------------------

    def intent(self, key: str) -> Intent | None:
        """The renewal of the account that was sent and not yet saved, if there is one."""
        return next(iter(codec.readable(codec.load_intent, self._rows(_INTENT, key=key))), None)

    def put_intent(self, intent: Intent) -> None:
        """Write down a renewal before it is sent. Raises Fault `store_busy` if its lock was lost."""

        def work(connection: Connection) -> None:
            self._fences.check(connection, self._tenant, intent.key)
            connection.execute(_PUT_INTENT, self._of(key=intent.key, intent=codec.dumps(intent)))

        self._write(work)

    def clear_intent(self, key: str) -> None:
        """The account's renewal is over. Raises as `put_intent`."""

        def work(connection: Connection) -> None:
            self._fences.check(connection, self._tenant, key)
            connection.execute(_CLEAR_INTENT, self._of(key=key))

        self._write(work)

    def intents(self) -> Sequence[Intent]:
        """All renewals that were sent and not yet saved, by account key."""
        return codec.readable(codec.load_intent, self._rows(_INTENTS))

    def revocations(self) -> Sequence[PendingRevocation]:
        """All grants that are still to be revoked at their providers."""
        return codec.readable(codec.load_revocation, self._rows(_REVOCATIONS))

    def put_revocation(self, pending: PendingRevocation) -> None:
        """Write down a revocation, or how often it was tried."""
        words = self._of(entry=pending.entry, revocation=codec.dumps(pending))
        self._write(lambda connection: connection.execute(_PUT_REVOCATION, words))

    def remove_revocation(self, entry: str) -> None:
        """The revocation is done or given up."""
        self._write(lambda connection: connection.execute(_REMOVE_REVOCATION, self._of(entry=entry)))

    # --- history --------------------------------------------------------------------------------------------

    def log(self, event: LoggedEvent) -> LoggedEvent:
        """Add the event. The oldest ones beyond the limit are dropped from time to time."""
        words = {
            "at": codec.time_out(event.at),
            "account_id": event.account_id,
            "account_key": event.account_key,
            "kind": event.kind,
            "message": event.message,
            "code": event.code,
        }

        def work(connection: Connection) -> int:
            seq = int(connection.execute(_LOG, self._of(**words)).scalar_one())
            if seq % PRUNE_EVERY == 0:
                connection.execute(_PRUNE, self._of(most=HISTORY_MOST))
            return seq

        return replace(event, seq=self._write(work))

    def events(
        self, *, after: int = 0, account_key: str | None = None, limit: int = 200
    ) -> Sequence[LoggedEvent]:
        """The newest `limit` events after number `after`, oldest first."""
        query = _EVENTS if account_key is None else _EVENTS_OF_ACCOUNT
        rows = self._rows(query, after=after, key=account_key, limit=max(limit, 0))
        return [
            event_of(at, *row[1:]) for row in reversed(rows) for at in codec.readable(codec.time_in, [row])
        ]

    # --- small values ---------------------------------------------------------------------------------------

    def read(self, name: str) -> str | None:
        """The text under `name`, None if there is none."""
        rows = self._rows(_READ, name=name)
        return str(rows[0][0]) if rows else None

    def write(self, name: str, value: str | None) -> None:
        """Put the text under `name`; None deletes it."""
        words = self._of(name=name, value=value)
        self._write(lambda connection: connection.execute(_FORGET if value is None else _WRITE, words))

    def names(self, prefix: str) -> Sequence[str]:
        """In order. `prefix` is taken as it is: no wildcards."""
        return [str(row[0]) for row in self._rows(_NAMES, prefix=prefix)]

    # --- transactions ---------------------------------------------------------------------------------------

    def _of(self, **words: object) -> dict[str, object]:
        return {"tenant": self._tenant, **words}

    def _read(self, work: Callable[[Connection], T]) -> T:
        return self._database.transaction(work)

    def _rows(self, query: Any, **words: object) -> Sequence[Sequence[Any]]:  # noqa: ANN401  (a text clause)
        return self._read(lambda connection: connection.execute(query, self._of(**words)).all())

    def _write(self, work: Callable[[Connection], T]) -> T:
        def changing(connection: Connection) -> T:
            connection.execute(_CHANGED, self._of())
            return work(connection)

        return self._database.transaction(changing)

    def _record(self, connection: Connection, key: str) -> Record | None:
        """The record of one row. Raises Fault for one that cannot be read."""
        row = connection.execute(_RECORD, self._of(key=key)).one_or_none()
        if row is None:
            return None
        try:
            return codec.load_record(row[0])
        except codec.UnreadableError as error:
            raise row_fault(f"{row[1]}/{row[2]}", error) from None

    def _put(self, connection: Connection, record: Record) -> None:
        """Insert or replace one row. Raises Usage if the label is taken."""
        account = record.account
        words = self._of(
            key=account.key, provider=account.provider, label=account.label, record=codec.dumps(record)
        )
        try:
            connection.execute(_PUT_RECORD, words)
        except IntegrityError:
            raise Usage(f"There is already an account {account.id}", code="label_taken") from None
