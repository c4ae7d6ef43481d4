"""Finds the account for a tool that asks by address: for git, Docker,
and pip's keyring, which are separate programs.

Imports only the client, because these programs run at every fetch. It answers only for an account's own hosts
and the ones that the tool's table adds to them, over https or on this computer. It skips accounts whose terms
do not let other tools use the token. It says on stderr why there is no answer, and never prints a token
there.
"""

from __future__ import annotations

from collections.abc import Sequence

from keyfob.cli.helper_program import say
from keyfob.client import tokens
from keyfob.tools.hosts import Account, ask_for, at, lacking, table

# User names that tools and providers' documentation put next to a token, and that name no person.
_NOBODY = (
    "__token__",
    "git",
    "oauth2",
    "token",
    "x-access-token",
    "x-bitbucket-api-token-auth",
    "x-oauth-basic",
    "x-token-auth",
)


def choose(
    host: str, tool: str, *, account: str | None = None, username: str | None = None
) -> Account | None:
    """The one account to answer with. `account` (an id or a provider) and `username` (one of the account's
    names) narrow the choice: another user's token is never the answer. None, with a line on stderr, if no
    account or more than one fits. Raises `keyfob.KeyfobError`.
    """
    found = at(host, tool, tokens.accounts())
    if account:
        found = [row for row in found if account in (row["id"], row["provider"])]
    allowed = [row for row in found if row.get("shareable", True)]
    if found and not allowed:
        say(f"the terms of {found[0]['provider']} do not let other tools use the token of {found[0]['id']}")
    if allowed and username and not _is_nobody(username, tool, allowed):
        ids = ", ".join(row["id"] for row in allowed)
        allowed = _named(username, allowed)
        if not allowed:
            say(
                f"{host} has no account called {username[:80]}. It has {ids}. "
                "Use its label as the username, or leave out the username"
            )
            return None
    if len(allowed) > 1:
        # One that works is meant rather than one that was signed out.
        live = [row for row in allowed if row["status"] not in ("needs_sign_in", "disconnected")]
        allowed = live if len(live) == 1 else allowed
    if len(allowed) > 1:
        ids = ", ".join(row["id"] for row in allowed)
        say(f"{host} has {len(allowed)} accounts: {ids}. {_how_to_tell(allowed)}")
        return None
    if not allowed:
        return None
    _say_what_is_lacking(allowed[0], tool)
    return allowed[0]


def _how_to_tell(accounts: Sequence[Account]) -> str:
    """How a username names one of them: by its label, or by its id if two have the same label."""
    if len({row["label"] for row in accounts}) == len(accounts):
        return "Use the label of one as the username"
    example = accounts[0]["id"].replace("/", "%2F")
    return f"Use the id of one as the username. In an address, write %2F for the slash: {example}"


def _say_what_is_lacking(account: Account, tool: str) -> None:
    """The token is handed out all the same: the server decides what it may do."""
    access = lacking(account, tool)
    if access is not None:
        say(
            f"{account['id']} does not have the access that {tool} needs ({access}). To ask for it, run: "
            f"{ask_for(account, access)}"
        )


def _is_nobody(username: str, tool: str, accounts: Sequence[Account]) -> bool:
    known = table(tool)
    return username.lower() in _NOBODY or username in {
        known.get(row["provider"], {}).get("username") for row in accounts
    }


def _named(username: str, accounts: Sequence[Account]) -> list[Account]:
    """Those with this label, else those that the provider knows by this name."""
    wanted = username.lower()
    labelled = [row for row in accounts if wanted in (row["label"], row["id"])]
    names = ("subject", "name", "email")
    return labelled or [row for row in accounts if wanted in [str(row.get(each)).lower() for each in names]]
