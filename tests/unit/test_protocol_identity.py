"""Who signed in, and where a token is put to find out (S-50)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.core import provider as core
from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, SignInNeeded, Transient
from keyfob.core.grant import Grant
from keyfob.core.http import Request
from keyfob.core.key_parts import joined
from keyfob.core.provider import (
    AnswerPattern,
    Api,
    ApiKeyProfile,
    Endpoints,
    IdentitySource,
    Provider,
    SecondPart,
    Server,
)
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.protocol.context import Client, FlowContext, Identity
from keyfob.protocol.identity import (
    UNIDENTIFIED,
    identify,
    identity_in,
    probe,
    probe_request,
    who_am_i_request,
)
from keyfob.protocol.token_placement import place_token
from keyfob.providers.schema_check import read
from support.playbook import AT, ENV, Answer, Playbook, json_answer, sends
from support.signer import signer

ME = "https://id.example/me"
API = "https://api.example/user"
SERVER = Server("https://id.example", Endpoints(userinfo_endpoint=ME))
PROVIDER = Provider("demo", "Demo")
TOKEN = Secret("token-0123456789")
GRANT = Grant(TOKEN, AT)


def provider(source: str = "request", *, api: Api | None = None, **changes: Any) -> Provider:
    changes = {"url": API, "map": {"subject": "id"}, **changes} if source == "request" else changes
    return replace(PROVIDER, identity=IdentitySource(source, **changes), api=api or Api())


def identified(
    by: Provider,
    *steps: Callable[..., Any],
    claims: dict[str, Any] | None = None,
    answer: dict[str, Any] | None = None,
    server: Server = SERVER,
    grant: Grant = GRANT,
    method: str = "oauth",
) -> Identity:
    book = Playbook(*steps)
    ctx = FlowContext(by, server, Client("client-1"), book.env, inputs={"username": "ada"})
    flow = identify(
        ctx,
        grant,
        claims=claims,
        method=method,
        answer=answer,
    )
    return book.perform(flow)


def me(data: Any, url: str = ME, method: str = "GET", **more: Any) -> Callable[..., Any]:
    answer = data if isinstance(data, Answer | Exception) else json_answer(data)
    return sends(method, url, gives=answer, **more)


# --- sources ------------------------------------------------------------------------------------------------


def test_from_the_id_token() -> None:
    claims = {"sub": "s", "name": "Ada", "preferred_username": "ada", "email": "a@x.org",
              "picture": "https://x.org/a.png"}  # fmt: skip
    assert identified(provider("id_token"), claims=claims) == Identity(
        "s", "Ada", "ada", "a@x.org", "https://x.org/a.png"
    )


def test_a_preset_without_a_map_of_its_own_reads_the_standard_claims() -> None:
    preset, faults = read({"id": "acme", "title": "Acme", "issuer": "https://acme.example"})
    source = preset.identity
    assert faults == []
    assert source.map == {}
    claims = {"sub": "s", "preferred_username": "ada", "email": "a@x.org", "plan": "pro"}
    assert identity_in(source, claims, Secret("made-up-token"), "Acme") == Identity(
        "s", "ada", "ada", "a@x.org", plan="pro"
    )
    without = identity_in(source, {"sub": "s", "email": "a@x.org"}, Secret("made-up-token"), "Acme")
    assert without == Identity("s", None, "a@x.org", "a@x.org")


def test_from_user_information() -> None:
    assert identified(PROVIDER, me({"sub": "s", "preferred_username": "ada"})) == Identity("s", "ada", "ada")
    both = identified(PROVIDER, me({"sub": "s", "email": "a@x.org"}), claims={"sub": "s", "name": "Ada"})
    assert both == Identity("s", "Ada", "a@x.org", "a@x.org")


@pytest.mark.parametrize("sub", ["other", None, "S", 7, ["s"]])
def test_s50_user_information_of_another_subject(sub: Any) -> None:
    with pytest.raises(PeerFault) as fault:
        identified(PROVIDER, me({"sub": sub, "name": "Mallory"}), claims={"sub": "s"})
    assert fault.value.code == "protocol_violation"


def test_without_an_endpoint_the_id_token_does() -> None:
    bare = Server("https://id.example", Endpoints())
    assert identified(PROVIDER, claims={"sub": "s"}, server=bare).subject == "s"
    with pytest.raises(PeerFault) as fault:
        identified(PROVIDER, server=bare)
    assert fault.value.code == "identity_invalid"


def test_an_id_token_source_without_one_asks_for_user_information() -> None:
    assert identified(provider("id_token"), me({"sub": "s"})).subject == "s"


def test_from_a_request() -> None:
    found = identified(
        provider(map={"subject": "data.0.id", "username": "data.0.login"}),
        me({"data": [{"id": 7, "login": "a"}]}, API),
    )
    assert found == Identity("7", username="a")


def test_a_list_is_an_answer_too() -> None:
    assert identified(provider(map={"subject": "data.0.id"}), me([{"id": "u"}], API)).subject == "u"


def test_an_answer_that_names_nobody_shows_that_the_token_works() -> None:
    assert identified(provider(map={}), me({"object": "list"}, API)).subject.startswith(UNIDENTIFIED)


@pytest.mark.parametrize("subject", ["a b", "a  b", " a", "ü"])
def test_a_subject_is_taken_to_the_letter(subject: str) -> None:
    assert identified(PROVIDER, me({"sub": subject})).subject == subject


@pytest.mark.parametrize("subject", ["a\nb", "a\u202eb", "\ud800", "x" * 256])
def test_a_subject_that_only_looks_like_one(subject: str) -> None:
    with pytest.raises(PeerFault):
        identified(PROVIDER, me({"sub": subject}))


def test_from_a_request_with_a_body() -> None:
    by = provider(
        method="POST", body='{"query": "{viewer{id}}"}', headers={"X-App": "{client_id}/{version}"},
        map={"subject": "data.viewer.id"},
    )  # fmt: skip

    def check(request: Request) -> None:
        assert request.body == b'{"query": "{viewer{id}}"}'
        assert request.headers["Content-Type"] == "application/json"
        assert request.headers["X-App"].startswith("client-1/0")

    assert identified(by, me({"data": {"viewer": {"id": "v"}}}, API, "POST", check=check)).subject == "v"
    typed = provider(method="POST", body="a=b", headers={"content-type": "text/plain"})
    request = who_am_i_request(typed, "oauth", TOKEN)
    assert request.headers["content-type"] == "text/plain"


def test_from_the_access_token() -> None:
    roles = {"subject": "sub", "plan": "user.membership_roles~lifetimepremium,premium,supporter|=free"}
    token = Secret(signer().sign({"sub": "77", "user": {"membership_roles": ["member", "premium"]}}))
    by = provider("access_jwt", map=roles)
    assert identified(by, grant=replace(GRANT, access=token)) == Identity("77", plan="premium")
    with pytest.raises(PeerFault):
        identified(by)


def test_from_the_token_answer() -> None:
    by = provider("token_answer", map={"subject": "user.id"})
    assert identified(by, answer={"user": {"id": "u"}}).subject == "u"
    with pytest.raises(PeerFault):
        identified(by)


def test_from_nowhere() -> None:
    by = provider("none")
    subject = identified(by).subject
    assert subject.startswith(UNIDENTIFIED)
    assert subject == identified(by).subject
    assert subject != identified(by, grant=replace(GRANT, access=Secret("another-token"))).subject
    assert TOKEN.reveal() not in subject
    assert identified(by, claims={"sub": "s"}).subject == "s"


# --- failures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "kind", "code"), [
    (json_answer({"message": "Bad credentials"}, 401), SignInNeeded, "token_rejected"),
    (json_answer({}, 403), PeerFault, "protocol_violation"),
    (Answer(401, b"<html>"), Transient, "request_refused"),
        (Answer(401), SignInNeeded, "token_rejected"),
        (Answer(401, b"<html>", {"www-authenticate": "Bearer"}), SignInNeeded, "token_rejected"),
    (Answer(429), Transient, "rate_limited"),
    (Answer(500), Transient, "provider_unavailable"),
    (Answer(302, b"", {"location": "https://evil.example"}), Transient, "captive_portal"),
    (Answer(200, b"<html>"), Transient, "captive_portal"),
    (Answer(200, b"[}"), Transient, "response_invalid"),
    (json_answer({}), PeerFault, "identity_invalid"),
    (Transient("x", code="network_unreachable"), Transient, "network_unreachable"),
], ids=str)  # fmt: skip
def test_s29_failures(answer: Any, kind: type[KeyfobError], code: str) -> None:
    with pytest.raises(kind) as error:
        identified(PROVIDER, me(answer))
    assert error.value.code == code
    assert TOKEN.reveal() not in str(error.value)


REFUSED = (
    AnswerPattern("error.details.0.reason", "API_KEY_INVALID"),
    AnswerPattern("error", "invalid_auth"),
    AnswerPattern("blocked", "true"),
    AnswerPattern("data.0.code", "100"),
)
INVALID = {"error": {"code": 400, "details": [{"reason": "API_KEY_INVALID"}]}}


@pytest.mark.parametrize(("answer", "code"), [
    (json_answer(INVALID, 400), "token_rejected"),
    (json_answer({"ok": False, "error": "invalid_auth"}, 200), "token_rejected"),
    (json_answer({"id": "u", "blocked": True}, 200), "token_rejected"),
    (json_answer([{"code": 100}], 403), "token_rejected"),
    (json_answer({"error": {"details": [{"reason": "BAD_PAGE_SIZE"}]}}, 400), "protocol_violation"),
    (json_answer(INVALID, 503), "provider_unavailable"),
    (json_answer(INVALID, 429), "rate_limited"),
    (Answer(400, b"API_KEY_INVALID"), "request_refused"),
], ids=str)  # fmt: skip
def test_s29_an_answer_that_the_preset_names_refuses_the_token(answer: Any, code: str) -> None:
    """Some servers refuse a key with 400, or with 200 and an error; a busy server has not looked at it."""
    by = provider(map={"subject": "id"}, refused=REFUSED)
    with pytest.raises(KeyfobError) as error:
        identified(by, me(answer, API))
    assert error.value.code == code
    with pytest.raises(KeyfobError) as again:
        probed(by, me(answer, API))
    assert again.value.code == code
    assert identified(by, me({"id": "u", "blocked": False}, API)).subject == "u"


@pytest.mark.parametrize("subject", [None, "", True, [], {}, 1.5, 10**40, "token-0123456789"])
def test_a_subject_that_is_none(subject: Any) -> None:
    with pytest.raises(PeerFault):
        identified(provider(), me({"id": subject}, API))


def test_no_address_to_ask() -> None:
    for url in (None, "http://api.example/user"):
        with pytest.raises(SettingWrong):
            who_am_i_request(provider(url=url), "oauth", TOKEN)


# --- what is shown ------------------------------------------------------------------------------------------


def test_an_echoed_key_is_never_shown() -> None:
    profile = ApiKeyProfile(
        api=Api(placement="header", name="apikey"),
        identity=IdentitySource("request", url=API,
            map={"subject": "user_id", "name": "key", "username": "note"}),
        redact=("key",),
    )  # fmt: skip
    by = replace(PROVIDER, api_key=profile)
    echoed = {"user_id": 5, "key": "another-form-of-it", "note": f"key={TOKEN.reveal()}"}
    found = identified(
        by, me(echoed, API, check=lambda r: r.headers["apikey"] == TOKEN.reveal()), method="api_key"
    )
    assert found == Identity("5")


@pytest.mark.parametrize(
    "url",
    [
        "http://x.org/a.png",
        "http://localhost/a.png",
        "javascript:alert(1)",
        "file:///x",
        "https://u@x.org/",
        "x",
        7,
    ],
)
def test_a_picture_is_https_or_none(url: Any) -> None:
    assert identified(PROVIDER, me({"sub": "s", "picture": url})).avatar_url is None


@pytest.mark.parametrize(
    ("picture", "taken"),
    [
        ("http://127.0.0.1:9899/portraits/alice.png", True),
        ("http://127.0.0.1:8080/portraits/alice.png", False),
        ("http://localhost:9899/x.png", False),
        ("http://192.168.1.2/x.png", False),
        ("http://pictures.example/x.png", False),
        ("https://pictures.example/x.png", True),
    ],
)
def test_s84_only_a_loopback_server_s_own_picture_needs_no_tls(picture: str, taken: bool) -> None:
    data = {"sub": "s", "picture": picture}
    found = identity_in(IdentitySource(), data, TOKEN, "Demo", "http://127.0.0.1:9899")
    assert found.avatar_url == (picture if taken else None)
    elsewhere = identity_in(IdentitySource(), data, TOKEN, "Demo", "https://login.example")
    assert elsewhere.avatar_url == (picture if picture.startswith("https") else None)


def test_names_are_plain_and_short() -> None:
    data = {
        "sub": "s",
        "name": "Ada\r\n\x1b[31m\u202egnp" + "x" * 5000,
        "email": ["a"],
        "preferred_username": " ",
    }
    found = identified(PROVIDER, me(data))
    assert found.name is not None
    assert found.name.isprintable()
    assert len(found.name) <= 120
    assert (found.email, found.username) == (None, None)


JSON_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text())


@given(st.dictionaries(st.sampled_from(["sub", "name", "email", "picture", "x"]), JSON_VALUES))
def test_no_answer_makes_it_fail_in_another_way(data: dict[str, Any]) -> None:
    try:
        found = identity_in(IdentitySource(), data, TOKEN, "Demo")
    except PeerFault:
        return
    shown = [v for v in (found.subject, found.name, found.email, found.avatar_url) if v is not None]
    assert all(text and plain(text, 2000) == text for text in shown if text != found.subject)
    assert found.subject == str(data["sub"])


@pytest.mark.parametrize(
    "picture", ["https://127.0.0.1/x.png", "https://localhost/x", "https://192.168.1.1/reboot"]
)
def test_s84_a_server_elsewhere_names_no_picture_of_this_computer(picture: str) -> None:
    data = {"sub": "s", "picture": picture}
    assert identified(PROVIDER, me(data)).avatar_url is None
    at_home = identity_in(IdentitySource(), data, TOKEN, "Demo", "https://192.168.1.2")
    assert at_home.avatar_url == picture


# --- where a token goes -------------------------------------------------------------------------------------


def placed(api: Api, token_type: str = "Bearer", **values: str) -> Request:
    request = Request("GET", API + "?a=b", "api", {"Accept": "*/*", "Authorization": "theirs"})
    return place_token(api, request, TOKEN, token_type=token_type, values=values)


def test_bearer_and_other_schemes() -> None:
    assert placed(Api()).headers["Authorization"] == f"Bearer {TOKEN.reveal()}"
    assert placed(Api(), "DPoP").headers["Authorization"] == f"DPoP {TOKEN.reveal()}"
    assert placed(Api(prefix="token ")).headers["Authorization"] == f"token {TOKEN.reveal()}"
    assert placed(Api()).url == API + "?a=b"


def test_a_header_a_query_and_basic() -> None:
    header = placed(Api(placement="header", name="X-Key", prefix="k "))
    assert header.headers["X-Key"] == f"k {TOKEN.reveal()}"
    query = placed(Api(placement="query", name="key", params={"v": "1"}))
    assert query.url == f"{API}?a=b&v=1&key={TOKEN.reveal()}"
    assert placed(Api(placement="query")).url.endswith(f"&access_token={TOKEN.reveal()}")
    for api, pair in ((Api(placement="basic"), f"{TOKEN.reveal()}:"),
                      (Api(placement="basic_password"), f":{TOKEN.reveal()}"),
                      (Api(placement="basic", name="{username}"), f"ada:{TOKEN.reveal()}")):  # fmt: skip
        value = placed(api, username="ada").headers["Authorization"]
        assert base64.b64decode(value.removeprefix("Basic ")).decode() == pair
    assert list(placed(Api(placement="header", name="authorization")).headers.values()).count("theirs") == 0


def test_a_key_of_two_parts_is_taken_apart() -> None:
    both = joined(TOKEN, Secret("second-part"))
    request = Request("GET", API, "api", {"dd-application-key": "theirs"})
    header = SecondPart("Application key", "DD-APPLICATION-KEY", prefix="app ")
    placed = place_token(Api(placement="header", name="DD-API-KEY", second=header), request, both)
    assert dict(placed.headers) == {"DD-API-KEY": TOKEN.reveal(), "DD-APPLICATION-KEY": "app second-part"}
    query = SecondPart("API key", "key", placement="query")
    placed = place_token(Api(placement="query", name="token", second=query), Request("GET", API, "api"), both)
    assert placed.url == f"{API}?key=second-part&token={TOKEN.reveal()}"


def test_neither_part_of_a_key_is_taken_as_a_name() -> None:
    """S-25: a server that echoes one part of the key does not put it on the screen."""
    key = joined(Secret("first-part-1"), Secret("second-part-2"))
    source = IdentitySource(source="request", url=API, map={"subject": "id"})
    data = {"id": 7, "name": "first-part-1", "preferred_username": "is second-part-2"}
    found = identity_in(source, data, key, "Example")
    assert (found.subject, found.name, found.username) == ("7", None, None)


def test_the_apis_own_headers() -> None:
    api = Api(headers={"accept": "application/x", "Client-Id": "{client_id}", "User-Agent": "k/{version}"})
    headers = placed(api, client_id="c-1").headers
    assert headers["Client-Id"] == "c-1"
    assert headers["User-Agent"].startswith("k/0")
    assert headers["Accept"] == "*/*"  # the request's own stands
    assert "accept" not in headers


def test_headers_from_the_tokens_claims() -> None:
    api = Api(claim_headers={"X-Account": "https://x/auth.account", "X-Bad": "bad", "X-None": "none"})
    token = Secret(signer().sign({"https://x/auth": {"account": "a-1"}, "bad": "a\r\nb"}))
    headers = place_token(api, Request("GET", API, "api"), token).headers
    assert headers["X-Account"] == "a-1"
    assert not {"X-Bad", "X-None"} & headers.keys()
    assert "X-Account" not in placed(api).headers  # no JWT, no claims


def test_user_information_takes_a_bearer_token_whatever_the_api_wants() -> None:
    by = replace(PROVIDER, api=Api(placement="query", name="key"))
    request = who_am_i_request(by, "oauth", TOKEN, server=SERVER)
    assert (request.url, request.headers["Authorization"]) == (ME, f"Bearer {TOKEN.reveal()}")


def test_the_test_request() -> None:
    by = replace(provider(), test=core.TestRequest("POST", "https://api.example/ping", "{}"))
    request = probe_request(by, "oauth", TOKEN)
    assert (request.method, request.url, request.body) == ("POST", "https://api.example/ping", b"{}")
    assert probe_request(provider(), "oauth", TOKEN).url == API
    keyed = replace(
        by, api_key=ApiKeyProfile(identity=IdentitySource("request", url="https://api.example/key"))
    )
    assert probe_request(keyed, "api_key", TOKEN).url == "https://api.example/key"


# --- trying a stored token ----------------------------------------------------------------------------------


def probed(by: Provider, *steps: Callable[..., Any], subject: str = "s", method: str = "oauth") -> Identity:
    book = Playbook(*steps)
    ctx = FlowContext(by, SERVER, Client("client-1"), book.env)
    flow = probe(ctx, GRANT, subject=subject, method=method)
    return book.perform(flow)


def test_a_probe_by_who_am_i() -> None:
    assert probed(PROVIDER, me({"sub": "s", "name": "Ada"})) == Identity("s", "Ada")
    with pytest.raises(PeerFault) as fault:
        probed(PROVIDER, me({"sub": "other"}))
    assert fault.value.code == "subject_mismatch"
    with pytest.raises(SignInNeeded):
        probed(PROVIDER, me(Answer(401)))
    with pytest.raises(PeerFault):
        probed(PROVIDER, me({}))


def test_a_probe_by_a_request_of_its_own_names_nobody() -> None:
    by = replace(provider(), test=core.TestRequest("GET", "https://api.example/ping"))
    assert probed(by, me({"id": "whatever"}, "https://api.example/ping")) == Identity("s")


def test_a_probe_where_the_identity_came_another_way() -> None:
    assert probed(provider("token_answer"), me({"sub": "x"})) == Identity("s")
    assert probed(provider("id_token", map={"subject": "oid"}), me({"sub": "x"})) == Identity("s")
    assert (
        probed(provider(map={}), me({"data": []}, API), subject="unidentified:1").subject == "unidentified:1"
    )


def test_a_probe_of_a_key_shows_no_echo() -> None:
    source = IdentitySource("request", url=API, map={"subject": "id", "name": "key"})
    by = replace(PROVIDER, api_key=ApiKeyProfile(identity=source, redact=("key",)))
    assert probed(by, me({"id": "s", "key": "x"}, API), method="api_key") == Identity("s")


def test_a_probe_with_nothing_to_ask() -> None:
    with pytest.raises(SettingWrong):
        Playbook().perform(
            probe(
                FlowContext(PROVIDER, Server(None, Endpoints()), Client(None), ENV), GRANT, subject="s",
                method="oauth",
            )
        )  # fmt: skip


def test_a_request_shows_no_token() -> None:
    assert TOKEN.reveal() not in repr(placed(Api(placement="query", name="key")))


# --- who in the token, a picture from an API ----------------------------------------------------------------


def _jwt_of(claims: dict[str, object]) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'RS256'})}.{part(claims)}.c2ln"


@pytest.mark.parametrize(
    ("subject", "status", "asked", "name"),
    [
        (7, 200, True, "Shown"),
        (7, 500, True, "told"),
        ('7, "x": 1', 200, False, "told"),
    ],
    ids=["told", "api-down", "no-injection"],
)
def test_details_of_the_tokens_subject_are_for_display_alone(
    subject: object, status: int, asked: bool, name: str
) -> None:
    source = IdentitySource(
        source="access_jwt",
        method="POST",
        url="https://api.example.org/graphql",
        body='{"variables": {"id": {subject} } }',
        map={"subject": "user.id|sub", "name": "data.user.name|user.name"},
    )
    provider = Provider(id="x", title="X", identity=source, api=Api(base="https://api.example.org"))
    ctx = FlowContext(provider, provider.default_server(), Client("c"), ENV)
    grant = Grant(Secret(_jwt_of({"sub": "7", "user": {"id": subject, "name": "told"}})), AT)

    def carries(request: Request) -> None:
        assert json.loads(request.body or b"") == {"variables": {"id": 7}}

    answer = json_answer({"data": {"user": {"name": "Shown"}}}, status=status)
    book = Playbook(*([sends("POST", source.url or "", gives=answer, check=carries)] if asked else []))
    flow = identify(book.within(ctx), grant, claims=None, method="oauth")
    assert book.perform(flow).name == name
