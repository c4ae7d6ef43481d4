"""A provider as a value: the content of a preset file, frozen. A preset
contains no code; `quirks` are names of code in Keyfob.

Only this file defines which tables and keys a preset file may have. `providers.schema_check` reads files by
these classes. The docstrings and the `Meaning` of fields go into the JSON Schema for editors. Endpoint and
parameter names are those of RFC 8414 and similar. `{name}` in a URL stands for an input of the user
(`instance`, `tenant`, …), which is filled in once, when an account is created.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from keyfob.core.limits import (
    AccessId,
    Color,
    Day,
    Icon,
    Id,
    InputName,
    Limits,
    Line,
    Meaning,
    Name,
    Pattern,
    Port,
    Resource,
    Seconds,
    Title,
    Url,
    Words,
)
from keyfob.core.methods import METHOD_FACTS, Method, holds_key
from keyfob.core.quirks import QuirkName
from keyfob.core.words import (
    Algorithm,
    Category,
    ClientAuth,
    ClientFrom,
    ExpiresKind,
    IdentityFrom,
    InputKind,
    KeyWord,
    Offer,
    Origin,
    PasteForm,
    Pkce,
    Placement,
    RedirectHost,
    RedirectPort,
    RequestFormat,
    RevocationAuth,
    RevocationStyle,
    RevokedToken,
    ScopeSeparator,
    SecondPlacement,
    SecretRule,
    Tested,
    Verb,
)

EMPTY: Mapping[str, str] = MappingProxyType({})


def _no_texts() -> Mapping[str, str]:
    return EMPTY  # one for all; a dataclass refuses it as a plain default


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The server's addresses, named as in RFC 8414. What is absent comes from discovery or does not exist."""

    authorization_endpoint: Url | None = None
    token_endpoint: Url | None = None
    refresh_endpoint: Annotated[Url | None, Meaning("the address for renewal, if it has its own")] = None
    userinfo_endpoint: Url | None = None
    jwks_uri: Url | None = None
    revocation_endpoint: Url | None = None
    introspection_endpoint: Url | None = None
    device_authorization_endpoint: Url | None = None
    device_token_endpoint: Annotated[
        Url | None, Meaning("the address that is polled with the device code, if it has its own")
    ] = None
    pushed_authorization_request_endpoint: Url | None = None
    registration_endpoint: Url | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """An authorization server as known now: issuer, endpoints and what its metadata (RFC 8414) promises.
    An account pins one; stored tokens go nowhere else.
    """

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
    """Whose client id is used, and what the provider's terms allow."""

    client_id: Annotated[
        ClientFrom,
        Meaning("keyfob: ours; user: the person registers an app; dynamic: registered by itself"),
    ] = "user"
    register_at: Annotated[Url | None, Meaning("the page where the person registers an app")] = None
    register_note: Annotated[Line | None, Meaning("what to choose on that page")] = None
    terms: Annotated[Url | None, Meaning("the page with the provider's terms")] = None
    note: Annotated[Line | None, Meaning("shown under the provider's name")] = None
    blocked: Annotated[
        Line | None, Meaning("why the provider's terms forbid it; shown instead of a sign-in that fails")
    ] = None
    share: Annotated[bool, Meaning("may other tools have the token")] = True
    share_reason: Annotated[Line | None, Meaning("why other tools may not have it")] = None


@dataclass(frozen=True, slots=True)
class Input:
    """Something the user must enter: an instance's host, a tenant, a handle."""

    name: InputName
    title: Title
    example: Words = ""
    help: Words = ""
    pattern: Annotated[
        Pattern | None,
        Meaning("a regular expression that the whole value matches; it repeats single characters alone"),
    ] = None
    default: Annotated[Words | None, Meaning("empty: the input may be left out")] = None
    kind: InputKind = "text"
    methods: Annotated[tuple[Method, ...], Meaning("the methods that ask for it; absent: all")] = ()


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """How the client authenticates at the token endpoint. A preset never contains a secret."""

    client_id: Name | None = None
    auth: ClientAuth = "none"
    secret: SecretRule = "never"  # noqa: S105
    alg: Annotated[Algorithm | None, Meaning("for private_key_jwt")] = None
    id_pattern: Annotated[
        Pattern | None, Meaning("a regular expression that every client id of this provider matches")
    ] = None
    id_hint: Annotated[Words, Meaning("how to recognise a client id; shown under the field")] = ""
    env: Annotated[
        Mapping[str, str],
        Meaning("client_id, client_secret, redirect_uri: names of environment variables"),
    ] = field(default_factory=_no_texts)


@dataclass(frozen=True, slots=True)
class RedirectProfile:
    """Where the browser comes back to: a loopback address, or a page whose code is pasted."""

    host: RedirectHost = "127.0.0.1"
    port: Annotated[RedirectPort, Meaning("setting: the callback port from Settings")] = "setting"
    ports: Annotated[tuple[Port, ...], Meaning("for port = fixed (one) and list")] = ()
    path: str = "/callback"
    paste: PasteForm | None = None
    uri: Annotated[Url | None, Meaning("a redirect that is not loopback; needs paste")] = None
    registered_port: Annotated[bool, Meaning("false: the redirect is registered without a port")] = True
    registered: Annotated[
        bool, Meaning("false: the page for registering an app has no field for this address")
    ] = True


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """The shape of the token endpoint's answers if it is not that of RFC 6749."""

    request_format: RequestFormat = "form"
    path: Annotated[
        tuple[str, ...], Meaning('keys that lead to the token object, such as "authed_user"')
    ] = ()
    access_field: Name = "access_token"
    refresh_field: Name = "refresh_token"
    expires_field: Name = "expires_in"
    expires_kind: ExpiresKind = "seconds"
    scope_field: Name = "scope"
    token_type_optional: Annotated[bool, Meaning("true: answers may leave out token_type")] = False
    error_field: Name = "error"
    ok_field: Annotated[
        Name | None, Meaning("a field that is false in an error with status 200, such as Slack's ok")
    ] = None


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """How signing in with a code differs from RFC 8628."""

    scope_param: Annotated[
        Name | None, Meaning("the parameter with the scopes, if the device request has another one")
    ] = None
    repeats_scopes: Annotated[bool, Meaning("true: the token request has the scopes too")] = False
    secret: Annotated[
        SecretRule | None, Meaning("whether a code needs a client secret, if not as client.secret says")
    ] = None
    code_field: Annotated[Name, Meaning("the parameter of the token request with the device code")] = (
        "device_code"
    )
    statuses: Annotated[
        Mapping[str, str],
        Meaning(
            "what a status without an error code means, such as 410: authorization_pending, slow_down, "
            "access_denied or expired_token"
        ),
    ] = field(default_factory=_no_texts)


@dataclass(frozen=True, slots=True)
class AnswerPattern:
    """An answer that means something its error code does not say, recognised by one of its fields."""

    field: Annotated[Name, Meaning("the path into the answer, such as errors.0.resource")]
    pattern: Annotated[Pattern, Meaning("a regular expression that the field's whole text matches")]


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Seconds, for servers that do not say; and what ends a grant."""

    access: Annotated[Seconds | None, Meaning("seconds that an access token lives")] = None
    refresh: Annotated[Seconds | None, Meaning("seconds that a refresh token lives")] = None
    grant: Annotated[
        Seconds | None, Meaning("seconds until the person must sign in again, whatever happens")
    ] = None
    rotates: Annotated[
        bool | None, Meaning("does each renewal bring a new refresh token; absent: treated as if it does")
    ] = None
    terminal_errors: Annotated[
        tuple[str, ...], Meaning("error codes besides invalid_grant that end a grant")
    ] = ()
    ended_after: Annotated[
        Seconds | None, Meaning("seconds after which the provider ends some sign-ins; ended_hint says which")
    ] = None
    ended_hint: Annotated[
        Line | None, Meaning("which sign-ins these are; shown as a possible reason for one that ended then")
    ] = None
    terminal: Annotated[
        tuple[AnswerPattern, ...],
        Meaning("answers that end a grant and whose error code does not say so"),
    ] = ()


@dataclass(frozen=True, slots=True)
class SecondPart:
    """The second part of a key that has two: what it is called, and how it is put on a request."""

    title: Annotated[Title, Meaning("such as Application key")]
    name: Annotated[Name, Meaning("of the header or the query parameter that holds it")]
    hint: Words = ""
    pattern: Pattern | None = None
    placement: SecondPlacement = "header"
    prefix: Annotated[str, Meaning("stands before it in that header")] = ""


@dataclass(frozen=True, slots=True)
class AnsweredAddress:
    """Where the token answer names the API's address. An account keeps the one that it was signed in with."""

    field: Annotated[Name, Meaning("the path into the token answer, such as instance_url")]
    hosts: Annotated[
        tuple[str, ...], Limits(1), Meaning("the hosts that it may name, such as *.my.salesforce.com")
    ]
    path: Annotated[str, Limits(most=200, pattern=r"(/[A-Za-z0-9._~-]+)*"), Meaning("what follows it")] = ""


@dataclass(frozen=True, slots=True)
class Api:
    """Where the token may go and how it is put on a request."""

    base: Url | None = None
    from_answer: Annotated[AnsweredAddress | None, Meaning("for a base that the token answer names")] = None
    hosts: Annotated[
        tuple[str, ...],
        Meaning("further hosts that may get the token; *.example.org stands for all below it"),
    ] = ()
    headers: Annotated[
        Mapping[str, str], Meaning("on each request; {version} and {client_id} are filled in")
    ] = field(default_factory=_no_texts)
    placement: Placement = "bearer"
    name: Annotated[Name | None, Meaning("of the header or the query parameter that holds the token")] = None
    prefix: Annotated[str, Meaning("stands before the token in that header")] = ""
    second: Annotated[SecondPart | None, Meaning("for a key of two parts")] = None
    params: Annotated[
        Mapping[str, str], Meaning("on each request; {version} and {client_id} are filled in")
    ] = field(default_factory=_no_texts)
    claim_headers: Annotated[
        Mapping[str, str],
        Meaning("header: path into the claims of an access token that is a JWT"),
    ] = field(default_factory=_no_texts)


@dataclass(frozen=True, slots=True)
class IdentitySource:
    """Identity: where the answer comes from, and what its fields mean."""

    source: IdentityFrom = "userinfo"
    method: Verb = "GET"
    url: Url | None = None
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=_no_texts)
    map: Annotated[  # the notation of `protocol.http.json_path`
        Mapping[str, str],
        Meaning("subject, name, username, email, avatar, plan: dotted paths, | between ways"),
    ] = field(default_factory=_no_texts)
    refused: Annotated[
        tuple[AnswerPattern, ...],
        Meaning("answers that refuse the token or key, if their status is not 401"),
    ] = ()


@dataclass(frozen=True, slots=True)
class TestRequest:
    """The request of `Test connection`, if it is not the who-am-I."""

    __test__ = False  # not a pytest class

    method: Verb = "GET"
    url: Url | None = None
    body: str | None = None


@dataclass(frozen=True, slots=True)
class RevocationRequest:
    """A request that asks the provider to end a grant, and the answers that mean that it has ended."""

    style: RevocationStyle = "none"
    url: Annotated[Url | None, Meaning("if the address is not the revocation_endpoint")] = None
    token: Annotated[RevokedToken, Meaning("which one is sent first")] = "refresh_token"  # noqa: S105
    params: Mapping[str, str] = field(default_factory=_no_texts)
    body: Annotated[
        str | None, Meaning("for json and delete: the whole body as JSON text; {token} stands in a string")
    ] = None
    auth: Annotated[
        RevocationAuth,
        Meaning("client: as at the token endpoint; none: the request says nothing of the client"),
    ] = "client"
    confirmed_by: Annotated[
        Name | None, Meaning("a field that is true in an answer that confirms, such as Slack's revoked")
    ] = None
    ended: Annotated[
        tuple[AnswerPattern, ...], Meaning("answers that say that the token had ended already")
    ] = ()


@dataclass(frozen=True, slots=True)
class Revocation(RevocationRequest):
    """How a grant is ended at the provider."""

    without_secret: Annotated[
        RevocationRequest | None, Meaning("the request of a client that has no secret, if it is another one")
    ] = None
    page: Annotated[Url | None, Meaning("the provider's page where the person can end access by hand")] = None

    def request_of(self, *, secret: bool) -> RevocationRequest:
        """The request for a client with a secret or key, or without one."""
        if not secret and self.without_secret is not None:
            return self.without_secret
        if not secret and self.auth in ("client_secret_basic", "client_secret_post"):
            return RevocationRequest()
        return self


@dataclass(frozen=True, slots=True)
class Access:
    """Something that a person may want the account for, as a bundle of scopes."""

    id: AccessId
    title: Annotated[Title, Meaning("in a person's words, such as: Read and write your repositories")]
    scopes: Annotated[tuple[str, ...], Limits(1)] = ()
    allows: Annotated[Line | None, Meaning("a line about what it allows")] = None
    default: Annotated[bool, Meaning("true: asked for if nobody chooses")] = False
    risky: Annotated[Line | None, Meaning("why to think twice, such as: Cannot be undone")] = None


@dataclass(frozen=True, slots=True)
class ApiKeyProfile:
    """Method `api_key`: where to make a key, how it is sent, how it is tried."""

    create_at: Url | None = None
    called: Annotated[KeyWord, Meaning("what the provider calls it")] = "API key"
    hint: Words = ""
    pattern: Pattern | None = None
    api: Annotated[Api, Meaning("absent: as [api]; without base and hosts: those of [api]")] = field(
        default_factory=Api
    )
    identity: Annotated[IdentitySource, Meaning("absent: as [identity], if that is a request")] = field(
        default_factory=lambda: IdentitySource(source="request")
    )
    redact: Annotated[tuple[str, ...], Meaning("fields of answers that echo the key")] = ()


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Method `client_credentials`: a service account of the user's own (RFC 6749 §4.4)."""

    scopes: Annotated[tuple[str, ...], Meaning("always asked for, in place of the preset's scopes")] = ()
    params: Mapping[str, str] = field(default_factory=_no_texts)
    create_at: Annotated[Url | None, Meaning("where to make one; absent: policy.register_at")] = None
    note: Annotated[Line | None, Meaning("what to choose on that page")] = None


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider. One file, `<id>.toml`."""

    # Immutable, shared between threads, holds no secret.
    id: Id
    title: Title
    category: Category = "other"
    icon: Annotated[
        Icon | None,
        Meaning("the name of an icon that comes with Keyfob: lower-case letters, digits and hyphens"),
    ] = None
    color: Color = "#5c5c63"
    docs: Url | None = None
    tested: Tested = "documentation"
    facts: Annotated[
        Day | None, Meaning("when the oldest fact of this file was last compared with its source")
    ] = None
    methods: Annotated[
        tuple[Method, ...], Limits(1), Meaning("ways of signing in, the preferred one first")
    ] = ("oauth",)
    policy: Policy = field(default_factory=Policy)
    inputs: tuple[Input, ...] = ()
    issuer: Url | None = None
    issuer_template: Annotated[
        Url | None, Meaning("the ID token's tid stands for {tenantid}, as Microsoft has it")
    ] = None
    discovery: Annotated[
        str | None,
        Meaning("openid, oauth, or the address of the metadata document; absent: the endpoints are all"),
    ] = None
    endpoints: Endpoints = field(default_factory=Endpoints)
    client: ClientProfile = field(default_factory=ClientProfile)
    pkce: Annotated[Pkce, Meaning("none: only for servers that reject or ignore it")] = "S256"
    nonce: Annotated[bool, Meaning("sent if the scope openid is asked for")] = True
    dpop: Offer = "never"
    par: Offer = "offered"
    resource: Annotated[
        Resource | None,
        Meaning("RFC 8707: the absolute URI of what the token is for, without #fragment"),
    ] = None
    redirect: RedirectProfile = field(default_factory=RedirectProfile)
    scopes: Annotated[tuple[str, ...], Meaning("always asked for: who you are, and renewal")] = ()
    access: Annotated[tuple[Access, ...], Meaning("what the person may ask for besides")] = ()
    implied_scopes: Annotated[
        Mapping[str, str], Meaning("a scope, and those that it contains, separated by spaces")
    ] = field(default_factory=_no_texts)
    scope_separator: ScopeSeparator = " "
    scope_param: Name = "scope"
    authorize_params: Mapping[str, str] = field(default_factory=_no_texts)
    token_params: Mapping[str, str] = field(default_factory=_no_texts)
    refresh_params: Mapping[str, str] = field(default_factory=_no_texts)
    device_params: Mapping[str, str] = field(default_factory=_no_texts)
    device: DeviceProfile = field(default_factory=DeviceProfile)
    token_headers: Mapping[str, str] = field(default_factory=_no_texts)
    token_answer: TokenAnswer = field(default_factory=TokenAnswer)
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    api: Api = field(default_factory=Api)
    identity: IdentitySource = field(default_factory=IdentitySource)
    test: TestRequest | None = None
    revocation: Revocation = field(default_factory=Revocation)
    api_key: ApiKeyProfile | None = None
    client_credentials: ClientCredentials = field(default_factory=ClientCredentials)
    quirks: tuple[QuirkName, ...] = ()
    origin: Origin = "keyfob"  # whose file it is; no file says so itself
    plain_host: str | None = None  # the user's own host (and port) that they allowed without TLS; in no file

    def key_for(self, method: Method) -> ApiKeyProfile | None:
        """What the preset says about keys, if an account that signs in by `method` has one."""
        return self.api_key if holds_key(method) else None

    def secret_rule(self, method: Method) -> SecretRule:
        """Whether a client that signs in by `method` has a secret."""
        if METHOD_FACTS[method].by_client:
            return "never" if self.client.auth == "private_key_jwt" else "required"
        return self.device.secret or self.client.secret if method == "device" else self.client.secret

    def inputs_for(self, method: Method) -> tuple[Input, ...]:
        """What the user must enter to sign in by `method`."""
        return tuple(entry for entry in self.inputs if not entry.methods or method in entry.methods)

    def default_server(self) -> Server:
        """What is known before discovery."""
        return Server(self.issuer, self.endpoints)
