"""Sign-ins with a browser, from the address that is opened to who
signed in (S-1, S-3, S-4, S-9, S-26, S-54).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.adapters.system.keys import new_key
from keyfob.agent.remedies import REMEDIES
from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, SignInEnded, Transient
from keyfob.core.http import Callback
from keyfob.core.provider import ClientProfile, Endpoints, IdentitySource, Provider, Server, TokenAnswer
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.protocol.context import Client, FlowContext, Identity, SignInResult
from keyfob.protocol.effects import AwaitCallback, Expectation
from keyfob.protocol.env import Keys
from keyfob.protocol.oauth.authorization_response import code_in
from keyfob.protocol.oauth.authorize import authorization_code, code_challenge
from support.playbook import (
    AT,
    ENV,
    Answer,
    Playbook,
    comes_back,
    fails,
    form_of,
    json_answer,
    kept,
    later,
    opens,
    query_of,
    sends,
)
from support.signer import Signer, claims_for, half_hash, signer

ISSUER, CLIENT = "https://id.example", "client-1"
AUTHORIZE, TOKEN, JWKS, ME = (f"{ISSUER}/{name}" for name in ("authorize", "token", "jwks", "me"))
PAR = f"{ISSUER}/par"
REDIRECT = "http://127.0.0.1:9876/callback"
SERVER = Server(
    ISSUER,
    Endpoints(authorization_endpoint=AUTHORIZE, token_endpoint=TOKEN, jwks_uri=JWKS, userinfo_endpoint=ME),
    code_challenge_methods_supported=("S256",),
    authorization_response_iss_parameter_supported=True,
)
PROVIDER = Provider("demo", "Demo", authorize_params={"prompt": "select_account", "state": "preset"})
CTX = FlowContext(PROVIDER, SERVER, Client(CLIENT), ENV, REDIRECT, ("openid", "profile"))
# RFC 7636 appendix B.
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
STATE, NONCE = "state-1", "nonce-1"
KEY, OTHER = signer(), signer(kid="k2", number=2)
PERSON = {"sub": "sub-1", "name": "Ada", "preferred_username": "ada", "email": "ada@example.org"}


def id_token(by: Signer = KEY, *, client: str = CLIENT, **changes: Any) -> str:
    return by.sign(claims_for(ISSUER, client, **{"nonce": NONCE, **changes}))


def tokens(**changes: Any) -> dict[str, Any]:
    data = {"access_token": "at", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "rt",
            "id_token": id_token(), **changes}  # fmt: skip
    return {name: value for name, value in data.items() if value is not None}


def perform(book: Playbook, ctx: FlowContext = CTX, *, keys: Keys | None = None, **more: Any) -> SignInResult:
    return book.perform(
        authorization_code(
            replace(ctx, env=replace(book.env, keys=keys or Keys())), state=Secret(STATE),
            nonce=Secret(NONCE), code_verifier=Secret(VERIFIER), **more,
        )
    )  # fmt: skip


def exchange(data: Any = None, **form: str) -> Any:
    answer = data if isinstance(data, Answer) else json_answer(tokens() if data is None else data)
    expected = {"grant_type": "authorization_code", "code": "code-1", "redirect_uri": REDIRECT, **form}
    step = sends("POST", TOKEN, gives=answer, form=expected)
    brings = answer.status < 300 and any(
        name in answer.body for name in (b'"access_token"', b'"refresh_token"')
    )
    return kept(step) if brings else step


def jwks(*signers: Signer) -> Callable[..., Any]:
    return sends("GET", JWKS, gives=json_answer({"keys": [s.jwk for s in signers or (KEY,)]}))


def me(**changes: Any) -> Callable[..., Any]:
    return sends("GET", ME, gives=json_answer({**PERSON, **changes}))


BACK = comes_back(code="code-1", state=STATE, iss=ISSUER)


def refused(
    kind: type[KeyfobError], *steps: Any, ctx: FlowContext = CTX, keys: Keys | None = None
) -> KeyfobError:
    """The sign-in ends with this error after exactly these steps: nothing further was sent or kept."""
    book = Playbook(*steps)
    with pytest.raises(kind) as error:
        perform(book, ctx, keys=keys)
    assert not book.left
    for secret in (VERIFIER, "code-1", STATE):
        assert secret not in f"{error.value} {error.value.detail}"
    return error.value


def test_oidcc_client_test() -> None:
    book = Playbook(opens(), BACK, exchange(code_verifier=VERIFIER), jwks(), me())
    result = perform(book, login_hint="ada@example.org")
    assert result.identity == Identity("sub-1", "Ada", "ada", "ada@example.org")
    assert (result.grant.access, result.grant.refresh) == (Secret("at"), Secret("rt"))
    assert result.issued_client_id is None
    assert query_of(book.opened[0]) == {
        "prompt": "select_account", "response_type": "code", "client_id": CLIENT, "redirect_uri": REDIRECT,
        "scope": "openid profile", "state": STATE, "nonce": NONCE, "code_challenge": CHALLENGE,
        "code_challenge_method": "S256", "login_hint": "ada@example.org",
    }  # fmt: skip
    waiting = next(effect for effect in book.effects if isinstance(effect, AwaitCallback))
    assert waiting.expectation == Expectation(Secret(STATE), ISSUER, True, "/callback")
    assert book.requests[2].headers["Authorization"] == "Bearer at"


NOT_HERE = sends("GET", ME, gives=json_answer({"error": "invalid_token"}, 401))


def test_the_id_token_is_enough_where_user_information_refuses_the_token() -> None:
    """A token for another resource (RFC 8707) is none for the user information endpoint."""
    book = Playbook(opens(), BACK, exchange(tokens(id_token=id_token(name="Ada L."))), jwks(), NOT_HERE)
    assert perform(book).identity == Identity("sub-1", "Ada L.")


def test_without_an_id_token_nobody_is_told_to_reconnect_what_was_never_connected() -> None:
    ctx = replace(CTX, scopes=("profile",))
    error = refused(SettingWrong, opens(), BACK, exchange(), NOT_HERE, ctx=ctx)
    assert error.code == "openid_needed"
    assert "reconnect" not in error.sentence(REMEDIES).lower()


def told(by: Signer = KEY, **changes: Any) -> Callable[..., Any]:
    claims = {**PERSON, "iss": ISSUER, "aud": CLIENT, **changes}
    token = by.sign({name: value for name, value in claims.items() if value is not None})
    return sends("GET", ME, gives=Answer(200, token.encode(), {"content-type": "application/jwt"}))


def test_signed_user_information() -> None:
    """Core §5.3.2."""
    book = Playbook(opens(), BACK, exchange(), jwks(), told(name="Ada, signed", aud=[CLIENT, "another"]))
    assert perform(book).identity.name == "Ada, signed"


@pytest.mark.parametrize(
    "answer",
    [told(iss="https://other.example"), told(iss=None), told(aud="another"), told(aud=None),
     told(sub="sub-2"),
     told(signer("RS256", "k-9", number=3))],
)  # fmt: skip
def test_s50_signed_user_information_of_others(answer: Callable[..., Any]) -> None:
    keys = Keys()
    keys.store(JWKS, [KEY.jwk])
    assert keys.may_fetch(JWKS, AT)  # noted: none further within 30 s
    error = refused(PeerFault, opens(), BACK, exchange(), answer, keys=keys)
    assert "user information" in error.message.lower()


def test_s3_the_rfcs_own_vector() -> None:
    assert code_challenge(Secret(VERIFIER)) == CHALLENGE
    for wrong in ("short", "x" * 129, "x" * 42 + "!", "x" * 42 + "é"):
        with pytest.raises(ValueError, match="43 to 128"):
            code_challenge(Secret(wrong))


@pytest.mark.parametrize("listed", [("plain",), (), ("s256",)])
def test_s3_a_server_that_lists_no_s256_is_refused(listed: tuple[str, ...]) -> None:
    ctx = replace(CTX, server=replace(SERVER, code_challenge_methods_supported=listed))
    assert refused(SettingWrong, ctx=ctx).code == "pkce_unsupported"


def test_s3_a_server_that_lists_nothing_gets_s256_all_the_same() -> None:
    ctx = replace(CTX, server=replace(SERVER, code_challenge_methods_supported=None))
    book = Playbook(opens(), BACK, exchange(code_verifier=VERIFIER), jwks(), me())
    perform(book, ctx)
    assert query_of(book.opened[0])["code_challenge_method"] == "S256"


@pytest.mark.parametrize("error", ["invalid_request", "invalid_grant"])
def test_s4_a_server_that_rejects_the_challenge_is_not_asked_without(error: str) -> None:
    answer = json_answer({"error": error, "error_description": "code_verifier not supported"}, 400)
    refused(PeerFault if error == "invalid_request" else SignInEnded, opens(), BACK, exchange(answer))
    refused(PeerFault, opens(), comes_back(error="invalid_request", state=STATE))


def test_a_preset_may_know_a_server_that_rejects_pkce() -> None:
    ctx = replace(CTX, provider=replace(PROVIDER, pkce="none"))
    book = Playbook(opens(), BACK, exchange(), jwks(), me())
    perform(book, ctx)
    assert "code_challenge" not in query_of(book.opened[0])
    assert b"code_verifier" not in (book.requests[0].body or b"")


@pytest.mark.parametrize(
    "endpoint", [None, "file:///bin/sh", "http://id.example/a", "--incognito", "https://x/;id `id`"]
)
def test_s1_no_browser_opens_at_an_unfit_address(endpoint: str | None) -> None:
    endpoints = replace(SERVER.endpoints, authorization_endpoint=endpoint)
    refused(SettingWrong, ctx=replace(CTX, server=replace(SERVER, endpoints=endpoints)))


def test_the_endpoints_own_query_stays() -> None:
    endpoints = replace(SERVER.endpoints, authorization_endpoint=AUTHORIZE + "?tenant=7&state=theirs#x")
    book = Playbook(opens(), fails(AwaitCallback, SignInEnded("cancelled")))
    with pytest.raises(SignInEnded):
        perform(
            book, replace(CTX, server=replace(SERVER, endpoints=endpoints), resource="https://api.example")
        )
    sent = query_of(book.opened[0])
    assert (sent["tenant"], sent["state"], sent["resource"]) == ("7", STATE, "https://api.example")
    assert "#" not in book.opened[0]


def test_other_scope_words() -> None:
    provider = replace(PROVIDER, scope_param="user_scope", scope_separator=",")
    book = Playbook(opens(), fails(AwaitCallback, SignInEnded("cancelled")))
    with pytest.raises(SignInEnded):
        perform(book, replace(CTX, provider=provider, scopes=("a", "b")))
    sent = query_of(book.opened[0])
    assert sent["user_scope"] == "a,b"
    assert "scope" not in sent
    assert "nonce" not in sent  # openid was not asked for


def test_no_client_and_no_scopes() -> None:
    refused(SettingWrong, ctx=replace(CTX, client=Client(None)))
    book = Playbook(opens(), fails(AwaitCallback, SignInEnded("cancelled")))
    with pytest.raises(SignInEnded):
        perform(book, replace(CTX, scopes=(), redirect_uri=None))
    assert not {"scope", "redirect_uri"} & query_of(book.opened[0]).keys()


# --- pushed requests ----------------------------------------------------------------------------------------

PUSHING = replace(SERVER, endpoints=replace(SERVER.endpoints, pushed_authorization_request_endpoint=PAR))
URN = "urn:ietf:params:oauth:request_uri:1"


def test_s26_s54_what_is_pushed_is_not_in_the_browsers_address() -> None:
    pushed = sends("POST", PAR, gives=json_answer({"request_uri": URN, "expires_in": 60}, 201),
                   form={"state": STATE, "nonce": NONCE, "code_challenge": CHALLENGE})  # fmt: skip
    book = Playbook(pushed, opens(), BACK, exchange(), jwks(), me())
    perform(book, replace(CTX, server=PUSHING))
    assert query_of(book.opened[0]) == {"client_id": CLIENT, "request_uri": URN}


@pytest.mark.parametrize("answer", [Answer(404), Answer(500), json_answer({"error": "invalid_request"}, 400),
                                    json_answer({}, 201), Transient("offline")])  # fmt: skip
def test_s54_a_failed_push_never_falls_back(answer: Any) -> None:
    book = Playbook(sends("POST", PAR, gives=answer))
    with pytest.raises(KeyfobError):
        perform(book, replace(CTX, server=PUSHING))
    assert book.opened == []


def test_a_challenged_push_brings_a_new_client_assertion() -> None:
    challenge = json_answer({"error": "use_dpop_nonce"}, 400, dpop_nonce="n-1")
    book = Playbook(sends("POST", PAR, gives=challenge), sends("POST", PAR, gives=Answer(500)))
    client = Client(CLIENT, "private_key_jwt", key=new_key("ES256"))
    with pytest.raises(Transient):
        perform(book, replace(CTX, server=PUSHING, client=client, dpop_key=new_key("ES256")))
    assert len({form_of(request)["client_assertion"] for request in book.requests}) == 2


def test_a_client_without_a_redirect_sends_none() -> None:
    steps = [opens(), BACK, kept(sends("POST", TOKEN, gives=json_answer(tokens()))), jwks(), me()]
    book = Playbook(*steps)
    perform(book, replace(CTX, redirect_uri=None))
    assert "redirect_uri" not in form_of(book.requests[0])


def test_s54_never_and_always() -> None:
    never = replace(CTX, server=PUSHING, provider=replace(PROVIDER, par="never"))
    perform(Playbook(opens(), BACK, exchange(), jwks(), me()), never)
    always = replace(CTX, provider=replace(PROVIDER, par="always"))
    refused(SettingWrong, ctx=always)
    required = replace(CTX, server=replace(SERVER, require_pushed_authorization_requests=True))
    refused(SettingWrong, ctx=required)


# --- callbacks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("error", "kind", "code"), [
    ("access_denied", SignInEnded, "declined"),
    ("user_cancelled", SignInEnded, "declined"),
    ("login_required", SignInEnded, "declined"),
    ("temporarily_unavailable", Transient, "provider_unavailable"),
    ("server_error", Transient, "provider_unavailable"),
    ("invalid_scope", SettingWrong, "scope_refused"),
    ("unauthorized_client", SettingWrong, "client_refused"),
    ("invalid_request", PeerFault, "protocol_violation"),
    ("anything\r\nelse \x1b[31m", PeerFault, "protocol_violation"),
])  # fmt: skip
def test_an_error_response_sends_no_code(error: str, kind: type[KeyfobError], code: str) -> None:
    words = "line\r\nbreak \u202e <script>"
    fault = refused(
        kind, opens(), comes_back(error=error, error_description=words, state=STATE, code="code-1")
    )
    assert fault.code == code
    assert not set(fault.message + fault.detail) & set("\r\n\x1b\u202e")
    assert error.split()[0] not in fault.message, "no code in the sentence"
    assert "script" not in fault.message
    assert f": {plain(error)}: line\\x0d\\x0abreak" in fault.detail
    if error in ("access_denied", "user_cancelled"):
        assert fault.message.startswith("You declined access at ")


def test_no_code() -> None:
    refused(PeerFault, opens(), comes_back(state=STATE))


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=40), max_size=5))
def test_no_parameters_make_the_callback_fail_in_another_way(params: dict[str, str]) -> None:
    if "error" not in params and params.get("code"):
        assert code_in(Callback(params, AT), CTX).reveal() == params["code"]
        return
    with pytest.raises(KeyfobError) as refusal:
        code_in(Callback(params, AT), CTX)
    assert plain(refusal.value.message, 2000) == refusal.value.message


def test_s9_a_code_that_is_not_this_sign_ins() -> None:
    # PKCE fails at the server …
    fault = refused(SignInEnded, opens(), BACK, exchange(json_answer({"error": "invalid_grant"}, 400)))
    assert fault.code == "code_expired"
    assert fault.message == "Demo did not accept the code"
    assert "answered 400: invalid_grant" in fault.detail
    # … or, where the server looks away, the nonce fails here.
    stolen = tokens(id_token=id_token(nonce="another-sign-in"))
    assert refused(PeerFault, opens(), BACK, exchange(stolen)).code == "id_token_invalid"


@pytest.mark.parametrize(
    "answer", [Answer(302, b"", {"location": "https://evil.example"}), Answer(500), Answer(200, b"<html>")]
)
def test_s29_the_code_is_sent_once(answer: Answer) -> None:
    refused(Transient, opens(), BACK, exchange(answer))


# --- the OpenID Foundation's cases --------------------------------------------------------------------------

BASIC: dict[str, dict[str, Any]] = {
    "oidcc-client-test-invalid-iss": {"iss": "https://evil.example"},
    "oidcc-client-test-missing-sub": {"sub": None},
    "oidcc-client-test-invalid-aud": {"aud": "somebody-else"},
    "oidcc-client-test-missing-iat": {"iat": None},
    "oidcc-client-test-nonce-invalid": {"nonce": "x"},
}


@pytest.mark.parametrize("change", BASIC.values(), ids=list(BASIC))
def test_a_wrong_claim_ends_it_with_no_further_call(change: dict[str, Any]) -> None:
    fault = refused(PeerFault, opens(), BACK, exchange(tokens(id_token=id_token(**change))))
    assert fault.code == "id_token_invalid"


def test_oidcc_client_test_idtoken_sig_none() -> None:
    header, body, _ = id_token(alg="none").split(".")
    refused(PeerFault, opens(), BACK, exchange(tokens(id_token=f"{header}.{body}.")))


def test_oidcc_client_test_idtoken_sig_rs256() -> None:
    perform(Playbook(opens(), BACK, exchange(), jwks(OTHER, KEY), me()))


def test_oidcc_client_test_invalid_sig_rs256() -> None:
    forged = signer(number=3)  # the right kid, another key
    refused(PeerFault, opens(), BACK, exchange(tokens(id_token=id_token(forged))), jwks())


def test_oidcc_client_test_kid_absent_single_jwks() -> None:
    bare = signer(kid=None)
    perform(Playbook(opens(), BACK, exchange(tokens(id_token=id_token(bare))), jwks(), me()))


def test_oidcc_client_test_kid_absent_multiple_jwks() -> None:
    bare = signer(kid=None)
    perform(Playbook(opens(), BACK, exchange(tokens(id_token=id_token(bare))), jwks(OTHER, KEY), me()))


def test_oidcc_client_test_discovery_jwks_uri_keys() -> None:
    keys = Keys()
    perform(Playbook(opens(), BACK, exchange(), jwks(), me()), keys=keys)
    perform(Playbook(opens(), BACK, exchange(), me()), keys=keys)  # fetched once


@pytest.mark.parametrize("case", ["signing-key-rotation", "signing-key-rotation-just-before-signing"])
def test_oidcc_client_test_key_rotation(case: str) -> None:
    keys = Keys()
    keys.store(JWKS, [KEY.jwk])
    rotated = signer(kid="k1", number=2) if case.endswith("signing") else OTHER
    perform(
        Playbook(opens(), BACK, exchange(tokens(id_token=id_token(rotated))), jwks(rotated), me()), keys=keys
    )


def test_oidcc_client_test_userinfo_invalid_sub() -> None:
    refused(PeerFault, opens(), BACK, exchange(), jwks(), me(sub="somebody-else"))


def test_oidcc_client_test_scope_userinfo_claims() -> None:
    result = perform(Playbook(opens(), BACK, exchange(), jwks(), me(name="Ada Lovelace")))
    assert (result.identity.name, result.identity.email) == ("Ada Lovelace", "ada@example.org")


def test_oidcc_client_test_client_secret_basic() -> None:
    book = Playbook(opens(), BACK, exchange(), jwks(), me())
    perform(book, replace(CTX, client=Client(CLIENT, "client_secret_basic", Secret("s3cret"))))
    assert book.requests[0].headers["Authorization"].startswith("Basic ")
    assert b"s3cret" not in (book.requests[0].body or b"")


def test_an_id_token_that_was_asked_for_and_did_not_come() -> None:
    assert refused(PeerFault, opens(), BACK, exchange(tokens(id_token=None))).code == "id_token_invalid"


def test_s49_at_hash_is_of_this_access_token() -> None:
    right = tokens(id_token=id_token(at_hash=half_hash("at")))
    perform(Playbook(opens(), BACK, exchange(right), jwks(), me()))
    wrong = tokens(id_token=id_token(at_hash=half_hash("other")))
    refused(PeerFault, opens(), BACK, exchange(wrong))


# --- servers of other kinds ---------------------------------------------------------------------------------


def test_plain_oauth_with_a_who_am_i_of_its_own() -> None:
    source = IdentitySource(
        "request", url="https://api.example/user", map={"subject": "id", "username": "login"}
    )
    provider = replace(PROVIDER, identity=source)
    server = Server(None, Endpoints(authorization_endpoint=AUTHORIZE, token_endpoint=TOKEN))
    ctx = replace(CTX, provider=provider, server=server, scopes=("repo",))
    who = sends("GET", "https://api.example/user", gives=json_answer({"id": 583231, "login": "octocat"}))
    book = Playbook(opens(), BACK, exchange(tokens(id_token=None, scope="repo")), who)
    assert perform(book, ctx).identity == Identity("583231", username="octocat")
    waiting = next(effect for effect in book.effects if isinstance(effect, AwaitCallback))
    assert waiting.expectation.issuer is None


def test_a_template_issuer_is_not_compared_in_the_callback() -> None:
    template = "https://login.example/{tenantid}/v2.0"
    ctx = replace(
        CTX, server=replace(SERVER, issuer=template, authorization_response_iss_parameter_supported=False)
    )
    token = id_token(iss=template.replace("{tenantid}", "t-1"), tid="t-1")
    book = Playbook(opens(), BACK, exchange(tokens(id_token=token)), jwks(), me())
    perform(book, ctx)
    waiting = next(effect for effect in book.effects if isinstance(effect, AwaitCallback))
    assert waiting.expectation.issuer is None


def test_tokens_bound_to_a_key() -> None:
    ctx = replace(CTX, dpop_key=new_key("ES256"))
    challenge = later(json_answer({"error": "use_dpop_nonce"}, 400), dpop_nonce="n-1")
    book = Playbook(
        opens(), BACK, exchange(challenge), exchange(tokens(token_type="DPoP")), jwks(),
        sends("GET", ME, gives=json_answer(PERSON), check=lambda r: r.headers["Authorization"] == "DPoP at"),
    )  # fmt: skip
    result = perform(book, ctx)
    assert result.grant.key == ctx.dpop_key
    assert "DPoP" in book.requests[3].headers
    assert book.requests[3].headers["Authorization"] == "DPoP at"
    assert refused(PeerFault, opens(), BACK, exchange(), ctx=ctx).code == "protocol_violation"


def test_state_in_the_token_request_where_a_server_wants_it() -> None:
    shape = TokenAnswer(request_format="json")
    provider = replace(PROVIDER, quirks=("state_in_token_request",), token_answer=shape)
    book = Playbook(opens(), BACK, kept(sends("POST", TOKEN, gives=json_answer(tokens()))), jwks(), me())
    perform(book, replace(CTX, provider=provider, resource="https://api.example"))
    sent = json.loads(book.requests[0].body or b"")
    assert (sent["state"], sent["resource"]) == (STATE, "https://api.example")


# --- a client id for each account ---------------------------------------------------------------------------

SHARED = "dynamic_agent_client"
DYNAMIC = replace(
    CTX,
    provider=replace(PROVIDER, quirks=("dynamic_agent_client",), client=ClientProfile(SHARED),
                     identity=IdentitySource("id_token")),
    client=Client(SHARED),
)  # fmt: skip


def test_an_issued_client_id_is_used_for_the_exchange_and_told() -> None:
    back = comes_back(code="code-1", state=STATE, client_id="oaiapp_1")
    token = tokens(id_token=id_token(client="oaiapp_1"))
    book = Playbook(opens(), back, exchange(token, client_id="oaiapp_1"), jwks())
    assert perform(book, DYNAMIC).issued_client_id == "oaiapp_1"
    assert query_of(book.opened[0])["client_id"] == SHARED


def test_the_next_sign_in_uses_the_issued_one() -> None:
    ctx = replace(DYNAMIC, client=Client("oaiapp_1"))
    token = tokens(id_token=id_token(client="oaiapp_1"))
    book = Playbook(opens(), BACK, exchange(token, client_id="oaiapp_1"), jwks())
    assert perform(book, ctx).issued_client_id == "oaiapp_1"


@pytest.mark.parametrize("issued", [None, SHARED, "", "a b", "x\r\n", "é", "x" * 300])
def test_nothing_is_exchanged_under_the_shared_client_id(issued: str | None) -> None:
    named = {} if issued is None else {"client_id": issued}
    refused(PeerFault, opens(), comes_back(code="code-1", state=STATE, **named), ctx=DYNAMIC)


def test_elsewhere_a_client_id_in_the_callback_means_nothing() -> None:
    back = comes_back(code="code-1", state=STATE, iss=ISSUER, client_id="evil")
    assert perform(Playbook(opens(), back, exchange(client_id=CLIENT), jwks(), me())).issued_client_id is None


# --- keys in place of tokens --------------------------------------------------------------------------------

KEYS = "https://openrouter.example/api/v1/auth/keys"
ROUTER = FlowContext(
    Provider("router", "Router", quirks=("openrouter_keys",),
             identity=IdentitySource("token_answer", map={"subject": "user_id"})),
    Server(None, Endpoints(authorization_endpoint="https://openrouter.example/auth", token_endpoint=KEYS)),
    Client(None),
    ENV,
    REDIRECT,
)  # fmt: skip


def key_exchange(answer: Answer) -> Callable[..., Any]:
    def check(request: Any) -> None:
        sent = json.loads(request.body)
        assert sent == {"code": "code-1", "code_verifier": VERIFIER, "code_challenge_method": "S256"}

    return sends("POST", KEYS, gives=answer, check=check)


def test_a_key_grant_without_state_carries_it_in_the_path() -> None:
    book = Playbook(
        opens(),
        comes_back(code="code-1"),
        kept(key_exchange(json_answer({"key": "sk-or-1", "user_id": "u-1"}))),
    )
    result = perform(book, ROUTER)
    assert result.grant.access == Secret("sk-or-1")
    assert (result.grant.refresh, result.grant.expires_at) == (None, None)
    assert result.identity.subject == "u-1"
    sent = query_of(book.opened[0])
    assert sent == {
        "callback_url": f"{REDIRECT}/{STATE}",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    waiting = next(effect for effect in book.effects if isinstance(effect, AwaitCallback))
    assert waiting.expectation == Expectation(
        Secret(STATE), path=urlsplit(sent["callback_url"]).path, stateless=True
    )


@pytest.mark.parametrize(("answer", "kind"), [
    (Answer(500), Transient), (json_answer({"error": {"code": 400, "message": "bad"}}, 400), PeerFault),
    (json_answer({}), PeerFault), (json_answer({"key": "a\r\nb"}), PeerFault),
    (json_answer({"key": ""}), PeerFault),
    (Answer(200, b"<html>"), Transient),
])  # fmt: skip
def test_a_key_grant_that_gives_no_key(answer: Answer, kind: type[KeyfobError]) -> None:
    refused(kind, opens(), comes_back(code="code-1"), key_exchange(answer), ctx=ROUTER)


def test_a_key_grant_that_is_refused_or_has_no_way_back() -> None:
    refused(SignInEnded, opens(), comes_back(error="access_denied"), ctx=ROUTER)
    refused(PeerFault, opens(), comes_back(other="x"), ctx=ROUTER)
    refused(SettingWrong, ctx=replace(ROUTER, redirect_uri=None))
