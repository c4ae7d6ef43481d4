"""The accounts for `accounts` and `status`: those of this home, or of the agent that KEYFOB_SOCK names.

An agent of this home has the same accounts, so there is no need to ask it. A socket in KEYFOB_SOCK may come from another
machine (`ssh -R`), and its accounts are the ones that tools get here.
"""

from __future__ import annotations

import os
from typing import Any

from keyfob import client
from keyfob.cli import remedies
from keyfob.cli.session import Session
from keyfob.core.account import AccountView, ErrorNote
from keyfob.core.errors import Fault
from keyfob.core.methods import METHODS
from keyfob.core.times import from_rfc3339
from keyfob.core.words import SHOWN_STATUSES, known


def all_accounts(session: Session) -> list[AccountView]:
    """All accounts. Blocks. Raises a KeyfobError."""
    if os.environ.get("KEYFOB_SOCK"):
        try:
            return [view_of(row) for row in client.accounts_from_agent()]
        except client.AgentGone:
            pass
    return session.engine.accounts.views()


def note_unread(session: Session) -> int:
    """A line on stderr for each account that is left out of the list, because this home cannot read it. How many."""
    if os.environ.get("KEYFOB_SOCK"):
        return 0  # the list may be another machine's
    faults = session.engine.accounts.unread()
    for fault in faults:
        session.note(f"keyfob: {remedies.sentence(fault)}")
    return len(faults)


def one_account(session: Session, ref: str) -> AccountView:
    """One account. Raises NotFound, Usage `account_ambiguous`."""
    if os.environ.get("KEYFOB_SOCK"):
        try:
            return view_of(client.account_from_agent(ref))
        except client.AgentGone:
            pass
    return session.engine.accounts.view(ref)


def view_of(row: dict[str, Any]) -> AccountView:
    """The inverse of `AccountView.to_json`, as far as that tells. Raises Fault for an agent of a newer version."""
    method, status = known(METHODS, row["method"]), known(SHOWN_STATUSES, row["status"])
    if method is None or status is None:
        raise Fault("The agent is newer than this keyfob", remedy="Update Keyfob on this computer.")
    error = row.get("last_error")
    at = from_rfc3339(error["at"]) if error else None
    return AccountView(
        id=row["id"],
        key=row["id"],
        provider=row["provider"],
        provider_title=row["provider"],
        label=row["label"],
        method=method,
        status=status,
        subject=row["subject"],
        name=row["name"],
        email=row.get("email"),
        plan=row["plan"],
        avatar_url=None,
        scopes=tuple(row["scopes"]),
        obtained_at=None,
        expires_at=from_rfc3339(row["expires_at"]),
        renews_at=from_rfc3339(row["renews_at"]),
        renewable=row["renewable"],
        connected_at=from_rfc3339(row["connected_at"]),
        last_renewed_at=from_rfc3339(row["last_renewed_at"]),
        grant_ends_at=from_rfc3339(row["grant_ends_at"]),
        last_error=ErrorNote(error["code"], error["message"], error["advice"], at, error.get("detail", ""))
        if error and at
        else None,
        key_tail=None,
        color="#5c5c63",
        shareable=row.get("shareable", True),
    )
