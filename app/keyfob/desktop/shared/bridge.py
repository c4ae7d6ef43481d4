"""Turns the engine's events into Qt signals. One QObject on the main thread; no other module subscribes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from PySide6.QtCore import QObject, Signal

from keyfob.core.account import LoggedEvent
from keyfob.core.errors import KeyfobError


class EventBus(Protocol):
    """What publishes: the engine's `events`."""

    def subscribe(self, callback: Callable[[LoggedEvent], None]) -> Callable[[], None]: ...
    def keychain(self, error: KeyfobError | None) -> None: ...


class Bridge(QObject):
    """`logged` is emitted on the publishing thread: connect bound methods of QObjects, so that Qt queues it."""

    logged = Signal(object)

    def __init__(self, events: EventBus, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._unsubscribe = events.subscribe(self._publish)

    def close(self) -> None:
        """No event comes after this."""
        self._unsubscribe()

    def _publish(self, event: LoggedEvent) -> None:
        self.logged.emit(event)
