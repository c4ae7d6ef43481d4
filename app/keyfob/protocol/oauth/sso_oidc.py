"""The dialect of AWS's SSO OIDC service: OAuth in JSON with names in camel case, and its own registration.

For presets with the quirk `aws_sso_oidc`. Rests on AWS's API model (sso-oidc, 2019-06-10).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from keyfob.core.errors import PeerFault
from keyfob.core.http import Request, Response
from keyfob.core.provider import Server
from keyfob.core.quirks import QuirkName
from keyfob.core.secret import Secret
from keyfob.core.times import from_epoch
from keyfob.protocol.effects import Flow, Send
from keyfob.protocol.http.responses import read_first
from keyfob.protocol.http.urls import safe
from keyfob.protocol.oauth.register import Registered

V = TypeVar("V")
QUIRK: QuirkName = "aws_sso_oidc"
_LATEST = 253_402_300_799  # the last second of the year 9999


def in_its_names(quirks: Iterable[QuirkName], members: Mapping[str, V]) -> Mapping[str, V]:
    """The members of a request as the service calls them. Scopes are left out, as they belong to the
    registration. Unchanged without the quirk.
    """
    if QUIRK not in quirks:
        return members
    return {_camel(name): value for name, value in members.items() if name not in ("scope", "scopes")}


def in_our_names(quirks: Iterable[QuirkName], members: Mapping[str, V]) -> Mapping[str, V]:
    """The members of an answer under their names in RFC 6749 and RFC 8628. Unchanged without the quirk."""
    if QUIRK not in quirks:
        return members
    return {re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name): v for name, v in members.items()}


def register(server: Server, redirect_uri: str | None, scopes: Sequence[str]) -> Flow[Registered]:
    """RegisterClient: a public client with a secret, which ends after some weeks. The redirect is registered
    without its port, which means any port.

    Raises PeerFault `response_invalid` for an answer without a client, and as `register.register`.
    """
    endpoint = safe(server.endpoints.registration_endpoint, "The registration endpoint")
    wanted: dict[str, Any] = {"clientName": "Keyfob", "clientType": "public", "scopes": list(scopes)}
    if redirect_uri is not None:
        parts = urlsplit(redirect_uri)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        wanted["grantTypes"] = ["authorization_code", "refresh_token"]
        wanted["redirectUris"] = [urlunsplit((parts.scheme, host, parts.path, "", ""))]
        wanted["issuerUrl"] = server.issuer
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    response: Response = yield Send(
        Request("POST", endpoint, "register", headers, json.dumps(wanted).encode())
    )
    answer = read_first(response, "The registration endpoint")
    client_id, secret, ends = (
        answer.get(name) for name in ("clientId", "clientSecret", "clientSecretExpiresAt")
    )
    if not isinstance(client_id, str) or not client_id or not isinstance(secret, str) or not secret:
        raise PeerFault("The server registered Keyfob but sent no client", code="response_invalid")
    if isinstance(ends, bool) or not isinstance(ends, int) or not 0 < ends <= _LATEST:
        ends = None
    return Registered(
        client_id=client_id,
        auth="client_secret_post",
        client_secret=Secret(secret),
        secret_expires_at=from_epoch(ends) if ends is not None else None,
    )


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
