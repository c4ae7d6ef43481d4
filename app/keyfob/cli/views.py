"""The accounts for `accounts` and `status`: those of this home, or of the agent that KEYFOB_SOCK names.

An agent of this home has the same accounts, so there is no need to ask it. A socket in KEYFOB_SOCK may come
from another machine (`ssh -R`), and its accounts are the ones that tools get here.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from keyfob.cli import remedies
from keyfob.cli.session import Session
from keyfob.client import running_agent
from keyfob.client.connection import AgentGoneError
from keyfob.core.account import AccountView
from keyfob.core.errors import Fault, KeyfobError, NotFound
from keyfob.core.text import plain
from keyfob.core.words import KEEPER_ROLE


def all_accounts(session: Session) -> list[AccountView]:
    """All accounts. Blocks. Raises a KeyfobError."""
    if os.environ.get("KEYFOB_SOCK"):
        try:
            return [view_of(row) for row in running_agent.accounts()]
        except AgentGoneError:
            pass
    return session.engine.accounts.views()


def kept_fresh(session: Session) -> bool:
    """Whether an agent or the app renews tokens before they expire. Otherwise they are renewed when a tool
    asks.
    """
    if os.environ.get("KEYFOB_SOCK"):
        with suppress(KeyfobError):
            if running_agent.standing() is not None:
                return True
    return session.engine.locks.held(KEEPER_ROLE)


def note_unread(session: Session) -> int:
    """A line on stderr for each account that is left out of the list, because this home cannot read it. How
    many.
    """
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
            return view_of(running_agent.account(ref))
        except AgentGoneError:
            pass
    return session.engine.accounts.view(ref)


def elsewhere(error: KeyfobError) -> KeyfobError:
    """The error, unless it is about an account that this home does not have and the agent that KEYFOB_SOCK
    names does: `accounts` lists that one.
    """
    if error.code != "account_not_found" or not os.environ.get("KEYFOB_SOCK"):
        return error
    try:
        found = running_agent.account(error.facts.get("account", ""))
    except (AgentGoneError, KeyfobError):
        return error
    return NotFound(f"{plain(str(found['id']), 160)} is kept on another machine", code="account_elsewhere")


def view_of(row: dict[str, Any]) -> AccountView:
    """An account that an agent sent. Raises Fault for an agent of a newer version."""
    try:
        return AccountView.from_json(row)
    except ValueError:
        raise Fault("The agent is newer than this keyfob", code="agent_too_new") from None
