"""A notification service on a session bus that records what it is asked, for tests; a thread of its own."""

from __future__ import annotations

import threading
from typing import Any

import jeepney
from jeepney import HeaderFields, MessageType
from jeepney.io.blocking import open_dbus_connection
from jeepney.wrappers import unwrap_msg

NAME = "org.freedesktop.Notifications"
PATH = "/org/freedesktop/Notifications"


class NotificationDaemon:
    """`shown` has what is on screen now by number, `calls` every call. `silent`: it never answers Notify."""

    def __init__(self, address: str, abilities: tuple[str, ...] = ("actions", "body", "body-markup")) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.shown: dict[int, dict[str, Any]] = {}
        self.silent = False
        self._abilities = list(abilities)
        self._next = 1
        self._connection = open_dbus_connection(address)
        unwrap_msg(self._connection.send_and_get_reply(jeepney.message_bus.RequestName(NAME)))
        self._client = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="notifications")
        self._thread.start()

    def __enter__(self) -> NotificationDaemon:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Leave the bus."""
        self._stop.set()
        self._thread.join(5)
        self._connection.close()

    def press(self, number: int, action: str) -> None:
        """As a user does: the action, and then the notification is gone."""
        self._emit("ActivationToken", "us", (number, "token-7"))
        self._emit("ActionInvoked", "us", (number, action))
        self.dismiss(number)

    def dismiss(self, number: int) -> None:
        """The user closes it."""
        self.shown.pop(number)
        self._emit("NotificationClosed", "uu", (number, 2))

    def _emit(self, member: str, signature: str, values: tuple[object, ...]) -> None:
        emitter = jeepney.DBusAddress(PATH, interface=NAME)
        signal = jeepney.new_signal(emitter, member, signature, values)
        signal.header.fields[HeaderFields.destination] = self._client  # as GNOME Shell does
        self._connection.send(signal)

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                message = self._connection.receive(timeout=0.05)
            except TimeoutError:
                continue
            if message.header.message_type is MessageType.method_call:
                self._answer(message)

    def _answer(self, message: jeepney.Message) -> None:
        member = message.header.fields[HeaderFields.member]
        self._client = message.header.fields[HeaderFields.sender]
        self.calls.append((member, message.body))
        reply: tuple[str, tuple[Any, ...]] = ("", ())
        if member == "GetCapabilities":
            reply = ("as", (self._abilities,))
        elif member == "Notify":
            if self.silent:
                return
            _, replaces, icon, title, text, actions, hints, _ = message.body
            number = replaces if replaces in self.shown else self._next
            self._next = max(self._next, number + 1)
            self.shown[number] = {
                "title": title,
                "text": text,
                "buttons": dict(zip(actions[::2], actions[1::2], strict=True)),
                "icon": icon,
                "hints": hints,
            }
            reply = ("u", (number,))
        elif member == "CloseNotification":
            self.shown.pop(message.body[0], None)
        self._connection.send(jeepney.new_method_return(message, *reply))
