"""The user's own GitHub account, which may ask GitHub's API far more often than nobody may."""

from __future__ import annotations

from keyfob.core.errors import KeyfobError
from keyfob.core.secret import Secret
from keyfob.service.accounts.accounts import Accounts

PROVIDER = "github"


def github_token(accounts: Accounts) -> Secret | None:
    """A token of the first account at github.com that has one; None if there is none now. Blocks: it may
    renew the token. Never raises: without it, the feed is asked as by anybody.
    """
    try:
        views = accounts.views()
    except KeyfobError:
        return None
    for view in views:
        if view.provider == PROVIDER and view.status in ("connected", "renewing"):
            try:
                return accounts.token(view.id).token
            except KeyfobError:
                continue
    return None
