"""What the window has screen readers read."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent


def announcements(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The list of what Qt is asked to announce from now on, with its politeness."""
    spoken: list[tuple[str, str]] = []

    def update(event: object) -> None:
        if isinstance(event, QAccessibleAnnouncementEvent):
            spoken.append((event.message(), event.politeness().name))

    monkeypatch.setattr(QAccessible, "updateAccessibility", staticmethod(update))
    return spoken
