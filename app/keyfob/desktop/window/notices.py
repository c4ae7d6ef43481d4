"""Banners that concern no single account or that the user can put off,
and who has begun to need the user. No Qt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from keyfob.core.account import AccountView
from keyfob.core.errors import KeyfobError
from keyfob.desktop.shared import remedies
from keyfob.desktop.window.banners import banner_id
from keyfob.desktop.window.models import Banner

WELCOME = Banner(
    "info",
    "Welcome to Keyfob",
    "Connect an account once, and every tool on this computer can use it. Your secrets stay in your "
    "keychain.",
    None,
    "welcome",
    "",
    "Not now",
)


def unread_banner(unread: Sequence[KeyfobError]) -> Banner | None:
    """Accounts that are left out of the list, because they cannot be read here."""
    if not unread:
        return None
    count = len(unread)
    title = "An account cannot be shown" if count == 1 else f"{count} accounts cannot be shown"
    return Banner("bad", title, remedies.sentence(unread[0]), "", "", "", None)


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
    welcome: bool = False
    hidden: frozenset[str] = field(default_factory=frozenset)  # ids of account banners that were put off

    def banners(self, *, have_accounts: bool, forgetful: Banner | None) -> tuple[Banner, ...]:
        """In the order of their weight."""
        welcome = WELCOME if self.welcome and not have_accounts else None
        found = (self.unread, forgetful, self.unfinished, welcome)
        return tuple(banner for banner in found if banner is not None)

    def put_off(self, action: str, key: str, views: Iterable[AccountView]) -> None:
        """This banner stays away until something changes."""
        if action == "welcome":
            self.welcome = False
        if action == "start_again":
            self.unfinished = None
        self.hidden |= {banner_id(view) for view in views if view.key == key or action == "show"}


class Attention:
    """Finds the accounts that have begun to need their person. What is found at first is not news."""

    def __init__(self) -> None:
        self._needy: set[str] | None = None

    def news(self, views: Iterable[AccountView]) -> list[AccountView]:
        """The accounts that have begun to need a sign-in since the last call; none on the first."""
        needy = {view.key: view for view in views if view.status == "needs_sign_in"}
        before, self._needy = self._needy, set(needy)
        return [] if before is None else [view for key, view in needy.items() if key not in before]
