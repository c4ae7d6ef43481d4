"""What the window calls an account, and the face it shows for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from keyfob.core.account import AccountView
from keyfob.core.provider import EMPTY
from keyfob.desktop.shared.avatar import Face, avatar_color, first_letter


def name_of(view: AccountView) -> str:
    """What the window calls an account: the user's name there, the key's end, or the label."""
    if view.holds_key and view.key_tail and not (view.name or view.email):
        return f"key …{view.key_tail}"
    return view.name or view.label


def listed(names: Sequence[str], most: int = 3) -> str:
    """`Ada, Bo and 4 more` if there are more than `most`."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"


def shorter(name: str, most: int = 28) -> str:
    """The name for a button or a menu, cut with "…" if it has more than `most` characters."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def face_of(view: AccountView, pictures: Mapping[str, str] = EMPTY) -> Face:
    """`pictures`: files of avatars by account key."""
    return Face(
        first_letter(name_of(view)),
        # The same person keeps the colour, also after the account was removed and connected again.
        avatar_color(f"{view.provider}/{view.subject or view.key}"),
        first_letter(view.provider_title),
        view.color,
        pictures.get(view.key, ""),
    )
