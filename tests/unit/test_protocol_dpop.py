"""RFC 9449: proofs, nonces and the one retry."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import jwt
import pytest

from keyfob.adapters.system.keys import new_key, thumbprint
from keyfob.adapters.vault.memory import MemoryVault
from keyfob.core.errors import Fault, PeerFault, Transient
from keyfob.core.grant import SigningKey
from keyfob.core.http import Request, Response
from keyfob.core.provider import Endpoints, Provider, Server
from keyfob.core.secret import Secret
from keyfob.protocol import dpop
from keyfob.protocol.context import Client, FlowContext
from keyfob.protocol.env import NONCES_MOST, FlowEnv, NonceBook
from keyfob.protocol.jws import public_jwk, published_jwk, sign
from keyfob.service.sign_in.new_contexts import NewContexts
from support.playbook import AT, Answer, Playbook, json_answer, later, sends

TOKEN = "https://as.example/token"
API = "https://api.example/me"
# RFC 9449 §4.1: the example's access token and its hash from §7.1.
RFC_ACCESS = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
RFC_ATH = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
# RFC 9449 §6.1: the example key's confirmation thumbprint.
RFC_JWK = {
    "kty": "EC",
    "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
    "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    "crv": "P-256",
}
RFC_JKT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return new_key()


def opened(signed: str, key: SigningKey) -> tuple[dict[str, Any], dict[str, Any]]:
    """A proof's header and claims, its signature verified with the key."""
    public = jwt.PyJWK(dict(key.public_jwk), algorithm=key.alg)
    claims = jwt.decode(signed, public.key, algorithms=[key.alg], options={"verify_iat": False})
    return jwt.get_unverified_header(signed), claims


def request_to(url: str, method: str = "POST") -> Request:
    return Request(method, url, "token", {"Content-Type": "text/plain"}, b"refresh_token=r")


def challenge(nonce: str, status: int = 400) -> Answer:
    return json_answer({"error": "use_dpop_nonce"}, status, DPoP_Nonce=nonce)


def answered(nonce: str | None = None) -> Answer:
    return Answer(200, b"{}", {} if nonce is None else {"dpop-nonce": nonce})


def lower(answer: Answer) -> Answer:
    return replace(answer, headers={name.lower(): value for name, value in answer.headers.items()})


class TestProof:
    def test_s55_has_what_rfc_9449_section_4_2_asks_for(self, key: SigningKey) -> None:
        book = Playbook()
        signed = dpop.proof(key, "post", TOKEN, new_id=book.new_id, now=book.now)
        header, claims = opened(signed, key)
        assert header == {"typ": "dpop+jwt", "alg": "ES256", "jwk": dict(key.public_jwk)}
        assert claims == {"jti": "id-1", "htm": "POST", "htu": TOKEN, "iat": int(AT.timestamp())}

    @pytest.mark.parametrize(
        ("url", "htu"),
        [
            ("https://as.example/token?a=b#c", "https://as.example/token"),
            ("https://AS.Example:443/Token", "https://as.example/Token"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("http://[::1]:80/x", "http://[::1]/x"),
        ],
    )
    def test_s55_htu_is_without_query_and_fragment(self, key: SigningKey, url: str, htu: str) -> None:
        book = Playbook()
        _, claims = opened(dpop.proof(key, "GET", url, new_id=book.new_id, now=book.now), key)
        assert claims["htu"] == htu

    def test_ath_is_the_rfc_s_own_example(self, key: SigningKey) -> None:
        book = Playbook()
        signed = dpop.proof(key, "GET", API, new_id=book.new_id, now=book.now, access=Secret(RFC_ACCESS))
        assert opened(signed, key)[1]["ath"] == RFC_ATH

    def test_nonce_goes_in(self, key: SigningKey) -> None:
        book = Playbook()
        signed = dpop.proof(key, "GET", API, new_id=book.new_id, now=book.now, nonce="n-1")
        assert opened(signed, key)[1]["nonce"] == "n-1"

    @pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
    def test_no_private_member_is_ever_in_the_header(self, alg: str) -> None:
        made = new_key(alg)
        # Even where a whole private key stands where the public one should.
        careless = replace(made, public_jwk=json.loads(made.private_jwk.reveal()))
        book = Playbook()
        header, _ = opened(dpop.proof(careless, "GET", API, new_id=book.new_id, now=book.now), made)
        assert header["jwk"] == dict(made.public_jwk)
        assert not {"d", "p", "q", "dp", "dq", "qi"} & set(header["jwk"])


def bound(offered: tuple[str, ...] | None) -> SigningKey:
    """The key of a sign-in at a server that announces these algorithms."""
    env = FlowEnv(lambda: "id", lambda: AT)
    contexts = NewContexts(Mock(), Mock(), MemoryVault(), new_key, env)
    provider = Provider("acme", "Acme", dpop="always")
    server = Server(None, Endpoints(), dpop_signing_alg_values_supported=offered)
    ready = Mock(provider=provider, account_key="key-1")
    context = contexts.bound(FlowContext(provider, server, Client("client-1"), env), ready)
    assert context.dpop_key is not None
    return context.dpop_key


class TestKeys:
    def test_thumbprint_is_the_rfc_s_own_example(self) -> None:
        assert thumbprint(RFC_JWK) == RFC_JKT

    def test_keys_differ_and_are_named_by_their_thumbprint(self) -> None:
        one, other = new_key(), new_key()
        assert one.kid != other.kid
        assert one.kid == thumbprint(dict(one.public_jwk))

    @pytest.mark.parametrize(
        ("offered", "alg"), [(None, "ES256"), (("RS256", "ES256"), "ES256"), (("PS256", "RS256"), "RS256")]
    )
    def test_a_sign_in_binds_its_tokens_by_an_algorithm_that_the_server_supports(
        self, offered: tuple[str, ...] | None, alg: str
    ) -> None:
        assert bound(offered).alg == alg

    def test_a_server_without_an_algorithm_of_ours_is_named(self) -> None:
        with pytest.raises(PeerFault, match="Acme and Keyfob have no algorithm for DPoP in common"):
            bound(("HS256",))

    def test_published_with_use_and_alg(self, key: SigningKey) -> None:
        assert published_jwk(key) == {**key.public_jwk, "kid": key.kid, "use": "sig", "alg": "ES256"}

    @pytest.mark.parametrize("public", [{}, {"kty": "oct", "k": "secret"}, {"kty": "EC", "crv": "P-256"}])
    def test_an_unknown_kind_of_key_is_a_fault(self, key: SigningKey, public: dict[str, str]) -> None:
        with pytest.raises(Fault):
            public_jwk(replace(key, public_jwk=public))

    @pytest.mark.parametrize("alg", ["none", "HS256", ""])
    def test_only_public_key_algorithms_sign(self, key: SigningKey, alg: str) -> None:
        with pytest.raises(Fault):
            sign(replace(key, alg=alg), {}, {})

    @pytest.mark.parametrize("private", ["", "{", "[]", "{}", '{"kty":"EC","crv":"P-256","canary":"XYZZY"}'])
    def test_a_damaged_key_is_a_fault_that_tells_nothing(self, key: SigningKey, private: str) -> None:
        with pytest.raises(Fault) as caught:
            sign(replace(key, private_jwk=Secret(private)), {}, {})
        assert caught.value.__context__ is None
        assert "XYZZY" not in repr(caught.value)


class TestSend:
    def send(
        self, book: Playbook, key: SigningKey | None, nonces: NonceBook, url: str = TOKEN, **more: Any
    ) -> Response:
        flow = dpop.send(request_to(url), key=key, env=replace(book.env, nonces=nonces), **more)
        return book.perform(flow)

    def claims(self, book: Playbook, key: SigningKey) -> list[dict[str, Any]]:
        return [opened(sent.headers["DPoP"], key)[1] for sent in book.requests]

    def test_without_a_key_the_request_goes_as_it_is(self) -> None:
        book = Playbook(sends("POST", TOKEN, gives=challenge("n")))
        assert self.send(book, None, NonceBook()).status == 400
        assert book.requests == [request_to(TOKEN)]

    def test_s56_a_challenge_at_the_server_is_answered_once(self, key: SigningKey) -> None:
        book = Playbook(
            sends("POST", TOKEN, gives=lower(challenge("n-1"))), sends("POST", TOKEN, gives=answered("n-2"))
        )
        nonces = NonceBook()
        assert self.send(book, key, nonces).status == 200
        first, second = self.claims(book, key)
        assert "nonce" not in first
        assert second["nonce"] == "n-1"
        assert first["jti"] != second["jti"]
        assert book.requests[0].body == book.requests[1].body
        assert nonces.get(TOKEN) == "n-2"

    def test_s56_a_challenge_at_the_resource_is_answered_once(self, key: SigningKey) -> None:
        refused = Answer(
            401, b"", {"www-authenticate": 'DPoP realm="x", error="use_dpop_nonce"', "dpop-nonce": "n-1"}
        )
        book = Playbook(sends("POST", API, gives=refused), sends("POST", API, gives=answered()))
        access = Secret(RFC_ACCESS)
        assert self.send(book, key, NonceBook(), API, access=access).status == 200
        assert all(sent.headers["Authorization"] == f"DPoP {RFC_ACCESS}" for sent in book.requests)
        assert [claims.get("nonce") for claims in self.claims(book, key)] == [None, "n-1"]
        assert {claims["ath"] for claims in self.claims(book, key)} == {RFC_ATH}

    def test_s56_endless_challenges_end(self, key: SigningKey) -> None:
        book = Playbook(
            sends("POST", TOKEN, gives=lower(challenge("n-1"))),
            sends("POST", TOKEN, gives=lower(challenge("n-2"))),
        )
        with pytest.raises(PeerFault):
            self.send(book, key, NonceBook())
        assert len(book.requests) == 2

    @pytest.mark.parametrize(
        "headers", [{}, {"dpop-nonce": ""}, {"dpop-nonce": "a b"}, {"dpop-nonce": "n" * 1025}]
    )
    def test_s56_a_challenge_without_a_usable_nonce_ends(
        self, key: SigningKey, headers: dict[str, str]
    ) -> None:
        refused = Answer(400, b'{"error":"use_dpop_nonce"}', headers)
        book = Playbook(sends("POST", TOKEN, gives=refused))
        with pytest.raises(PeerFault):
            self.send(book, key, NonceBook())
        assert len(book.requests) == 1

    def test_s56_nonces_are_learned_from_every_answer(self, key: SigningKey) -> None:
        nonces = NonceBook()
        for status, nonce in ((200, "n-1"), (400, "n-2"), (503, "n-3"), (401, "n-4")):
            answer = later(json_answer({"error": "invalid_grant"}, status))
            answer = replace(answer, headers={**answer.headers, "dpop-nonce": nonce})
            self.send(Playbook(sends("POST", TOKEN, gives=answer)), key, nonces)
            assert nonces.get(TOKEN) == nonce

    def test_s55_nonces_are_kept_per_origin(self, key: SigningKey) -> None:
        nonces = NonceBook()
        self.send(Playbook(sends("POST", TOKEN, gives=answered("n-1"))), key, nonces)
        assert nonces.get("https://as.example/par") == "n-1"
        assert nonces.get("https://AS.example:443/") == "n-1"
        for other in (
            API,
            "http://as.example/token",
            "https://as.example:8443/token",
            "https://as.example.evil/",
        ):
            assert nonces.get(other) is None
        book = Playbook(sends("POST", "https://as.example/par", gives=answered()))
        self.send(book, key, nonces, "https://as.example/par")
        assert self.claims(book, key)[0]["nonce"] == "n-1"

    @pytest.mark.parametrize(
        "answer",
        [
            json_answer({"error": "invalid_request"}, 400),
            json_answer(["use_dpop_nonce"], 400),
            json_answer({"error": "use_dpop_nonce"}, 403),
            Answer(400, b"<html>", {}),
            Answer(400, b"[" * 100_000, {}),
            Answer(400, b'{"error":"use_dpop_nonce"}' + b" " * 70_000, {}),
            Answer(401, b"", {"www-authenticate": 'Bearer error="use_dpop_nonce"'}),
            Answer(401, b"", {"www-authenticate": 'DPoP error="invalid_token"'}),
        ],
    )
    def test_other_refusals_are_no_challenge(self, key: SigningKey, answer: Answer) -> None:
        book = Playbook(
            sends("POST", TOKEN, gives=replace(answer, headers={**answer.headers, "dpop-nonce": "n"}))
        )
        assert self.send(book, key, NonceBook()).status == answer.status
        assert len(book.requests) == 1

    def test_a_failed_send_is_not_repeated(self, key: SigningKey) -> None:
        book = Playbook(sends("POST", TOKEN, gives=Transient("no network")))
        with pytest.raises(Transient):
            self.send(book, key, NonceBook())
        assert len(book.requests) == 1

    def test_what_a_caller_put_into_the_headers_is_replaced(self, key: SigningKey) -> None:
        book = Playbook(sends("GET", API, gives=answered()))
        request = Request("GET", API, "api", {"authorization": "Bearer x", "dpop": "forged", "Accept": "a/b"})
        access = Secret("t")
        book.perform(dpop.send(request, key=key, env=book.env, access=access))
        assert sorted(book.requests[0].headers) == ["Accept", "Authorization", "DPoP"]
        assert book.requests[0].headers["Authorization"] == "DPoP t"


class TestNonceBook:
    def answer(self, nonce: str) -> Response:
        return Response(200, {"dpop-nonce": nonce}, b"", AT)

    def test_is_bounded_and_forgets_the_least_used(self) -> None:
        book = NonceBook()
        book.learn("https://first.example/", self.answer("kept"))
        for number in range(NONCES_MOST + 50):
            book.learn(f"https://h{number}.example/", self.answer(f"n{number}"))
            assert book.get("https://first.example/") == "kept"
        assert len(book) == NONCES_MOST
        assert book.get("https://h0.example/") is None

    def test_many_threads(self) -> None:
        book = NonceBook()

        def work(number: int) -> None:
            for turn in range(200):
                book.learn(f"https://h{number}.example/{turn}", self.answer(f"n{number}-{turn}"))
                assert book.get(f"https://h{number}.example/") == f"n{number}-{turn}"

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(book) == 8
