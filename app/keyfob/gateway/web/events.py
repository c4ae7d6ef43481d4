"""What an application learns of its sessions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

log = logging.getLogger("keyfob.gateway.web")

EventKind = Literal["created", "updated", "deleted"]


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """One thing that happened to a session. `session_id` is not what the cookie holds. `why` is for
    `deleted`: one of `visitors.ENDED`.
    """

    kind: EventKind
    app: str
    subject: str
    session_id: str
    why: str | None = None


Observer = Callable[[SessionEvent], None]


class Events:
    """Thread-safe once the observers are there."""

    def __init__(self, observers: tuple[Observer, ...]) -> None:
        self._observers = observers

    def publish(self, event: SessionEvent) -> None:
        """Call each observer on this thread. What one raises is logged."""
        for observer in self._observers:
            try:
                observer(event)
            except Exception:
                log.exception("an observer of sessions failed")
