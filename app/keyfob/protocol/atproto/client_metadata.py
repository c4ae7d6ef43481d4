"""The client metadata document, which a client hosts at the address that is its client id (atproto's OAuth
profile, the OAuth Client ID Metadata Document draft).

`keyfob client-metadata PROVIDER` prints it for the user to host. It contains only public keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from keyfob.core.errors import Usage
from keyfob.core.grant import SigningKey
from keyfob.core.hosts import is_loopback
from keyfob.core.provider import Provider
from keyfob.protocol.http.urls import fault_of
from keyfob.protocol.jws import published_jwk


def client_metadata(
    provider: Provider,
    client_id: str,
    *,
    redirect_uris: Sequence[str],
    scopes: Sequence[str] | None = None,
    keys: Sequence[SigningKey] = (),
    client_name: str = "Keyfob",
    client_uri: str | None = None,
    jwks_uri: str | None = None,
) -> dict[str, Any]:
    """The document to host at `client_id`. With `keys`, a confidential client that proves itself by
    private_key_jwt; without, a public one. `jwks_uri`: the address of the keys, in place of the keys
    themselves, so that they can change without the document. Raises Usage if the address or the redirects
    cannot be a client's, or if the servers would refuse such a client.
    """
    if fault_of(client_id) is not None or not client_id.startswith("https://"):
        raise Usage("This client id must be an https address where you host the document")
    address = urlsplit(client_id)
    if address.path in ("", "/") or address.fragment or is_loopback(address.hostname):
        raise Usage("The document's address must have a path and a public host")
    if not redirect_uris:
        raise Usage("The document needs at least one redirect address")
    native = all(is_loopback(urlsplit(uri).hostname) for uri in redirect_uris)
    if keys and native and "atproto" in provider.methods:
        # The profile lets web clients alone prove themselves by key, and
        # native ones alone come back to loopback.
        raise Usage(
            "atproto servers refuse this client: a client with a key may not have a loopback redirect",
            code="key_with_loopback",
        )
    document: dict[str, Any] = {
        "client_id": client_id,
        "client_name": client_name,
        "application_type": "native" if native else "web",
        "redirect_uris": list(redirect_uris),
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": provider.scope_separator.join(scopes if scopes is not None else provider.scopes),
        "dpop_bound_access_tokens": provider.dpop == "always",
        "token_endpoint_auth_method": "private_key_jwt" if keys else "none",
    }
    if client_uri is not None:
        document["client_uri"] = client_uri
    if keys:
        document["token_endpoint_auth_signing_alg"] = keys[0].alg
        if jwks_uri is not None:
            document["jwks_uri"] = jwks_uri
        else:
            document["jwks"] = {"keys": [published_jwk(key) for key in keys]}
    return document
