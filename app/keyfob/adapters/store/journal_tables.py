"""What is in progress or still to do: intents and pending revocations. Implements `ports.Journal`."""

from __future__ import annotations

from collections.abc import Sequence

from keyfob.adapters.store import codec
from keyfob.adapters.store.database import Tables
from keyfob.core.account import Intent, PendingRevocation


class JournalTables(Tables):
    """What was begun and must be finished: renewals that were sent, and revocations. Raises Fault. Thread-
    safe.
    """

    def intent(self, key: str) -> Intent | None:
        """The renewal of the account that was sent and not yet saved, if there is one."""
        with self.database.reading() as connection:
            rows = connection.execute("SELECT intent FROM intents WHERE key = ?", (key,)).fetchall()
        # One that cannot be read counts as none: the next renewal sends the same refresh token as a replay
        # would.
        return next(iter(codec.readable(codec.load_intent, rows)), None)

    def put_intent(self, intent: Intent) -> None:
        """Write down a renewal before it is sent."""
        with self.database.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO intents (key, intent) VALUES (?, ?)",
                (intent.key, codec.dumps(intent)),
            )

    def clear_intent(self, key: str) -> None:
        """The account's renewal is over."""
        with self.database.writing() as connection:
            connection.execute("DELETE FROM intents WHERE key = ?", (key,))

    def intents(self) -> Sequence[Intent]:
        """All renewals that were sent and not yet saved, by account key."""
        with self.database.reading() as connection:
            rows = connection.execute("SELECT intent FROM intents ORDER BY key").fetchall()
        return codec.readable(codec.load_intent, rows)

    def revocations(self) -> Sequence[PendingRevocation]:
        """All grants that are still to be revoked at their providers."""
        with self.database.reading() as connection:
            rows = connection.execute("SELECT revocation FROM revocations ORDER BY entry").fetchall()
        return codec.readable(codec.load_revocation, rows)

    def put_revocation(self, pending: PendingRevocation) -> None:
        """Write down a revocation, or how often it was tried."""
        with self.database.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO revocations (entry, revocation) VALUES (?, ?)",
                (pending.entry, codec.dumps(pending)),
            )

    def remove_revocation(self, entry: str) -> None:
        """The revocation is done or given up."""
        with self.database.writing() as connection:
            connection.execute("DELETE FROM revocations WHERE entry = ?", (entry,))
