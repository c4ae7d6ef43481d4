"""Puts an account's token into a request to its provider's API (RFC 6750
§2, or what the preset says instead).

Called for every request with a token: identity, revocation, the API calls of tools. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from keyfob import __version__
from keyfob.core.encoding import basic
from keyfob.core.http import Request
from keyfob.core.key_parts import parts_of
from keyfob.core.methods import Method
from keyfob.core.provider import EMPTY, Api, Provider
from keyfob.core.secret import Secret
from keyfob.protocol.http.json_path import read_path
from keyfob.protocol.http.urls import with_query
from keyfob.protocol.oidc.id_token import unverified_claims

_HEADER = re.compile(r"[\x21-\x7e]{1,200}")


def api_of(provider: Provider, method: Method) -> Api:
    """The API that an account's credentials are for: a key may be for another than the sign-in's tokens
    are.
    """
    key = provider.key_for(method)
    return provider.api if key is None else key.api


def token_values(
    inputs: Mapping[str, str], client_id: str | None, username: str | None = None
) -> dict[str, str]:
    """What a preset may name in its API's headers, parameters and `name`: `{username}`, once it is known,
    which an input of the same name overrides; the account's inputs; `{client_id}`. `{version}` is always
    Keyfob's.
    """
    known = {} if username is None else {"username": username}
    return {**known, **inputs, "client_id": client_id or ""}


def place_token(
    api: Api,
    request: Request,
    token: Secret,
    *,
    token_type: str = "Bearer",  # noqa: S107
    values: Mapping[str, str] = EMPTY,
) -> Request:
    """The request with the token in the place that the API expects, and
    the API's own headers. The result holds the token.

    `values` (of `token_values`) fill the names in headers and parameters. For `basic`, `name` is the user
    name and the token the password; without a name the token is the user name (Stripe's way). For
    `basic_password` the user name is empty. A key of two parts is taken apart. A header that
    the request has already stands, except the one that carries the token. `claim_headers` are read from the
    token if it is a JWT, and left out if it has no such claim.
    """
    headers = {k: filled(v, values) for k, v in api.headers.items()}
    if api.claim_headers:
        claims = unverified_claims(token) or EMPTY
        found = {name: read_path(claims, path) for name, path in api.claim_headers.items()}
        headers |= {
            name: text for name, text in found.items() if isinstance(text, str) and _HEADER.fullmatch(text)
        }
    taken = {name.lower() for name in request.headers}
    headers = {k: v for k, v in headers.items() if k.lower() not in taken} | dict(request.headers)
    params = {name: filled(text, values) for name, text in api.params.items()}
    secret, header, value = token.reveal(), "Authorization", ""
    if api.second is not None and len(parts := parts_of(token)) == 2:
        secret, other = (part.reveal() for part in parts)
        if api.second.placement == "query":
            params[api.second.name] = other
        else:
            name = api.second.name
            headers = {k: v for k, v in headers.items() if k.lower() != name.lower()}
            headers[name] = api.second.prefix + other
    match api.placement:
        case "query":
            params[api.name or "access_token"] = secret
        case "header":
            header, value = api.name or "Authorization", api.prefix + secret
        case "basic":
            value = basic(filled(api.name, values), secret) if api.name else basic(secret, "")
        case "basic_password":
            value = basic("", secret)
        case "bearer":
            scheme = api.prefix.strip() or ("DPoP" if token_type.lower() == "dpop" else "Bearer")
            value = f"{scheme} {secret}"
        case _:
            assert_never(api.placement)
    if value:
        headers = {k: v for k, v in headers.items() if k.lower() != header.lower()} | {header: value}
    return replace(request, headers=headers, url=with_query(request.url, params) if params else request.url)


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with each `{name}` of `values` replaced."""
    for name, value in {"version": __version__, **values}.items():
        text = text.replace(f"{{{name}}}", value)
    return text
