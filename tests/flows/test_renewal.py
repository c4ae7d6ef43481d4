"""Renewals from end to end: kept before judged, and only the grant's true end ends it (S-33 to S-39)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from keyfob.adapters.system.keys import new_key
from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, SignInNeeded, Transient
from keyfob.core.grant import Grant
from keyfob.core.provider import Endpoints, IdentitySource, Provider, Server
from keyfob.core.secret import Secret
from keyfob.protocol.context import Client, FlowContext
from keyfob.protocol.env import Keys, NonceBook
from keyfob.protocol.oauth.renewal import renew
from support.playbook import AT, ENV, Answer, Playbook, form_of, json_answer, keeps, later, sends
from support.signer import Signer, claims_for, signer

ISSUER = "https://id.example"
TOKEN, JWKS, OTHER = f"{ISSUER}/token", f"{ISSUER}/jwks", f"{ISSUER}/renew"
SERVER = Server(ISSUER, Endpoints(token_endpoint=TOKEN, jwks_uri=JWKS))
PROVIDER = Provider("demo", "Demo", refresh_params={"audience": "api"}, identity=IdentitySource("id_token"))
CTX = FlowContext(PROVIDER, SERVER, Client("client-1"), ENV, scopes=("openid", "a"))
KEY = signer()
OLD = Grant(
    access=Secret("old-access"),
    obtained_at=AT - timedelta(hours=1),
    refresh=Secret("old-refresh"),
    id_token=Secret(KEY.sign(claims_for(ISSUER, "client-1"))),
    expires_at=AT + timedelta(minutes=5),
    scopes=("openid", "a"),
    generation=4,
)
FRESH = {
    "access_token": "new-access",
    "token_type": "Bearer",
    "expires_in": 3600,
    "refresh_token": "new-refresh",
}


def id_token(by: Signer = KEY, **changes: Any) -> str:
    return by.sign(claims_for(ISSUER, "client-1", **changes))


def perform(
    book: Playbook,
    ctx: FlowContext = CTX,
    old: Grant = OLD,
    *,
    keys: Keys | None = None,
    nonces: NonceBook | None = None,
    subject: str = "sub-1",
) -> Grant:
    return book.perform(
        renew(
            replace(ctx, env=replace(book.env, nonces=nonces or NonceBook(), keys=keys or Keys())), old,
            subject=subject
        )
    )  # fmt: skip


def known_keys(*signers: Signer) -> Keys:
    keys = Keys()
    keys.store(JWKS, [s.jwk for s in signers])
    assert keys.may_fetch(JWKS, AT)  # noted: none further within 30 s
    return keys


def answers(data: Any, status: int = 200) -> Callable[..., Any]:
    return sends("POST", TOKEN, gives=json_answer(data, status))


def test_a_renewal() -> None:
    book = Playbook(
        sends(
            "POST", TOKEN, gives=json_answer(FRESH),
            form={"grant_type": "refresh_token", "refresh_token": "old-refresh", "client_id": "client-1",
                  "audience": "api"},
            check=lambda request: "scope" not in form_of(request),
        ),
        keeps(),
    )  # fmt: skip
    renewed = perform(book)
    assert book.kept == [renewed]
    assert renewed.access == Secret("new-access")
    assert renewed.refresh == Secret("new-refresh")
    assert renewed.generation == 5
    assert renewed.obtained_at == AT
    assert renewed.expires_at == AT + timedelta(hours=1)
    assert renewed.scopes == OLD.scopes
    assert renewed.id_token == OLD.id_token
    assert renewed.new_id_token is None
    assert "scope" not in form_of(book.requests[0])


def test_s37_the_renewal_carries_the_sign_ins_resource_and_goes_to_its_own_address() -> None:
    server = replace(SERVER, endpoints=replace(SERVER.endpoints, refresh_endpoint=OTHER))
    ctx = replace(CTX, server=server, resource="https://api.example/v1")
    form = {"resource": "https://api.example/v1"}
    perform(Playbook(sends("POST", OTHER, gives=json_answer(FRESH), form=form), keeps()), ctx)


@pytest.mark.parametrize("refresh", [None, "", 7], ids=["null", "empty", "number"])
def test_s35_no_refresh_token_in_the_answer_keeps_the_old_one(refresh: Any) -> None:
    renewed = perform(Playbook(answers({**FRESH, "refresh_token": refresh}), keeps()))
    assert renewed.refresh == OLD.refresh
    without = {k: v for k, v in FRESH.items() if k != "refresh_token"}
    assert perform(Playbook(answers(without), keeps())).refresh == OLD.refresh


def test_s34_a_narrower_scope_is_told() -> None:
    assert perform(Playbook(answers({**FRESH, "scope": "openid"}), keeps())).scopes == ("openid",)


def test_nothing_to_renew_with() -> None:
    book = Playbook()
    with pytest.raises(SignInNeeded) as needed:
        perform(book, old=replace(OLD, refresh=None))
    assert needed.value.code == "token_expired"
    assert book.requests == []


# --- kept before judged -------------------------------------------------------------------------------------


def refused(
    data: dict[str, Any], *steps: Any, ctx: FlowContext = CTX, keys: Keys | None = None, **more: Any
) -> PeerFault:
    """A renewal that is refused after it was kept: the rotated refresh
    token is stored, the access token is not used.
    """
    book = Playbook(answers(data), keeps(), *steps, keeps())
    with pytest.raises(PeerFault) as fault:
        perform(book, ctx, keys=keys, **more)
    assert not book.left
    first, second = book.kept
    assert first.access == Secret("new-access")  # kept before anything was judged
    assert (first.refresh, first.generation) == (Secret("new-refresh"), 5)
    assert second == replace(OLD, refresh=Secret("new-refresh"), generation=6)
    return fault.value


@pytest.mark.parametrize("kind", [None, "mac", "DPoP"])
def test_s33_a_renewals_wrong_type_is_kept_and_not_used(kind: str | None) -> None:
    assert refused({**FRESH, "token_type": kind}).code == "protocol_violation"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sub": "somebody-else"}, "subject_mismatch"),
        ({"iss": "https://evil.example"}, "id_token_invalid"),
        ({"iss": ISSUER + "/"}, "id_token_invalid"),
        ({"aud": "client-2"}, "id_token_invalid"),
        ({"aud": ["client-1", "client-2"]}, "id_token_invalid"),
        ({"exp": int(AT.timestamp()) - 3600}, "id_token_invalid"),
        ({"sub": None}, "id_token_invalid"),
    ],
    ids=["oidcc-client-test-refresh-token-invalid-sub", "oidcc-client-test-refresh-token-invalid-issuer",
         "iss-slash", "aud", "aud-added", "expired", "no-sub"],
)  # fmt: skip
def test_s38_a_renewals_changed_id_token_is_not_used(changes: dict[str, Any], code: str) -> None:
    fault = refused({**FRESH, "id_token": id_token(**changes)}, keys=known_keys(KEY))
    assert fault.code == code


def test_s38_a_renewals_id_token_of_a_wrong_key_is_not_used() -> None:
    stranger = signer(number=2)
    keys = known_keys(KEY)
    assert refused({**FRESH, "id_token": id_token(stranger)}, keys=keys).code == "id_token_invalid"


def test_oidcc_client_test_refresh_token() -> None:
    # The new ID token may leave out the nonce, and is checked with fetched keys.
    newer = id_token(iat=int(AT.timestamp()) - 1)
    book = Playbook(
        answers({**FRESH, "id_token": newer}),
        keeps(),
        sends("GET", JWKS, gives=json_answer({"keys": [KEY.jwk]})),
    )
    renewed = perform(book)
    assert renewed.access == Secret("new-access")
    assert (renewed.id_token, renewed.new_id_token) == (OLD.id_token, Secret(newer))
    again = perform(Playbook(answers(FRESH), keeps()), old=renewed)
    assert again.new_id_token == Secret(newer), "an answer without one keeps it"


@pytest.mark.parametrize(
    "outage",
    [
        Transient("down"),
        SettingWrong("tls", code="tls_untrusted"),
        Answer(503),
        Answer(429),
        json_answer({}, 404),
        json_answer({"keys": None}),
    ],
    ids=["network", "tls", "503", "429", "404", "no-set"],
)
def test_s44_keys_that_cannot_be_had_do_not_stop_a_renewal(outage: Answer | Exception) -> None:
    book = Playbook(answers({**FRESH, "id_token": id_token()}), keeps(), sends("GET", JWKS, gives=outage))
    assert perform(book).access == Secret("new-access")
    # The claims are judged all the same, before any key is asked for.
    assert refused({**FRESH, "id_token": id_token(sub="x")}).code == "subject_mismatch"


def test_no_issuer_means_no_id_token_to_judge() -> None:
    ctx = replace(
        CTX, server=Server(None, Endpoints(token_endpoint=TOKEN)),
        provider=replace(PROVIDER, identity=IdentitySource("request")),
    )  # fmt: skip
    assert perform(Playbook(answers({**FRESH, "id_token": "anything"}), keeps()), ctx).generation == 5


def test_the_subject_of_the_account_counts_where_no_old_id_token_is() -> None:
    renewal = {**FRESH, "id_token": id_token(sub="x")}
    book = Playbook(answers(renewal), keeps(), keeps())
    old = replace(OLD, id_token=None)
    with pytest.raises(PeerFault) as fault:
        perform(book, old=old, keys=known_keys(KEY))
    assert fault.value.code == "subject_mismatch"


def test_user_informations_subject_is_the_id_tokens() -> None:
    ctx = replace(CTX, provider=replace(PROVIDER, identity=IdentitySource("userinfo")))
    old = replace(OLD, id_token=None)
    book = Playbook(answers({**FRESH, "id_token": id_token(sub="x")}), keeps(), keeps())
    with pytest.raises(PeerFault) as fault:
        perform(book, ctx, old, keys=known_keys(KEY))
    assert fault.value.code == "subject_mismatch"
    book = Playbook(answers({**FRESH, "id_token": id_token()}), keeps())
    assert perform(book, ctx, old, keys=known_keys(KEY)).id_token == Secret(id_token())


def test_s38_under_a_template_issuer_the_tenant_stays() -> None:
    template = "https://login.example/{tenantid}/v2.0"
    ctx = replace(CTX, server=replace(SERVER, issuer=template))
    first, second = (
        id_token(iss=template.replace("{tenantid}", tenant), tid=tenant) for tenant in ("t-1", "t-2")
    )
    old = replace(OLD, id_token=Secret(first))
    same = Playbook(answers({**FRESH, "id_token": first}), keeps())
    assert perform(same, ctx, old, keys=known_keys(KEY)).generation == 5
    moved = Playbook(answers({**FRESH, "id_token": second}), keeps(), keeps())
    with pytest.raises(PeerFault) as fault:
        perform(moved, ctx, old, keys=known_keys(KEY))
    assert fault.value.code == "id_token_invalid"


def test_the_id_token_that_was_judged_stays() -> None:
    book = Playbook(answers({**FRESH, "id_token": id_token(exp=int(AT.timestamp()) + 900)}), keeps())
    assert perform(book, keys=known_keys(KEY)).id_token == OLD.id_token


def test_a_mapped_subject_is_compared_as_it_was_found() -> None:
    ctx = replace(
        CTX, provider=replace(PROVIDER, identity=IdentitySource("id_token", map={"subject": "oid"}))
    )
    fine = {**FRESH, "id_token": id_token(oid="object-1")}
    assert (
        perform(Playbook(answers(fine), keeps()), ctx, keys=known_keys(KEY), subject="object-1").generation
        == 5
    )
    other = {**FRESH, "id_token": id_token(oid="object-2")}
    fault = refused(other, ctx=ctx, keys=known_keys(KEY), subject="object-1")
    assert fault.code == "subject_mismatch"


@pytest.mark.parametrize(("subject", "fits"), [("did:plc:a", True), ("did:plc:b", False)])
def test_an_answer_that_names_its_subject_must_name_the_same(subject: str, fits: bool) -> None:
    provider = replace(PROVIDER, identity=IdentitySource("token_answer", map={"subject": "sub"}))
    ctx = replace(CTX, provider=provider, server=Server(None, Endpoints(token_endpoint=TOKEN)))
    data = {**FRESH, "sub": "did:plc:a"}
    if fits:
        assert perform(Playbook(answers(data), keeps()), ctx, subject=subject).generation == 5
    else:
        assert refused(data, ctx=ctx, subject=subject).code == "subject_mismatch"


def test_an_access_token_that_names_its_subject_must_name_the_same() -> None:
    provider = replace(PROVIDER, identity=IdentitySource("access_jwt", map={"subject": "user.id"}))
    ctx = replace(CTX, provider=provider, server=Server(None, Endpoints(token_endpoint=TOKEN)))
    token = KEY.sign({"user": {"id": 7}})
    book = Playbook(answers({**FRESH, "access_token": token}), keeps())
    assert perform(book, ctx, subject="7").access == Secret(token)
    book = Playbook(answers({**FRESH, "access_token": token}), keeps(), keeps())
    with pytest.raises(PeerFault) as fault:
        perform(book, ctx, subject="8")
    assert fault.value.code == "subject_mismatch"
    opaque = Playbook(answers(FRESH), keeps())
    assert perform(opaque, ctx, subject="8").access == Secret("new-access")


def test_a_rotated_refresh_token_without_an_access_token_is_kept() -> None:
    book = Playbook(answers({"refresh_token": "new-refresh", "token_type": "Bearer"}), keeps())
    with pytest.raises(PeerFault):
        perform(book)
    assert book.kept == [replace(OLD, refresh=Secret("new-refresh"), generation=5)]


def test_an_answer_without_any_token_keeps_nothing() -> None:
    book = Playbook(answers({}))
    with pytest.raises(PeerFault):
        perform(book)
    assert book.kept == []


def mangled(body: bytes, kind: str = "application/json") -> Answer:
    return Answer(200, body, {"content-type": kind})


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (mangled(b'{"access_token":"new-access","refresh_token":"new-refresh","a":1,"a":2}'), PeerFault),
        (mangled(b'{"access_token":"new-access","refresh_token":"new-refresh","a":NaN}'), PeerFault),
        (mangled(b'{"access_token":"new-access","refresh_token":"new-refresh","to'), Transient),
        (mangled(b'{"access_token":"new-access","refresh_token":"new-refresh"}',
         "application/x-www-form-urlencoded"),
         Transient),
        (mangled(b"access_token=new-access&refresh_token=new-refresh"), PeerFault),
        (json_answer({"error": "odd", **FRESH}), PeerFault),
        (json_answer({"error": "access_denied", **FRESH}), PeerFault),
        (json_answer({"error": "invalid_grant", **FRESH}), PeerFault),
        (json_answer({"error": "invalid_client", **FRESH}), SettingWrong),
        (json_answer({"error": "slow_down", **FRESH}), Transient),
    ],
)  # fmt: skip
def test_s30_a_new_refresh_token_is_kept_before_the_answer_is_refused(
    answer: Answer, kind: type[KeyfobError]
) -> None:
    book = Playbook(sends("POST", TOKEN, gives=answer), keeps())
    with pytest.raises(kind):
        perform(book)
    assert book.kept == [replace(OLD, refresh=Secret("new-refresh"), generation=5)]


def test_s30_the_refresh_token_that_was_sent_is_nothing_new() -> None:
    book = Playbook(sends("POST", TOKEN, gives=mangled(b'{"refresh_token":"old-refresh","access_token":"ne')))
    with pytest.raises(Transient):
        perform(book)
    assert book.kept == []


def test_s30_a_failing_status_brings_no_token() -> None:
    book = Playbook(sends("POST", TOKEN, gives=json_answer({"error": "odd", **FRESH}, 400)))
    with pytest.raises(PeerFault):
        perform(book)
    assert book.kept == []


# --- failures -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (json_answer({"error": "invalid_grant"}, 400), SignInNeeded, "grant_ended"),
        (json_answer({"error": "invalid_client"}, 401), SettingWrong, "client_refused"),
        (json_answer({"error": "access_denied"}, 400), PeerFault, "protocol_violation"),
        (json_answer({"error": "invalid_request"}, 400), PeerFault, "protocol_violation"),
        (json_answer({"error": "invalid_grant"}, 200), SignInNeeded, "grant_ended"),
        (later(json_answer({}, 429), retry_after="60"), Transient, "rate_limited"),
        (Answer(503), Transient, "provider_unavailable"),
        (Answer(302, b"", {"location": "https://evil.example/"}), Transient, "captive_portal"),
        (Answer(404, b"<html>"), Transient, "request_refused"),
        (Answer(200, b"<html>"), Transient, "captive_portal"),
        (Answer(200, b'{"access_token": "new'), Transient, "response_invalid"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_s36_s39_a_failure_is_told_and_the_token_not_sent_again(
    answer: Answer, kind: type[KeyfobError], code: str
) -> None:
    book = Playbook(sends("POST", TOKEN, gives=answer))
    with pytest.raises(kind) as failed:
        perform(book)
    assert failed.value.code == code
    assert len(book.requests) == 1
    assert book.kept == []
    if isinstance(failed.value, Transient):
        assert failed.value.answered is (answer.status != 200)
    for word in ("old-refresh", "old-access"):
        assert word not in f"{failed.value} {failed.value.detail} {failed.value.remedy}"


def test_a_request_that_never_left_is_told_as_such() -> None:
    book = Playbook(sends("POST", TOKEN, gives=Transient("offline", code="network_unreachable", sent=False)))
    with pytest.raises(Transient) as failed:
        perform(book)
    assert not failed.value.sent


def test_s36_a_nonce_challenge_alone_permits_the_same_token_once_more() -> None:
    ctx = replace(CTX, dpop_key=new_key("ES256"))
    old = replace(OLD, key=ctx.dpop_key, token_type="DPoP")
    challenge = json_answer({"error": "use_dpop_nonce"}, 400, dpop_nonce="n-1")
    bound = {**FRESH, "token_type": "DPoP"}
    form = {"refresh_token": "old-refresh"}
    book = Playbook(
        sends("POST", TOKEN, gives=challenge, form=form),
        sends("POST", TOKEN, gives=json_answer(bound), form=form),
        keeps(),
    )
    renewed = perform(book, ctx, old)
    assert (renewed.key, renewed.token_type) == (ctx.dpop_key, "DPoP")
    # A client assertion is used once (RFC 7523 §3), so the repeat brings a new one.
    signing = replace(ctx, client=Client("client-1", "private_key_jwt", key=new_key("ES256")))
    book = Playbook(
        sends("POST", TOKEN, gives=challenge), sends("POST", TOKEN, gives=json_answer(bound)), keeps()
    )
    perform(book, signing, old)
    first, second = (form_of(request)["client_assertion"] for request in book.requests)
    assert first != second
    # Challenged for ever: it ends, and the grant stays.
    book = Playbook(sends("POST", TOKEN, gives=challenge), sends("POST", TOKEN, gives=challenge))
    with pytest.raises(PeerFault):
        perform(book, ctx, old)
    assert len(book.requests) == 2
