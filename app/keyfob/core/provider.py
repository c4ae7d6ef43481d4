"""A provider as a value: the content of a preset file, frozen. A preset
contains no code; `quirks` are names of code in Keyfob.

Only this file and `core.provider_requests` define which tables and keys a preset file may have.
`providers.schema_check` reads files by these classes. The docstrings and the `Meaning` of fields go into the
JSON Schema for editors. Endpoint and parameter names are those of RFC 8414 and similar. `{name}` in a URL
stands for an input of the user (`instance`, `tenant`, …), which is filled in once, when an account is
created.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    Title,
    Url,
    Words,
)
from keyfob.core.methods import METHOD_FACTS, Method, holds_key
from keyfob.core.provider_requests import (
    EMPTY,
    AnsweredAddress,
    AnswerPattern,
    Api,
    DeviceProfile,
    Formats,
    IdentitySource,
    Lifetimes,
    Revocation,
    RevocationRequest,
    SecondPart,
    TestRequest,
    TokenAnswer,
    no_texts,
)
from keyfob.core.quirks import QuirkName
from keyfob.core.words import (
    Algorithm,
    Category,
    ClientAuth,
    ClientFrom,
    InputKind,
    KeyWord,
    Offer,
    Origin,
    PasteForm,
    Pkce,
    RedirectHost,
    RedirectPort,
    ScopeSeparator,
    SecretRule,
    Tested,
)

__all__ = [
    "EMPTY",
    "Access",
    "AnswerPattern",
    "AnsweredAddress",
    "Api",
    "ApiKeyProfile",
    "ClientCredentials",
    "ClientProfile",
    "DeviceProfile",
    "Endpoints",
    "Formats",
    "IdentitySource",
    "Input",
    "Lifetimes",
    "Policy",
    "Provider",
    "RedirectProfile",
    "Revocation",
    "RevocationRequest",
    "SecondPart",
    "Server",
    "TestRequest",
    "TokenAnswer",
]


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
    ] = field(default_factory=no_texts)


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
    params: Mapping[str, str] = field(default_factory=no_texts)
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
    ] = field(default_factory=no_texts)
    scope_separator: ScopeSeparator = " "
    scope_param: Name = "scope"
    authorize_params: Mapping[str, str] = field(default_factory=no_texts)
    token_params: Mapping[str, str] = field(default_factory=no_texts)
    refresh_params: Mapping[str, str] = field(default_factory=no_texts)
    device_params: Mapping[str, str] = field(default_factory=no_texts)
    device: DeviceProfile = field(default_factory=DeviceProfile)
    token_headers: Mapping[str, str] = field(default_factory=no_texts)
    token_answer: TokenAnswer = field(default_factory=TokenAnswer)
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    api: Api = field(default_factory=Api)
    formats: Formats = field(default_factory=Formats)
    identity: IdentitySource = field(default_factory=IdentitySource)
    test: TestRequest | None = None
    revocation: Revocation = field(default_factory=Revocation)
    api_key: ApiKeyProfile | None = None
    client_credentials: ClientCredentials = field(default_factory=ClientCredentials)
    quirks: tuple[QuirkName, ...] = ()
    origin: Origin = "keyfob"  # whose file it is; no file says so itself
    plain_host: str | None = None  # the user's own host (and port) that they allowed without TLS; in no file
    # The publisher's client ids, by the methods that they are for (`clients.toml`); in no preset's file.
    publisher: Mapping[Method, str] = field(default_factory=dict)

    def needs_own_app(self, method: Method) -> bool:
        """Whether a user has to register an app at the provider before they can sign in by `method`."""
        facts = METHOD_FACTS[method]
        known = method in self.publisher or self.client.client_id is not None
        return facts.needs_client and not facts.by_client and self.policy.client_id == "user" and not known

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
