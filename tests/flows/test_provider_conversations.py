"""Each preset against a conversation written from its provider's documentation: token answer, who-am-I,
identity, and how the end of a grant and a refused token look there.
"""

from __future__ import annotations

import base64
import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from keyfob.core.errors import KeyfobError, SignInNeeded
from keyfob.core.grant import Grant, SigningKey
from keyfob.core.http import Request, Response
from keyfob.core.methods import METHOD_FACTS
from keyfob.core.provider import Api, Provider
from keyfob.core.resources import resources
from keyfob.core.secret import Secret
from keyfob.core.words import TokenHint
from keyfob.protocol.context import Client, FlowContext, Identity
from keyfob.protocol.identity import UNIDENTIFIED, identify, probe, probe_request
from keyfob.protocol.oauth.client_auth import authenticate
from keyfob.protocol.oauth.device import device_code
from keyfob.protocol.oauth.revoke import revoke
from keyfob.protocol.oauth.token_answer import grant_of as grant_in
from keyfob.protocol.oauth.token_answer import read_answer
from keyfob.providers.catalogue import Catalogue
from keyfob.providers.substitute import fill
from support.playbook import AT, ENV, Answer, Playbook, form_of, json_answer, sends, waits

FOLDER = Path(__file__).parent / "providers"
CATALOGUE = Catalogue(resources() / "providers")
FILES = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.toml"))}


def _part(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _with_jwt(talk: dict[str, Any]) -> dict[str, Any]:
    """Where the access token is a JWT that says who it is, the file has
    its claims; the token is made here.
    """
    if "jwt" in talk:
        talk["access"] = f"{_part('{}')}.{_part(talk['jwt'])}.{_part('made-up')}"
        talk["token"] = talk["token"].replace("made-up-access-jwt", talk["access"])
    return talk


for _file in FILES.values():
    _file["conversation"] = [_with_jwt(talk) for talk in _file["conversation"]]
TALKS = [
    pytest.param(file, talk, id=f"{name}-{talk['method']}-{n}")
    for name, file in FILES.items()
    for n, talk in enumerate(file["conversation"])
]
TOKEN = "made-up-access-token-000"
REFRESH = "made-up-refresh-token-000"
KEY = "made-up-key-000"
DPOP_KEY = SigningKey("kid", "ES256", Secret("{}"), {})


def context_of(file: Mapping[str, Any], talk: Mapping[str, Any]) -> FlowContext:
    inputs = file.get("inputs", {})
    provider = fill(CATALOGUE.get(file["provider"]), inputs)
    server = provider.default_server()
    if "whoami" in talk and provider.identity.source == "userinfo":
        found = replace(server.endpoints, userinfo_endpoint=talk["whoami"]["url"])
        server = replace(server, endpoints=found)  # as discovery would have told
    key = DPOP_KEY if talk.get("dpop") else None
    return FlowContext(
        provider, server, Client("made-up-client"), ENV, scopes=provider.scopes, dpop_key=key, inputs=inputs
    )


def response(body: str, status: int = 200) -> Response:
    return Response(status, {"content-type": "application/json"}, body.encode(), AT)


def key_of(talk: Mapping[str, Any]) -> str:
    """The key that the person pasted, with its second part where it has one."""
    return f"{KEY} {talk['second']}" if "second" in talk else KEY


def grant_of(ctx: FlowContext, talk: Mapping[str, Any]) -> Grant:
    """What the sign-in gives: from the token answer, or the key that the person pasted."""
    if talk["method"] == "api_key":
        return Grant(Secret(key_of(talk)), AT, token_type="ApiKey")
    if talk["method"] == "app_password" or "openrouter_keys" in ctx.provider.quirks:
        return Grant(Secret(TOKEN), AT)
    return grant_in(ctx, read_answer(ctx.provider, response(talk["token"])))


def who(
    ctx: FlowContext, grant: Grant, talk: Mapping[str, Any], status: int = 200, body: str | None = None
) -> Identity:
    asked = talk.get("whoami")
    claims = json.loads(talk["claims"]) if "claims" in talk else None
    told = json.loads(talk["token"]) if "token" in talk else None

    def placed(request: Request) -> None:
        if "header" in asked:
            name, value = asked["header"]
            assert {key.lower(): text for key, text in request.headers.items()}[name.lower()] == value
        assert "{" not in request.url + "".join(request.headers.values())

    steps = []
    if asked:
        content = (body if body is not None else asked["answer"]).encode()
        gives = Answer(status, content, {"content-type": "application/json"})
        steps = [sends(asked["method"], asked["url"], gives=gives, check=placed)]
    book = Playbook(*steps)
    flow = identify(
        book.within(ctx),
        grant if asked is None else replace(grant, key=None),
        claims=claims,
        method=talk["method"],
        answer=told,
    )
    return book.perform(flow)


def test_every_preset_has_a_conversation_and_none_is_left_over() -> None:
    assert set(FILES) == set(CATALOGUE.ids())
    for name, file in FILES.items():
        methods = {talk["method"] for talk in file["conversation"]}
        offered = set(CATALOGUE.get(name).methods)
        assert methods <= offered
        # Keys and passwords are talks of their own; the others end in the same token answer.
        missing = offered - methods - {"oauth", "device", "client_credentials"}
        assert not missing, f"{name} lacks a talk for {missing}"


@pytest.mark.parametrize(("file", "talk"), TALKS)
def test_the_token_answer_gives_the_grant(file: Mapping[str, Any], talk: Mapping[str, Any]) -> None:
    ctx, expected = context_of(file, talk), talk["expect"]
    grant = grant_of(ctx, talk)
    assert grant.access.reveal() == (
        key_of(talk) if talk["method"] == "api_key" else talk.get("access", TOKEN)
    )
    if "refresh" in expected:
        assert (grant.refresh is not None) is expected["refresh"]
    if "expires_in" in expected:
        assert grant.expires_at == AT + timedelta(seconds=expected["expires_in"])
    if "scopes" in expected:
        assert grant.scopes == tuple(expected["scopes"])


@pytest.mark.parametrize(("file", "talk"), TALKS)
def test_the_who_am_i_answer_gives_the_identity(file: Mapping[str, Any], talk: Mapping[str, Any]) -> None:
    ctx, expected = context_of(file, talk), talk["expect"]
    identity = who(ctx, grant_of(ctx, talk), talk)
    if expected.get("unidentified"):
        assert identity.subject.startswith(UNIDENTIFIED)
        assert KEY not in identity.subject
        return
    names = ("subject", "name", "username", "email", "avatar_url", "plan")
    told = {name: getattr(identity, name) for name in names}
    assert told == {name: expected.get(name) for name in names} | (
        {} if "email" in expected else {"email": told["email"]}
    )


def test_every_renewal_s_dead_grant_has_a_source() -> None:
    """Each conversation whose tokens are renewed says how the provider answers for a grant that has ended,
    and where that is known from. "undocumented" means that nobody says: Keyfob then relies on RFC 6749, and
    on asking for a sign-in when refusals go on. The preset's header then says so to the reader.
    """
    for name, file in FILES.items():
        for talk in file["conversation"]:
            if not talk["expect"].get("refresh"):
                continue
            answers = talk.get("revoked", [])
            assert answers, f"{name} does not say how a dead grant is answered"
            for gone in answers:
                assert gone["source"], name
                assert ("body" in gone) == (gone["source"] != "undocumented"), name
            if any(gone["source"] == "undocumented" for gone in answers):
                preset = (resources() / "providers" / f"{name}.toml").read_text("utf-8")
                assert "# Dead grants: " in preset, f"{name}'s header does not say that nobody says"


GONE = [
    pytest.param(file, talk, gone, id=f"{talk_id.id}-{n}")
    for talk_id in TALKS
    for file, talk in [talk_id.values]
    for n, gone in enumerate(talk.get("revoked", []))  # type: ignore[attr-defined]
    if "body" in gone
]


@pytest.mark.parametrize(("file", "talk", "gone"), GONE)
def test_a_revoked_grant_is_told_from_a_passing_failure(
    file: Mapping[str, Any], talk: Mapping[str, Any], gone: Mapping[str, Any]
) -> None:
    provider: Provider = context_of(file, talk).provider
    with pytest.raises(KeyfobError) as caught:
        read_answer(provider, response(gone["body"], gone["status"]))
    assert caught.value.code == gone["code"]
    assert isinstance(caught.value, SignInNeeded) == (gone["code"] == "grant_ended")
    with pytest.raises(KeyfobError) as passing:
        read_answer(provider, response(gone["body"], 503))
    assert passing.value.code == "provider_unavailable"
    page = Response(
        403, {"content-type": "text/html", "server": "cloudflare"}, b"<html>One moment</html>", AT
    )
    with pytest.raises(KeyfobError) as blocked:
        read_answer(provider, page)
    assert blocked.value.code == "provider_unavailable"


REVOCATIONS = [
    pytest.param(file, asked, answer, id=f"{name}-{n}-{answer['status']}-{k}")
    for name, file in FILES.items()
    for n, asked in enumerate(file.get("revocation", []))
    for k, answer in enumerate(asked["answers"])
]
# Their metadata says where tokens are revoked, by RFC 7009: the flow has tests of its own.
DISCOVERED = frozenset(
    {
        "atproto",
        "bluesky",
        "auth0",
        "authentik",
        "egi-checkin",
        "keycloak",
        "oauth2",
        "oidc",
        "okta",
        "openai",
        "zitadel",
    }
)


def test_every_way_of_revoking_has_a_conversation_and_the_others_a_page() -> None:
    for name, file in FILES.items():
        provider = CATALOGUE.get(name)
        if not any(METHOD_FACTS[method].revocable for method in provider.methods) or name in DISCOVERED:
            continue
        told = {asked["secret"] for asked in file.get("revocation", [])}
        ways = {secret: provider.revocation.request_of(secret=secret) for secret in (True, False)}
        if all(way.style == "none" for way in ways.values()):
            assert not told, name
        elif ways[True].style != "nextcloud":
            assert told, f"{name} lacks a conversation of its revocation"
        if provider.revocation.without_secret is not None:
            assert (False in told) == (ways[False].style != "none"), name


@pytest.mark.parametrize(("file", "asked", "answer"), REVOCATIONS)
def test_a_revocation_is_sent_and_read_as_its_provider_documents(
    file: Mapping[str, Any], asked: Mapping[str, Any], answer: Mapping[str, Any]
) -> None:
    inputs = file.get("inputs", {})
    provider = fill(CATALOGUE.get(file["provider"]), inputs)
    auth = provider.client.auth
    secret = Secret("made-up-secret-000") if asked["secret"] else None
    client = Client("made-up-client", auth if secret or auth == "basic_empty" else "none", secret)
    ctx = FlowContext(provider, provider.default_server(), client, ENV, inputs=inputs)

    def check(request: Request) -> None:
        assert asked["source"]
        if "authorization" in asked:
            assert request.headers.get("Authorization", "") == asked["authorization"]
        if "json" in asked:
            assert json.loads(request.body or b"") == json.loads(asked["json"])
        elif "form" in asked:
            assert form_of(request) == asked["form"]
        else:
            assert not request.body

    gives = Answer(answer["status"], answer["body"].encode(), {"content-type": "application/json"})
    book = Playbook(sends(asked["method"], asked["url"], gives=gives, check=check))
    hint: TokenHint = asked["hint"]
    flow = revoke(book.within(ctx), Secret(REFRESH if hint == "refresh_token" else TOKEN), hint)
    try:
        means: str = book.perform(flow)
    except KeyfobError as error:
        means = error.code
    assert means == answer["means"]


@pytest.mark.parametrize(("file", "talk"), [t for t in TALKS if "refused" in t.values[1].get("whoami", {})])
def test_a_refused_token_is_told(file: Mapping[str, Any], talk: Mapping[str, Any]) -> None:
    ctx, refused = context_of(file, talk), talk["whoami"]["refused"]
    # Where the ID token has said who it is, that is enough.
    talk = {name: value for name, value in talk.items() if name != "claims"}
    with pytest.raises(KeyfobError) as caught:
        who(ctx, grant_of(ctx, talk), talk, refused["status"], refused["body"])
    assert caught.value.code == refused["code"]
    assert KEY not in caught.value.sentence()


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_client_can_show_who_it_is(name: str) -> None:
    """The preset's way of proving the client is one that the protocol
    knows, and needs no secret where it says so.
    """
    profile = CATALOGUE.get(name).client
    if profile.auth == "private_key_jwt":
        pytest.fail("a shipped preset cannot bring a private key")
    secret = Secret("made-up-secret-000")
    preset, client = CATALOGUE.get(name), Client("made-up-client", profile.auth, secret)
    ctx = FlowContext(preset, preset.default_server(), client, ENV)
    body, headers = authenticate(ctx, {}, {}, "https://x")
    sent = "client_secret" in body or "Authorization" in headers
    assert sent == (profile.auth != "none")


@pytest.mark.parametrize("name", sorted(FILES))
def test_conversations_hold_no_real_secret(name: str) -> None:
    text = (FOLDER / f"{name}.toml").read_text("utf-8")
    for talk in FILES[name]["conversation"]:
        told = json.loads(talk.get("token", "{}"))
        for answer in (told, told.get("authed_user", {})):
            for field in ("access_token", "refresh_token", "id_token", "key"):
                held = answer.get(field) or "made-up"
                # A JWT made for this: its signature reads "made-up".
                assert held.startswith("made-up") or held.endswith(".bWFkZS11cA")
    assert "eyJ" not in text


def test_an_atproto_account_is_tried_at_its_own_server() -> None:
    ctx = context_of(FILES["bluesky"], FILES["bluesky"]["conversation"][0])
    ctx = replace(ctx, dpop_key=None, provider=replace(ctx.provider, api=Api(base="https://pds.example")))
    answer = json_answer({"did": "did:plc:madeup", "handle": "alice.example.org"})
    book = Playbook(sends("GET", "https://pds.example/xrpc/com.atproto.server.getSession", gives=answer))
    flow = probe(book.within(ctx), Grant(Secret(TOKEN), AT), subject="did:plc:madeup", method="atproto")
    assert book.perform(flow).subject == "did:plc:madeup"


@pytest.mark.parametrize("provider", CATALOGUE.all(), ids=lambda provider: provider.id)
def test_every_account_can_be_tried(provider: Provider) -> None:
    """`Test connection` has an address for each method, at a host that may have the token."""
    values = {entry.name: entry.example for entry in provider.inputs}
    filled = fill(provider, {**values, **({"app_key": "abcd1234"} if "app_key" in values else {})})
    if filled.api.base is None:
        filled = replace(
            filled, api=replace(filled.api, base="https://pds.example")
        )  # as the sign-in pins it
    server = filled.default_server()
    if filled.discovery:
        found = replace(server.endpoints, userinfo_endpoint=f"{filled.issuer}/userinfo")
        server = replace(server, endpoints=found)
    for method in filled.methods:
        request = probe_request(
            filled, method, Secret(TOKEN), server=server, values={"login": "alice", "client_id": "c"}
        )
        assert request.url.startswith("https://")
        assert "{" not in request.url + "".join(request.headers.values())


def test_twitch_s_code_is_asked_for_with_scopes_as_its_manual_writes_it() -> None:
    """dev.twitch.tv/docs/authentication/getting-tokens-oauth: `scopes` in both requests."""
    provider = CATALOGUE.get("twitch")
    ctx = FlowContext(
        provider, provider.default_server(), Client("made-up-client"), ENV, scopes=provider.scopes
    )
    code = {
        "device_code": "dc",
        "user_code": "AB",
        "expires_in": 60,
        "verification_uri": "https://www.twitch.tv/activate",
    }
    book = Playbook(
        sends("POST", "https://id.twitch.tv/oauth2/device", gives=json_answer(code)),
        lambda effect, _: None,
        waits(5),
        sends(
            "POST",
            "https://id.twitch.tv/oauth2/token",
            gives=json_answer({"message": "invalid device code"}, 400),
        ),
    )
    with pytest.raises(KeyfobError):
        book.perform(device_code(book.within(ctx)))
    asked, polled = (form_of(request) for request in book.requests)
    assert asked == {"client_id": "made-up-client", "scopes": "user:read:email"}
    assert (polled["scopes"], polled["device_code"]) == ("user:read:email", "dc")
