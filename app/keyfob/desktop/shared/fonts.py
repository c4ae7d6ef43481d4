"""The app's own font, so that it looks the same on every system.

Inter (SIL Open Font License, `resources/fonts/OFL.txt`), made smaller by `build/fonts`: its figures have one
width. Other scripts and emoji come from the system's fonts.
"""

from __future__ import annotations

from PySide6.QtGui import QFont, QFontDatabase

from keyfob.core.resources import resources

FAMILY = "Keyfob Inter"  # not `Inter`: one that is installed on the computer may differ


def text_font(system: QFont) -> QFont:
    """Inter, with the system's font for what it lacks. The system's font if Inter cannot be loaded. On the
    GUI thread.
    """
    if FAMILY not in QFontDatabase.families():
        for path in sorted((resources() / "fonts").glob("*.ttf")):
            QFontDatabase.addApplicationFont(str(path))
    font = QFont(system)
    font.setFamilies(list(dict.fromkeys([FAMILY, *system.families()])))
    return font


def fixed_family() -> str:
    """The system's font for code: addresses, keys, scopes."""
    return QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).family()
