"""Sign-ins whose browser is away at the provider, in the database.

A state is found only with the id of the browser that it began in, and is used up by one of any number of
servers.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session, sessionmaker

from keyfob.core.account import Record
from keyfob.core.grant import SigningKey, seal_key, unseal_key
from keyfob.core.secret import Secret
from keyfob.gateway.web.outside import Codec
from keyfob.gateway.web.sealing import SealedError, Sealer
from keyfob.gateway.web.tables import StateRow
from keyfob.service.contexts import ClientSecrets

LIFE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Begun:
    """What a sign-in needs when its browser is back."""

    app: str
    record: Record  # pinned to the server and the client; the subject is that of the handle, if there was one
    return_to: str
    code_verifier: Secret
    nonce: Secret | None
    dpop_key: SigningKey | None
    client: ClientSecrets = field(repr=False)
    handle: str | None = None  # of an atproto identity, proved both ways
    near: bool = False  # as in atproto's `Resolved`


class States:
    """Blocking and thread-safe. Raises SQLAlchemyError; a write that fails is rolled back."""

    def __init__(self, sessions: sessionmaker[Session], sealer: Sealer, codec: Codec) -> None:
        self._sessions, self._sealer, self._codec = sessions, sealer, codec

    def add(self, state: str, browser: str, begun: Begun, now: datetime) -> None:
        """Keep it until the browser is back."""
        state_id, browser_id = hashed(state), hashed(browser)
        sealed = self._sealer.seal(self._text_of(begun).encode(), "web_states", state_id, browser_id)
        row = StateRow(state_id=state_id, browser_id=browser_id, created_at=now, sealed=sealed)
        with self._sessions.begin() as session:
            session.add(row)

    def find(self, state: str, browser: str, now: datetime) -> Begun | None:
        """The sign-in, if this browser began it less than LIFE ago and nothing has used it up. It stays."""
        with self._sessions() as session:
            row = session.get(StateRow, hashed(state))
        if row is None or row.browser_id != hashed(browser) or row.created_at <= now - LIFE:
            return None
        try:
            text = self._sealer.open(row.sealed, "web_states", row.state_id, row.browser_id)
        except SealedError:
            return None
        return self._read(text.decode())

    def use_up(self, state: str) -> bool:
        """Whether it was there until now. Of all that ask, on any machine, one gets True."""
        with self._sessions.begin() as session:
            gone = session.execute(delete(StateRow).where(StateRow.state_id == hashed(state)))
        return bool(gone.rowcount)  # type: ignore[attr-defined]  # a delete's result is a CursorResult

    def sweep(self, now: datetime) -> None:
        """Delete those that are older than LIFE."""
        with self._sessions.begin() as session:
            session.execute(delete(StateRow).where(StateRow.created_at <= now - LIFE))

    def _text_of(self, begun: Begun) -> str:
        body = {
            "app": begun.app,
            "record": self._codec.dumps(begun.record),
            "return_to": begun.return_to,
            "code_verifier": begun.code_verifier.reveal(),
            "nonce": begun.nonce.reveal() if begun.nonce else None,
            "dpop_key": seal_key(begun.dpop_key).reveal() if begun.dpop_key else None,
            "client": begun.client.sealed().reveal(),
            "handle": begun.handle,
            "near": begun.near,
        }
        return json.dumps(body, separators=(",", ":"))

    def _read(self, text: str) -> Begun:
        body: dict[str, Any] = json.loads(text)
        return Begun(
            app=body["app"],
            record=self._codec.load(body["record"]),
            return_to=body["return_to"],
            code_verifier=Secret(body["code_verifier"]),
            nonce=Secret(body["nonce"]) if body["nonce"] else None,
            dpop_key=unseal_key(Secret(body["dpop_key"])) if body["dpop_key"] else None,
            client=ClientSecrets.unsealed(Secret(body["client"])),
            handle=body["handle"],
            near=body["near"],
        )


def hashed(value: str) -> str:
    """What the database knows of a random id."""
    return hashlib.sha256(value.encode()).hexdigest()
