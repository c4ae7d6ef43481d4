"""A report about one provider that a user can send when a sign-in did or did not work there.

It contains codes, counts, times and names of fields. It contains no token, name, e-mail address, subject or
label, and nothing that the user entered. Called by `keyfob providers report`.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

from keyfob import __version__
from keyfob.core.account import LoggedEvent, Record, status_word
from keyfob.core.provider import Provider
from keyfob.core.scrubbed import scrubbed
from keyfob.core.text import plain
from keyfob.core.times import to_rfc3339
from keyfob.ports import AccountStore
from keyfob.providers.catalogue import Catalogue
from keyfob.service.sign_in.trace import WORDS_MOST, Traces, words_about

EVENTS_MOST = 30


class Reports:
    """Blocking and thread-safe."""

    def __init__(self, catalogue: Catalogue, store: AccountStore, traces: Traces) -> None:
        self._catalogue = catalogue
        self._store = store
        self._traces = traces

    def report(self, provider_id: str) -> dict[str, Any]:
        """Everything about one provider, as JSON can carry it. Raises NotFound, SettingWrong, Fault."""
        provider = self._catalogue.get(provider_id)
        records = [each for each in self._store.records() if each.account.provider == provider_id]
        return {
            "keyfob": __version__,
            "preset": self._preset(provider),
            "last_sign_in": self._traces.last(provider_id),
            "accounts": [self._account(record) for record in records],
        }

    def _preset(self, provider: Provider) -> dict[str, Any]:
        digest = hashlib.sha256()
        for path, stamp in self._catalogue.made_of(provider.id):
            if stamp is not None:
                digest.update(Path(path).read_bytes())
        return {
            "id": provider.id,
            "origin": provider.origin,
            "facts": provider.facts,
            "tested": provider.tested,
            "sha256": digest.hexdigest()[:16],
            "methods": list(provider.methods),
        }

    def _account(self, record: Record) -> dict[str, Any]:
        error = record.last_error
        words = (
            None if error is None else plain(scrubbed(error.detail, words_about(record.account)), WORDS_MOST)
        )
        return {
            "method": record.account.method,
            "status": status_word(record.status),
            "renewable": record.renewable,
            "renewals_failed": record.failures,
            "access_token_lives": _seconds(record.obtained_at, record.expires_at),
            "sign_in_lives": _seconds(record.connected_at, record.grant_ends_at),
            "last_error": None if error is None else {"code": error.code, "words": words},
            "events": [
                _event(event)
                for event in self._store.events(account_key=record.account.key, limit=EVENTS_MOST)
            ],
        }


def _event(event: LoggedEvent) -> dict[str, Any]:
    """An event without its message, which may name somebody."""
    return {"at": to_rfc3339(event.at), "kind": event.kind, "code": event.code}


def _seconds(start: datetime | None, end: datetime | None) -> int | None:
    return None if start is None or end is None else round((end - start).total_seconds())
