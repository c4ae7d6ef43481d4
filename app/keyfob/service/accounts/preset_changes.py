"""Finds what a preset has now and an account does not have: it was signed in with an older preset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from keyfob.core.account import Account
from keyfob.core.hosts import is_listed
from keyfob.core.methods import METHOD_FACTS
from keyfob.core.preset_change import PresetChange
from keyfob.core.provider import Provider
from keyfob.protocol.token_placement import api_of


def changes(preset: Provider, account: Account, servers: Iterable[str]) -> tuple[PresetChange, ...]:
    """`preset` is the preset as it is now, filled in for this account. `servers`: the addresses in it that
    are not the account's. Scopes count only for a preset of the user's own: Keyfob's presets may ask for more
    with each version, and nobody has to allow that.
    """
    found = [PresetChange("server", urlsplit(url).netloc) for url in servers]
    found += [PresetChange("host", host) for host in _hosts(preset, account)]
    if METHOD_FACTS[account.method].server_from_preset:
        if preset.resource is not None and preset.resource != account.pin.resource:
            found.append(PresetChange("resource", preset.resource))
        if preset.origin == "user" and account.asked_scopes and not METHOD_FACTS[account.method].by_client:
            missing = (scope for scope in preset.scopes if scope not in account.asked_scopes)
            found += [PresetChange("scope", scope) for scope in missing]
    return tuple(dict.fromkeys(found))


def _hosts(preset: Provider, account: Account) -> Iterator[str]:
    """The API's hosts that are not the account's. Not for atproto, whose data server is the API."""
    if account.method == "atproto":
        return
    api, pin = api_of(preset, account.method), account.pin
    known = (urlsplit(pin.api_base or "").netloc, *pin.api_hosts)
    named = list(api.hosts)
    if api.base is not None and api.from_answer is None and account.method != "app_password":
        named.insert(0, urlsplit(api.base).netloc)
    for host in named:
        if host and host not in known and not is_listed(host, known):
            yield host
