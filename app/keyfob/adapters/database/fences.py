"""Keeps a process that has lost an account's lock from writing over what the new holder wrote.

A process may lose its lock without noticing: the network between it and the database was gone for so long
that another process took the lock. Each new holder has a higher generation. A write for an account whose lock
this process holds is compared with it in the write's own transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, text

from keyfob.core.errors import Fault

_GENERATION = text("SELECT generation FROM keyfob_locks WHERE tenant = :tenant AND name = :name FOR SHARE")


@dataclass(frozen=True, slots=True)
class Fences:
    """`lock_name`: an account's lock. `held`: the generation with which this process holds a lock, if so."""

    lock_name: Callable[[str], str]
    held: Callable[[str], int | None]

    def generation(self, key: str) -> int | None:
        """The generation with which this process holds the account's lock; None if it does not."""
        return self.held(self.lock_name(key))

    def check(self, connection: Connection, tenant: str, key: str) -> None:
        """Inside a transaction: raises Fault `store_busy` if another process has the account's lock that this
        one took. Until the transaction ends, nobody takes it.
        """
        mine = self.generation(key)
        if mine is None:
            return
        words = {"tenant": tenant, "name": self.lock_name(key)}
        if connection.execute(_GENERATION, words).scalar() != mine:
            raise overtaken()


NO_FENCES = Fences(lambda key: key, lambda _: None)


def overtaken() -> Fault:
    """The error for a write that comes too late."""
    return Fault("Another gateway has taken this account over in the meantime", code="store_busy")
