"""The app's name for desktops.

Its menu entry, icons, AppStream file and D-Bus service carry the same name. Standard library only.
"""

from __future__ import annotations

APP_ID = "org.keyfob.Keyfob"
