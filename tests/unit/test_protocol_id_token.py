"""ID tokens and signing keys, each rule broken in turn (S-40 to S-51)."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from keyfob.core.errors import PeerFault, SettingWrong, Transient
from keyfob.core.http import Response
from keyfob.core.provider import Endpoints, Provider, Server
from keyfob.core.secret import Secret
from keyfob.protocol.context import Client, FlowContext
from keyfob.protocol.env import SETS_MOST, Keys
from keyfob.protocol.oidc.id_token import TOKEN_MOST, unverified_claims, verify
from keyfob.protocol.oidc.keys import read_keys
from support.playbook import AT, ENV, Answer, Playbook, json_answer, sends
from support.signer import Signer, claims_for, compact, encoded, half_hash, signer

ISSUER, CLIENT, JWKS = "https://id.example", "client-1", "https://id.example/jwks"
SERVER = Server(ISSUER, Endpoints(jwks_uri=JWKS))
CTX = FlowContext(Provider("demo", "Demo"), SERVER, Client(CLIENT), ENV)
RSA, RSA2 = signer(), signer(kid="k2", number=2)
NOW = int(AT.timestamp())
ALL = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


def within(ctx: FlowContext, keys: Keys) -> FlowContext:
    """`ctx` in a process that knows these keys."""
    return replace(ctx, env=replace(ENV, keys=keys))


def claims(**changes: Any) -> dict[str, Any]:
    return claims_for(ISSUER, CLIENT, **changes)


def keys_of(*signers: Signer, **changes: Any) -> dict[str, Any]:
    return {"keys": [{**s.jwk, **changes} for s in signers]}


def check(
    token: str,
    *published: Signer,
    jwks: Any = None,
    ctx: FlowContext = CTX,
    keys: Keys | None = None,
    nonce: str | None = None,
    access: str | None = None,
    code: str | None = None,
    subject: str | None = None,
    fetches: bool = True,
) -> dict[str, Any]:
    """Verify a token at a server that publishes these keys. With
    `fetches` False, nothing may be asked of it.
    """
    answer = json_answer(jwks if jwks is not None else keys_of(*(published or (RSA,))))
    book = Playbook(*([sends("GET", JWKS, gives=answer)] if fetches else []))
    return book.perform(
        verify(
            within(ctx, keys or Keys()), Secret(token), nonce=Secret(nonce) if nonce else None, at=AT,
            access=Secret(access) if access else None, code=Secret(code) if code else None, subject=subject,
        )
    )  # fmt: skip


def refused(token: str, *published: Signer, **more: Any) -> PeerFault:
    with pytest.raises(PeerFault) as fault:
        check(token, *published, **more)
    assert fault.value.code in ("id_token_invalid", "subject_mismatch")
    return fault.value


def refused_unasked(token: str, **more: Any) -> PeerFault:
    """Refused before any key was asked for."""
    return refused(token, fetches=False, **more)


# --- signature ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ALL)
def test_each_algorithm_that_proves_who_signed(alg: str) -> None:
    by = signer(alg)
    assert check(by.sign(claims()), by)["sub"] == "sub-1"


@pytest.mark.parametrize(
    ("announced", "discovery", "alg", "fits"),
    [
        (("ES256", "RS256"), "openid", "ES256", True),
        (("RS256",), "openid", "ES256", False),
        (("RS256", "none"), None, "ES256", False),
        (None, "openid", "RS256", True),
        (None, "openid", "ES256", False),
        (None, None, "ES256", True),
    ],
)
def test_s40_only_an_algorithm_that_the_server_announces(
    announced: tuple[str, ...] | None, discovery: str | None, alg: str, fits: bool
) -> None:
    by = signer(alg)
    server = replace(SERVER, id_token_signing_alg_values_supported=announced)
    ctx = replace(CTX, server=server, provider=replace(CTX.provider, discovery=discovery))
    if fits:
        check(by.sign(claims()), by, ctx=ctx)
        return
    assert "announces" in refused_unasked(by.sign(claims()), ctx=ctx).message
    # The account pinned what was announced at its sign-in: a renewal goes by the server's keys.
    check(by.sign(claims()), by, ctx=ctx, subject=claims()["sub"])


@pytest.mark.parametrize(
    "alg", ["none", "nOnE", "None", "NONE", "", None, 7, ["RS256"], "HS256", "rs256", "ES256K", "RSA1_5"]
)
def test_s40_unsigned_and_unknown_algorithms(alg: Any) -> None:
    for signature in (b"", b"x"):
        refused_unasked(compact({"alg": alg, "kid": "k1"}, claims(), lambda _, s=signature: s))


def test_s40_an_empty_signature() -> None:
    token = RSA.sign(claims()).rpartition(".")[0]
    refused_unasked(token + ".")
    refused_unasked(token)


@pytest.mark.parametrize("kind", ["pem", "der", "jwk", "secret"])
@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_s41_key_confusion(kind: str, alg: str) -> None:
    public = RSA.private.public_key()
    encodings = {"pem": serialization.Encoding.PEM, "der": serialization.Encoding.DER}
    if kind in encodings:
        key = public.public_bytes(encodings[kind], serialization.PublicFormat.SubjectPublicKeyInfo)
    else:
        key = json.dumps(RSA.jwk).encode() if kind == "jwk" else b"the-client-secret"
    digest = getattr(hashlib, f"sha{alg[2:]}")
    forged = compact({"alg": alg, "kid": "k1"}, claims(), lambda data: hmac.new(key, data, digest).digest())
    ctx = replace(CTX, client=Client(CLIENT, "client_secret_post", Secret("the-client-secret")))
    refused_unasked(forged, ctx=ctx)


def test_s42_the_algorithm_is_tied_to_the_key() -> None:
    # The key says RS256; the token's RS512 and PS256 signatures by the same key are good ones, and not taken.
    for alg in ("RS512", "PS256"):
        refused(signer(alg).sign(claims()), RSA)
    # Without a word from the key, its type decides.
    plain = {k: v for k, v in RSA.jwk.items() if k != "alg"}
    assert check(signer("PS256").sign(claims()), jwks={"keys": [plain]})
    # A curve belongs to its algorithm; an elliptic key to no RSA algorithm.
    ec = signer("ES256")
    wrong_curve = {k: v for k, v in ec.jwk.items() if k != "alg"}
    refused(compact({"alg": "ES384", "kid": "k1"}, claims(), ec.signature), jwks={"keys": [wrong_curve]})
    refused(compact({"alg": "RS256", "kid": "k1"}, claims(), ec.signature), jwks={"keys": [wrong_curve]})


@pytest.mark.parametrize("header", [
    {"crit": ["exp"]}, {"crit": []}, {"jku": "https://evil.example/jwks"},
    {"x5u": "https://evil.example/c.pem"},
    {"x5c": ["MIIB"]}, {"jwk": RSA2.jwk}, {"b64": False}, {"zip": "DEF"}, {"enc": "A128GCM"}, {"kid": 7},
    {"typ": "at+jwt"}, {"typ": "application/logout+jwt"}, {"typ": 7},
], ids=lambda header: next(iter(header)))  # fmt: skip
def test_s42_headers_that_would_have_us_trust_the_token_itself(header: dict[str, Any]) -> None:
    refused_unasked(RSA.sign(claims(), **header))


@pytest.mark.parametrize("typ", ["JWT", "jwt", None, "id_token+jwt"])
def test_an_ordinary_type(typ: str | None) -> None:
    assert check(RSA.sign(claims(), typ=typ))


def test_a_changed_token() -> None:
    head, body, signature = RSA.sign(claims()).split(".")
    other = encoded(json.dumps(claims(sub="somebody")))
    refused(f"{head}.{other}.{signature}")
    refused(f"{head}.{body}.{encoded(b'x' * 256)}")
    refused(f"{head}.{body}.{encoded(b'x')}")


@pytest.mark.parametrize("token", [
    "", ".", "..", "a.b", "a.b.c.d.e", "é.é.é", "a b.c.d", f"{encoded('[]')}.{encoded('{}')}.eA",
    f"{encoded('{}')}.{encoded('[]')}.eA", f"{encoded('{')}.{encoded('{}')}.eA",
    f'{encoded("{}")}.{encoded(chr(123) + chr(34) + "a" + chr(34) + ":NaN}")}.eA',
    f"{encoded('{}')}.{encoded('[' * 30_000)}.eA", "eA.eA.e", "AA==.AA.AA",
    f'{encoded(chr(123) + "}")}.{encoded(json.dumps("x"))}.eA',
], ids=lambda t: t[:16] or "empty")  # fmt: skip
def test_what_is_no_token(token: str) -> None:
    refused_unasked(token)


def test_a_signature_that_is_no_base64url() -> None:
    head, body, _ = RSA.sign(claims()).split(".")
    for signature in ("e", "e+", "ee=="):
        refused_unasked(f"{head}.{body}.{signature}")


def test_claims_said_twice() -> None:
    doubled = '{"sub": "a", "sub": "b"}'
    refused_unasked(compact({"alg": "RS256", "kid": "k1"}, doubled, RSA.signature))


def test_s51_bombs() -> None:
    refused_unasked(RSA.sign(claims(pad="x" * TOKEN_MOST)))
    refused_unasked(RSA.sign(claims(), pad="x" * TOKEN_MOST))
    assert check(RSA.sign(claims(pad="x" * 30_000)))


@given(st.text(max_size=80))
def test_no_text_makes_verification_fail_in_another_way(text: str) -> None:
    with pytest.raises(PeerFault):
        check(text, fetches=False)
    assert unverified_claims(Secret(text)) is None


# --- keys ---------------------------------------------------------------------------------------------------


def test_no_kid_and_one_key() -> None:
    bare = signer(kid=None)
    assert check(bare.sign(claims()), bare)
    assert check(bare.sign(claims()), RSA)  # the set names it, the token does not


def test_no_kid_and_several_keys_tries_those_that_fit() -> None:
    bare = signer(kid=None, number=2)
    assert check(bare.sign(claims()), RSA, signer("ES256"), RSA2)
    refused(signer(kid=None, number=3).sign(claims()), RSA, RSA2)


def test_a_kid_names_its_key_and_no_other() -> None:
    refused(RSA.sign(claims(), kid="k2"), RSA, RSA2)


def test_s43_an_unknown_kid_fetches_once_in_30_seconds() -> None:
    keys = Keys()
    check(RSA.sign(claims()), keys=keys)
    assert keys.may_fetch(JWKS, AT)  # the first unknown name is looked for, right after the first fetch too
    for number in range(100):
        refused_unasked(RSA.sign(claims(), kid=f"random-{number}"), keys=keys)
    assert check(RSA.sign(claims()), keys=keys, fetches=False)
    assert not keys.may_fetch(JWKS, AT + timedelta(seconds=29))
    assert keys.may_fetch(JWKS, AT + timedelta(seconds=30))


def test_s43_ten_thousand_random_kids_do_not_flush_the_cache() -> None:
    keys = Keys()
    keys.store(JWKS, [RSA.jwk])
    assert sum(keys.may_fetch(JWKS, AT + timedelta(milliseconds=n)) for n in range(10_000)) == 1
    assert keys.cached(JWKS) == (RSA.jwk,)


def test_a_clock_set_back_does_not_bar_fetching() -> None:
    keys = Keys()
    keys.store(JWKS, [RSA.jwk])
    assert keys.may_fetch(JWKS, AT)
    assert keys.may_fetch(JWKS, AT - timedelta(days=1))


def test_s44_a_rotated_key_is_accepted() -> None:
    keys = Keys()
    check(RSA.sign(claims()), RSA, keys=keys)
    later = Keys()
    later.store(JWKS, [RSA.jwk])
    assert check(RSA2.sign(claims()), RSA2, keys=later)
    assert later.cached(JWKS)[0]["kid"] == "k2"
    # The same kid with another key behind it, too.
    same = Keys()
    same.store(JWKS, [RSA.jwk])
    assert check(signer(number=2).sign(claims()), signer(number=2), keys=same)


@pytest.mark.parametrize("answer", [
    Answer(500), Answer(200, b"<html>"), json_answer({"keys": []}), json_answer({"keys": "x"}),
    json_answer({}),
    json_answer({"keys": [7, {"kty": "oct", "k": "AA"}]}), Transient("offline"),
    SettingWrong("tls", code="tls_untrusted"),
], ids=str)  # fmt: skip
def test_s44_an_outage_leaves_the_cached_keys(answer: Answer | Exception) -> None:
    keys = Keys()
    keys.store(JWKS, [RSA.jwk])
    book = Playbook(sends("GET", JWKS, gives=answer))
    with pytest.raises(PeerFault) as fault:
        book.perform(verify(within(CTX, keys), Secret(RSA2.sign(claims())), nonce=None, at=AT))
    assert fault.value.code == "id_token_invalid"
    assert check(RSA.sign(claims()), keys=keys, fetches=False)


@pytest.mark.parametrize(("answer", "kind"), [
    (Answer(500), Transient), (json_answer({"keys": "x"}), PeerFault),
    (Answer(302, b"", {"location": "x"}), Transient),
], ids=["500", "no-set", "redirect"])  # fmt: skip
def test_s29_without_any_key_an_outage_is_told(answer: Answer, kind: type[Exception]) -> None:
    keys = Keys()
    book = Playbook(sends("GET", JWKS, gives=answer))
    with pytest.raises(kind):
        book.perform(verify(within(CTX, keys), Secret(RSA.sign(claims())), nonce=None, at=AT))
    assert len(book.requests) == 1
    assert keys.may_fetch(JWKS, AT)  # nothing is known yet: the next sign-in may ask at once


def test_keys_are_fetched_from_a_fit_address_only() -> None:
    for uri in (None, "http://id.example/jwks"):
        ctx = replace(CTX, server=Server(ISSUER, Endpoints(jwks_uri=uri)))
        with pytest.raises(SettingWrong):
            check(RSA.sign(claims()), ctx=ctx, fetches=False)


def keys_read(*keys: Any) -> tuple[Any, ...]:
    return read_keys(Response(200, {}, json.dumps({"keys": list(keys)}).encode(), AT), "The keys")


def test_keys_that_cannot_be_used_are_passed_over() -> None:
    weak = signer(number=9, bits=1024).jwk
    unusable: list[dict[str, Any]] = [
        weak, {**RSA.jwk, "use": "enc"}, {**RSA.jwk, "key_ops": ["encrypt"]},
        {**RSA.jwk, "key_ops": "verify"},
        {**RSA.jwk, "kid": 7}, {**RSA.jwk, "alg": 7}, {**RSA.jwk, "n": 7}, {**RSA.jwk, "n": "*"},
        {"kty": "oct", "k": "c2VjcmV0"}, {"kty": "EC", "crv": "secp256k1"}, {"kty": "OKP", "crv": "X25519"},
        {},
    ]  # fmt: skip
    assert keys_read(*unusable) == ()
    assert len(keys_read({**RSA.jwk, "key_ops": ["verify"]}, *[RSA.jwk] * 100)) == 64


def test_a_private_key_that_a_server_publishes_by_mistake_is_not_held() -> None:
    private = json.loads(json.dumps({**RSA.jwk, "d": "AQAB", "p": "AQAB"}))
    assert keys_read(private) == (RSA.jwk,)


def test_a_key_that_is_broken_verifies_nothing() -> None:
    for broken in (
        {**RSA.jwk, "e": "AA"},
        {k: v for k, v in RSA.jwk.items() if k != "e"},
        {**RSA.jwk, "e": 7},
    ):
        refused(RSA.sign(claims()), jwks={"keys": [broken]})
    point = {**signer("ES256").jwk, "x": encoded(b"\x01" * 32)}
    refused(signer("ES256").sign(claims()), jwks={"keys": [point]})


def test_many_servers_are_forgotten_oldest_first() -> None:
    keys = Keys()
    for number in range(SETS_MOST + 1):
        keys.may_fetch(f"https://{number}.example/", AT)
        keys.store(f"https://{number}.example/", [RSA.jwk])
    assert keys.cached("https://0.example/") == ()
    assert keys.cached("https://1.example/") != ()


def test_keys_are_safe_across_threads() -> None:
    keys, asked = Keys(), []
    keys.store(JWKS, [RSA.jwk])
    threads = [threading.Thread(target=lambda: asked.append(keys.may_fetch(JWKS, AT))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(asked) == 1


# --- claims -------------------------------------------------------------------------------------------------

MANY = [CLIENT, "other"]


@pytest.mark.parametrize("change", [
    {"iss": None}, {"iss": ISSUER + "/"}, {"iss": "http://id.example"}, {"iss": "https://ID.example"},
    {"iss": 7},
    {"iss": [ISSUER]}, {"iss": ""},
    {"aud": None}, {"aud": "client-2"}, {"aud": []}, {"aud": ["client-2"]}, {"aud": [7, CLIENT]},
    {"aud": {CLIENT: 1}},
    {"aud": MANY}, {"aud": MANY, "azp": "other"}, {"aud": CLIENT, "azp": "other"}, {"azp": 7}, {"aud": 7},
    {"exp": None}, {"exp": NOW - 60}, {"exp": NOW - 3600}, {"exp": str(NOW + 60)}, {"exp": True},
    {"exp": [NOW]},
    {"exp": 1e300}, {"exp": -1e300},
    {"iat": None}, {"iat": NOW + 61}, {"iat": str(NOW)}, {"iat": False}, {"iat": 1e18},
    {"nbf": NOW + 61}, {"nbf": "now"}, {"nbf": True},
    {"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": ["a"]}, {"sub": "x" * 256}, {"sub": "a\nb"},
    {"sub": "\ud800"},
], ids=str)  # fmt: skip
def test_s45_to_s50_each_claim_missing_wrong_or_of_the_wrong_type(change: dict[str, Any]) -> None:
    refused_unasked(RSA.sign(claims(**change)))


@pytest.mark.parametrize("change", [
    {"aud": [CLIENT]}, {"aud": MANY, "azp": CLIENT}, {"azp": CLIENT}, {"aud": [CLIENT, CLIENT]},
    {"exp": NOW - 59}, {"exp": NOW + 0.5}, {"iat": NOW + 60}, {"iat": NOW - 10**6}, {"nbf": NOW + 60},
    {"nbf": NOW},
    {"sub": "x" * 255}, {"sub": "ü"}, {"nonce": "not asked for"}, {"at_hash": "not judged without a token"},
], ids=str)  # fmt: skip
def test_s45_to_s50_what_is_allowed(change: dict[str, Any]) -> None:
    assert check(RSA.sign(claims(**change)))


@pytest.mark.parametrize("nonce", [None, "", "other", 7, ["n-1"], "n-1 ", "\ud800"], ids=ascii)
def test_s48_nonce(nonce: Any) -> None:
    refused_unasked(RSA.sign(claims(nonce=nonce)), nonce="n-1")
    assert check(RSA.sign(claims(nonce="n-1")), nonce="n-1")


@pytest.mark.parametrize(("alg", "bits"), [("RS256", 256), ("ES384", 384), ("PS512", 512), ("EdDSA", 512)])
def test_s49_at_hash_and_c_hash(alg: str, bits: int) -> None:
    by = signer(alg)
    right = {"at_hash": half_hash("access", bits), "c_hash": half_hash("code", bits)}
    assert check(by.sign(claims(**right)), by, access="access", code="code")
    assert check(by.sign(claims()), by, access="access", code="code")  # optional in the code flow
    for wrong in (
        {"at_hash": half_hash("other", bits)},
        {"at_hash": 7},
        {"c_hash": ""},
        {"at_hash": "\ud800"},
    ):
        refused_unasked(by.sign(claims(**wrong)), access="access", code="code")


def test_s50_the_subject_that_was_expected() -> None:
    assert check(RSA.sign(claims()), subject="sub-1")
    assert refused_unasked(RSA.sign(claims()), subject="sub-2").code == "subject_mismatch"


def test_no_client_has_no_audience() -> None:
    refused_unasked(RSA.sign(claims()), ctx=replace(CTX, client=Client(None)))


@pytest.mark.parametrize(("tid", "fits"), [
    ("9188040d-6c67-4c5b-b112-36a304b66dad", True), ("../evil", False), ("", False), (None, False),
    (7, False),
    ("{tenantid}", False),
])  # fmt: skip
def test_s45_a_template_issuer_takes_the_tokens_tenant(tid: Any, fits: bool) -> None:
    template = "https://login.example/{tenantid}/v2.0"
    ctx = replace(CTX, server=replace(SERVER, issuer=template))
    token = RSA.sign(claims(iss=template.replace("{tenantid}", str(tid)), tid=tid))
    if fits:
        assert check(token, ctx=ctx)["tid"] == tid
        refused_unasked(RSA.sign(claims(iss=template.replace("{tenantid}", "other"), tid=tid)), ctx=ctx)
    else:
        refused_unasked(token, ctx=ctx)


def test_a_message_names_no_part_of_the_token() -> None:
    canary = "canary-5e1f"
    fault = refused_unasked(RSA.sign(claims(iss=canary, sub=canary, nonce=canary)), nonce="n")
    assert canary not in f"{fault} {fault.detail}"


def test_unverified_claims() -> None:
    assert unverified_claims(None) is None
    assert unverified_claims(Secret("opaque")) is None
    assert unverified_claims(Secret(RSA.sign({"a": 1}))) == {"a": 1}
