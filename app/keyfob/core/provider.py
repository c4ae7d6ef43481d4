"""A provider as a value: what a preset file says, frozen. No preset contains code; `quirks` name code we wrote.

Endpoint and parameter names are spelled as in RFC 8414 and its kin. `{name}` in a URL stands for an input of
the person (`instance`, `tenant`, …) and is filled in when an account is made, once and for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from keyfob.core.words import (
    Algorithm,
    Category,
    ClientAuth,
    ClientFrom,
    ExpiresKind,
    IdentityFrom,
    InputKind,
    Method,
    Offer,
    Origin,
    PasteForm,
    Pkce,
    Placement,
    RedirectHost,
    RedirectPort,
    RequestFormat,
    RevocationStyle,
    RevokedToken,
    ScopeSeparator,
    SecretRule,
    Tested,
    Verb,
)

EMPTY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The server's addresses. What is None comes from discovery or does not exist."""

    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    refresh_endpoint: str | None = None  # ours: where renewal has an address of its own
    userinfo_endpoint: str | None = None
    jwks_uri: str | None = None
    revocation_endpoint: str | None = None
    introspection_endpoint: str | None = None
    device_authorization_endpoint: str | None = None
    pushed_authorization_request_endpoint: str | None = None
    registration_endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """An authorization server as known now: issuer, endpoints and what its metadata (RFC 8414) promises.
    An account pins one; stored tokens go nowhere else."""

    issuer: str | None
    endpoints: Endpoints
    code_challenge_methods_supported: tuple[str, ...] | None = None  # None: it says nothing
    authorization_response_iss_parameter_supported: bool = False  # RFC 9207
    token_endpoint_auth_methods_supported: tuple[str, ...] | None = None
    id_token_signing_alg_values_supported: tuple[str, ...] | None = None
    dpop_signing_alg_values_supported: tuple[str, ...] | None = None
    require_pushed_authorization_requests: bool = False
    scopes_supported: tuple[str, ...] | None = None
    grant_types_supported: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    client_id: ClientFrom = "user"
    register_at: str | None = None  # page where the person registers an app
    register_note: str | None = None  # what to choose there
    terms: str | None = None  # link
    note: str | None = None  # shown under the provider's name
    blocked: str | None = None  # why the provider's terms forbid it; shown instead of failing later
    share: bool = True  # may other tools have the token
    share_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """Something the person must tell: an instance's host, a tenant, a handle."""

    name: str
    title: str
    example: str = ""
    help: str = ""
    pattern: str | None = None
    default: str | None = None
    kind: InputKind = "text"


@dataclass(frozen=True, slots=True)
class ClientProfile:
    client_id: str | None = None
    auth: ClientAuth = "none"
    secret: SecretRule = "never"  # noqa: S105
    alg: Algorithm | None = None  # for private_key_jwt
    env: Mapping[str, str] = field(
        default_factory=lambda: EMPTY
    )  # client_id, client_secret, redirect_uri -> environment variable names


@dataclass(frozen=True, slots=True)
class RedirectProfile:
    """Where the browser comes back to. `ports` empty with `port` "setting": the callback port from Settings."""

    host: RedirectHost = "127.0.0.1"
    port: RedirectPort = "setting"
    ports: tuple[int, ...] = ()
    path: str = "/callback"
    paste: PasteForm | None = None
    uri: str | None = None  # a redirect that is not loopback (paste only)
    registered_port: bool = True  # False: register it without a port


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """The shape of the token endpoint's answers where it is not RFC 6749's."""

    request_format: RequestFormat = "form"
    path: tuple[str, ...] = ()  # where the token object sits, e.g. ("authed_user",)
    access_field: str = "access_token"
    refresh_field: str = "refresh_token"
    expires_field: str = "expires_in"
    expires_kind: ExpiresKind = "seconds"
    scope_field: str = "scope"
    token_type_optional: bool = False  # some servers leave out token_type altogether
    error_field: str = "error"
    ok_field: str | None = None  # Slack's "ok": false with 200


@dataclass(frozen=True, slots=True)
class Lifetimes:
    access: int | None = None  # seconds, where the server does not say
    refresh: int | None = None  # seconds a refresh token lives, for `grant_ends_at`
    grant: int | None = None  # seconds after which signing in again is needed whatever happens
    rotates: bool | None = None  # None: unknown, so treated as rotating
    terminal_errors: tuple[str, ...] = ()  # besides invalid_grant: what ends a grant here


@dataclass(frozen=True, slots=True)
class Api:
    base: str | None = None
    hosts: tuple[str, ...] = ()  # further hosts that may get the token
    headers: Mapping[str, str] = field(default_factory=lambda: EMPTY)  # {version}, {client_id} are filled in
    placement: Placement = "bearer"
    name: str | None = None  # the header's or query parameter's name
    prefix: str = ""  # before the token in that header
    params: Mapping[str, str] = field(default_factory=lambda: EMPTY)  # on each call; {client_id} is filled in
    claim_headers: Mapping[str, str] = field(
        default_factory=lambda: EMPTY
    )  # header -> path into the claims of an access token that is a JWT


@dataclass(frozen=True, slots=True)
class IdentitySource:
    """Who-am-I. `map` values are paths into the answer (`data.0.id`, `a|b` for alternatives; the
    notation of `protocol.paths`)."""

    source: IdentityFrom = "userinfo"
    method: Verb = "GET"
    url: str | None = None
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    map: Mapping[str, str] = field(
        default_factory=lambda: EMPTY
    )  # subject, name, username, email, avatar, plan


@dataclass(frozen=True, slots=True)
class TestRequest:
    method: Verb = "GET"
    url: str | None = None
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Revocation:
    style: RevocationStyle = "none"
    url: str | None = None  # where not the revocation_endpoint
    token: RevokedToken = "refresh_token"  # noqa: S105  which one to send first; both are sent where the server needs it
    params: Mapping[str, str] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class ApiKeyProfile:
    """Method `api_key`: where to make a key, how it is sent, how it is tried."""

    create_at: str | None = None
    hint: str = ""
    pattern: str | None = None
    api: Api = field(default_factory=Api)
    identity: IdentitySource = field(default_factory=lambda: IdentitySource(source="request"))
    redact: tuple[str, ...] = ()  # fields of answers that echo the key


@dataclass(frozen=True, slots=True)
class Provider:
    """One preset. Immutable, shared between threads, holds no secret."""

    id: str
    title: str
    category: Category = "other"
    icon: str | None = None  # a file in resources/icons/providers, without ending; else a letter tile
    color: str = "#5c5c63"  # the tile's
    docs: str | None = None
    tested: Tested = "documentation"
    methods: tuple[Method, ...] = ("oauth",)
    policy: Policy = field(default_factory=Policy)
    inputs: tuple[Input, ...] = ()
    issuer: str | None = None
    issuer_template: str | None = None  # Microsoft: …/{tenantid}/v2.0, the ID token's tid goes in
    discovery: str | None = None  # openid | oauth | None (endpoints are all there is) | a URL
    endpoints: Endpoints = field(default_factory=Endpoints)
    client: ClientProfile = field(default_factory=ClientProfile)
    pkce: Pkce = "S256"  # none: only for servers known to reject or ignore it
    nonce: bool = True  # where openid is asked for
    dpop: Offer = "never"
    par: Offer = "offered"
    resource: str | None = None  # RFC 8707
    redirect: RedirectProfile = field(default_factory=RedirectProfile)
    scopes: tuple[str, ...] = ()
    scope_separator: ScopeSeparator = " "
    scope_param: str = "scope"
    authorize_params: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    token_params: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    refresh_params: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    device_params: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    token_headers: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    token_answer: TokenAnswer = field(default_factory=TokenAnswer)
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    api: Api = field(default_factory=Api)
    identity: IdentitySource = field(default_factory=IdentitySource)
    test: TestRequest | None = None
    revocation: Revocation = field(default_factory=Revocation)
    api_key: ApiKeyProfile | None = None
    quirks: tuple[str, ...] = ()
    origin: Origin = "keyfob"

    def default_server(self) -> Server:
        """What is known before discovery."""
        return Server(self.issuer, self.endpoints)
