"""Adds an account's credentials to a request to its provider, and to no other.

Called by the agent's `sign`, by `keyfob request` and `keyfob sign`. It checks the address before it reads a
token: the address must be https (plain http only on this machine), contain no username, and have the origin
of the provider's API or of an address that the preset sends this token to anyway. Private keys stay here. The
result is the request's headers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from keyfob.core.account import Record
from keyfob.core.errors import KeyfobError, SettingWrong, Usage
from keyfob.core.grant import Grant
from keyfob.core.hosts import is_listed, is_suffix
from keyfob.core.http import Request
from keyfob.core.methods import Method
from keyfob.core.provider import Api, Provider
from keyfob.core.secret import Secret
from keyfob.core.times import to_rfc3339
from keyfob.core.words import Channel
from keyfob.protocol import dpop
from keyfob.protocol.env import FlowEnv
from keyfob.protocol.http.urls import fault_of, origin_of
from keyfob.protocol.token_placement import api_of, place_token, token_values
from keyfob.service.accounts.account_views import hosts_of
from keyfob.service.accounts.accounts import Accounts
from keyfob.service.accounts.keeper import Keeper
from keyfob.service.accounts.tool_tokens import refuse_sharing, shareable
from keyfob.service.contexts import ContextBuilder

# Hop by hop (RFC 9110 §7.6.1), or ours to say: a caller who set these
# could smuggle a second request or other credentials.
FORBIDDEN = frozenset(
    {
        "authorization", "connection", "content-length", "dpop", "host", "keep-alive", "proxy-authenticate",
        "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SignRequest:
    """What is to be signed. `nonce` is what the API answered last (RFC
    9449 §8), `rejected` a token that it refused.
    """

    method: str
    url: str
    nonce: str | None = None
    rejected: Secret | None = None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> SignRequest:
        """From a client's JSON. Raises Usage."""
        method, url = body.get("method"), body.get("url")
        nonce, rejected = body.get("nonce"), body.get("rejected")
        if not (isinstance(method, str) and isinstance(url, str) and method.isalpha()):
            raise Usage("method and url are missing")
        if not isinstance(nonce, str | None) or not isinstance(rejected, str | None):
            raise Usage("nonce and rejected must be strings")
        return cls(method.upper(), url, nonce or None, Secret(rejected) if rejected else None)


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request's address and headers with the credentials in place: the caller's to send there and nowhere
    else.
    """

    account: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    token: Secret
    expires_at: datetime | None = None
    absent: tuple[str, ...] = ()  # headers that this API may have, and this token has no value for

    def to_json(self) -> dict[str, Any]:
        """For the program that asked. Holds the token, as `Token.to_json` does."""
        return {
            "account": self.account,
            "url": self.url,
            "headers": dict(self.headers),
            "token": self.token.reveal(),
            "expires_at": to_rfc3339(self.expires_at),
        }


@dataclass(frozen=True, slots=True)
class Place:
    """An account, and the hosts that it was signed in at and whose API it calls."""

    provider: str
    label: str
    method: Method
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an account's credentials go."""

    account: str  # provider/label
    base: str  # the API's address, without a slash at its end
    secret: tuple[str, ...]  # headers that hold the token or key
    plain: tuple[str, ...]  # headers that are the same for everybody
    optional: tuple[str, ...]  # headers that a token may have no value for
    changes_query: bool


@dataclass(frozen=True, slots=True)
class LlmApi:
    """The formats of LLM requests that an account's API speaks, each with the address that its paths begin
    with. `base` is the API's own address. `key_header`: the header that carries the key, if it is not
    `Authorization`; the formats of OpenAI have it as Bearer all the same.
    """

    account: str
    base: str
    formats: Mapping[str, str]
    channel: Channel | None
    key_header: str | None
    shareable: bool


class Signer:
    """Blocking and thread-safe."""

    def __init__(self, accounts: Accounts, keeper: Keeper, contexts: ContextBuilder, env: FlowEnv) -> None:
        self._accounts = accounts
        self._keeper = keeper
        self._contexts = contexts
        self._env = env

    def check(self, ref: str, target: str, headers: Iterable[tuple[str, str]] = ()) -> str:
        """The whole address of a path or URL of this account's API, if its credentials may go there with
        these headers of the caller's. Raises SettingWrong `host_not_allowed`, Usage for a header that a
        caller may not set.
        """
        record = self._accounts.resolve(ref)
        provider = self._contexts.provider(record)
        refuse_headers(headers, api_of(provider, record.account.method))
        return address_of(record, provider, target)

    def place(self, ref: str) -> Place:
        """Where this account's tokens may be used. Raises NotFound."""
        record = self._accounts.resolve(ref)
        account = record.account
        hosts = hosts_of(self._contexts.provider(record), account)
        return Place(account.provider, account.label, account.method, hosts)

    def llm(self, ref: str) -> LlmApi:
        """How this account speaks to LLMs; `formats` is empty if it does not. Raises NotFound."""
        record = self._accounts.resolve(ref)
        provider = self._contexts.provider(record)
        api, formats = api_of(provider, record.account.method), provider.formats
        spoken = {
            "openai_chat": formats.openai_chat,
            "openai_responses": formats.openai_responses,
            "anthropic_messages": formats.anthropic_messages,
        }
        return LlmApi(
            record.account.id,
            (api.base or "").rstrip("/"),
            {name: url.rstrip("/") for name, url in spoken.items() if url},
            formats.channel,
            api.name if api.placement == "header" else None,
            shareable(provider, record),
        )

    def llm_accounts(self) -> list[LlmApi]:
        """All accounts that speak to LLMs. One that cannot be read is left out."""
        found = []
        for view in self._accounts.views():
            with suppress(KeyfobError):
                found.append(self.llm(view.id))
        return [one for one in found if one.formats]

    def plain_host(self, ref: str) -> str | None:
        """The host of this account that the user allowed without TLS."""
        return self._accounts.resolve(ref).account.pin.plain_host

    def follow(self, ref: str, url: str, location: str) -> str:
        """Where a redirect at `url` leads. Raises SettingWrong `host_not_allowed` if the credentials may not
        follow.
        """
        return self.check(ref, urljoin(url, location))

    def sign(self, ref: str, wanted: SignRequest, *, for_tool: bool) -> SignedRequest:
        """The credentials for one request, the token renewed first if it is due. `for_tool`: they leave
        Keyfob, so the terms must allow that. Raises SettingWrong `host_not_allowed` or `sharing_not_allowed`,
        and what Keeper.grant raises.
        """
        record = self._accounts.resolve(ref)
        provider = self._contexts.provider(record)
        if for_tool:
            refuse_sharing(record, provider)
        url = address_of(record, provider, wanted.url)
        api = api_of(provider, record.account.method)
        grant = self._keeper.grant(record.account.key, min_life=None, rejected=wanted.rejected)
        pin = record.account.pin
        request = place_token(
            with_scheme(api, grant),
            Request(wanted.method, url, "api"),
            grant.access,
            token_type=grant.token_type,
            values=token_values(pin.inputs, pin.client_id, record.account.subject),
        )
        headers = dict(request.headers)
        if grant.key is not None:
            nonces = self._env.nonces
            nonce = (nonces.note(url, wanted.nonce) if wanted.nonce else None) or nonces.get(url)
            headers["DPoP"] = dpop.proof(
                grant.key,
                wanted.method,
                request.url,
                new_id=self._env.new_id,
                now=self._env.now,
                nonce=nonce,
                access=grant.access,
            )
        absent = tuple(name for name in (*api.claim_headers, "DPoP") if name not in headers)
        return SignedRequest(record.account.id, request.url, headers, grant.access, grant.expires_at, absent)

    def placement(self, ref: str) -> Placement:
        """Where this account's credentials go, without reading them. Raises as `sign`, for a tool."""
        record = self._accounts.resolve(ref)
        provider = self._contexts.provider(record)
        refuse_sharing(record, provider)
        api = api_of(provider, record.account.method)
        secret = []
        if api.placement != "query":
            secret.append((api.name if api.placement == "header" else None) or "Authorization")
        if api.second is not None and api.second.placement == "header":
            secret.append(api.second.name)
        in_query = api.placement == "query" or (api.second is not None and api.second.placement == "query")
        return Placement(
            account=record.account.id,
            base=address_of(record, provider, "/").removesuffix("/"),
            secret=tuple(secret),
            plain=tuple(api.headers),
            optional=(*api.claim_headers, "DPoP"),
            changes_query=in_query or bool(api.params),
        )


def with_scheme(api: Api, grant: Grant) -> Api:
    """A token bound to a key goes as `DPoP` in `Authorization` (RFC 9449 §7.1), whatever else the preset
    says.
    """
    if grant.key is None:
        return api
    return Api(headers=api.headers, params=api.params, claim_headers=api.claim_headers, prefix="DPoP ")


# --- where credentials may go -------------------------------------------------------------------------------


def address_of(record: Record, provider: Provider, target: str) -> str:
    """`target`, made absolute if it is a path, if this account's credentials may go there. An empty path,
    with or without a query, stands for the resource that the tokens are for (RFC 8707), such as an MCP
    server's address, and else for the API's base. Raises SettingWrong `host_not_allowed`.
    """
    allowed = list(_origins(record, provider))
    if not target or target.startswith("?"):
        resource = record.account.pin.resource
        is_allowed = resource is not None and resource.startswith("http") and origin_of(resource) in allowed
        target = f"{resource}{target}" if is_allowed else f"/{target}"
    # Blanks and the like are percent-encoded by a client that means them; `\\` is a slash to some parsers.
    if target.startswith("/") and not target.startswith("//"):
        base = api_of(provider, record.account.method).base or (allowed[0] if allowed else "")
        if not base:
            raise SettingWrong(f"{provider.title}'s preset has no API address", code="host_not_allowed")
        target = base.rstrip("/") + target
    fault = fault_of(target, plain_host=provider.plain_host)
    if fault is not None:
        raise SettingWrong(f"This is not an address of {provider.title}: {fault}", code="host_not_allowed")
    parts, below = urlsplit(target), list(filter(is_suffix, api_of(provider, record.account.method).hosts))
    is_named = origin_of(target) in allowed
    if not is_named and not (parts.scheme == "https" and is_listed(parts.netloc.removesuffix(":443"), below)):
        host = parts.netloc
        raise SettingWrong(
            f"{host} is not one of {provider.title}'s API hosts",
            code="host_not_allowed",
            facts={"hosts": ", ".join([*sorted(allowed), *below])},
        )
    return target


def _origins(record: Record, provider: Provider) -> Iterator[str]:
    """The origins that this account's tokens may be sent to, the API's own first."""
    method = record.account.method
    api = api_of(provider, method)
    pinned = record.account.pin.server.endpoints
    key = provider.key_for(method)
    source = key.identity if key is not None else provider.identity
    named = [api.base, *(f"https://{host}" for host in api.hosts)]
    named += [source.url, provider.test.url if provider.test and key is None else None]
    if key is None and source.source != "none":
        named.append(pinned.userinfo_endpoint)
    for url in named:
        if url is not None and fault_of(url, plain_host=provider.plain_host) is None:
            yield origin_of(url)


def refuse_headers(headers: Iterable[tuple[str, str]], api: Api) -> None:
    """Raises Usage for a header that a caller may not set, and for one that would be read as two."""
    carriers = {(api.name or "Authorization").lower() if api.placement == "header" else "authorization"}
    if api.second is not None and api.second.placement == "header":
        carriers.add(api.second.name.lower())
    for name, value in headers:
        if name.lower() in FORBIDDEN | carriers:
            raise Usage(f"The header {name} is set by Keyfob", code="header_reserved")
        if not name or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise Usage("A header's name has characters that HTTP forbids")
        if not value.isprintable():
            raise Usage(f"The header {name} has characters that HTTP forbids")
