"""Notifications by the desktop's own service, `org.freedesktop.Notifications` over the session bus.

Connecting runs off the GUI thread. After that the socket never blocks: a notifier of the event loop reads
what comes, and a message that cannot be sent at once ends the connection. PySide's D-Bus cannot send the
unsigned numbers that this interface needs, so this is jeepney.
https://specifications.freedesktop.org/notification-spec/latest/ describes the interface.
"""

from __future__ import annotations

import contextlib
import html
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QSocketNotifier, Signal
from PySide6.QtGui import QImage

from keyfob.core.text import plain
from keyfob.desktop.shared import icons
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.shared.outside_text import SENTENCE
from keyfob.process.app_id import APP_ID

if TYPE_CHECKING:
    from jeepney import Message as BusMessage
    from jeepney.io.blocking import DBusConnection

_NAME = "org.freedesktop.Notifications"
_PATH = "/org/freedesktop/Notifications"
_ANSWER_WITHIN = 3.0  # seconds; the service may have to start first
_ICON = 64  # pixels
_BUTTON = "button"  # our name of a notification's button; "default" is a press on the notification itself


@dataclass(frozen=True, slots=True)
class Notification:
    """What to show. `button` is its one button's text, empty for none."""

    title: str
    text: str
    button: str = ""


@dataclass(frozen=True, slots=True)
class _Link:
    """A connection to the bus, and what the service there can do."""

    connection: DBusConnection
    abilities: frozenset[str]


class NotificationService(QObject):
    """Shows at most one notification of each kind. On the GUI thread."""

    pressed = Signal(str, bool)  # kind; True: its button, False: the notification itself
    refused = Signal(str, object)  # kind, Notification: no service shows it

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._link: _Link | None = None
        self._notifier: QSocketNotifier | None = None
        self._connecting = self._closed = False
        self._wanted: dict[str, Notification] = {}
        self._sent: dict[int, tuple[str, Notification]] = {}  # by serial, until the answer is there
        self._ids: dict[str, int] = {}  # the service's number of each kind that is on screen
        self._sender = ""  # the service's name on the bus

    def show(self, kind: str, notification: Notification) -> None:
        """Show it in place of this kind's last one. `refused` follows if no service can."""
        if self._closed:
            return
        self._wanted[kind] = notification
        if not sys.platform.startswith("linux"):
            self._refuse(kind, notification)
        elif self._link is not None:
            self._send(kind)
        elif not self._connecting:
            self._connecting = True
            Operation(self, _connect, self._connected).start()

    def shows(self, kind: str) -> bool:
        """Whether this kind is on screen, as far as is known: the user may close it at any time."""
        return kind in self._wanted

    def withdraw(self, kind: str) -> None:
        """Take it off the screen: its cause is gone."""
        self._wanted.pop(kind, None)
        number = self._ids.pop(kind, None)
        if number is not None:
            self._call("CloseNotification", "u", (number,))

    def close(self) -> None:
        """Take everything off the screen and hang up. Nothing is shown after this."""
        for kind in tuple(self._wanted):
            self.withdraw(kind)
        self._closed = True
        self._hang_up()

    # --- the connection -------------------------------------------------------------------------------------

    def _connected(self, link: _Link | None) -> None:
        self._connecting = False
        if link is not None and self._closed:
            link.connection.close()
        elif link is not None:
            self._link = link
            link.connection.sock.setblocking(False)
            self._notifier = QSocketNotifier(link.connection.sock.fileno(), QSocketNotifier.Type.Read, self)
            self._notifier.activated.connect(self._read)
        for kind in tuple(self._wanted):
            self._send(kind)

    def _hang_up(self) -> None:
        if self._notifier is not None:
            self._notifier.setEnabled(False)
            self._notifier.deleteLater()
            self._notifier = None
        if self._link is not None:
            self._link.connection.close()
            self._link = None
        self._ids.clear()
        self._wanted.clear()
        sent, self._sent = self._sent, {}
        for kind, notification in sent.values():
            self._refuse(kind, notification)

    def _refuse(self, kind: str, notification: Notification) -> None:
        self._wanted.pop(kind, None)
        if not self._closed:
            self.refused.emit(kind, notification)

    def _send(self, kind: str) -> None:
        if any(each == kind for each, _ in self._sent.values()):
            return  # its answer has the number to replace; `_shown` sends again
        notification = self._wanted[kind]
        link = self._link
        serial = None
        if link is not None:
            values = _arguments(notification, self._ids.get(kind, 0), link.abilities)
            serial = self._call("Notify", "susssasa{sv}i", values)
        if serial is None:
            self._refuse(kind, notification)
        else:
            self._sent[serial] = (kind, notification)

    def _call(self, method: str, signature: str, values: tuple[object, ...]) -> int | None:
        """The call's number, None if there is no connection any more."""
        import jeepney

        if self._link is None:
            return None
        connection = self._link.connection
        serial: int = next(connection.outgoing_serial)
        call = jeepney.new_method_call(_address(), method, signature, values)
        try:
            connection.send(call, serial=serial)
        except OSError:
            self._hang_up()
            return None
        return serial

    # --- what the service says ------------------------------------------------------------------------------

    def _read(self) -> None:
        while self._link is not None:
            try:
                message = self._link.connection.receive(timeout=0)
            except (TimeoutError, BlockingIOError):
                return
            except Exception:  # closed, or no D-Bus: its parser has no class of its own for that
                self._hang_up()
                return
            self._take(message)

    def _take(self, message: BusMessage) -> None:
        from jeepney import HeaderFields, MessageType

        fields = message.header.fields
        if message.header.message_type is MessageType.signal:
            if fields.get(HeaderFields.sender) == self._sender and len(message.body) == 2:
                self._heard(fields.get(HeaderFields.member), *message.body)
            return
        kind, notification = self._sent.pop(fields.get(HeaderFields.reply_serial, 0), ("", None))
        if notification is None:
            return
        if message.header.message_type is MessageType.method_return and message.body:
            self._sender = fields.get(HeaderFields.sender, "")
            self._shown(kind, notification, int(message.body[0]))
        elif kind in self._wanted:
            self._refuse(kind, self._wanted[kind])

    def _shown(self, kind: str, notification: Notification, number: int) -> None:
        self._ids[kind] = number
        if kind not in self._wanted:
            self.withdraw(kind)
        elif self._wanted[kind] != notification:
            self._send(kind)

    def _heard(self, what: object, number: object, detail: object) -> None:
        kind = next((kind for kind, known in self._ids.items() if known == number), None)
        if kind is None:
            return
        if what == "NotificationClosed":
            del self._ids[kind]
            self._wanted.pop(kind, None)
        elif what == "ActivationToken":
            # With it the compositor lets our window come to the front (XDG activation).
            os.environ["XDG_ACTIVATION_TOKEN"] = str(detail)
        elif what == "ActionInvoked":
            self.pressed.emit(kind, detail == _BUTTON)


def _address() -> object:
    import jeepney

    return jeepney.DBusAddress(_PATH, bus_name=_NAME, interface=_NAME)


def _connect() -> _Link | None:
    """A connection to a service that answers; None if there is none. Blocks: not for the GUI thread."""
    import jeepney
    from jeepney.io.blocking import open_dbus_connection
    from jeepney.wrappers import unwrap_msg

    connection: DBusConnection | None = None
    try:
        connection = open_dbus_connection("SESSION")
        rule = jeepney.MatchRule(type="signal", interface=_NAME, path=_PATH)
        heard = jeepney.message_bus.AddMatch(rule)
        unwrap_msg(connection.send_and_get_reply(heard, timeout=_ANSWER_WITHIN))
        asked = jeepney.new_method_call(_address(), "GetCapabilities")
        (abilities,) = unwrap_msg(connection.send_and_get_reply(asked, timeout=_ANSWER_WITHIN))
        return _Link(connection, frozenset(map(str, abilities)))
    except Exception:  # no bus, no service, or one that breaks the protocol: the tray shows it then
        with contextlib.suppress(Exception):
            if connection is not None:
                connection.close()
        return None


def _arguments(notification: Notification, replaces: int, abilities: frozenset[str]) -> tuple[object, ...]:
    text = plain(notification.text, SENTENCE)
    if "body-markup" in abilities:
        text = html.escape(text, quote=False)  # a provider's words are text, never markup
    buttons = [_BUTTON, notification.button] if notification.button else []
    actions = ["default", "Open Keyfob", *buttons] if "actions" in abilities else []
    hints = {
        "desktop-entry": ("s", APP_ID),
        "urgency": ("y", 1),  # normal
        "image-data": ("(iiibiiay)", _image()),
    }
    title = plain(notification.title, SENTENCE)
    return ("Keyfob", replaces, APP_ID, title, text, actions, hints, -1)


def _image() -> tuple[object, ...]:
    image = icons.app_icon().pixmap(_ICON).toImage().convertToFormat(QImage.Format.Format_RGBA8888)
    data = bytes(image.constBits())
    return (image.width(), image.height(), image.bytesPerLine(), True, 8, 4, data)
