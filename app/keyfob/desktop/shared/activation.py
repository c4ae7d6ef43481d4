"""What another start or the desktop asks of the app that runs: its window, and what to do there.

The desktop may add a token that lets the window take the focus (XDG activation, startup notification). It is
good for one use and says nothing about the person.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

ACTIONS = ("connect", "settings", "check")  # also in the menu entry, and the words of `keyfob window`
MOST = 1024  # bytes of an activation between two processes
_LONGEST_TOKEN = 512
_VARIABLE = "XDG_ACTIVATION_TOKEN"
_KEYS = ("activation-token", "desktop-startup-id")  # of the desktop's `platform_data`


@dataclass(frozen=True, slots=True)
class Activation:
    """`action` is one of ACTIONS, or empty for the window alone."""

    action: str = ""
    token: str = ""

    def packed(self) -> bytes:
        """One line for another process."""
        return json.dumps({"action": self.action, "token": self.token}).encode() + b"\n"


THE_WINDOW = Activation()


def activation(action: object = "", token: object = "") -> Activation:
    """From outside: what is not known or not well formed is left out."""
    good = isinstance(token, str) and len(token) <= _LONGEST_TOKEN and token.isascii() and token.isprintable()
    return Activation(
        action if isinstance(action, str) and action in ACTIONS else "", str(token) if good else ""
    )


def unpacked(line: bytes) -> Activation:
    """From another process; just the window if the line is not ours."""
    try:
        data = json.loads(line)
        return activation(data.get("action"), data.get("token"))
    except (ValueError, AttributeError, RecursionError):
        return THE_WINDOW


def of_desktop(platform_data: Mapping[str, object], action: object = "") -> Activation:
    """From a call of org.freedesktop.Application."""
    return activation(action, next((platform_data[key] for key in _KEYS if key in platform_data), ""))


def own_start(action: str = "", env: Mapping[str, str] = os.environ) -> Activation:
    """Of this process, as the desktop started it."""
    return activation(action, env.get(_VARIABLE) or env.get("DESKTOP_STARTUP_ID", ""))


def bring_up(window: QWidget, token: str = "") -> None:
    """Show, restore and raise a window. On Wayland it gets the focus only with a token."""
    if token and QGuiApplication.platformName() == "wayland":
        os.putenv(_VARIABLE, token)  # Qt takes it from there, and unsets it
    window.setWindowState(window.windowState() & ~Qt.WindowState.WindowMinimized)
    window.show()
    window.raise_()
    window.activateWindow()
