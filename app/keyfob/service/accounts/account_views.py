"""Turns an account's record into what faces see of it: the one place where its status is derived from what is
stored, the clock, the account's lock and the keychain.
"""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from keyfob.core.access import granted, missing, refused
from keyfob.core.account import (
    NO_COLOR,
    Account,
    AccountView,
    Disconnected,
    NeedsSignIn,
    Record,
    shown_status,
    status_word,
)
from keyfob.core.error_codes import Advice
from keyfob.core.errors import KeyfobError
from keyfob.core.hosts import is_suffix
from keyfob.core.methods import holds_key
from keyfob.core.preset_change import PresetChange
from keyfob.core.provider import Provider
from keyfob.core.words import ShownStatus
from keyfob.ports import Clock, Locks
from keyfob.protocol.token_placement import api_of
from keyfob.service.accounts.grant_store import lock_name
from keyfob.service.accounts.preset_changes import changes
from keyfob.service.accounts.schedule import Schedule
from keyfob.service.accounts.tool_tokens import shareable
from keyfob.service.contexts import ContextBuilder, moved
from keyfob.service.events import EventBus

# How long before and after the time that a preset names a sign-in's end still fits it.
EARLIEST, LATEST = -timedelta(hours=12), timedelta(days=1)


class AccountViews:
    """Thread-safe. Reads presets, locks and the store, and changes nothing."""

    def __init__(
        self, contexts: ContextBuilder, locks: Locks, schedule: Schedule, events: EventBus, now: Clock
    ) -> None:
        self._contexts = contexts
        self._locks = locks
        self._schedule = schedule
        self._events = events
        self._now = now

    def shown(self, record: Record) -> ShownStatus:
        """The status that every face shows."""
        return shown_status(
            status_word(record.status),
            expires_at=record.expires_at,
            renewable=record.renewable,
            now=self._now(),
            keychain_ok=self._events.keychain_code is None and not self._is_kept_waiting(record),
            renewing=self._locks.held(lock_name(record.account.key)),
        )

    def _is_kept_waiting(self, record: Record) -> bool:
        """Whether a renewal is due, here or in another process, and the keychain refused it. One that a user
        asked for before its time changes nothing about a token that lives.
        """
        if record.last_error is None or record.last_error.advice is not Advice.UNLOCK_KEYCHAIN:
            return False
        now = self._now()
        wanted = self._schedule.wanted(record, now)
        return wanted is not None and wanted <= now

    def view(self, record: Record) -> AccountView:
        """The account as faces see it. A preset that is gone leaves the account without its title
        and color.
        """
        account = record.account
        provider: Provider | None
        try:
            provider = self._contexts.provider(record)
        except KeyfobError:
            provider = None
        known = provider if record.scopes and not holds_key(account.method) else None
        return AccountView(
            id=account.id,
            key=account.key,
            provider=account.provider,
            provider_title=provider.title if provider else account.provider,
            label=account.label,
            method=account.method,
            status=self.shown(record),
            subject=account.subject,
            name=account.name,
            email=account.email,
            plan=account.plan,
            avatar_url=account.avatar_url,
            scopes=record.scopes,
            obtained_at=record.obtained_at,
            expires_at=record.expires_at,
            renews_at=record.retry_at
            if record.failures and record.retry_at
            else self._schedule.planned(record),
            renewable=record.renewable,
            connected_at=record.connected_at,
            last_renewed_at=record.last_renewed_at,
            grant_ends_at=record.grant_ends_at,
            last_error=record.last_error,
            key_tail=record.key_tail,
            color=provider.color if provider else NO_COLOR,
            shareable=shareable(provider, record) if provider else True,
            narrower_scopes=missing(known, account.asked_scopes, record.scopes) if known else (),
            access=granted(known, record.scopes) if known else None,
            refused_access=refused(known, account.asked_scopes, record.scopes) if known else (),
            base_scopes=tuple(each for each in record.scopes if known and each in known.scopes),
            more_access=known is not None and len(granted(known, record.scopes)) < len(known.access),
            issuer=account.pin.server.issuer,
            unencrypted=account.pin.plain_host is not None,
            hosts=hosts_of(provider, account) if provider else (),
            ended_hint=ended_hint(provider, record) if provider else "",
            preset_changes=self._changes(record) if provider else (),
        )

    def _changes(self, record: Record) -> tuple[PresetChange, ...]:
        if isinstance(record.status, Disconnected | NeedsSignIn):
            return ()  # the next sign-in uses the preset as it is
        now = self._contexts.current_preset(record)
        return changes(now, record.account, (new for new, _ in moved(now, record)))


def ended_hint(provider: Provider, record: Record) -> str:
    """The preset's reason for an early end, if the provider ended the sign-in about when the preset says:
    up to half a day before, and up to a day after, since Keyfob notices it at the next renewal. Else empty.
    """
    after, since = provider.lifetimes.ended_after, record.connected_at
    if not isinstance(record.status, NeedsSignIn) or after is None or since is None:
        return ""
    note = record.status.error
    if note.code != "grant_ended":
        return ""
    late = note.at - since - timedelta(seconds=after)
    return (provider.lifetimes.ended_hint or "") if EARLIEST <= late <= LATEST else ""


def hosts_of(provider: Provider, account: Account) -> tuple[str, ...]:
    """The hosts (with their port, if it is not the scheme's) that this account was signed in at and whose API
    it calls, as pinned. Tools that ask by address are answered for these and no others.
    An entry for all hosts below a name is left out: tools keep and compare whole hosts.
    """
    server, api = account.pin.server, api_of(provider, account.method)
    named = [api.base, provider.api.base]
    if account.pin.resource is None or not api.base:  # else the token is for that API alone (RFC 8707)
        named += [server.issuer, server.endpoints.authorization_endpoint]
    hosts = [urlsplit(url).netloc.lower() for url in named if url]
    named_hosts = (*hosts, *api.hosts, *provider.api.hosts)
    return tuple(dict.fromkeys(host for host in named_hosts if host and not is_suffix(host)))
