"""Writes a preset for any OpenID Connect or OAuth 2.0 server from the server's own metadata.

Called by `keyfob providers add` and `new`. Only a preset without errors is written, a preset with the
same id is replaced only on request, and a client secret goes to the keychain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from urllib.parse import urlsplit

from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, Usage
from keyfob.core.facts import Facts
from keyfob.core.methods import Method
from keyfob.core.provider import EMPTY, Endpoints, Provider, Server
from keyfob.core.secret import Secret
from keyfob.core.words import ClientAuth, RedirectHost
from keyfob.protocol.oauth import discovery
from keyfob.providers.catalogue import SUFFIX, Catalogue
from keyfob.providers.toml_text import to_toml
from keyfob.service.runner import Runner
from keyfob.service.sign_in.clients import Clients, KeepClient

ENDPOINTS = tuple(entry.name for entry in fields(Endpoints))
WELL_KNOWN = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
KEY_AUTH = "private_key_jwt"
WANTED = ("openid", "profile", "email", "offline_access")

Write = Callable[[Path, bytes], None]
Found = tuple[str | None, Server]


@dataclass(frozen=True, slots=True)
class NewPreset:
    """What a user enters about a server. `redirect_port`: None for the port of the settings, 0 for any free
    one.
    """

    id: str
    title: str | None = None
    issuer: str | None = None
    endpoints: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    client_id: str | None = None
    client_secret: Secret | None = None
    client_auth: ClientAuth | None = None
    register: bool = False
    methods: tuple[Method, ...] = ()
    scopes: tuple[str, ...] = ()
    usual_scopes: bool = True  # those that OpenID Connect needs, if `scopes` is empty
    redirect_host: RedirectHost = "127.0.0.1"
    redirect_port: int | None = None
    redirect_path: str = "/callback"
    whoami_url: str | None = None
    subject_field: str | None = None
    api_base: str | None = None
    api_hosts: tuple[str, ...] = ()
    formats: Mapping[str, str] = field(default_factory=lambda: EMPTY)  # of LLM requests, with their addresses
    resource: str | None = None  # RFC 8707
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Added:
    """A preset that was added, and the file that it was written to."""

    provider: Provider
    path: Path


class Presets:
    """Blocking and thread-safe. `folder` is the user's `providers/`; `write` replaces a file whole."""

    def __init__(
        self, catalogue: Catalogue, runner: Runner, clients: Clients, folder: Path, write: Write
    ) -> None:
        self._catalogue = catalogue
        self._runner = runner
        self._clients = clients
        self._folder = folder
        self._write = write

    def add(self, new: NewPreset, found: Found | None = None, keep_client: KeepClient | None = None) -> Added:
        """Discover, judge, write. `found`: what `server` returned, if it was asked already. `keep_client` is
        asked in place of `Clients.keep`. Raises Usage,
        SettingWrong `preset_faulty` or `endpoint_unsafe`, PeerFault if the server's metadata is not what it
        should be, Transient, KeychainError.
        """
        path = self._folder / f"{new.id}{SUFFIX}"
        if not new.id or Path(path.name).stem != new.id:
            raise Usage(f"{new.id!r} is not a provider id", code="preset_id_wrong")
        in_the_way = self.in_the_way(new.id)
        if in_the_way is not None and not new.replace:
            own: Facts = {"path": str(path)} if path.exists() else {}
            raise Usage(in_the_way, code="preset_exists", facts=own)
        if new.client_auth == KEY_AUTH and new.client_secret is not None:
            raise Usage(f"{KEY_AUTH} uses a key, not a client secret", code="secret_not_used")
        if new.client_id is None and not new.register:
            raise Usage("The client id is missing", code="client_id_missing")
        kind, server = found or self.server(new)
        text = to_toml(_table(new, kind, server), comment="Written by keyfob providers.")
        faults = self._catalogue.check(text.encode())
        if faults:
            raise SettingWrong(
                "The preset would not be valid: " + "; ".join(fault.sentence() for fault in faults),
                code="options_faulty",
            )
        before = path.read_bytes() if path.exists() else None
        self._save(path, text.encode())
        try:
            provider = self._catalogue.get(new.id)
            if new.client_id is not None and new.client_secret is not None:
                (keep_client or self._clients.keep)(provider, {}, new.client_id, new.client_secret)
        except KeyfobError:
            # Without its secret the preset would only fail later: better nothing than half.
            if before is None:
                path.unlink(missing_ok=True)
            else:
                self._save(path, before)
            raise
        return Added(provider, path)

    def in_the_way(self, provider_id: str) -> str | None:
        """What a new preset with this id would replace, as a sentence without a full stop; None if there is
        nothing.
        """
        if (self._folder / f"{provider_id}{SUFFIX}").exists():
            return f"Your own provider {provider_id} already exists"
        if provider_id in self._catalogue.ids():
            return f"Keyfob already has a provider {provider_id}"
        return None

    def metadata(self, issuer: str) -> Server | None:
        """What the server says about itself; None if it has no discovery document. Raises as `add`."""
        try:
            _, server = self.server(NewPreset("asked", issuer=issuer))
        except PeerFault as error:
            if error.code != "metadata_invalid":
                raise
            return None
        return server

    def _save(self, path: Path, data: bytes) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(path, data)
        except OSError as error:
            raise SettingWrong(
                f"The preset cannot be written to {path}: {error.strerror}",
                code="file_unwritable",
            ) from error

    def server(self, new: NewPreset) -> Found:
        """How the metadata was found (`openid`, `oauth`, None) and its server. Raises as `add`."""
        given = Endpoints(**{name: new.endpoints.get(name) for name in ENDPOINTS})
        if new.issuer is None:
            if not new.endpoints:
                raise Usage("The server is missing", code="server_missing")
            discovery.check_endpoints(given, None)
            return None, Server(None, given)
        issuer = new.issuer
        for tail in WELL_KNOWN:
            issuer = issuer.removesuffix(tail)
        first: KeyfobError | None = None
        for kind in ("openid", "oauth"):
            asked = Provider(new.id, new.title or new.id, issuer=issuer, discovery=kind, endpoints=given)
            try:
                return kind, self._runner.run(discovery.discover(asked))
            except PeerFault as error:
                if error.code != "metadata_invalid":
                    raise
                first = first or error
        if given.token_endpoint is not None:
            discovery.check_endpoints(given, issuer)
            return None, Server(issuer, given)
        assert first is not None
        raise first


def _table(new: NewPreset, kind: str | None, server: Server) -> dict[str, object]:
    """The preset's table. What discovery says is asked again at each sign-in and not written down."""
    supported = server.scopes_supported
    speaks_openid = kind == "openid" or (supported is not None and "openid" in supported)
    scopes = new.scopes
    if not scopes and new.usual_scopes and speaks_openid:
        scopes = tuple(s for s in WANTED if s == "openid" or (supported and s in supported))
    secret, by_key = new.client_secret is not None, new.client_auth == KEY_AUTH
    fixed = new.redirect_port is not None and new.redirect_port > 0
    port = "setting" if new.redirect_port is None else "fixed" if fixed else "any"
    return {
        "id": new.id,
        "title": new.title or new.id,
        "category": "custom",
        "methods": list(new.methods or _methods(server)),
        "issuer": server.issuer or new.issuer,
        "discovery": kind,
        "scopes": list(scopes),
        "resource": new.resource,
        "policy": {"client_id": "dynamic" if new.register else "user"},
        "client": {
            "client_id": new.client_id,
            "auth": KEY_AUTH if by_key else _auth(new, server) if secret else "none",
            "secret": "required" if secret else None,
            "alg": "ES256" if by_key else None,
        },
        "endpoints": dict(new.endpoints),
        "redirect": {
            "host": new.redirect_host,
            "port": port,
            "ports": [new.redirect_port] if fixed else [],
            "path": new.redirect_path,
        },
        # OpenID Connect Core §11: offline_access is granted for sure only if consent is asked for.
        "authorize_params": {"prompt": "consent"} if speaks_openid and "offline_access" in scopes else {},
        "api": {"base": new.api_base, "hosts": list(_api_hosts(new))},
        "formats": dict(new.formats),
        "identity": _identity(new, server, "openid" in scopes),
        "revocation": {"style": "rfc7009" if server.endpoints.revocation_endpoint else None},
    }


def _api_hosts(new: NewPreset) -> tuple[str, ...]:
    """With the host of the request that says who signed in: it gets the token too."""
    if not new.whoami_url or not new.api_base:
        return new.api_hosts
    host = urlsplit(new.whoami_url).netloc
    named = {urlsplit(new.api_base).netloc, *new.api_hosts}
    return new.api_hosts if host in named else (*new.api_hosts, host)


def _methods(server: Server) -> tuple[Method, ...]:
    grants = server.grant_types_supported
    device = server.endpoints.device_authorization_endpoint is not None and (
        grants is None or DEVICE_GRANT in grants
    )
    if server.endpoints.authorization_endpoint is None and device:
        return ("device",)
    return ("oauth", "device") if device else ("oauth",)


def _auth(new: NewPreset, server: Server) -> ClientAuth:
    if new.client_auth:
        return new.client_auth
    offered = server.token_endpoint_auth_methods_supported
    if offered is not None and "client_secret_basic" not in offered and "client_secret_post" in offered:
        return "client_secret_post"
    return "client_secret_basic"  # RFC 8414 §2: the default if the server says nothing


def _identity(new: NewPreset, server: Server, openid: bool) -> dict[str, object]:
    fields = {"subject": new.subject_field} if new.subject_field else {}
    if new.whoami_url:
        return {"source": "request", "url": new.whoami_url, "map": fields or {"subject": "sub|id"}}
    # A token for a resource is not for the userinfo endpoint, unless the scope openid makes it one for both.
    if server.endpoints.userinfo_endpoint is not None and (openid or new.resource is None):
        return {"source": "userinfo", "map": fields}
    return {"source": "id_token" if openid else "none", "map": fields}
