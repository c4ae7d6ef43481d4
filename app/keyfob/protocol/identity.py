"""Who signed in: from the ID token, the user information endpoint, or the provider's own identity request.

Called at sign-in when the tokens are there, by `test`, and for a new API key. Returns an `Identity` whose
subject is never empty and whose other fields are plain text that is safe to show. It never shows a key that
an answer echoes, never accepts user information of another subject than the ID token's (OpenID Connect Core
§5.3.2), and sends a token only to the address that it is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any, assert_never
from urllib.parse import urlsplit

from keyfob.core.errors import PeerFault, SignInNeeded, Transient
from keyfob.core.grant import Grant
from keyfob.core.http import Request, Response
from keyfob.core.key_parts import parts_of
from keyfob.core.methods import Method, holds_key
from keyfob.core.provider import EMPTY, AnswerPattern, Api, IdentitySource, Provider, Server
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.core.words import Purpose, Verb
from keyfob.protocol import dpop
from keyfob.protocol.context import FlowContext, Identity
from keyfob.protocol.effects import Flow
from keyfob.protocol.http.json_path import read_path
from keyfob.protocol.http.responses import (
    NotStrictError,
    failure,
    fits,
    is_web_page,
    media_type,
    parse_json,
    read_json,
)
from keyfob.protocol.http.urls import fault_of, leads_inside, safe
from keyfob.protocol.oidc.id_token import SUBJECT_MOST, unverified_claims, verify_userinfo
from keyfob.protocol.token_placement import api_of, filled, place_token, token_values

# Where OpenID Connect's standard claims are (Core §5.1); a preset's map overrides each.
STANDARD_CLAIMS: Mapping[str, str] = MappingProxyType(
    {
        "subject": "sub",
        "name": "name|preferred_username",
        "username": "preferred_username|email",
        "email": "email",
        "avatar": "picture",
        "plan": "plan",
    }
)
# Begins the subject of an account whose provider does not identify
# users: two sign-ins cannot be compared by it.
UNIDENTIFIED = "unidentified:"
NAME_MOST = 120
EMAIL_MOST = 254
ADDRESS_MOST = 1024

__all__ = [
    "UNIDENTIFIED",
    "identify",
    "probe",
    "probe_request",
    "read_path",
    "who_am_i_request",
]


_PLAIN_SUBJECT = re.compile(r"[A-Za-z0-9._:-]{1,128}")


# --- requests -----------------------------------------------------------------------------------------------


def _source_of(provider: Provider, method: Method) -> IdentitySource:
    key = provider.key_for(method)
    return provider.identity if key is None else key.identity


def _userinfo_endpoint(provider: Provider, server: Server | None) -> str | None:
    return (server.endpoints if server else provider.endpoints).userinfo_endpoint


def who_am_i_request(
    provider: Provider,
    method: Method,
    token: Secret,
    *,
    server: Server | None = None,
    values: Mapping[str, str] = EMPTY,
    token_type: str = "Bearer",  # noqa: S107
) -> Request:
    """The request that asks the provider whose token this is, the token in place. Raises SettingWrong
    `preset_faulty` if the provider has none.
    """
    source, api = _source_of(provider, method), api_of(provider, method)
    if source.source == "request" or source.url is not None:
        url, verb, body, extra = source.url, source.method, source.body, source.headers
    else:
        url, verb, body, extra = _userinfo_endpoint(provider, server), "GET", None, EMPTY
        api = replace(api, placement="bearer", prefix="") if not holds_key(method) else api
    return _api_request(api, verb, url, body, extra, "whoami", token, token_type, values, provider.plain_host)


def probe_request(
    provider: Provider,
    method: Method,
    token: Secret,
    *,
    server: Server | None = None,
    values: Mapping[str, str] = EMPTY,
    token_type: str = "Bearer",  # noqa: S107
) -> Request:
    """The request by which an account is tested: the preset's own, else who-am-I. Raises as
    `who_am_i_request`.
    """
    if provider.test is None or provider.test.url is None or holds_key(method):
        return who_am_i_request(provider, method, token, server=server, values=values, token_type=token_type)
    test = provider.test
    return _api_request(
        provider.api,
        test.method,
        test.url,
        test.body,
        EMPTY,
        "whoami",
        token,
        token_type,
        values,
        provider.plain_host,
    )


def _api_request(
    api: Api,
    verb: Verb,
    url: str | None,
    body: str | None,
    extra: Mapping[str, str],
    purpose: Purpose,
    token: Secret,
    token_type: str,
    values: Mapping[str, str],
    plain_host: str | None,
) -> Request:
    headers = {"Accept": "application/json"} | {k: filled(v, values) for k, v in extra.items()}
    if body is not None and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/json"
    if url is not None and url.startswith("/"):  # at the account's own server, which the sign-in pinned
        url = (api.base or "").rstrip("/") + url
    address = safe(url, "The user information endpoint", plain_host)
    request = Request(verb, address, purpose, headers, body.encode() if body is not None else None)
    return place_token(api, request, token, token_type=token_type, values=values)


# --- the flow -----------------------------------------------------------------------------------------------


def identify(
    ctx: FlowContext,
    grant: Grant,
    *,
    claims: Mapping[str, Any] | None,
    method: Method,
    answer: Mapping[str, Any] | None = None,
) -> Flow[Identity]:
    """Who the grant is of. `claims` are the verified ID token's, `answer` what the token endpoint gave. User
    information that comes signed is verified with the environment's keys. A user information endpoint that
    refuses the token (one that is bound to another resource, RFC 8707) does not matter if the ID token has
    said who it is.

    For method `api_key` the grant's access token is the key. Raises SignInNeeded `token_rejected` if the
    provider refuses the token, PeerFault `identity_invalid` if it names no subject, PeerFault
    `protocol_violation` if the user information is of another subject than the ID token, and Transient.
    """
    provider = ctx.provider
    source = _source_of(provider, method)
    match source.source:
        case "none":
            data: Mapping[str, Any] = claims or EMPTY
            if not claims:
                # The preset may still have a word for the account, such as its server.
                called = read_path(EMPTY, source.map.get("name", "="))
                return Identity(
                    UNIDENTIFIED + grant.access.fingerprint()[:16],
                    name=plain(called, NAME_MOST) if called else None,
                )
        case "id_token" if claims is not None:
            data = claims
        case "access_jwt":
            data = unverified_claims(grant.access) or EMPTY
            if source.url is not None:
                details = yield from _details(ctx, grant, source, data)
                data = {**data, **details}
        case "token_answer":
            data = answer or EMPTY
        case "request":
            data = yield from _ask(ctx, grant, method)
        case "userinfo" | "id_token":
            data = claims or EMPTY
            if _userinfo_endpoint(provider, ctx.server) is not None or source.url is not None:
                information = yield from _user_information(ctx, grant, claims, method)
                data = {**data, **information}
        case _:
            assert_never(source.source)
    key = provider.key_for(method)
    hidden = () if key is None else key.redact
    return identity_in(
        source, {k: v for k, v in data.items() if k not in hidden}, grant.access, provider.title, _home(ctx)
    )


def _user_information(
    ctx: FlowContext, grant: Grant, claims: Mapping[str, Any] | None, method: Method
) -> Flow[Mapping[str, Any]]:
    """What the user information endpoint says (OpenID Connect Core §5.3), checked against the ID token's
    claims.
    """
    try:
        information = yield from _ask(ctx, grant, method)
    except SignInNeeded:
        if claims is None:
            raise
        return claims
    if claims is not None and information.get("sub") != claims.get("sub"):
        raise PeerFault(f"{ctx.provider.title}'s user information and its ID token name different users")
    return information


def _home(ctx: FlowContext) -> str | None:
    """An address of the server that names the user."""
    ends = ctx.server.endpoints
    return ctx.server.issuer or ends.token_endpoint or ctx.provider.api.base or ctx.provider.identity.url


def _details(
    ctx: FlowContext,
    grant: Grant,
    source: IdentitySource,
    claims: Mapping[str, Any],
) -> Flow[Mapping[str, Any]]:
    """More about the user whom the token names, for display: `{subject}` stands in the request's body. Only a
    refused token is a failure; whatever else goes wrong leaves out a picture.
    """
    subject = read_path(claims, source.map.get("subject", "sub"))
    if isinstance(subject, bool) or not _PLAIN_SUBJECT.fullmatch(str(subject)):
        return EMPTY  # nothing is built into a request that could change its meaning
    body = source.body.replace("{subject}", str(subject)) if source.body else None
    asking = replace(ctx, provider=replace(ctx.provider, identity=replace(source, body=body)))
    try:
        answer: Mapping[str, Any] = yield from _ask(asking, grant, "oauth")
    except (Transient, PeerFault):
        return EMPTY
    return answer


def _ask(
    ctx: FlowContext,
    grant: Grant,
    method: Method,
) -> Flow[Mapping[str, Any]]:
    provider = ctx.provider
    values = token_values(ctx.inputs, ctx.client.client_id)
    request = who_am_i_request(
        provider, method, grant.access, server=ctx.server, values=values, token_type=grant.token_type
    )
    response = yield from _sent(ctx, request, grant)
    return (yield from _answer_of(ctx, response, _source_of(provider, method)))


def _answer_of(ctx: FlowContext, response: Response, source: IdentitySource) -> Flow[Mapping[str, Any]]:
    """What the user information says, after a check of its signature if it has one (Core §5.3.2)."""
    if 200 <= response.status < 300 and media_type(response) == "application/jwt":
        token = Secret(response.body.decode("ascii", "replace").strip())
        return (yield from verify_userinfo(ctx, token, at=response.at))
    return read_who_am_i(ctx.provider, response, source.refused)


def _sent(ctx: FlowContext, request: Request, grant: Grant) -> Flow[Response]:
    access = grant.access if grant.key else None
    return dpop.send(request, key=grant.key, env=ctx.env, access=access)


def probe(
    ctx: FlowContext,
    grant: Grant,
    *,
    subject: str,
    method: Method,
) -> Flow[Identity]:
    """Try a token that was stored: the preset's test request, else its who-am-I. `subject` is the account's;
    what comes back has it too.

    Raises SignInNeeded `token_rejected`, PeerFault `subject_mismatch` if the answer names somebody else,
    SettingWrong `preset_faulty` if there is nothing to ask, and Transient.
    """
    provider = ctx.provider
    source = _source_of(provider, method)
    values = token_values(ctx.inputs, ctx.client.client_id)
    request = probe_request(
        provider, method, grant.access, server=ctx.server, values=values, token_type=grant.token_type
    )
    response: Response = yield from _sent(ctx, request, grant)
    answer = yield from _answer_of(ctx, response, source)
    tests_only = not holds_key(method) and provider.test is not None and provider.test.url is not None
    if tests_only or source.source not in ("request", "userinfo", "id_token"):
        return Identity(subject)
    key = provider.key_for(method)
    hidden = () if key is None else key.redact
    try:
        found = identity_in(
            source,
            {k: v for k, v in answer.items() if k not in hidden},
            grant.access,
            provider.title,
            _home(ctx),
        )
    except PeerFault:
        if source.source != "id_token":
            raise
        return Identity(subject)  # the ID token's words are not all in the user information
    if found.subject.startswith(UNIDENTIFIED):
        return replace(found, subject=subject)
    if found.subject != subject:
        raise PeerFault(f"{provider.title} answers for another person", code="subject_mismatch")
    return found


def read_who_am_i(
    provider: Provider, response: Response, refused: Sequence[AnswerPattern] = ()
) -> dict[str, Any]:
    """The object of a who-am-I answer. An answer that is a list stands under the key `data`. `refused` are
    the preset's patterns for answers without status 401 that refuse the token. Raises as `identify`.
    """
    what = f"{provider.title}'s user information endpoint"
    if refused and _says_refused(response, refused):
        raise _not_accepted(provider)
    if 200 <= response.status < 300:
        if response.body.lstrip()[:1] == b"[":
            with suppress(NotStrictError):
                return {"data": parse_json(response.body)}
        return read_json(response, what, who=provider.title)
    # RFC 6750 §3: the challenge says so, and often there is no body at
    # all. A web page without one says nothing.
    if response.status == 401 and ("www-authenticate" in response.headers or not is_web_page(response)):
        raise _not_accepted(provider)
    raise failure(response, what, who=provider.title)


def _not_accepted(provider: Provider) -> SignInNeeded:
    return SignInNeeded(f"{provider.title} does not accept this token or key", code="token_rejected")


def _says_refused(response: Response, refused: Sequence[AnswerPattern]) -> bool:
    """Whether an answer of the API itself refuses the token. A server that is busy has not looked at it."""
    if response.status >= 500 or response.status in (408, 429):
        return False
    with suppress(NotStrictError):
        data = parse_json(response.body)
        return fits(refused, data if isinstance(data, Mapping) else {"data": data})
    return False


def _fit_picture(url: str, server: str | None) -> bool:
    """Whether the picture may be fetched. Without TLS only a loopback server's own one may: the demo's."""
    if fault_of(url) is not None or leads_inside(url, server):
        return False
    return url.startswith("https://") or (server is not None and _origin(url) == _origin(server))


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def identity_in(
    source: IdentitySource, data: Mapping[str, Any], token: Secret, title: str, server: str | None = None
) -> Identity:
    """The identity in an answer, by the preset's map over the standard claims. Nothing that contains the
    token is taken, nor a picture to which `server` has no business to send us. A preset whose request names
    no path to a subject means that the answer names no subject. Raises PeerFault `identity_invalid` if there
    is no subject.
    """

    echoed = (token, *parts_of(token))

    def found(name: str) -> str:
        value = read_path(data, source.map.get(name, STANDARD_CLAIMS[name]))
        if isinstance(value, bool) or not isinstance(value, str | int):
            return ""
        text = value if isinstance(value, str) else str(value) if abs(value) < 10**30 else ""
        return "" if any(len(part) >= 8 and part.reveal() in text for part in echoed) else text

    def text(name: str, limit: int) -> str | None:
        return plain(found(name), limit) or None

    # To the letter: two subjects that only look alike once made plain are two users.
    subject: str | None = found("subject")
    if not subject or len(subject) > SUBJECT_MOST or not subject.isprintable():
        subject = None
    if subject is None and source.source == "request" and "subject" not in source.map:
        # The answer shows that the token works, and no more.
        subject = UNIDENTIFIED + token.fingerprint()[:16]
    if subject is None:
        raise PeerFault(f"{title} does not say who signed in", code="identity_invalid")
    avatar = text("avatar", ADDRESS_MOST)
    if avatar is not None and not _fit_picture(avatar, server):
        avatar = None
    return Identity(
        subject=subject,
        name=text("name", NAME_MOST),
        username=text("username", NAME_MOST),
        email=text("email", EMAIL_MOST),
        avatar_url=avatar,
        plan=text("plan", 40),
    )
