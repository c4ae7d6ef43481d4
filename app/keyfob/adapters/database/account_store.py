"""The account store in PostgreSQL: one tenant's accounts, journal, history and named values.

The rows have the same texts as the store on SQLite, by the same codec, so an account that cannot be read is
an error of its own account only. It contains no secret: the codec refuses them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Table, collate, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from keyfob.adapters.database.database import ServerDatabase
from keyfob.adapters.database.tables import (
    ACCOUNTS,
    EVENTS,
    INTENTS,
    NAMED,
    REVOCATIONS,
    VERSIONS,
)
from keyfob.adapters.store import codec
from keyfob.adapters.store.account_table import row_fault
from keyfob.core.account import Intent, LoggedEvent, PendingRevocation, Record
from keyfob.core.error_codes import code_or_none
from keyfob.core.errors import Fault, Usage
from keyfob.core.words import LOGGED_KINDS, known
from keyfob.ports import HISTORY_MOST, Unread

SWEEP_EVERY = 100  # events


class _Part:
    """What the parts share."""

    def __init__(self, database: ServerDatabase, tenant: str) -> None:
        self.database, self.tenant = database, tenant

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self.database.begin() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Counts the write last, so that other writers of the tenant wait for its commit alone."""
        with self.database.begin() as connection:
            yield connection
            self._count(connection)

    def _count(self, connection: Connection) -> None:
        counted = insert(VERSIONS).values(tenant=self.tenant, version=1)
        connection.execute(
            counted.on_conflict_do_update(index_elements=["tenant"], set_={"version": VERSIONS.c.version + 1})
        )

    def data_version(self) -> int:
        """A number that differs from the last one whenever any process on any machine has written since."""
        with self._reading() as connection:
            found = connection.scalar(select(VERSIONS.c.version).where(VERSIONS.c.tenant == self.tenant))
        return int(found or 0)

    def _replace(
        self, connection: Connection, table: Table, name: str, key: str, value: str, body: str
    ) -> None:
        made = insert(table).values({"tenant": self.tenant, name: key, value: body})
        connection.execute(made.on_conflict_do_update(index_elements=["tenant", name], set_={value: body}))


class DatabaseAccounts(_Part):
    """ports.AccountRecords. Thread-safe."""

    def records(self) -> Sequence[Record]:
        """All that can be read, by provider and label."""
        return codec.readable(codec.load_record, [(row.record,) for row in self._rows()])

    def unread(self) -> Sequence[Unread]:
        """The accounts that `records` leaves out."""
        found = []
        for row in self._rows():
            name = f"{row.provider}/{row.label}"
            try:
                codec.load_record(row.record)
            except codec.UnreadableError as error:
                found.append(Unread(row.key, name, row_fault(name, error)))
        return found

    def _rows(self) -> Sequence[Any]:
        with self._reading() as connection:
            order = collate(ACCOUNTS.c.provider, "C"), collate(func.lower(ACCOUNTS.c.label), "C")
            wanted = select(ACCOUNTS).where(ACCOUNTS.c.tenant == self.tenant).order_by(*order)
            return connection.execute(wanted).all()

    def get(self, key: str) -> Record | None:
        """The account's record, None if there is no such account."""
        with self._reading() as connection:
            return self._get(connection, key)

    def put(self, record: Record) -> None:
        """Insert or replace the record. Raises Usage `label_taken`."""
        with self._writing() as connection:
            self._get(connection, record.account.key, lock=True)  # one that cannot be read is not replaced
            self._put(connection, record)

    def restore(self, record: Record) -> None:
        """Replace a record that cannot be read. The old text is kept under `damaged/KEY`."""
        key = record.account.key
        with self._writing() as connection:
            here = (ACCOUNTS.c.tenant == self.tenant) & (ACCOUNTS.c.key == key)
            old = connection.scalar(select(ACCOUNTS.c.record).where(here).with_for_update())
            if old is not None:
                self._replace(connection, NAMED, "name", f"damaged/{key}", "value", old)
            self._put(connection, record)

    def update(self, key: str, change: Callable[[Record], Record | None]) -> Record | None:
        """`change` runs while the row is locked, so it must be quick and must not write to the store. What it
        raises undoes everything and comes out here.
        """
        with self.database.begin() as connection:
            record = self._get(connection, key, lock=True)
            changed = change(record) if record is not None else None
            if record is None or changed is None:
                return record
            if changed.account.key != key:
                raise ValueError("an account's key never changes")
            self._put(connection, changed)
            self._count(connection)
            return changed

    def refresh(self, key: str) -> None:
        """Nothing is kept beside a record here: `keyfob token` without the engine reads the local store."""

    def remove(self, key: str) -> None:
        """The account and its intent; its history and pending revocations stay."""
        with self._writing() as connection:
            for table in (ACCOUNTS, INTENTS):
                here = (table.c.tenant == self.tenant) & (table.c.key == key)
                connection.execute(delete(table).where(here))

    def _get(self, connection: Connection, key: str, *, lock: bool = False) -> Record | None:
        wanted = select(ACCOUNTS).where(ACCOUNTS.c.tenant == self.tenant, ACCOUNTS.c.key == key)
        row = connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()
        if row is None:
            return None
        try:
            return codec.load_record(row.record)
        except codec.UnreadableError as error:
            raise row_fault(f"{row.provider}/{row.label}", error) from None

    def _put(self, connection: Connection, record: Record) -> None:
        account = record.account
        values = {"provider": account.provider, "label": account.label, "record": codec.dumps(record)}
        made = insert(ACCOUNTS).values(tenant=self.tenant, key=account.key, **values)
        try:
            connection.execute(made.on_conflict_do_update(index_elements=["tenant", "key"], set_=values))
        except IntegrityError:
            raise Usage(f"There is already an account {account.id}", code="label_taken") from None


class DatabaseJournal(_Part):
    """ports.Journal. Thread-safe."""

    def intent(self, key: str) -> Intent | None:
        """The renewal of the account that was sent and not yet saved, if there is one."""
        return next(iter(self._intents(INTENTS.c.key == key)), None)

    def intents(self) -> Sequence[Intent]:
        """All renewals that were sent and not yet saved, by account key."""
        return self._intents(text("true"))

    def _intents(self, which: Any) -> Sequence[Intent]:  # noqa: ANN401  (a condition of SQLAlchemy's)
        order = collate(INTENTS.c.key, "C")
        wanted = select(INTENTS.c.intent).where(INTENTS.c.tenant == self.tenant, which).order_by(order)
        with self._reading() as connection:
            return codec.readable(codec.load_intent, [tuple(row) for row in connection.execute(wanted)])

    def put_intent(self, intent: Intent) -> None:
        """Write down a renewal before it is sent."""
        with self._writing() as connection:
            self._replace(connection, INTENTS, "key", intent.key, "intent", codec.dumps(intent))

    def clear_intent(self, key: str) -> None:
        """The account's renewal is over."""
        with self._writing() as connection:
            connection.execute(delete(INTENTS).where(INTENTS.c.tenant == self.tenant, INTENTS.c.key == key))

    def revocations(self) -> Sequence[PendingRevocation]:
        """All grants that are still to be revoked at their providers."""
        order = collate(REVOCATIONS.c.entry, "C")
        wanted = select(REVOCATIONS.c.revocation).where(REVOCATIONS.c.tenant == self.tenant).order_by(order)
        with self._reading() as connection:
            return codec.readable(codec.load_revocation, [tuple(row) for row in connection.execute(wanted)])

    def put_revocation(self, pending: PendingRevocation) -> None:
        """Write down a revocation, or how often it was tried."""
        with self._writing() as connection:
            self._replace(connection, REVOCATIONS, "entry", pending.entry, "revocation", codec.dumps(pending))

    def remove_revocation(self, entry: str) -> None:
        """The revocation is done or given up."""
        here = (REVOCATIONS.c.tenant == self.tenant) & (REVOCATIONS.c.entry == entry)
        with self._writing() as connection:
            connection.execute(delete(REVOCATIONS).where(here))


class DatabaseHistory(_Part):
    """ports.History. Thread-safe."""

    def log(self, event: LoggedEvent) -> LoggedEvent:
        """Add the event, and now and then drop the oldest. Returns it with its number."""
        values = {
            "tenant": self.tenant,
            "at": codec.time_out(event.at),
            "account_id": event.account_id,
            "account_key": event.account_key,
            "kind": event.kind,
            "message": event.message,
            "code": event.code,
        }
        with self._writing() as connection:
            seq = int(connection.execute(insert(EVENTS).values(values).returning(EVENTS.c.seq)).scalar_one())
            if seq % SWEEP_EVERY == 0:
                self._sweep(connection)
        return replace(event, seq=seq)

    def _sweep(self, connection: Connection) -> None:
        mine = EVENTS.c.tenant == self.tenant
        oldest = select(EVENTS.c.seq).where(mine).order_by(EVENTS.c.seq.desc()).offset(HISTORY_MOST).limit(1)
        connection.execute(delete(EVENTS).where(mine, EVENTS.c.seq <= oldest.scalar_subquery()))

    def events(
        self, *, after: int = 0, account_key: str | None = None, limit: int = 200
    ) -> Sequence[LoggedEvent]:
        """The newest `limit` events after number `after`, oldest first."""
        wanted = select(EVENTS).where(EVENTS.c.tenant == self.tenant, EVENTS.c.seq > after)
        if account_key is not None:
            wanted = wanted.where(EVENTS.c.account_key == account_key)
        wanted = wanted.order_by(EVENTS.c.seq.desc()).limit(max(limit, 0))
        with self._reading() as connection:
            rows = connection.execute(wanted).all()
        return [_event(row) for row in reversed(rows)]


class DatabaseNamedValues(_Part):
    """ports.NamedValues. Thread-safe."""

    def read(self, name: str) -> str | None:
        """The text under `name`, None if there is none."""
        with self._reading() as connection:
            here = (NAMED.c.tenant == self.tenant) & (NAMED.c.name == name)
            found = connection.scalar(select(NAMED.c.value).where(here))
        return None if found is None else str(found)

    def write(self, name: str, value: str | None) -> None:
        """Put the text under `name`; None deletes it."""
        with self._writing() as connection:
            if value is None:
                here = (NAMED.c.tenant == self.tenant) & (NAMED.c.name == name)
                connection.execute(delete(NAMED).where(here))
            else:
                self._replace(connection, NAMED, "name", name, "value", value)

    def names(self, prefix: str) -> Sequence[str]:
        """In order. `prefix` is taken as it is: no wildcards."""
        wanted = select(NAMED.c.name).where(
            NAMED.c.tenant == self.tenant, func.starts_with(NAMED.c.name, prefix)
        )
        with self._reading() as connection:
            return list(connection.scalars(wanted.order_by(collate(NAMED.c.name, "C"))))


class DatabaseAccountStore(DatabaseAccounts, DatabaseJournal, DatabaseHistory, DatabaseNamedValues):
    """ports.AccountStore for one tenant. Each call is one transaction. Thread-safe. Raises Fault `store_busy`
    while the database cannot be reached.
    """

    def __init__(self, database: ServerDatabase, tenant: str | None) -> None:
        """`tenant` None: the server's own accounts. The database stays the caller's."""
        super().__init__(database, tenant or "")
        self.closing: Callable[[], None] = lambda: None

    def close(self) -> None:
        """Calls `closing`, which may close the database: other tenants' stores use it too."""
        self.closing()

    def check(self) -> str | None:
        """PostgreSQL looks after its own files: None if it answers."""
        try:
            self.data_version()
        except Fault as error:
            return error.message
        return None


def tenants(database: ServerDatabase) -> list[str]:
    """The tenants that have accounts, without the server's own. Raises Fault."""
    wanted = select(ACCOUNTS.c.tenant).where(ACCOUNTS.c.tenant != "").distinct()
    with database.begin() as connection:
        return sorted(connection.scalars(wanted))


def _event(row: Any) -> LoggedEvent:  # noqa: ANN401  (a row of SQLAlchemy's)
    """Another version's kind becomes `other` and its code is left out; its message stays."""
    return LoggedEvent(
        codec.time_in(row.at),
        row.account_id,
        row.account_key,
        known(LOGGED_KINDS, row.kind) or "other",
        row.message,
        code_or_none(row.code),
        row.seq,
    )
