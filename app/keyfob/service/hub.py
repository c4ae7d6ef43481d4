"""What happened, told to whoever wants to know: written to the history first, then to subscribers.

Subscribers are called on the thread that publishes and must return at once; one that raises is dropped from
that event only. Faces bring it to their own thread (`desktop/bridge.py`, the agent's event stream).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from keyfob.core.account import ErrorNote, LoggedEvent, Record
from keyfob.core.errors import KeyfobError
from keyfob.core.text import plain
from keyfob.ports import AccountStore, Clock

log = logging.getLogger(__name__)
Subscriber = Callable[[LoggedEvent], None]


class Hub:
    """Thread-safe. Publishing never fails because of a subscriber."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._subscribers: list[Subscriber] = []

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Calls `callback` for each event from now on; returns the way to stop that."""
        with self._lock:
            self._subscribers.append(callback)

        def unsubscribe() -> None:
            with self._lock:
                if callback in self._subscribers:
                    self._subscribers.remove(callback)

        return unsubscribe

    def say(self, record: Record, kind: str, message: str, code: str | None = None) -> LoggedEvent:
        """Write an event into the history of `record`'s account and tell the subscribers."""
        account = record.account
        event = self._store.log(
            LoggedEvent(self._clock(), account.id, account.key, kind, plain(message, 300), code)
        )
        log.info("%s: %s (%s)", account.id, kind, code or "ok")
        self._tell(event)
        return event

    def hint(self, record: Record, kind: str) -> None:
        """Tell the subscribers of something that passes (`renewing`) and is not worth a line of history."""
        self._tell(LoggedEvent(self._clock(), record.account.id, record.account.key, kind, ""))

    def _tell(self, event: LoggedEvent) -> None:
        with self._lock:
            subscribers = list(self._subscribers)
        for subscriber in subscribers:
            try:
                subscriber(event)
            except Exception:
                log.exception("an event's subscriber failed")

    def note(self, error: KeyfobError) -> ErrorNote:
        return ErrorNote(error.code, plain(error.message, 300), str(error.advice), self._clock())
