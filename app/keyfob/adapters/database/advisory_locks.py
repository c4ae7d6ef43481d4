"""Named locks over PostgreSQL's advisory locks: one holder at a time across threads, processes and machines.

A process has one connection for all its locks, and the server frees them when that connection is gone: there
is no time after which a lock expires, however long a provider takes to answer. `keyfob_locks` has a row for
each name with its generation, which grows with each new holder.

A connection may be gone while its holder lives: the server was restarted, an administrator ended it, the
network failed. So a holder takes its locks again as soon as it can connect, and whoever finds that the last
holder did not release a lock leaves it free for `COMES_BACK` first. If the holder did not come back in that
time, another one has the lock and a higher generation. The store and the vault compare the generations at
each write, so that a holder that has lost its lock learns of it before it writes.

PgBouncer must not pool these connections by transaction: the next transaction would run in another session,
without the lock. `connect` finds that out and refuses.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import psycopg

from keyfob.adapters.database import pooling
from keyfob.adapters.database.database import ServerDatabase, connect, unreachable
from keyfob.adapters.store.turns import Turns, pause
from keyfob.core.errors import Fault, Transient

log = logging.getLogger(__name__)
T = TypeVar("T")
COMES_BACK = 2.0  # s that a holder whose connection was lost has for taking its lock again
LOOK_EVERY = 0.25  # s between two looks whether the connection still lives
IDLE_MOST = 30.0  # s that a connection is kept which nobody uses

_TAKE = (
    "INSERT INTO keyfob_locks AS lock (tenant, name, generation, held) VALUES (%(tenant)s, %(name)s, 1, true)"
    " ON CONFLICT (tenant, name) DO UPDATE SET generation = lock.generation + 1, held = true"
    " WHERE NOT lock.held OR lock.generation = %(abandoned)s RETURNING generation"
)
_GENERATION = "SELECT generation FROM keyfob_locks WHERE tenant = %s AND name = %s"
_HELD = (
    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND classid = %s AND objid = %s)"
)


@dataclass
class _Held:
    """A lock that a thread of this process holds. `here`: the open connection has it."""

    name: str
    generation: int
    here: bool = True


class AdvisoryLocks:
    """ports.Locks. Thread-safe; one instance a process and tenant, since threads queue in it."""

    def __init__(self, database: ServerDatabase, tenant: str | None) -> None:
        """Connects when the first lock is asked for."""
        self._database = database
        self._tenant = tenant or ""
        self.turns = Turns()
        self._guard = threading.Lock()  # of what follows, and one statement at a time on the connection
        self._connection: psycopg.Connection | None = None
        self._held: dict[str, _Held] = {}
        self._used_at = 0.0
        self._closed = threading.Event()
        self._watching = False

    def close(self) -> None:
        """Close the connection. The server frees what is still held. Later calls raise Fault."""
        self._closed.set()
        with self._guard:
            self._drop()

    def generation(self, name: str) -> int | None:
        """The generation with which a thread of this process holds the lock; None if none does."""
        held = self._held.get(name)
        return None if held is None else held.generation

    def hold(
        self, name: str, *, timeout: timedelta, cancel: threading.Event | None = None
    ) -> AbstractContextManager[None]:
        """Not reentrant, as `FileLocks.hold`. Raises Fault `store_unreachable` if the database cannot be
        reached, SettingWrong if a pooler is in the way.
        """
        return self._hold(name, timeout.total_seconds(), cancel)

    @contextmanager
    def _hold(self, name: str, timeout: float, cancel: threading.Event | None) -> Iterator[None]:
        end = time.monotonic() + timeout
        with self.turns.turn(name, end, cancel):
            self._take(name, end, cancel)
            try:
                yield
            finally:
                self._release(name)

    def held(self, name: str) -> bool:
        """Whether any process holds the lock now. It may have changed when this returns."""
        if name in self._held:
            return True
        high, low = _halves(self._key(name))
        return bool(self._ask(lambda connection: _value(connection, _HELD, (high, low))))

    def retire(self, name: str) -> None:
        """Forget the row of a lock that nobody needs again."""
        sql = "DELETE FROM keyfob_locks WHERE tenant = %s AND name = %s"
        with suppress(Fault):  # a row that stays does no harm
            self._ask(lambda connection: connection.execute(sql, (self._tenant, name)))

    # --- one lock -------------------------------------------------------------------------------------------

    def _take(self, name: str, end: float, cancel: threading.Event | None) -> None:
        """Wait for the lock and take it."""
        left: dict[int, float] = {}  # by the generation of a holder that is gone: until when it may come back

        def attempt(connection: psycopg.Connection) -> int | None:
            if not _value(connection, "SELECT pg_try_advisory_lock(%s)", (self._key(name),)):
                return None
            late = next((each for each, until in left.items() if time.monotonic() >= until), None)
            words = {"tenant": self._tenant, "name": name, "abandoned": late}
            row = connection.execute(_TAKE, words).fetchone()
            if row is not None:
                return int(row[0])
            gone = _value(connection, _GENERATION, (self._tenant, name))
            connection.execute("SELECT pg_advisory_unlock(%s)", (self._key(name),))
            if isinstance(gone, int):
                left.setdefault(gone, time.monotonic() + COMES_BACK)
            return None

        def take(connection: psycopg.Connection) -> bool:
            generation = attempt(connection)
            if generation is not None:
                self._held[name] = _Held(name, generation)
            return generation is not None

        while not self._ask(take):
            pause(end, cancel)

    def _release(self, name: str) -> None:
        def release(connection: psycopg.Connection) -> None:
            held = self._held[name]
            # Cleared before it is free: who takes it next need not wait for this process to come back.
            connection.execute(
                "UPDATE keyfob_locks SET held = false WHERE tenant = %s AND name = %s AND generation = %s",
                (self._tenant, name, held.generation),
            )
            if held.here:
                connection.execute("SELECT pg_advisory_unlock(%s)", (self._key(name),))
            del self._held[name]

        try:
            self._ask(release)
        except (Fault, Transient) as error:
            # The server has freed it with the connection, or does so when it notices that this is closed.
            log.warning("A lock could not be released in the database: %s", error.code)
        finally:
            with self._guard:
                if self._held.pop(name, None) is not None:
                    self._drop()

    # --- the connection -------------------------------------------------------------------------------------

    def _ask(self, work: Callable[[psycopg.Connection], T]) -> T:
        """`work` with the connection, and once more with a new one if it was lost."""
        with self._guard:
            self._used_at = time.monotonic()
            fresh = self._connection is None
            try:
                return work(self._opened())
            except psycopg.Error as error:
                self._drop()
                if fresh:
                    raise unreachable(error) from None
            try:
                return work(self._opened())
            except psycopg.Error as error:
                self._drop()
                raise unreachable(error) from None

    def _opened(self) -> psycopg.Connection:
        if self._closed.is_set():
            raise Fault("The account store is closed")
        if self._connection is None:
            self._database.ready()
            connection = connect(self._database.url)
            try:
                pooling.refuse_pooled_by_transaction(connection, self._database.url)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
            self._take_again(connection)
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._keep, name="locks", daemon=True).start()
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        for held in self._held.values():
            held.here = False
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _take_again(self, connection: psycopg.Connection) -> None:
        """What was held over a connection that is lost, unless another process has it by now."""
        for held in self._held.values():
            if held.here:
                continue
            key = self._key(held.name)
            if not _value(connection, "SELECT pg_try_advisory_lock(%s)", (key,)):
                continue  # somebody looks at it for a moment, or has it
            if _value(connection, _GENERATION, (self._tenant, held.name)) == held.generation:
                held.here = True
            else:
                connection.execute("SELECT pg_advisory_unlock(%s)", (key,))

    # --- the watch ------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        """Look at the connection while something is held, and connect again when it is lost. Close one that
        is not needed.
        """
        while not self._closed.wait(LOOK_EVERY):
            with self._guard:
                if not self._held:
                    if self._connection is not None and time.monotonic() - self._used_at < IDLE_MOST:
                        continue
                    self._drop()
                    self._watching = False
                    return
                try:
                    if self._connection is not None:
                        self._connection.pgconn.consume_input()  # does not block; fails if it was closed
                    connection = self._opened()
                    self._take_again(connection)
                except psycopg.Error:
                    self._drop()
                except Exception as error:
                    log.warning("The locks' connection cannot be opened: %s", type(error).__name__)
                    self._drop()
        with self._guard:
            self._watching = False

    def _key(self, name: str) -> int:
        """64 bits of a hash, as PostgreSQL names a lock: a signed number. Other programs' locks are in the
        same space.
        """
        digest = hashlib.sha256(f"keyfob\0{self._tenant}\0{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)


def _halves(key: int) -> tuple[int, int]:
    """The key as `pg_locks` shows it: two unsigned numbers of 32 bits."""
    unsigned = key & 0xFFFF_FFFF_FFFF_FFFF
    return unsigned >> 32, unsigned & 0xFFFF_FFFF


def _value(connection: psycopg.Connection, sql: str, words: tuple[object, ...]) -> object:
    row = connection.execute(sql, words).fetchone()
    return None if row is None else row[0]
