"""Discovery: what an authorization server says about itself (RFC 8414, OpenID Connect Discovery 1.0).

Called at the start of a sign-in and by `providers add`. Returns a `Server` whose issuer is exactly the
requested one, and whose addresses are all safe to use. It follows no redirect and opens nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

from keyfob.core.errors import PeerFault, SettingWrong
from keyfob.core.http import Request, Response
from keyfob.core.provider import Endpoints, Provider, Server
from keyfob.core.text import plain
from keyfob.protocol.effects import Flow, Send
from keyfob.protocol.http.responses import read_json
from keyfob.protocol.http.urls import fault_of, leads_inside, safe

_TENANT = re.compile(r"[A-Za-z0-9.-]{1,64}")
_WELL_KNOWN = "/.well-known/"
_ENDPOINTS = tuple(field.name for field in fields(Endpoints))


def discover(provider: Provider) -> Flow[Server]:
    """The provider's server. If the preset asks for no discovery, its own endpoints, checked like any others.

    What the preset names itself stands; the metadata fills in the rest. Raises PeerFault `issuer_mismatch` or
    `metadata_invalid`, SettingWrong `endpoint_unsafe`, Transient.
    """
    if provider.discovery is None:
        check_endpoints(provider.endpoints, None, provider.plain_host)
        return provider.default_server()
    url = safe(metadata_url(provider), "The address of the server's metadata", provider.plain_host)
    response: Response = yield Send(Request("GET", url, "discovery", {"Accept": "application/json"}))
    what = f"{provider.title}'s metadata"
    if 300 <= response.status < 500 and response.status not in (408, 429):
        raise PeerFault(
            f"{what} is not at its address",
            code="metadata_invalid",
            detail=f"{what} answered {response.status}",
        )
    return read_metadata(provider, read_json(response, what, who=provider.title), url)


def metadata_url(provider: Provider) -> str:
    """Where the metadata is: `openid` appends to the issuer, `oauth` puts the well-known part between host
    and path (RFC 8414 §3.1), anything else is the address itself. Raises SettingWrong.
    """
    kind = provider.discovery or ""
    if kind not in ("openid", "oauth"):
        return kind
    issuer = safe(provider.issuer, "The issuer", provider.plain_host)
    parts = urlsplit(issuer)
    if parts.query or parts.fragment:
        raise SettingWrong("The issuer must not have a query", code="endpoint_unsafe")
    path = parts.path.rstrip("/")
    base = f"{parts.scheme}://{parts.netloc}"
    if kind == "openid":
        return f"{base}{path}{_WELL_KNOWN}openid-configuration"
    return f"{base}{_WELL_KNOWN}oauth-authorization-server{path}"


def read_metadata(provider: Provider, data: Mapping[str, Any], url: str) -> Server:
    """The server that a metadata document describes. `url` is where the document was found. Raises as
    `discover`.
    """
    issuer = _issuer(provider, data, url)
    found: dict[str, str | None] = {}
    for name in _ENDPOINTS:
        own = getattr(provider.endpoints, name)
        # `refresh_endpoint` is not a metadata field: a server that names one means something else.
        found[name] = own if own or name == "refresh_endpoint" else _text(data, name)
    endpoints = Endpoints(**found)
    check_endpoints(endpoints, issuer, provider.plain_host)
    return Server(
        issuer=issuer,
        endpoints=endpoints,
        code_challenge_methods_supported=_words(data, "code_challenge_methods_supported"),
        authorization_response_iss_parameter_supported=_flag(
            data, "authorization_response_iss_parameter_supported"
        ),
        token_endpoint_auth_methods_supported=_words(data, "token_endpoint_auth_methods_supported"),
        id_token_signing_alg_values_supported=_words(data, "id_token_signing_alg_values_supported"),
        dpop_signing_alg_values_supported=_words(data, "dpop_signing_alg_values_supported"),
        require_pushed_authorization_requests=_flag(data, "require_pushed_authorization_requests"),
        scopes_supported=_words(data, "scopes_supported"),
        grant_types_supported=_words(data, "grant_types_supported"),
    )


def _issuer(provider: Provider, data: Mapping[str, Any], url: str) -> str:
    issuer = data.get("issuer")
    if not isinstance(issuer, str) or not issuer:
        raise PeerFault(f"{provider.title}'s metadata does not contain an issuer", code="metadata_invalid")
    template = provider.issuer_template
    if template is not None and "{tenantid}" in template:
        before, after = template.split("{tenantid}", 1)
        tenant = issuer[len(before) : len(issuer) - len(after)]
        fits = issuer == before + tenant + after and (tenant == "{tenantid}" or _TENANT.fullmatch(tenant))
        expected = issuer if fits else template
    elif provider.issuer is not None:
        expected = provider.issuer
    else:
        # The issuer was not given, so the document must be at the address of its own issuer.
        expected = issuer if url in _addresses_of(issuer) else urlsplit(url).netloc
    if issuer != expected:
        raise PeerFault(
            f"{provider.title}'s metadata belongs to another issuer",
            code="issuer_mismatch",
            detail=f"asked {plain(expected)}, got {plain(issuer)}",
        )
    return issuer


def _addresses_of(issuer: str) -> tuple[str, ...]:
    if fault_of(issuer) is not None:
        return ()
    parts = urlsplit(issuer)
    base, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    return (
        f"{base}{path}{_WELL_KNOWN}openid-configuration",
        f"{base}{_WELL_KNOWN}openid-configuration{path}",
        f"{base}{_WELL_KNOWN}oauth-authorization-server{path}",
    )


def check_endpoints(endpoints: Endpoints, issuer: str | None, plain_host: str | None = None) -> None:
    """Each address is fit, and a server elsewhere names none on this computer or in its network. Raises
    SettingWrong `endpoint_unsafe`.
    """
    for name in _ENDPOINTS:
        url = getattr(endpoints, name)
        if url is None:
            continue
        safe(url, f"The {name}", plain_host)
        if leads_inside(url, issuer):
            raise SettingWrong(
                f"The {name} cannot be used: it is on this computer or its network",
                code="endpoint_unsafe",
                detail=plain(url),
            )


def _text(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    if value is None or isinstance(value, str):
        return value or None
    raise _wrong(name)


def _words(data: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    value = data.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise _wrong(name)
    return tuple(value)


def _flag(data: Mapping[str, Any], name: str) -> bool:
    value = data.get(name, False)
    if not isinstance(value, bool):
        raise _wrong(name)
    return value


def _wrong(name: str) -> PeerFault:
    return PeerFault(f"The server's metadata has a wrong {name}", code="metadata_invalid")
