"""An account's intent: a note on disk of what is about to be sent, written before the refresh token leaves.

If an intent is open and nobody holds the account's lock, an answer may have been lost, and the refresh token
with it. The keeper and its judge call this under the account's lock.
"""

from __future__ import annotations

from keyfob.core.account import Intent
from keyfob.core.grant import Grant
from keyfob.core.renewal import ends_at, may_repeat
from keyfob.ports import Clock, Journal


class Intents:
    """Thread-safe as far as the store is. Every method raises Fault `store_*`."""

    def __init__(self, journal: Journal, now: Clock) -> None:
        self._journal = journal
        self._now = now

    def open(self, key: str) -> Intent | None:
        """What was sent, or was about to be, and has no answer yet."""
        return self._journal.intent(key)

    def next(self, key: str, grant: Grant, before: Intent | None) -> Intent:
        """The intent to renew `grant`; `before` is open because that was tried already. Writes nothing."""
        return Intent(
            key=key,
            generation=grant.generation,
            refresh_hash=_spent(grant),
            at=before.at if before else self._now(),
            replays=before.replays + 1 if before else 0,
        )

    def write(self, intent: Intent) -> None:
        """On disk when this returns."""
        self._journal.put_intent(intent)

    def clear(self, key: str) -> None:
        """The renewal is over, whatever came of it: nothing is left to repeat."""
        self._journal.clear_intent(key)

    def may_repeat(self, intent: Intent, grant: Grant, *, refused: bool, waiting: bool) -> bool:
        """Whether the refresh token may be sent again. `refused`: an API
        refused the access token. `waiting`: the account backs off.
        """
        alive = not refused and self._now() < ends_at(grant.obtained_at, grant.expires_at)
        return may_repeat(intent.replays, self._now() - intent.at, alive=alive, waiting=waiting)


def is_of(intent: Intent, grant: Grant) -> bool:
    """Whether `intent` is about `grant`, and not about one that a newer grant has replaced."""
    return intent.generation == grant.generation and intent.refresh_hash == _spent(grant)


def _spent(grant: Grant) -> str:
    """What names this grant: the refresh token that its renewal spends, or the token that it replaces."""
    return (grant.refresh or grant.access).fingerprint()
