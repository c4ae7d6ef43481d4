"""Looks keys up in the database: all that are asked for at one time with one query.

So a thousand callers at once cost a few queries. A flood of wrong keys takes one thread and one connection,
and two callers with one key share an answer.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from keyfob.gateway.auth.tables import ApiKey

AT_ONCE = 500  # keys of one query


class KeyRow(NamedTuple):
    """What a check needs of a key."""

    key_id: str
    salt: bytes
    digest: bytes
    user_id: str
    tenant_id: str | None
    is_admin: bool
    subject_type: str
    subject_id: str | None
    scopes: list[str]
    details: dict[str, Any] | None
    expires_at: datetime | None
    revoked_at: datetime | None


_COLUMNS = [getattr(ApiKey, name) for name in KeyRow._fields]


class KeyRows:
    """For the tasks of one event loop at a time."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._asked: dict[str, asyncio.Future[KeyRow | None]] = {}
        self._work: asyncio.Task[None] | None = None

    async def row(self, key_id: str) -> KeyRow | None:
        """The key's row as it is now or later, None if there is none. Raises what SQLAlchemy raises."""
        loop = asyncio.get_running_loop()
        if self._work is None or self._work.done() or self._work.get_loop() is not loop:
            self._asked.clear()  # an earlier event loop's
            self._work = loop.create_task(self._answer())
        answer = self._asked.get(key_id)
        if answer is None:
            answer = self._asked[key_id] = loop.create_future()
        return await asyncio.shield(answer)  # a caller that gives up takes nobody's answer away

    async def _answer(self) -> None:
        await asyncio.sleep(0)  # whoever asks in this round of the loop is in the first query
        while self._asked:
            names = list(self._asked)[:AT_ONCE]
            asked = {name: self._asked.pop(name) for name in names}
            try:
                found = await asyncio.to_thread(self._select, names)
            except Exception as error:
                for answer in asked.values():
                    answer.set_exception(error)
                    answer.exception()  # its callers may all have left
            else:
                for name, answer in asked.items():
                    answer.set_result(found.get(name))

    def _select(self, names: list[str]) -> dict[str, KeyRow]:
        with self._sessions() as session:
            rows = session.execute(select(*_COLUMNS).where(ApiKey.key_id.in_(names)))
            return {row.key_id: KeyRow(*row) for row in rows}
