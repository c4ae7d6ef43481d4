"""Hosts at which tools use an account's token besides its API: git's, and package registries'. Pure.

They are the hosts for which Keyfob's helpers of git, pip and npm give the token too: the account's own, and
those that the tables of these tools add.
"""

from __future__ import annotations

import base64

from keyfob.core.errors import SettingWrong
from keyfob.core.secret import Secret
from keyfob.service.accounts.signer import Place
from keyfob.tools import hosts


def url_at(place: Place, host: str, path: str) -> str:
    """The whole address. Raises SettingWrong `host_not_allowed` for a host that the token may not go to."""
    if host not in _allowed(place):
        raise SettingWrong(
            f"{host} is not a host of {place.provider}/{place.label}",
            code="host_not_allowed",
            facts={"hosts": ", ".join(place.hosts)},
        )
    return f"{origin(host)}{path or '/'}"


def origin(host: str) -> str:
    """https, or plain http to this computer."""
    return f"{'http' if hosts.is_safe('http', host) else 'https'}://{host}"


def authorization(place: Place, token: Secret, *, basic: bool) -> str:
    """The header's value, in the caller's own form: git and pip send a username and a password, npm does not.
    Holds the token.
    """
    if not basic:
        return f"Bearer {token.reveal()}"
    entry = hosts.entry(place.provider, "git") or {}
    usual = (place.method == "api_key" and entry.get("key_username")) or entry.get("username")
    pair = f"{usual or place.label}:{token.reveal()}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _allowed(place: Place) -> set[str]:
    found = set(place.hosts)
    found.update(hosts.further(hosts.entry(place.provider, "git") or {}, place.hosts))
    registry = str((hosts.entry(place.provider, "npm") or {}).get("registry", ""))
    if registry and "{host}" not in registry:
        found.add(hosts.split(registry)[1])
    return found
