"""A notification from a command that no terminal shows: a browser starts it, and its output goes nowhere.

By the session's `org.freedesktop.Notifications`, if there is one. It never fails: the command's exit and
output say the same.
"""

from __future__ import annotations

import html
import logging
import sys

from keyfob.core.text import plain
from keyfob.process.app_id import APP_ID

log = logging.getLogger(__name__)
WITHIN = 3.0  # seconds
TITLE_MOST, TEXT_MOST = 100, 600  # characters


def notify(title: str, text: str) -> None:
    """Show it. Blocks for a few seconds at most. Never raises."""
    if not sys.platform.startswith("linux"):
        return
    try:
        _send(plain(title, TITLE_MOST), plain(text, TEXT_MOST))
    except Exception as error:
        log.debug("no notification: %s", type(error).__name__)


def _send(title: str, text: str) -> None:
    from jeepney import DBusAddress, new_method_call
    from jeepney.io.blocking import open_dbus_connection
    from jeepney.wrappers import unwrap_msg

    service = DBusAddress(
        "/org/freedesktop/Notifications", "org.freedesktop.Notifications", "org.freedesktop.Notifications"
    )
    connection = open_dbus_connection()
    try:
        asked = new_method_call(service, "GetCapabilities")
        (abilities,) = unwrap_msg(connection.send_and_get_reply(asked, timeout=WITHIN))
        body = html.escape(text, quote=False) if "body-markup" in abilities else text
        actions: list[str] = []
        values = ("Keyfob", 0, APP_ID, title, body, actions, {"desktop-entry": ("s", APP_ID)}, -1)
        message = new_method_call(service, "Notify", "susssasa{sv}i", values)
        unwrap_msg(connection.send_and_get_reply(message, timeout=WITHIN))
    finally:
        connection.close()
