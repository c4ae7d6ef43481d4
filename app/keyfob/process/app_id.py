"""The app's name for desktops, and where it is on the session bus.

Its menu entry, icons, AppStream file and D-Bus service carry the same name. Standard library only.
"""

from __future__ import annotations

APP_ID = "org.keyfob.Keyfob"
OBJECT_PATH = "/org/keyfob/Keyfob"  # the name with slashes, as the Desktop Entry specification makes it
