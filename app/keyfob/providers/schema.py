"""The preset file format: what a TOML file in `providers/` may hold, as msgspec structs.

Promises: every table mirrors one dataclass of `core.provider` field by field, so that a preset is a value and no
code; `to_provider` turns a judged table into the frozen value; `json_schema` describes the same structs for
editors. Called by `catalogue` and by the build script that writes `docs/preset.schema.json`.
Must never fill in anything that the file does not say, but the standard OpenID Connect claim names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from keyfob.core import provider as core
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
from keyfob.providers.patterns import PATTERN_MOST

Id = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)*\Z",
        max_length=40,
        description="lower-case letters, digits and single hyphens; the file's name without .toml",
    ),
]
# No control characters, line separators, bidi marks and invisible ones: a title must not pretend to be another.
SHOWN = (
    r"^[^\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]*\Z"
)
Line = Annotated[str, Meta(min_length=1, max_length=600, pattern=SHOWN)]
Words = Annotated[str, Meta(max_length=600, pattern=SHOWN)]  # may be empty
Title = Annotated[str, Meta(min_length=1, max_length=60, pattern=SHOWN)]
Url = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=600,
        description="https, or http on loopback; {name} stands for an input",
    ),
]
Resource = Annotated[str, Meta(min_length=1, max_length=600)]
Name = Annotated[str, Meta(min_length=1, max_length=80, pattern=SHOWN)]
Pattern = Annotated[str, Meta(max_length=PATTERN_MOST)]
Icon = Annotated[str, Meta(pattern=r"^[a-z0-9-]+\Z")]
Port = Annotated[int, Meta(ge=1024, le=65535)]
Seconds = Annotated[int, Meta(ge=1, le=10_000_000_000)]
Texts = dict[str, str]


class Table(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all tables share: unknown keys are errors and a value never changes."""


class EndpointsTable(Table, frozen=True):
    """The server's addresses, named as in RFC 8414; what is absent comes from discovery or does not exist."""

    authorization_endpoint: Url | None = None
    token_endpoint: Url | None = None
    refresh_endpoint: Annotated[Url | None, Meta(description="where renewal has an address of its own")] = (
        None
    )
    userinfo_endpoint: Url | None = None
    jwks_uri: Url | None = None
    revocation_endpoint: Url | None = None
    introspection_endpoint: Url | None = None
    device_authorization_endpoint: Url | None = None
    pushed_authorization_request_endpoint: Url | None = None
    registration_endpoint: Url | None = None


class PolicyTable(Table, frozen=True):
    """Whose client id is used, and what the provider's terms allow."""

    client_id: Annotated[
        ClientFrom,
        Meta(description="keyfob: ours; user: the person registers an app; dynamic: registered by itself"),
    ] = "user"
    register_at: Annotated[Url | None, Meta(description="the page where the person registers an app")] = None
    register_note: Line | None = None
    terms: Url | None = None
    note: Line | None = None
    blocked: Annotated[Line | None, Meta(description="why the provider's terms forbid it")] = None
    share: Annotated[bool, Meta(description="may other tools have the token")] = True
    share_reason: Line | None = None


class InputTable(Table, frozen=True):
    """Something the person must tell: an instance's host, a tenant, a handle."""

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,30}\Z")]
    title: Title
    example: Words = ""
    help: Words = ""
    pattern: Annotated[
        Pattern | None,
        Meta(
            description="a regular expression that the whole value matches; it repeats single characters alone"
        ),
    ] = None
    default: Annotated[Words | None, Meta(description="empty: the input may be left out")] = None
    kind: InputKind = "text"


class ClientTable(Table, frozen=True):
    """How the client shows who it is at the token endpoint. A secret never stands in a preset."""

    client_id: Name | None = None
    auth: ClientAuth = "none"
    secret: SecretRule = "never"  # noqa: S105
    alg: Algorithm | None = None
    env: Annotated[
        Texts, Meta(description="client_id, client_secret, redirect_uri: names of environment variables")
    ] = {}


class RedirectTable(Table, frozen=True):
    """Where the browser comes back to: a loopback address, or a page whose code is pasted."""

    host: RedirectHost = "127.0.0.1"
    port: RedirectPort = "setting"
    ports: tuple[Port, ...] = ()
    path: str = "/callback"
    paste: PasteForm | None = None
    uri: Annotated[Url | None, Meta(description="a redirect that is not loopback; needs paste")] = None
    registered_port: bool = True


class TokenAnswerTable(Table, frozen=True):
    """The shape of the token endpoint's answers where it is not that of RFC 6749."""

    request_format: RequestFormat = "form"
    path: tuple[str, ...] = ()
    access_field: Name = "access_token"
    refresh_field: Name = "refresh_token"
    expires_field: Name = "expires_in"
    expires_kind: ExpiresKind = "seconds"
    scope_field: Name = "scope"
    token_type_optional: bool = False
    error_field: Name = "error"
    ok_field: Name | None = None


class LifetimesTable(Table, frozen=True):
    """Seconds, where the server does not say; and what ends a grant."""

    access: Seconds | None = None
    refresh: Seconds | None = None
    grant: Seconds | None = None
    rotates: bool | None = None
    terminal_errors: Annotated[
        tuple[str, ...], Meta(description="error codes besides invalid_grant that end a grant")
    ] = ()


class ApiTable(Table, frozen=True):
    """Where the token may go and how it is put on a request."""

    base: Url | None = None
    hosts: tuple[str, ...] = ()
    headers: Texts = {}
    placement: Placement = "bearer"
    name: Name | None = None
    prefix: str = ""
    params: Texts = {}
    claim_headers: Texts = {}


class IdentityTable(Table, frozen=True):
    """Who-am-I: where the answer comes from, and which of its fields mean what."""

    source: IdentityFrom = "userinfo"
    method: Verb = "GET"
    url: Url | None = None
    body: str | None = None
    headers: Texts = {}
    map: Annotated[
        Texts, Meta(description="subject, name, username, email, avatar, plan: dotted paths, | between ways")
    ] = {}


class TestTable(Table, frozen=True):
    """The request of `Test connection`, where it is not the who-am-I."""

    __test__ = False  # not a pytest class

    method: Verb = "GET"
    url: Url | None = None
    body: str | None = None


class RevocationTable(Table, frozen=True):
    """How a grant is ended at the provider."""

    style: RevocationStyle = "none"
    url: Url | None = None
    token: RevokedToken = "refresh_token"  # noqa: S105
    params: Texts = {}


class ApiKeyTable(Table, frozen=True):
    """Method `api_key`: where to make a key, how it is sent, how it is tried."""

    create_at: Url | None = None
    hint: Words = ""
    pattern: Pattern | None = None
    api: ApiTable = msgspec.field(default_factory=ApiTable)
    identity: IdentityTable = msgspec.field(default_factory=lambda: IdentityTable(source="request"))
    redact: tuple[str, ...] = ()


class Preset(Table, frozen=True):
    """A provider. One file, `<id>.toml`."""

    id: Id
    title: Title
    category: Category = "other"
    icon: Icon | None = None
    color: Annotated[str, Meta(pattern=r"^#[0-9a-fA-F]{6}\Z", description="#rrggbb, of the letter tile")] = (
        "#5c5c63"
    )
    docs: Url | None = None
    tested: Tested = "documentation"
    methods: Annotated[
        tuple[Method, ...], Meta(min_length=1, description="ways of signing in, the preferred one first")
    ] = ("oauth",)
    policy: PolicyTable = msgspec.field(default_factory=PolicyTable)
    inputs: tuple[InputTable, ...] = ()
    issuer: Url | None = None
    issuer_template: Url | None = None
    discovery: Annotated[
        str | None, Meta(description="openid, oauth, or the address of the metadata document")
    ] = None
    endpoints: EndpointsTable = msgspec.field(default_factory=EndpointsTable)
    client: ClientTable = msgspec.field(default_factory=ClientTable)
    pkce: Pkce = "S256"
    nonce: bool = True
    dpop: Offer = "never"
    par: Offer = "offered"
    resource: Annotated[
        Resource | None,
        Meta(description="RFC 8707: the absolute URI of what the token is for, without #fragment"),
    ] = None
    redirect: RedirectTable = msgspec.field(default_factory=RedirectTable)
    scopes: tuple[str, ...] = ()
    scope_separator: ScopeSeparator = " "
    scope_param: Name = "scope"
    authorize_params: Texts = {}
    token_params: Texts = {}
    refresh_params: Texts = {}
    device_params: Texts = {}
    token_headers: Texts = {}
    token_answer: TokenAnswerTable = msgspec.field(default_factory=TokenAnswerTable)
    lifetimes: LifetimesTable = msgspec.field(default_factory=LifetimesTable)
    api: ApiTable = msgspec.field(default_factory=ApiTable)
    identity: IdentityTable = msgspec.field(default_factory=IdentityTable)
    test: TestTable | None = None
    revocation: RevocationTable = msgspec.field(default_factory=RevocationTable)
    api_key: ApiKeyTable | None = None
    quirks: tuple[str, ...] = ()


CORE: Mapping[type[Struct], type[Any]] = MappingProxyType(
    {
        EndpointsTable: core.Endpoints,
        PolicyTable: core.Policy,
        InputTable: core.Input,
        ClientTable: core.ClientProfile,
        RedirectTable: core.RedirectProfile,
        TokenAnswerTable: core.TokenAnswer,
        LifetimesTable: core.Lifetimes,
        ApiTable: core.Api,
        IdentityTable: core.IdentitySource,
        TestTable: core.TestRequest,
        RevocationTable: core.Revocation,
        ApiKeyTable: core.ApiKeyProfile,
        Preset: core.Provider,
    }
)


def to_provider(preset: Preset, *, origin: Origin) -> core.Provider:
    """The frozen value of a judged preset. `origin` is `keyfob` or `user`: whose file it is."""
    value = _frozen(preset)
    assert isinstance(value, core.Provider)
    if origin == "user" and preset.client.client_id is not None:
        # Who brings a registered client in a file of their own answers for its terms themselves.
        value = replace(value, policy=replace(value.policy, blocked=None))
    fields = {name: getattr(value, name) for name in core.Provider.__dataclass_fields__}
    return core.Provider(**{**fields, "origin": origin})


def _frozen(value: Any) -> Any:
    match value:
        case Struct():
            return CORE[type(value)](
                **{name: _frozen(getattr(value, name)) for name in value.__struct_fields__}
            )
        case dict():
            return MappingProxyType(dict(value))
        case tuple():
            return tuple(_frozen(item) for item in value)
        case _:
            return value


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a preset file, for editors. `extends` stands in files only."""
    schema: dict[str, Any] = _in_ecmascript(msgspec.json.schema(Preset))
    definitions: dict[str, Any] = schema["$defs"]
    preset = definitions["Preset"]
    preset["properties"] = {
        "extends": {
            "type": "string",
            "description": "the id of a preset whose tables this one starts from; what stands here wins",
        },
        **preset["properties"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Keyfob provider preset",
        **schema,
    }


def _in_ecmascript(value: Any) -> Any:
    """The schema's patterns as editors read them: their `$` is Python's `\\Z`."""
    if isinstance(value, dict):
        return {
            name: each.replace(r"\Z", "$")
            if name == "pattern" and isinstance(each, str)
            else _in_ecmascript(each)
            for name, each in value.items()
        }
    return [_in_ecmascript(each) for each in value] if isinstance(value, list) else value
