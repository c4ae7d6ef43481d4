"""Adding a mod by its address or number."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from keyfob.desktop.shared.confirm import Ask
from keyfob.desktop.shared.theme import Theme

LONGEST = 400  # characters of an address


def add_dialog(theme: Theme, game: str, parent: QWidget) -> Ask:
    """A dialog that asks for the mod. `game`: the name of the game that a number belongs to; empty: only an
    address will do.
    """
    text = (
        "Paste the address of its page at Nexus Mods, such as https://www.nexusmods.com/eldenring/mods/123."
    )
    if game:
        text += f" The number alone is enough for {game}."
    dialog = Ask(theme, "Add a mod", text, "", "Add", parent)
    dialog.field.setMaxLength(LONGEST)
    dialog.field.setAccessibleName("Address or number")
    dialog.action.setEnabled(False)
    return dialog
