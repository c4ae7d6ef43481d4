"""Protected resource metadata: what a server that takes tokens says about itself (RFC 9728), such as an MCP
server.

Called before a preset for such a server is written. Returns the authorization server that the resource names,
and the scopes to ask for. It sends no token, follows no redirect and opens nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from keyfob.core.errors import PeerFault, SettingWrong
from keyfob.core.http import Request, Response
from keyfob.core.text import plain
from keyfob.protocol.effects import Flow, Send
from keyfob.protocol.http.responses import failure, read_json
from keyfob.protocol.http.urls import leads_inside, origin_of, safe

WELL_KNOWN = "/.well-known/oauth-protected-resource"
CHALLENGE_MOST = 8_192  # characters of WWW-Authenticate that are read
# A quoted value is taken as a whole, so that nothing in it is read as a parameter.
_PARAMETER = re.compile(r'([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 §3.3
# The first request of an MCP client. Some servers answer any other request without asking for a token.
_INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "Keyfob", "version": "1"},
    },
}


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """`resource` is the address as the server writes it, `issuer` the authorization server that it names
    first. `scopes`: those that its challenge asks for, else those of its metadata.
    """

    resource: str
    issuer: str
    scopes: tuple[str, ...]


def find_resource(url: str) -> Flow[ProtectedResource]:
    """Asks the server at `url` without a token, and reads the metadata that it points to.

    Raises SettingWrong `endpoint_unsafe`, PeerFault `resource_mismatch` for the metadata of another address
    (RFC 9728 §3.3), PeerFault `metadata_invalid` if there is none or if it names no authorization server,
    Transient.
    """
    safe(url, "The server's address")
    host = urlsplit(url).netloc
    answer: Response = yield Send(_initialize(url))
    if 300 <= answer.status < 400 or answer.status in (408, 429) or answer.status >= 500:
        raise failure(answer, host)
    challenge = challenge_of(answer) if answer.status == 401 else {}
    named = challenge.get("resource_metadata")
    data = yield from _metadata(url, named)
    if data is None:
        open_to_all = 200 <= answer.status < 300
        raise PeerFault(
            f"{host} asks for no sign-in" if open_to_all else f"{host} does not say how to sign in",
            code="metadata_invalid",
            detail=f"{host} answered {answer.status}, and has no metadata (RFC 9728)",
        )
    resource = data.get("resource")
    if not isinstance(resource, str) or not same_address(resource, url):
        other = plain(resource, 200) if isinstance(resource, str) else "none"
        raise PeerFault(
            f"The metadata of {plain(url, 200)} is for another address: {other}",
            code="resource_mismatch",
            facts={"server": other} if isinstance(resource, str) else {},
        )
    _require_header(data, host)
    asked = challenge.get("scope")
    scopes = asked.split() if asked else data.get("scopes_supported") or []
    return ProtectedResource(resource, _issuer(data, url), _scopes(scopes, host))


def same_address(one: str, other: str) -> bool:
    """Whether two addresses are the same to the letter, but for the slash of an empty path (RFC 3986
    §6.2.3).
    """
    return _with_path(one) == _with_path(other)


def challenge_of(response: Response) -> dict[str, str]:
    """The parameters of an answer's challenges (RFC 9110 §11.6.1), by lower-case names; of a repeated one the
    first.
    """
    return parameters_of(response.headers.get("www-authenticate", ""))


def parameters_of(challenge: str) -> dict[str, str]:
    """The same of the header's value."""
    found: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(challenge[:CHALLENGE_MOST]):
        found.setdefault(name.lower(), bare or re.sub(r"\\(.)", r"\1", quoted))
    return found


def well_known(url: str) -> str:
    """Where the metadata of this resource is if the server does not say so (RFC 9728 §3.1)."""
    parts = urlsplit(url)
    path = "" if parts.path == "/" else parts.path
    return parts._replace(path=f"{WELL_KNOWN}{path}", fragment="").geturl()


def _initialize(url: str) -> Request:
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    return Request("POST", url, "discovery", headers, json.dumps(_INITIALIZE).encode())


def _metadata(url: str, named: str | None) -> Flow[Mapping[str, Any] | None]:
    """The document; None if the server names none and has none at its usual addresses."""
    what = f"{urlsplit(url).netloc}'s metadata"
    if named is not None:
        _refuse_inside(named, url, "The address of the server's metadata")
        response: Response = yield Send(_get(named))
        if 300 <= response.status < 500 and response.status not in (408, 429):
            raise PeerFault(
                f"{what} is not at its address",
                code="metadata_invalid",
                detail=f"{what} answered {response.status}",
            )
        return read_json(response, what)
    # The one of the host is for another resource, and its error then says for which.
    for address in dict.fromkeys((well_known(url), well_known(origin_of(url)))):
        response = yield Send(_get(address))
        if response.status >= 500 or response.status in (408, 429):
            raise failure(response, what)
        if response.status == 200:
            return read_json(response, what)
    return None


def _get(url: str) -> Request:
    return Request("GET", url, "discovery", {"Accept": "application/json"})


def _issuer(data: Mapping[str, Any], url: str) -> str:
    named = data.get("authorization_servers")
    if not isinstance(named, list) or not named or not isinstance(named[0], str):
        raise PeerFault(
            f"{_netloc(url)}'s metadata does not name an authorization server", code="metadata_invalid"
        )
    _refuse_inside(named[0], url, "The authorization server's address")
    return str(named[0])


def _refuse_inside(address: str, named_by: str, what: str) -> None:
    safe(address, what)
    if leads_inside(address, named_by):
        raise SettingWrong(
            f"{what} cannot be used: it is on this computer or its network",
            code="endpoint_unsafe",
            detail=plain(address),
        )


def _require_header(data: Mapping[str, Any], host: str) -> None:
    ways = data.get("bearer_methods_supported")
    if isinstance(ways, list) and "header" not in ways:
        raise PeerFault(f"{host} does not take tokens in a header", code="metadata_invalid")


def _scopes(found: object, host: str) -> tuple[str, ...]:
    words = found if isinstance(found, list) else [None]
    if not all(isinstance(word, str) and _SCOPE.fullmatch(word) for word in words):
        raise PeerFault(f"{host} names scopes that cannot be used", code="metadata_invalid")
    return tuple(dict.fromkeys(words))


def _netloc(url: str) -> str:
    return urlsplit(url).netloc


def _with_path(url: str) -> str:
    return f"{url}/" if re.fullmatch(r"https?://[^/?#]+", url) else url
