"""What Keyfob says outside its window: that an account needs the user, that the app stays in the tray.

By the desktop's notification service if there is one, else by the tray's own message. GUI thread only.
"""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from keyfob.desktop.shared.notification_service import Notification, NotificationService
from keyfob.desktop.window.notices import Need
from keyfob.desktop.window.tray import Tray

_NEED, _STAYS = "need", "stays"
STAYS = Notification(
    "Keyfob keeps running in the tray",
    "It renews your tokens while its window is closed. To quit, use the tray’s menu.",
)


class Notifications(QObject):
    """One notification for all accounts that need the user, and a note about the tray."""

    opened = Signal()
    sign_in_asked = Signal(str)  # an account's key

    def __init__(self, tray: Tray, parent: QObject) -> None:
        super().__init__(parent)
        self._tray = tray
        self._key = ""  # of the account that the notification is about; empty for several
        self._service = NotificationService(self)
        self._service.pressed.connect(self._pressed)
        self._service.refused.connect(self._refused)

    def need(self, need: Need) -> None:
        """Who needs the user has changed: show it, keep it right, or take it away."""
        if not need.keys:
            self._service.withdraw(_NEED)
        elif need.fresh or self._service.shows(_NEED):
            self._key = need.keys[0] if len(need.keys) == 1 else ""
            self._service.show(_NEED, Notification(need.title, need.text, need.button))

    def say_it_stays(self) -> None:
        """The window was closed and the app goes on."""
        self._service.show(_STAYS, STAYS)

    def close(self) -> None:
        """Take what is shown off the screen; the app ends."""
        self._service.close()

    def _pressed(self, kind: str, button: bool) -> None:
        if kind == _NEED and button and self._key:
            self.sign_in_asked.emit(self._key)
        else:
            self.opened.emit()

    def _refused(self, _kind: str, notification: Notification) -> None:
        self._tray.notify(notification.title, notification.text)
