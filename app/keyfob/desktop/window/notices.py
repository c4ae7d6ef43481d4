"""Banners that concern no single account or that the user can put off,
and who has begun to need the user. No Qt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from keyfob.core.account import AccountView
from keyfob.core.errors import KeyfobError
from keyfob.desktop.shared import remedies
from keyfob.desktop.window.banners import banner_id
from keyfob.desktop.window.models import Banner
from keyfob.desktop.window.names import listed, name_of
from keyfob.desktop.window.status_text import why_it_ended


def unread_banner(unread: Sequence[KeyfobError]) -> Banner | None:
    """Accounts that are left out of the list, because they cannot be read here."""
    if not unread:
        return None
    count = len(unread)
    title = "An account cannot be shown" if count == 1 else f"{count} accounts cannot be shown"
    damaged = any(each.code == "store_damaged" for each in unread)
    again, action = ("Restore accounts…", "restore_accounts") if damaged else ("", "")
    return Banner("bad", title, remedies.sentence(unread[0]), again, action, "", None)


def unfinished_banner(providers: Sequence[tuple[str, str]]) -> Banner:
    """Sign-ins at these (id, title) were in progress when Keyfob ended: offers to start the last again."""
    title = "A sign-in was not finished" if len(providers) == 1 else "Some sign-ins were not finished"
    where = ", ".join(name for _, name in providers)
    text = f"Keyfob was closed while you were signing in at {where}. Start again to finish."
    again = providers[-1][0]
    return Banner("info", title, text, "Start again", "start_again", again, "Dismiss")


@dataclass
class Notices:
    """What to show above the accounts, besides what follows from the accounts themselves."""

    unread: Banner | None = None
    unfinished: Banner | None = None
    hidden: frozenset[str] = field(default_factory=frozenset)  # ids of account banners that were put off

    def banners(self, *, forgetful: Banner | None) -> tuple[Banner, ...]:
        """In the order of their weight."""
        found = (self.unread, forgetful, self.unfinished)
        return tuple(banner for banner in found if banner is not None)

    def put_off(self, action: str, key: str, views: Iterable[AccountView]) -> None:
        """This banner stays away until something changes."""
        if action == "start_again":
            self.unfinished = None
        self.hidden |= {banner_id(view) for view in views if view.key == key or action == "show"}


@dataclass(frozen=True, slots=True)
class Need:
    """The accounts that need the user, as one notification says it. Without `keys`: none does."""

    keys: tuple[str, ...] = ()
    title: str = ""
    text: str = ""
    button: str = ""
    fresh: bool = False  # an account is among them that was not before


class Attention:
    """Follows which accounts need the user. What is found at first is not news."""

    def __init__(self) -> None:
        self._needy: set[str] | None = None

    def news(self, views: Iterable[AccountView], now: datetime) -> Need | None:
        """Who needs the user, if that has changed since the last call; None on the first."""
        needy = [view for view in views if view.status == "needs_sign_in"]
        keys = {view.key for view in needy}
        before, self._needy = self._needy, keys
        if before is None or before == keys:
            return None
        fresh = bool(keys - before)
        if not needy:
            return Need()
        if len(needy) == 1:
            only = needy[0]
            return Need((only.key,), f"{name_of(only)} needs you", why_it_ended(only, now), "Sign in", fresh)
        names = listed([name_of(view) for view in needy], 6)
        ordered = tuple(view.key for view in needy)
        return Need(ordered, f"{len(needy)} accounts need you", names, "Open Keyfob", fresh)
