"""Dynamic client registration (RFC 7591), its deletion (RFC 7592), and Mastodon's variant.

Called when an account is created at a server that needs no manual registration, and when it is removed. The
issued client belongs to that one account. If the server changed the request (RFC 7591 §3.2.1), another
redirect or another client authentication method ends the sign-in, and fewer scopes are reported. The
registration's token is sent only to the server that issued it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from keyfob.core.errors import PeerFault
from keyfob.core.http import Request, Response
from keyfob.core.secret import Secret
from keyfob.core.times import from_epoch
from keyfob.core.untyped import Json
from keyfob.core.words import CLIENT_AUTHS, ClientAuth, known
from keyfob.protocol.effects import Flow, Send
from keyfob.protocol.http.responses import failure, read_first, read_json
from keyfob.protocol.http.urls import fault_of, origin_of, safe

_WITH_SECRET: tuple[ClientAuth, ...] = ("client_secret_basic", "client_secret_post")
_LATEST = 253_402_300_799  # the last second of the year 9999, beyond which no datetime goes


@dataclass(frozen=True, slots=True)
class Registered:
    """A client as the server issued it. The secrets go to the keychain;
    the rest is stored with the account.
    """

    client_id: str
    auth: ClientAuth
    client_secret: Secret | None = None
    secret_expires_at: datetime | None = None  # None: never
    registration_client_uri: str | None = None
    registration_access_token: Secret | None = None
    scopes: tuple[str, ...] | None = None  # None: the server did not say, so as asked


def register(
    endpoint: str | None, metadata: Mapping[str, Any], *, initial_access: Secret | None = None
) -> Flow[Registered]:
    """Register a client with `metadata` (RFC 7591 §2) at the `registration_endpoint`. `initial_access` is the
    token that some servers want first (§3).

    Raises PeerFault `registration_changed` if the server registered another redirect, another grant or a
    proof of identity that we do not have; what `answer.failure` gives for a refusal; SettingWrong for an
    unsafe address.
    """
    endpoint = safe(endpoint, "The registration endpoint")
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if initial_access is not None:
        headers["Authorization"] = f"Bearer {initial_access.reveal()}"
    body = json.dumps(dict(metadata)).encode()
    response: Response = yield Send(Request("POST", endpoint, "register", headers, body))
    answer = read_first(response, "The registration endpoint")
    _check_redirects(metadata.get("redirect_uris"), answer.get("redirect_uris"))
    _check_grants(metadata.get("grant_types"), answer.get("grant_types"))
    secret = _secret(answer, "client_secret")
    uri, token = answer.get("registration_client_uri"), _secret(answer, "registration_access_token")
    managed = isinstance(uri, str) and fault_of(uri) is None and origin_of(uri) == origin_of(endpoint)
    scope = answer.get("scope")
    return Registered(
        client_id=_client_id(answer),
        auth=_auth(metadata.get("token_endpoint_auth_method"), answer, secret),
        client_secret=secret,
        secret_expires_at=_expiry(answer, response.at) if secret else None,
        registration_client_uri=uri if managed and token else None,
        registration_access_token=token if managed else None,
        scopes=tuple(scope.split()) if isinstance(scope, str) else None,
    )


def unregister(registration_client_uri: str, token: Secret) -> Flow[bool]:
    """Delete a client that Keyfob registered (RFC 7592 §2.3). True once it is gone, False if the server does
    not do this. Raises Transient if it may be tried again later.
    """
    uri = safe(registration_client_uri, "The address of the client's registration")
    request = Request("DELETE", uri, "register", {"Authorization": f"Bearer {token.reveal()}"})
    response: Response = yield Send(request)
    if response.status in (408, 429) or response.status >= 500:
        raise failure(response, "The client's registration")
    # 401 and 410: the token no longer holds, since the client is gone (§2.3). 403, 404, 405: not offered.
    return 200 <= response.status < 300 or response.status in (401, 410)


def register_mastodon(
    base: str, *, client_name: str, redirect_uri: str, scopes: Sequence[str], website: str | None = None
) -> Flow[Registered]:
    """Registration at Mastodon and similar servers: a form to
    `/api/v1/apps` of the user's instance. Errors as in `register`.
    """
    endpoint = safe(base.rstrip("/") + "/api/v1/apps", "The instance's address")
    form = {
        "client_name": client_name,
        "redirect_uris": redirect_uri,
        "scopes": " ".join(scopes),
        **({"website": website} if website else {}),
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    response: Response = yield Send(Request("POST", endpoint, "register", headers, urlencode(form).encode()))
    answer = read_json(response, "The instance's registration")
    # Mastodon 4.3 lists them; before, one text held them all, a line each.
    given = answer.get("redirect_uris", answer.get("redirect_uri"))
    _check_redirects([redirect_uri], given.split() if isinstance(given, str) else given)
    secret = _secret(answer, "client_secret")
    granted = answer.get("scopes")
    listed = isinstance(granted, list) and all(isinstance(scope, str) for scope in granted)
    return Registered(
        client_id=_client_id(answer),
        auth="client_secret_post" if secret else "none",
        client_secret=secret,
        secret_expires_at=_expiry(answer, response.at) if secret else None,
        scopes=tuple(granted) if listed and granted is not None else None,
    )


def _client_id(answer: Mapping[str, Any]) -> str:
    client_id = answer.get("client_id")
    if not isinstance(client_id, str) or not 0 < len(client_id) <= 2_048 or not client_id.isprintable():
        raise PeerFault("The server registered Keyfob but sent no client id", code="response_invalid")
    return client_id


def _secret(answer: Mapping[str, Any], name: str) -> Secret | None:
    value = answer.get(name)
    return Secret(value) if isinstance(value, str) and value else None


def _check_redirects(asked: object, given: object) -> None:
    # An extra address is as wrong as a missing one: its owner could receive the code.
    if given is None:  # RFC 7591 asks for it; servers that leave it out have changed nothing that we know of
        return
    if not isinstance(given, list) or not isinstance(asked, list) or sorted(map(str, given)) != sorted(asked):
        raise PeerFault("The server registered a different redirect URI", code="registration_changed")


def _check_grants(asked: Json, given: Json) -> None:
    if given is None or asked is None:
        return
    if not isinstance(given, list) or not set(asked) - {"refresh_token"} <= {str(grant) for grant in given}:
        raise PeerFault("The server registered a different grant type", code="registration_changed")


def _auth(asked: object, answer: Mapping[str, Any], secret: Secret | None) -> ClientAuth:
    """The method that the client now has. A secret instead of another secret, or of none, is taken as it
    comes; a secret instead of a key, or a method that needs what we do not have, is not.
    """
    wanted = asked if isinstance(asked, str) else "client_secret_basic"  # RFC 7591 §2: the default
    given = known(CLIENT_AUTHS, answer.get("token_endpoint_auth_method", wanted))
    with_secret = given in _WITH_SECRET and secret is not None and wanted != "private_key_jwt"
    if given is not None and (with_secret or (given == wanted and given in ("none", "private_key_jwt"))):
        return given
    raise PeerFault(
        "The server registered a different client authentication method", code="registration_changed"
    )


def _expiry(answer: Mapping[str, Any], at: datetime) -> datetime | None:
    seconds = answer.get("client_secret_expires_at")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= _LATEST:
        return None
    expires_at = from_epoch(seconds)
    if expires_at - at < timedelta(0):
        raise PeerFault("The server issued a client secret that has already expired", code="response_invalid")
    return expires_at
