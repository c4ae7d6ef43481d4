"""The servers of an atproto sign-in besides the authorization server: the identity directory and the data
server, with their metadata.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from keyfob.demo.trial import made_up
from keyfob.demo.trial.wire import Asked, Given

ISSUER = "https://auth.trial.example"


def answer(asked: Asked, token: str | None, handle: str) -> Given:
    """The answer at any address that the preset does not name."""
    path = urlsplit(asked.url).path
    found: Any
    match path:
        case "/.well-known/oauth-protected-resource":
            parts = urlsplit(asked.url)
            found = {"resource": f"{parts.scheme}://{parts.netloc}", "authorization_servers": [ISSUER]}
        case "/.well-known/oauth-authorization-server":
            found = metadata()
        case "/xrpc/com.atproto.repo.getRecord":
            found = {"value": {"displayName": made_up.PERSON["name"]}}
        case "/xrpc/com.atproto.server.getSession" if token is not None:
            found = {"did": made_up.DID, "handle": handle}
        case _ if path == f"/{made_up.DID}":
            found = _document(handle)
        case _:
            return Given(404, {"error": "not_found"})
    return Given(json=found)


def dns_txt(_name: str) -> tuple[str, ...]:
    """Every handle is the trial's person's."""
    return (f"did={made_up.DID}",)


def _document(handle: str) -> dict[str, Any]:
    service = {
        "id": "#atproto_pds",
        "type": "AtprotoPersonalDataServer",
        "serviceEndpoint": made_up.PDS,
    }
    return {"id": made_up.DID, "alsoKnownAs": [f"at://{handle}"], "service": [service]}


def metadata() -> dict[str, Any]:
    """What the authorization server says about itself."""
    return {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": f"{ISSUER}/token",
        "revocation_endpoint": f"{ISSUER}/revoke",
        "pushed_authorization_request_endpoint": f"{ISSUER}/par",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
        "scopes_supported": ["atproto", "transition:generic"],
        "dpop_signing_alg_values_supported": ["ES256"],
        "authorization_response_iss_parameter_supported": True,
        "require_pushed_authorization_requests": True,
        "client_id_metadata_document_supported": True,
    }
