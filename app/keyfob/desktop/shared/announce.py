"""Says to screen readers what has changed on screen without the focus moving there.

GUI thread only. Without assistive technology it costs nothing.
"""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent

from keyfob.core.text import plain
from keyfob.desktop.shared.outside_text import SENTENCE


def announce(source: QObject, text: str, *, urgent: bool = False) -> None:
    """Have a screen reader read `text` after what it reads now, or instead of it if `urgent`."""
    spoken = plain(text, SENTENCE)
    if not spoken:
        return
    event = QAccessibleAnnouncementEvent(source, spoken)
    politeness = QAccessible.AnnouncementPoliteness
    event.setPoliteness(politeness.Assertive if urgent else politeness.Polite)
    QAccessible.updateAccessibility(event)
