"""The doctor's checks of the network and of the providers that have an account: who answers, and which
account is signed out. They send no token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from keyfob.core.account import AccountView, Record
from keyfob.core.error_codes import ErrorCode
from keyfob.core.errors import KeyfobError
from keyfob.core.facts import Facts
from keyfob.core.finding import Finding
from keyfob.core.hosts import is_loopback
from keyfob.core.http import Request
from keyfob.core.preset_change import command_for
from keyfob.ports import Transport
from keyfob.service.doctor import Step

OFFLINE: frozenset[ErrorCode] = frozenset({"network_unreachable", "network_timeout", "captive_portal"})
ASKED_MOST = 3  # providers that are asked before this computer counts as offline
BROKEN = 500  # from this HTTP status on, a provider has a problem of its own
NAMED_MOST = 3  # accounts that a sentence names


@dataclass
class _Site:
    """One provider at one address, with its accounts."""

    provider: str
    title: str
    address: str
    plain_host: str | None = None
    views: list[AccountView] = field(default_factory=list)


class ProviderChecks:
    """Plans the checks. Thread-safe; the checks of one plan know of each other, so run them in order."""

    def __init__(
        self,
        records: Callable[[], Sequence[Record]],
        views: Callable[[], Sequence[AccountView]],
        ours: Callable[[str], bool],
        transport: Transport,
    ) -> None:
        """`ours`: whether the preset with this id comes with Keyfob."""
        self._records, self._views, self._ours = records, views, ours
        self._transport = transport

    def steps(self) -> Sequence[Step]:
        """Raises KeyfobError if the accounts cannot be read."""
        sites = self._sites()
        plan = _Plan(self._transport, sites)
        titles = [site.title for site in sites]
        return [
            Step("network", plan.network),
            *(
                Step(
                    "provider",
                    partial(plan.provider, site),
                    site.title if titles.count(site.title) == 1 else f"{site.title} ({_host(site.address)})",
                    site.provider if self._ours(site.provider) else "",
                )
                for site in sites
            ),
        ]

    def _sites(self) -> list[_Site]:
        views = {view.key: view for view in self._views()}
        sites: dict[tuple[str, str], _Site] = {}
        for record in self._records():
            view, address = views.get(record.account.key), record.account.pin.address
            if view is None or address is None:
                continue
            site = sites.setdefault(
                (view.provider, address),
                _Site(view.provider, view.provider_title, address, record.account.pin.plain_host),
            )
            site.views.append(view)
        return sorted(sites.values(), key=lambda site: site.title.lower())


class _Plan:
    """One run: whether this computer is online, once it is known."""

    def __init__(self, transport: Transport, sites: Sequence[_Site]) -> None:
        self._transport, self._sites = transport, sites
        self._offline = False

    def network(self) -> Finding:
        """Whether any provider can be reached."""
        outside = [site for site in self._sites if not is_loopback(urlsplit(site.address).hostname)]
        if not outside:
            local = "Not checked, because all of your providers are on this computer"
            text = local if self._sites else "Checked after you connect an account"
            return Finding("network", True, text, "note")
        last: KeyfobError | None = None
        for site in outside[:ASKED_MOST]:
            try:
                self._answer(site)
            except KeyfobError as error:
                if error.code in OFFLINE:
                    last = error
                    continue
            return Finding("network", True, "Online")
        assert last is not None
        self._offline = True
        asked = min(len(outside), ASKED_MOST)
        text = last.message if asked == 1 else f"{asked} of your providers cannot be reached"
        return Finding("network", False, text, "fail", last.code, last.facts)

    def provider(self, site: _Site) -> Finding:
        """Whether it answers, and whether its accounts are signed in."""
        if self._offline and not is_loopback(urlsplit(site.address).hostname):
            return Finding("provider", True, "Not checked, because this computer is offline", "skip")
        status = self._answer(site)
        if status >= BROKEN:
            text = f"Answers with error {status}"
            return Finding("provider", True, text, "warn", "provider_unavailable", public=f"status {status}")
        return _standing(site.views)

    def _answer(self, site: _Site) -> int:
        request = Request("GET", f"{site.address}/", "discovery", plain_host=site.plain_host)
        return self._transport.send(request).status


def _standing(views: Sequence[AccountView]) -> Finding:
    for status, one, several in (
        ("needs_sign_in", "is signed out", "are signed out"),
        ("stale", "waits for a new token", "wait for new tokens"),
    ):
        found = [view for view in views if view.status == status]
        if found:
            code = found[0].last_error.code if found[0].last_error else "grant_ended"
            text = f"Answers, but {_names(found)} {one if len(found) == 1 else several}"
            key = found[0].key if status == "needs_sign_in" else None
            return Finding("provider", True, text, "warn", code, {"account": found[0].id}, account=key)
    older = [view for view in views if view.preset_changes and view.status != "disconnected"]
    if older:
        text = f"Answers, but the preset has changed since {_names(older)} signed in"
        facts: Facts = {"account": older[0].id, "command": command_for(older[0].id, older[0].preset_changes)}
        return Finding("provider", True, text, "warn", "preset_newer", facts)
    off = [view for view in views if view.status == "disconnected"]
    on = [view for view in views if view.status != "disconnected"]
    parts = ["Answers"]
    if on:
        parts.append(f"{_names(on)} {'is' if len(on) == 1 else 'are'} signed in")
    if off:
        parts.append(f"{_names(off)} {'is' if len(off) == 1 else 'are'} disconnected")
    return Finding("provider", True, ". ".join(parts))


def _names(views: Sequence[AccountView]) -> str:
    names = [view.label for view in views[:NAMED_MOST]]
    if len(views) > NAMED_MOST:
        names.append(f"{len(views) - NAMED_MOST} more")
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _host(address: str) -> str:
    return urlsplit(address).netloc
