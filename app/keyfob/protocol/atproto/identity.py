"""Resolves an atproto identity: handle, DID, data server (PDS) and authorization server.

This is the first part of signing in at Bluesky and any other atproto server; `atproto.sign_in` is the second.
A handle counts only if it points to a DID and that DID's document points back to the handle. An authorization
server counts only if the user's own PDS names it, and if its metadata meets atproto's OAuth profile. Nothing
is used before it is checked, and no redirect is followed. A stranger's handle, DID or server never leads to a
service of this computer or its network. Only a server that the user named may be there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, Transient, Usage
from keyfob.core.hosts import is_inside, is_loopback
from keyfob.core.http import Request, Response
from keyfob.core.provider import Endpoints, Server
from keyfob.core.text import plain
from keyfob.protocol.effects import Effect, Flow, Send
from keyfob.protocol.http.responses import failure, read_json
from keyfob.protocol.http.urls import fault_of, leads_inside, origin_of, safe

PLC_DIRECTORY = "https://plc.directory"
DnsTxt = Callable[[str], tuple[str, ...]]

# atproto's own grammar: labels of 1-63, a last one that starts with a letter, 253 in all.
_HANDLE = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_DID_PLC = re.compile(r"did:plc:[a-z2-7]{24}")
_DID_WEB = re.compile(r"did:web:([A-Za-z0-9.-]{1,253})(?:%3[Aa]([0-9]{1,5}))?")
_NO_HANDLES = (".local", ".arpa", ".invalid", ".localhost", ".internal", ".example", ".alt", ".onion")
_JSON = {"Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a sign-in goes. `did` None: the user named a server only, and who they are is reported at its
    end.
    """

    server: Server  # the authorization server; to be pinned
    did: str | None = None
    handle: str | None = None  # proved both ways
    pds: str | None = None  # origin of the user's data server: the API's base; to be pinned
    login_hint: str | None = None
    near: bool = False  # the user named a server on this computer, whose identities may be here too


def resolve(
    identifier: str,
    *,
    plc: str = PLC_DIRECTORY,
    dns_txt: DnsTxt | None = None,
    near: bool = False,
    stranger: bool = False,
) -> Flow[Resolved]:
    """Find the authorization server for a handle (`alice.bsky.social`, with or without `@`), a DID, or a
    server's address (`https://…`; http on loopback alone).

    `plc` is the directory for did:plc; `dns_txt` looks up TXT records and may block for a few seconds. `near`
    lets identities name servers on this computer, for an account at such a one; so does a `plc` or an
    identifier that is here. `stranger`: anybody may have entered it, on a web page, so it must not be here.
    Raises Usage `identity_invalid` for what is none of these, PeerFault if the checks fail, Transient if a
    peer is down.
    """
    near = near or is_inside(urlsplit(plc).hostname)
    given = identifier.strip().removeprefix("at://").rstrip("/")
    address = f"http://{given}" if re.fullmatch(r"localhost:\d+", given) else given
    if stranger and is_inside(_host_in(address)):
        raise Usage("This is on the server's own network", code="identity_invalid")
    if "://" in address:
        server, pds = yield from _of_address(address)
        return Resolved(server, pds=pds, near=near or is_inside(urlsplit(server.issuer or "").hostname))
    if given.startswith("did:"):
        near = near or is_inside(_did_host(given))
        did, handle, pds = yield from identity_of(given, plc=plc, dns_txt=dns_txt, near=near)
    else:
        wanted = handle_from(given)
        did = yield from _did_of(wanted, dns_txt, near)
        handle, pds = yield from _read_did(did, plc, near)
        if handle != wanted:
            raise PeerFault(
                f"The handle {plain(wanted)} is not confirmed by its owner", code="identity_invalid"
            )
    issuer = yield from issuer_of(pds)
    server = yield from server_at(issuer)
    return Resolved(server, did, handle, pds, login_hint=handle or did, near=near)


def _host_in(address: str) -> str | None:
    """The host that an identifier names itself; None for a handle and for what is no address."""
    try:
        return urlsplit(address).hostname if "://" in address else _did_host(address)
    except ValueError:
        return None


def identity_of(
    did: str, *, plc: str, dns_txt: DnsTxt | None, near: bool
) -> Generator[Effect, Any, tuple[str, str | None, str]]:
    """A DID with its handle (proved both ways; None if it claims none, or if no server answers for it now)
    and its PDS. The DID says who it is; a handle is how it is called, and one that cannot be proved is not
    shown.
    """
    handle, pds = yield from _read_did(did, plc, near)
    if handle is not None:
        try:
            found = yield from _did_of(handle, dns_txt, near)
        except Transient:
            return did, None, pds
        if found != did:
            raise PeerFault(f"The handle {plain(handle)} belongs to another account", code="identity_invalid")
    return did, handle, pds


def handle_from(text: str) -> str:
    """The handle as it is compared: no `@`, lower case. Raises Usage `identity_invalid`."""
    handle = text.strip().removeprefix("@").lower()
    if len(handle) > 253 or not _HANDLE.fullmatch(handle) or handle.endswith(_NO_HANDLES):
        raise Usage(
            f"{plain(text, 60) or 'Nothing'} is not a handle, DID or server address", code="identity_invalid"
        )
    return handle


# --- handle → DID -------------------------------------------------------------------------------------------


def _did_of(handle: str, dns_txt: DnsTxt | None, near: bool) -> Generator[Effect, Any, str]:
    """By DNS, which users with their own domain mostly use, then by HTTPS, which hosting servers use."""
    if dns_txt is not None:
        dids = {text[4:] for text in dns_txt(f"_atproto.{handle}") if text.startswith("did=")}
        if len(dids) > 1:
            raise PeerFault(f"The handle {plain(handle)} has several owners", code="identity_invalid")
        if dids:
            return checked_did(dids.pop(), near=near)
    request = Request(
        "GET", f"https://{handle}/.well-known/atproto-did", "discovery", {"Accept": "text/plain"}
    )
    unknown = PeerFault(f"The handle {plain(handle)} does not exist", code="identity_invalid")
    try:
        response: Response = yield Send(request)
    except SettingWrong:  # a host without its own certificate proves nothing
        raise unknown from None
    except Transient as down:
        raise Transient(
            f"The handle {plain(handle)} could not be found", code=down.code, sent=down.sent
        ) from None
    if response.status >= 500 or response.status == 429:
        raise failure(response, "The handle's server")
    text = response.body[:2_048].decode("utf-8", "replace").strip()
    if response.status != 200 or not text.startswith("did:"):
        raise unknown
    return checked_did(text, near=near)


def checked_did(text: str, *, near: bool) -> str:
    """The DID, if it is one of the two kinds that atproto uses. Raises PeerFault `identity_invalid`, also for
    a did:web on this computer or in its network, unless `near`.
    """
    host = _did_host(text)
    # A port is for test servers; atproto allows none elsewhere.
    if _DID_PLC.fullmatch(text) or (host and ("%3a" not in text.lower() or is_loopback(host))):
        if not near and is_inside(host):
            raise PeerFault(
                "The identity has an address on this computer or its network", code="identity_invalid"
            )
        return text
    raise PeerFault("The identity is of a kind that atproto does not use", code="identity_invalid")


def _did_host(did: str) -> str | None:
    """The host of a did:web, None for anything else."""
    web = _DID_WEB.fullmatch(did)
    return web[1] if web else None


# --- DID → document -----------------------------------------------------------------------------------------


def _read_did(did: str, plc: str, near: bool) -> Generator[Effect, Any, tuple[str | None, str]]:
    """The handle that a DID's document claims, and its PDS's origin."""
    checked_did(did, near=near)
    if did.startswith("did:plc:"):
        url = f"{safe(plc, 'The identity directory').rstrip('/')}/{did}"
    else:
        host = unquote(did.removeprefix("did:web:"))
        scheme = "http" if is_loopback(host.partition(":")[0]) else "https"
        url = f"{scheme}://{host}/.well-known/did.json"
    accept = {"Accept": "application/did+ld+json, application/json"}
    response: Response = yield Send(Request("GET", url, "discovery", accept))
    if response.status in (404, 410):
        raise PeerFault("The identity does not exist", code="identity_invalid")
    document = read_json(response, "The identity directory")
    if document.get("id") != did:
        raise PeerFault("The identity's document belongs to another identity", code="identity_invalid")
    return _claimed_handle(document), _pds_in(document, did, near)


def _claimed_handle(document: Mapping[str, Any]) -> str | None:
    names = document.get("alsoKnownAs")
    for name in names if isinstance(names, list) else []:
        if isinstance(name, str) and name.startswith("at://"):
            try:
                return handle_from(name.removeprefix("at://"))  # atproto: the first counts, and no other
            except Usage:
                raise PeerFault("The identity has an invalid handle", code="identity_invalid") from None
    return None


def _pds_in(document: Mapping[str, Any], did: str, near: bool) -> str:
    services = document.get("service")
    for service in services if isinstance(services, list) else []:
        if not isinstance(service, dict) or service.get("id") not in ("#atproto_pds", f"{did}#atproto_pds"):
            continue
        endpoint = service.get("serviceEndpoint")
        if service.get("type") == "AtprotoPersonalDataServer" and isinstance(endpoint, str):
            return _origin(endpoint, "The identity's data server", near=near)
    raise PeerFault("The identity has no data server", code="identity_invalid")


def _origin(url: str, what: str, *, near: bool) -> str:
    """An address that is an origin and nothing more, as atproto wants a PDS and an issuer to be."""
    if fault_of(url) is not None or origin_of(url) != url.rstrip("/").lower() or urlsplit(url).query:
        raise PeerFault(f"{what} has an unusable address", code="metadata_invalid")
    if not near and is_inside(urlsplit(url).hostname):
        raise PeerFault(f"{what} is on this computer or its network", code="metadata_invalid")
    return origin_of(url)


# --- PDS → authorization server -----------------------------------------------------------------------------


def _of_address(url: str) -> Generator[Effect, Any, tuple[Server, str | None]]:
    """A server that the user named: a PDS, or an authorization server itself."""
    if fault_of(url) is not None or urlsplit(url).path not in ("", "/"):
        raise Usage(f"{plain(url, 60)} is not a server address", code="identity_invalid")
    origin = origin_of(url)
    try:
        issuer = yield from issuer_of(origin)
    except KeyfobError as fault:
        if fault.code != "metadata_invalid":
            raise
    else:
        server = yield from server_at(issuer)
        return server, origin
    server = yield from server_at(origin)
    return server, None


def issuer_of(pds: str) -> Generator[Effect, Any, str]:
    """The one authorization server that a PDS names (RFC 9728)."""
    response: Response = yield Send(
        Request("GET", f"{pds}/.well-known/oauth-protected-resource", "discovery", _JSON)
    )
    if response.status != 200 and response.status < 500 and response.status != 429:
        raise PeerFault("The data server does not say where to sign in", code="metadata_invalid")
    metadata = read_json(response, "The data server")
    servers = metadata.get("authorization_servers")
    if metadata.get("resource") != pds:
        raise PeerFault("The data server's metadata describes another server", code="metadata_invalid")
    if not isinstance(servers, list) or len(servers) != 1 or not isinstance(servers[0], str):
        raise PeerFault("The data server must name exactly one place to sign in", code="metadata_invalid")
    issuer: str = servers[0]
    if issuer != _origin(issuer, "The authorization server", near=is_inside(urlsplit(pds).hostname)):
        raise PeerFault("The authorization server has an unusable address", code="metadata_invalid")
    return issuer


def server_at(issuer: str) -> Flow[Server]:
    """The authorization server's metadata (RFC 8414), with all that atproto's OAuth profile demands of it."""
    response: Response = yield Send(
        Request("GET", f"{issuer}/.well-known/oauth-authorization-server", "discovery", _JSON)
    )
    metadata = read_json(response, "The authorization server")
    if metadata.get("issuer") != issuer:
        raise PeerFault(
            "The authorization server's metadata describes another server", code="issuer_mismatch"
        )
    for name, wanted in _DEMANDED_LISTS.items():
        if not wanted <= set(_texts(metadata, name)):
            raise _lacking(name)
    for name in _DEMANDED_TRUTHS:
        if metadata.get(name) is not True:
            raise _lacking(name)
    if metadata.get("require_request_uri_registration") is False:
        raise _lacking("require_request_uri_registration")
    return Server(
        issuer=issuer,
        endpoints=Endpoints(
            authorization_endpoint=_endpoint(metadata, issuer, "authorization_endpoint"),
            token_endpoint=_endpoint(metadata, issuer, "token_endpoint"),
            pushed_authorization_request_endpoint=_endpoint(
                metadata, issuer, "pushed_authorization_request_endpoint"
            ),
            revocation_endpoint=_endpoint(metadata, issuer, "revocation_endpoint", optional=True),
        ),
        code_challenge_methods_supported=_texts(metadata, "code_challenge_methods_supported"),
        authorization_response_iss_parameter_supported=True,
        token_endpoint_auth_methods_supported=_texts(metadata, "token_endpoint_auth_methods_supported"),
        dpop_signing_alg_values_supported=_texts(metadata, "dpop_signing_alg_values_supported"),
        require_pushed_authorization_requests=True,
        scopes_supported=_texts(metadata, "scopes_supported"),
        grant_types_supported=_texts(metadata, "grant_types_supported"),
    )


_DEMANDED_LISTS = {
    "response_types_supported": {"code"},
    "grant_types_supported": {"authorization_code", "refresh_token"},
    "code_challenge_methods_supported": {"S256"},
    "token_endpoint_auth_methods_supported": {"none", "private_key_jwt"},
    "scopes_supported": {"atproto"},
    "dpop_signing_alg_values_supported": {"ES256"},
}
_DEMANDED_TRUTHS = (
    "authorization_response_iss_parameter_supported",
    "require_pushed_authorization_requests",
    "client_id_metadata_document_supported",
)


def _texts(metadata: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = metadata.get(name)
    return tuple(v for v in values if isinstance(v, str)) if isinstance(values, list) else ()


def _endpoint(metadata: Mapping[str, Any], issuer: str, name: str, *, optional: bool = False) -> str | None:
    url = metadata.get(name)
    if url is None and optional:
        return None
    if not isinstance(url, str) or fault_of(url) is not None:
        raise _lacking(name)
    if leads_inside(url, issuer):
        raise PeerFault(f"The {name} is on this computer or its network", code="metadata_invalid")
    return url


def _lacking(name: str) -> PeerFault:
    return PeerFault(
        f"The authorization server does not follow atproto's profile ({name})", code="metadata_invalid"
    )
