"""The parts of a preset about requests and answers: where a token goes and how, what the token endpoint
answers, who an account is of, and how a grant is ended. `core.provider` puts them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from keyfob.core.limits import Limits, Line, Meaning, Name, Pattern, Seconds, Title, Url, Words
from keyfob.core.words import (
    Channel,
    ExpiresKind,
    IdentityFrom,
    Placement,
    RequestFormat,
    RevocationAuth,
    RevocationStyle,
    RevokedToken,
    SecondPlacement,
    SecretRule,
    Verb,
)

EMPTY: Mapping[str, str] = MappingProxyType({})


def no_texts() -> Mapping[str, str]:
    """The empty mapping, for a field's default: a dataclass refuses it as a plain one."""
    return EMPTY


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
    ] = field(default_factory=no_texts)


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
    ] = field(default_factory=no_texts)
    placement: Placement = "bearer"
    name: Annotated[Name | None, Meaning("of the header or the query parameter that holds the token")] = None
    prefix: Annotated[str, Meaning("stands before the token in that header")] = ""
    second: Annotated[SecondPart | None, Meaning("for a key of two parts")] = None
    params: Annotated[
        Mapping[str, str], Meaning("on each request; {version} and {client_id} are filled in")
    ] = field(default_factory=no_texts)
    claim_headers: Annotated[
        Mapping[str, str],
        Meaning("header: path into the claims of an access token that is a JWT"),
    ] = field(default_factory=no_texts)


@dataclass(frozen=True, slots=True)
class Formats:
    """The formats of LLM requests that the API speaks, each with the address that its paths begin with."""

    openai_chat: Annotated[
        Url | None,
        Meaning("/chat/completions, /embeddings and /models follow it; the token is sent as Bearer"),
    ] = None
    openai_responses: Annotated[
        Url | None, Meaning("/responses and /models follow it; the token is sent as Bearer")
    ] = None
    anthropic_messages: Annotated[Url | None, Meaning("/messages and /models follow it")] = None
    channel: Annotated[
        Channel | None,
        Meaning("codex: Responses always streams there, stores nothing, and some fields are refused"),
    ] = None


@dataclass(frozen=True, slots=True)
class IdentitySource:
    """Identity: where the answer comes from, and what its fields mean."""

    source: IdentityFrom = "userinfo"
    method: Verb = "GET"
    url: Url | None = None
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=no_texts)
    map: Annotated[  # the notation of `protocol.http.json_path`
        Mapping[str, str],
        Meaning("subject, name, username, email, avatar, plan: dotted paths, | between ways"),
    ] = field(default_factory=no_texts)
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
    params: Mapping[str, str] = field(default_factory=no_texts)
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
