"""The hosts that a tool asks for: which of them belong to an account, by the tool's table and by the
account's own hosts.

The programs that git, Docker and pip run at every fetch come through here, so it imports little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

Account = Mapping[str, Any]  # as `keyfob accounts --json` shows it


def table(tool: str) -> dict[str, Any]:
    """`resources/tools/<tool>.toml`: provider → what this tool needs to know of it. Empty if there is no such
    file.
    """
    import tomllib

    from keyfob.core.resources import resources

    try:
        return tomllib.loads((resources() / "tools" / f"{tool}.toml").read_text("utf-8"))
    except FileNotFoundError:
        return {}


def entry(provider: str, tool: str) -> dict[str, Any] | None:
    """What the table says of this provider; None if it says nothing."""
    found = table(tool).get(provider)
    return dict(found) if isinstance(found, Mapping) else None


def lacking(account: Account, tool: str) -> str | None:
    """The access that this tool needs and the account does not have, as `--access` names it. None if it has
    it, if the tool needs none at this provider, or if what was granted is not known.
    """
    found = entry(account["provider"], tool) or {}
    needed, held = found.get("access", ()), account.get("access")
    if not needed or held is None or {each["id"] for each in held} & set(needed):
        return None
    return str(needed[0])


def ask_for(account: Account, access: str) -> str:
    """The command that asks for more access."""
    return f"keyfob reconnect {account['id']} --access {access}"


def is_safe(scheme: str, host: str) -> bool:
    """https, or plain http to this computer."""
    if scheme != "http":
        return scheme == "https"
    from keyfob.core.hosts import is_loopback

    return is_loopback(host_name(host))


def host_name(host: str) -> str:
    """Without the port."""
    head, colon, port = host.rpartition(":")
    return head if colon and port.isdecimal() else host


def split(address: str) -> tuple[str, str, str | None]:
    """The scheme, the host with its port in lower case, and the username of an address; empty for what is not
    an address.
    """
    try:
        parts = urlsplit(address)
        username = unquote(parts.username) if parts.username else None
    except ValueError:  # `https://[`
        return "", "", None
    return parts.scheme, parts.netloc.rpartition("@")[2].lower(), username


def at(host: str, tool: str, accounts: Sequence[Account]) -> list[Account]:
    """The accounts that belong to `host` (with its port, if it is not the scheme's) for this tool."""
    wanted, known = host.lower(), table(tool)
    found = []
    for account in accounts:
        entry = known.get(account["provider"], {})
        if wanted in (*account.get("hosts", ()), *further(entry, account.get("hosts", ()))):
            found.append(account)
    return found


def further(entry: Mapping[str, Any], hosts: Sequence[str]) -> Sequence[str]:
    """The hosts that the table adds to an account's own. One of another server than the table means gets
    none: its token would go to a stranger.
    """
    return entry.get("hosts", ()) if entry.get("at") in (None, *hosts) else ()
