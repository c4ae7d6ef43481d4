"""The account that a sign-in makes or renews: who it is, what it is
pinned to, and when its grant ends. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from keyfob.core.account import Account, Pin
from keyfob.core.grant import Grant
from keyfob.core.methods import Method, holds_key
from keyfob.core.provider import Provider, Server
from keyfob.core.text import label_from
from keyfob.protocol.context import FlowContext
from keyfob.protocol.identity import UNIDENTIFIED
from keyfob.service.contexts import identity_urls
from keyfob.service.sign_in.prepared import PreparedSignIn, SignInOutcome


def account_of(
    ready: PreparedSignIn, outcome: SignInOutcome, key: str, created_at: datetime | None
) -> Account:
    """The account, with the label that it would like to have."""
    return account_from(ready.method, outcome, key, ready.attempt.request.label, created_at)


def account_from(
    method: Method, outcome: SignInOutcome, key: str, label: str | None, created_at: datetime | None
) -> Account:
    """The same without an attempt. `label`: the one that was asked for."""
    identity = outcome.result.identity
    wanted = (
        label or identity.username or identity.email or identity.name or _subject(identity.subject, method)
    )
    return Account(
        key=key,
        provider=outcome.context.provider.id,
        label=label_from(wanted),
        method=method,
        subject=identity.subject,
        pin=pin_of(outcome.context, method, outcome),
        name=identity.name or identity.username,
        email=identity.email,
        avatar_url=identity.avatar_url,
        plan=identity.plan,
        asked_scopes=outcome.context.scopes,
        created_at=created_at,
    )


def pin_of(context: FlowContext, method: Method, outcome: SignInOutcome | None = None) -> Pin:
    """What a sign-in in this context pins. `outcome`: once it is known."""
    provider = context.provider
    issued, base, hosts, registration = None, None, None, None
    if outcome is not None:
        issued, registration = outcome.result.issued_client_id, outcome.registration_uri
        base, hosts = outcome.api_base, outcome.api_hosts
    return Pin(
        server=_with_revocation(context, provider),
        client_id=issued or context.client.client_id,
        client_auth=context.client.auth,
        redirect_uri=context.redirect_uri,
        resource=context.resource,
        registration_uri=registration,
        inputs=context.inputs,
        api_base=base or provider.api.base,
        api_hosts=_hosts(provider, method, hosts),
        dpop=context.dpop_key is not None,
        plain_host=provider.plain_host,
    )


def _subject(subject: str, method: Method) -> str:
    """A word to type, for a provider that does not say who signed in."""
    if subject.startswith(UNIDENTIFIED):
        return "key" if holds_key(method) else "account"
    return subject


def grant_ends(provider: Provider, outcome: SignInOutcome, now: datetime) -> datetime | None:
    """The day the grant ends whatever is renewed, if the provider is known to have one."""
    seconds = outcome.result.extra.get("grant_ends_in")
    if seconds is not None:
        return now + timedelta(seconds=float(seconds))
    lifetimes = provider.lifetimes
    if outcome.result.grant.by_client:
        return None
    if lifetimes.grant is not None:
        return now + timedelta(seconds=lifetimes.grant)
    renewable = outcome.result.grant.refresh is not None
    if lifetimes.refresh is not None and lifetimes.rotates is False and renewable:
        return now + timedelta(seconds=lifetimes.refresh)
    return None


def same_account(account: Account, ready: PreparedSignIn, outcome: SignInOutcome) -> bool:
    """Whether this is the account of the same subject at the same server by the same method."""
    return (
        account.provider == ready.provider.id
        and account.method == ready.method
        and account.subject == outcome.result.identity.subject
        and account.pin.server.issuer == outcome.context.server.issuer
        and server_inputs(account.pin.inputs) == server_inputs(ready.inputs)
    )


def same_subject(known: str, found: str) -> bool:
    """Whether the browser signed in whom the account belongs to. A
    provider that names no user cannot be wrong.
    """
    return not known or known == found or any(name.startswith(UNIDENTIFIED) for name in (known, found))


def same_grant(old: Grant, new: Grant) -> bool:
    """Whether a sign-in brought the tokens that were there before, as some providers' do."""
    return old.refresh == new.refresh and (new.refresh is not None or old.access == new.access)


def server_inputs(inputs: Mapping[str, str]) -> dict[str, str]:
    """The inputs that say at which server, without those that say who."""
    return {name: value for name, value in inputs.items() if name not in ("handle", "login", "username")}


def labels(base: str, asked: str | None) -> list[str]:
    """The label itself, then `-2`, `-3`, … on a clash; only itself if the user asked for it."""
    return [base] if asked else [base, *(f"{base[:60]}-{n}" for n in range(2, 1000))]


def _with_revocation(context: FlowContext, provider: Provider) -> Server:
    """With the preset's own address for revocations of this client, so that no later preset sends this
    account's tokens elsewhere.
    """
    server, client = context.server, context.client
    url = provider.revocation.request_of(secret=client.secret is not None or client.key is not None).url
    return replace(server, endpoints=replace(server.endpoints, revocation_endpoint=url)) if url else server


def _hosts(provider: Provider, method: Method, named: tuple[str, ...] | None) -> tuple[str, ...]:
    """The hosts besides the API's that this account's tokens may go to:
    the preset's, and those of its who-am-I.
    """
    hosts = list(provider.api.hosts if named is None else named)
    for url in identity_urls(provider, method):
        host = urlsplit(url).netloc
        if host not in hosts:
            hosts.append(host)
    return tuple(hosts)
