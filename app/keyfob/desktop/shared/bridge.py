"""Turns the engine's events into Qt signals. One QObject on the main thread; no other module subscribes."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from keyfob.core.account import LoggedEvent
from keyfob.service.events import EventBus


class Bridge(QObject):
    """`logged` is emitted on the publishing thread: connect bound
    methods of QObjects, so that Qt queues it.
    """

    logged = Signal(object)

    def __init__(self, events: EventBus, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._unsubscribe = events.subscribe(self._publish)

    def close(self) -> None:
        """No event comes after this."""
        self._unsubscribe()

    def _publish(self, event: LoggedEvent) -> None:
        self.logged.emit(event)
