"""What happened to the accounts: written to the history first, then sent to subscribers.

Subscribers are called on the thread that publishes and must return at once. If one raises, it misses only
that event. Faces bring events to their own thread (`desktop/shared/bridge.py`, the agent's event stream).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from keyfob.core.account import ErrorNote, LoggedEvent, Record
from keyfob.core.error_codes import ErrorCode
from keyfob.core.errors import KeyfobError
from keyfob.core.text import plain
from keyfob.core.words import HintKind, LoggedKind
from keyfob.ports import Clock, History

log = logging.getLogger(__name__)
Subscriber = Callable[[LoggedEvent], None]


class EventBus:
    """Thread-safe. Publishing never fails because of a subscriber."""

    def __init__(self, store: History, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._subscribers: list[Subscriber] = []
        self._keychain_code: ErrorCode | None = None

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Calls `callback` for each event from now on; returns a function that stops it."""
        with self._lock:
            self._subscribers.append(callback)

        def unsubscribe() -> None:
            with self._lock:
                if callback in self._subscribers:
                    self._subscribers.remove(callback)

        return unsubscribe

    def publish(
        self, record: Record, kind: LoggedKind, message: str, code: ErrorCode | None = None
    ) -> LoggedEvent:
        """Write an event into the history of `record`'s account and send it to the subscribers."""
        account = record.account
        event = self._store.log(
            LoggedEvent(self._clock(), account.id, account.key, kind, plain(message, 300), code)
        )
        log.info("%s: %s (%s)", account.id, kind, code or "ok")
        self._send(event)
        return event

    @property
    def keychain_code(self) -> ErrorCode | None:
        """Why the keychain cannot be used, as far as is known; None while it can."""
        return self._keychain_code

    def keychain(self, error: KeyfobError | None) -> None:
        """How the keychain stands, which is not an account's matter: `error` that it refuses, None that it
        can be used. The subscribers hear of it when that changes; the history keeps nothing of it.
        """
        code = error.code if error else None
        with self._lock:
            if code == self._keychain_code:
                return
            self._keychain_code = code
        if error is None:
            log.info("the keychain can be used again")
            self._send(LoggedEvent(self._clock(), "", "", "keychain_well", "The keychain can be used again"))
        else:
            log.info("the keychain: %s", error.code)
            message = plain(error.message, 300)
            self._send(LoggedEvent(self._clock(), "", "", "keychain_trouble", message, error.code))

    def notify(self, record: Record, kind: HintKind) -> None:
        """Send the subscribers something short-lived (`renewing`) that is not worth a line of history."""
        self._send(LoggedEvent(self._clock(), record.account.id, record.account.key, kind, ""))

    def _send(self, event: LoggedEvent) -> None:
        with self._lock:
            subscribers = list(self._subscribers)
        for subscriber in subscribers:
            try:
                subscriber(event)
            except Exception:
                log.exception("an event's subscriber failed")

    def error_note(self, error: KeyfobError) -> ErrorNote:
        """The error as an account's record keeps it: cut to length, and its detail logged."""
        detail = plain(error.detail, 400)
        if detail:
            log.info("%s: %s", error.code, detail)
        return ErrorNote(error.code, plain(error.message, 300), error.advice, self._clock(), detail)
