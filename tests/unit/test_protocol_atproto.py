"""atproto's OAuth profile: who somebody is, where they sign in, and the sign-in itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest

from keyfob.adapters.system.keys import new_key
from keyfob.core.errors import Fault, KeyfobError, PeerFault, SettingWrong, SignInEnded, Transient, Usage
from keyfob.core.grant import SigningKey
from keyfob.core.provider import Endpoints, Provider, Server
from keyfob.core.secret import Secret
from keyfob.protocol.atproto.identity import handle_from, server_at
from keyfob.protocol.atproto.sign_in import Resolved, loopback_client_id, resolve, sign_in
from keyfob.protocol.context import Client, FlowContext, SignInResult
from keyfob.protocol.effects import AwaitCallback
from support.playbook import (
    ENV,
    Answer,
    Playbook,
    Step,
    comes_back,
    form_of,
    json_answer,
    kept,
    opens,
    query_of,
    sends,
)

PLC = "https://plc.test.example"
DID = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
OTHER = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"
HANDLE = "alice.test.example.com"
PDS = "https://pds.example.com"
ISSUER = "https://as.example.com"
WELL_KNOWN = f"https://{HANDLE}/.well-known/atproto-did"
RESOURCE = f"{PDS}/.well-known/oauth-protected-resource"
METADATA_URL = f"{ISSUER}/.well-known/oauth-authorization-server"
METADATA: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/oauth/authorize",
    "token_endpoint": f"{ISSUER}/oauth/token",
    "pushed_authorization_request_endpoint": f"{ISSUER}/oauth/par",
    "revocation_endpoint": f"{ISSUER}/oauth/revoke",
    "response_types_supported": ["code"],
    "grant_types_supported": ["authorization_code", "refresh_token"],
    "code_challenge_methods_supported": ["S256"],
    "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
    "scopes_supported": ["atproto", "transition:generic"],
    "dpop_signing_alg_values_supported": ["RS256", "ES256"],
    "authorization_response_iss_parameter_supported": True,
    "require_pushed_authorization_requests": True,
    "client_id_metadata_document_supported": True,
}


def document(**changes: Any) -> dict[str, Any]:
    service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": PDS}
    whole = {"id": DID, "alsoKnownAs": [f"at://{HANDLE}"], "service": [service], **changes}
    return {k: v for k, v in whole.items() if v is not None}


def says(did: str = DID) -> Step:
    return sends("GET", WELL_KNOWN, gives=Answer(200, f"{did}\n".encode(), {"content-type": "text/plain"}))


def plc(did: str = DID, **changes: Any) -> Step:
    return sends("GET", f"{PLC}/{did}", gives=json_answer(document(**changes)))


def resource(**changes: Any) -> Step:
    return sends(
        "GET", RESOURCE, gives=json_answer({"resource": PDS, "authorization_servers": [ISSUER], **changes})
    )


def metadata(**changes: Any) -> Step:
    data = {k: v for k, v in {**METADATA, **changes}.items() if v is not None}
    return sends("GET", METADATA_URL, gives=json_answer(data))


def resolved(identifier: str, *steps: Step, dns: dict[str, tuple[str, ...]] | None = None) -> Resolved:
    look_up = None if dns is None else lambda name: dns.get(name, ())
    return Playbook(*steps).perform(resolve(identifier, plc=PLC, dns_txt=look_up))


def refused(identifier: str, *steps: Step, **more: Any) -> KeyfobError:
    book = Playbook(*steps)
    dns = more.get("dns")
    with pytest.raises(KeyfobError) as caught:
        book.perform(
            resolve(identifier, plc=PLC, dns_txt=None if dns is None else lambda name: dns.get(name, ()))
        )
    assert not book.left, "it ends at the last of these steps, not before"
    return caught.value


class TestResolve:
    @pytest.mark.parametrize("typed", [HANDLE, f"@{HANDLE}", HANDLE.upper(), f" at://{HANDLE}/ "])
    def test_a_handle_over_https(self, typed: str) -> None:
        found = resolved(typed, says(), plc(), resource(), metadata())
        assert (found.did, found.handle, found.pds, found.login_hint) == (DID, HANDLE, PDS, HANDLE)
        assert found.server.issuer == ISSUER
        assert found.server.endpoints == Endpoints(
            authorization_endpoint=f"{ISSUER}/oauth/authorize",
            token_endpoint=f"{ISSUER}/oauth/token",
            pushed_authorization_request_endpoint=f"{ISSUER}/oauth/par",
            revocation_endpoint=f"{ISSUER}/oauth/revoke",
        )
        assert found.server.require_pushed_authorization_requests
        assert found.server.authorization_response_iss_parameter_supported

    def test_a_handle_over_dns(self) -> None:
        dns = {f"_atproto.{HANDLE}": ("v=spf1 -all", f"did={DID}")}
        assert resolved(HANDLE, plc(), resource(), metadata(), dns=dns).did == DID

    def test_dns_that_knows_nothing_leaves_https(self) -> None:
        dns = {f"_atproto.{HANDLE}": ("unrelated",)}
        assert resolved(HANDLE, says(), plc(), resource(), metadata(), dns=dns).did == DID

    def test_s58_a_handle_with_two_owners_is_nobody_s(self) -> None:
        dns = {f"_atproto.{HANDLE}": (f"did={DID}", f"did={OTHER}")}
        assert refused(HANDLE, dns=dns).code == "identity_invalid"

    def test_a_did_is_proved_back_by_its_handle(self) -> None:
        found = resolved(DID, plc(), says(), resource(), metadata())
        assert (found.did, found.handle, found.login_hint) == (DID, HANDLE, HANDLE)

    def test_a_handle_nobody_answers_for_now_is_not_shown(self) -> None:
        found = resolved(DID, plc(), sends("GET", WELL_KNOWN, gives=Answer(503)), resource(), metadata())
        assert (found.did, found.handle) == (DID, None)

    def test_a_did_without_a_handle(self) -> None:
        for names in (None, [], ["https://x.example"], "at://x", [7]):
            found = resolved(DID, plc(alsoKnownAs=names), resource(), metadata())
            assert (found.did, found.handle, found.login_hint) == (DID, None, DID)

    def test_s58_a_handle_that_its_owner_does_not_claim(self) -> None:
        assert refused(HANDLE, says(), plc(alsoKnownAs=["at://bob.example.com"])).code == "identity_invalid"
        # The first claimed handle counts, and no other.
        names = ["at://bob.example.com", f"at://{HANDLE}"]
        assert refused(HANDLE, says(), plc(alsoKnownAs=names)).code == "identity_invalid"

    def test_s58_a_did_that_claims_somebody_else_s_handle(self) -> None:
        assert refused(DID, plc(), says(OTHER)).code == "identity_invalid"

    def test_s58_a_claimed_handle_that_is_none(self) -> None:
        assert refused(DID, plc(alsoKnownAs=["at://not a handle"])).code == "identity_invalid"

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(404, b"no"), Answer(200, b"<html>welcome</html>"), Answer(200, b""),
            Answer(200, b"did:key:z6Mk"),
            Answer(302, DID.encode(), {"location": "https://evil.example"}), Answer(200, b"did:plc:short"),
            Answer(200, b"did:web:127.0.0.1.evil.example%3A80"),
            SettingWrong("no certificate", code="tls_untrusted"),
        ],
    )  # fmt: skip
    def test_a_handle_that_leads_nowhere(self, answer: Answer | Exception) -> None:
        assert refused(HANDLE, sends("GET", WELL_KNOWN, gives=answer)).code == "identity_invalid"

    @pytest.mark.parametrize("answer", [Answer(503, b""), Answer(429, b""), Transient("down")])
    def test_a_handle_s_server_that_is_down_may_come_back(self, answer: Answer | Exception) -> None:
        assert isinstance(refused(HANDLE, sends("GET", WELL_KNOWN, gives=answer)), Transient)

    def test_did_web(self) -> None:
        did = "did:web:alice.example.org"
        web = sends(
            "GET", "https://alice.example.org/.well-known/did.json", gives=json_answer(document(id=did))
        )
        assert resolved(did, web, says(did), resource(), metadata()).did == did

    def test_did_web_on_loopback_is_for_tests(self) -> None:
        did = "did:web:localhost%3A8080"
        web = sends("GET", "http://localhost:8080/.well-known/did.json", gives=json_answer(document(id=did)))
        assert resolved(did, web, says(did), resource(), metadata()).did == did

    @pytest.mark.parametrize(
        "did",
        ["did:web:localhost%3A9200", "did:web:127.0.0.1%3a2375", "did:web:localhost", "did:web:10.0.0.1"],
    )
    def test_s58_a_stranger_s_handle_leads_to_no_service_of_this_computer(self, did: str) -> None:
        """Nothing is sent to it: the script is over by then."""
        error = refused(HANDLE, says(did))
        assert error.code == "identity_invalid"
        assert "this computer" in error.message
        assert refused(HANDLE, dns={f"_atproto.{HANDLE}": (f"did={did}",)}).code == "identity_invalid"

    @pytest.mark.parametrize("inside", ["http://127.0.0.1:8080", "https://localhost", "https://192.168.1.1"])
    def test_s58_nor_does_a_stranger_s_document_or_server(self, inside: str) -> None:
        service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": inside}
        assert refused(HANDLE, says(), plc(service=[service])).code == "metadata_invalid"
        assert refused(DID, plc(service=[service], alsoKnownAs=None)).code == "metadata_invalid"
        elsewhere = resource(authorization_servers=[inside])
        assert refused(HANDLE, says(), plc(), elsewhere).code == "metadata_invalid"
        # The server that the person typed may be an authorization server itself: it alone is asked.
        own = sends("GET", f"{PDS}/.well-known/oauth-authorization-server", gives=Answer(404, b"{}"))
        assert isinstance(refused(PDS, elsewhere, own), PeerFault)

    @pytest.mark.parametrize(
        "name",
        [
            "authorization_endpoint",
            "token_endpoint",
            "pushed_authorization_request_endpoint",
            "revocation_endpoint",
        ],
    )
    def test_s58_nor_does_any_endpoint(self, name: str) -> None:
        error = refused(
            HANDLE, says(), plc(), resource(), metadata(**{name: "http://localhost:9200/_shutdown?x=1"})
        )
        assert error.code == "metadata_invalid"
        assert name in error.message

    def test_an_account_at_a_server_here_is_found_here_again(self) -> None:
        local = "http://localhost:2583"
        service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": local}
        here = json.loads(json.dumps(METADATA).replace(ISSUER, local))
        book = Playbook(
            plc(service=[service], alsoKnownAs=None),
            sends("GET", f"{local}/.well-known/oauth-protected-resource",
                  gives=json_answer({"resource": local, "authorization_servers": [local]})),
            sends("GET", f"{local}/.well-known/oauth-authorization-server", gives=json_answer(here)),
        )  # fmt: skip
        assert book.perform(resolve(DID, plc=PLC, near=True)).pds == local

    @pytest.mark.parametrize(
        "typed",
        ["did:plc:x", "did:web:example.com%3A8080", "did:web:example.com:path", "did:key:z6Mk", "did:"],
    )
    def test_other_dids_are_refused(self, typed: str) -> None:
        assert refused(typed).code == "identity_invalid"

    @pytest.mark.parametrize("typed", ["", "alice", "a b.example.com", "alice@example.com", "alice.local",
        "-a.example.com",
                                       "a..example.com", "alice.example.com:80", "1.2.3.4", "x" * 260,
                                       "\x1b[31m"])  # fmt: skip
    def test_what_is_no_name_is_refused_before_anything_is_sent(self, typed: str) -> None:
        error = refused(typed)
        assert isinstance(error, Usage)
        assert error.code == "identity_invalid"
        assert "\x1b" not in error.message

    def test_an_unsafe_directory_is_not_asked(self) -> None:
        with pytest.raises(SettingWrong):
            Playbook().perform(resolve(DID, plc="http://plc.example"))

    def test_a_directory_s_answers(self) -> None:
        url = f"{PLC}/{DID}"
        assert refused(DID, sends("GET", url, gives=Answer(404))).code == "identity_invalid"
        assert refused(DID, sends("GET", url, gives=Answer(410))).code == "identity_invalid"
        assert isinstance(refused(DID, sends("GET", url, gives=Answer(500))), Transient)
        assert refused(DID, plc(id=OTHER)).code == "identity_invalid"

    @pytest.mark.parametrize(
        "service",
        [
            None, [], [7], {}, [{"id": "#other", "type": "AtprotoPersonalDataServer",
                "serviceEndpoint": PDS}],
            [{"id": "#atproto_pds", "type": "Other", "serviceEndpoint": PDS}],
            [{"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": 7}],
        ],
    )  # fmt: skip
    def test_a_did_without_a_data_server(self, service: Any) -> None:
        assert refused(HANDLE, says(), plc(service=service)).code == "identity_invalid"

    @pytest.mark.parametrize(
        "endpoint",
        [
            "http://pds.example.com",
            f"{PDS}/path",
            f"{PDS}?x",
            f"{PDS}#x",
            "https://u@pds.example.com",
            "ftp://x",
            "",
        ],
    )
    def test_a_data_server_s_address_is_an_origin(self, endpoint: str) -> None:
        service = [
            {"id": f"{DID}#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": endpoint}
        ]
        assert refused(HANDLE, says(), plc(service=service)).code == "metadata_invalid"

    @pytest.mark.parametrize(
        "changes",
        [
            {"resource": "https://other.example"}, {"resource": f"{PDS}/"}, {"authorization_servers": []},
            {"authorization_servers": [ISSUER, "https://b.example"]}, {"authorization_servers": [7]},
            {"authorization_servers": ISSUER}, {"authorization_servers": [f"{ISSUER}/"]},
            {"authorization_servers": ["http://as.example.com"]},
            {"authorization_servers": [f"{ISSUER}/tenant"]},
        ],
    )  # fmt: skip
    def test_s58_a_data_server_that_names_no_one_server(self, changes: dict[str, Any]) -> None:
        assert refused(HANDLE, says(), plc(), resource(**changes)).code == "metadata_invalid"

    def test_a_data_server_without_oauth(self) -> None:
        error = refused(HANDLE, says(), plc(), sends("GET", RESOURCE, gives=Answer(404, b"{}")))
        assert error.code == "metadata_invalid"

    def test_a_data_server_that_is_down(self) -> None:
        assert isinstance(
            refused(HANDLE, says(), plc(), sends("GET", RESOURCE, gives=Answer(503))), Transient
        )

    @pytest.mark.parametrize("issuer", [f"{ISSUER}/", "https://as.example.com.evil.example", None, 7])
    def test_s2_another_issuer_stops_it(self, issuer: Any) -> None:
        assert refused(HANDLE, says(), plc(), resource(), metadata(issuer=issuer)).code == "issuer_mismatch"

    @pytest.mark.parametrize(
        "changes",
        [
            {"require_pushed_authorization_requests": False}, {"require_pushed_authorization_requests": None},
            {"authorization_response_iss_parameter_supported": None},
            {"client_id_metadata_document_supported": None},
            {"client_id_metadata_document_supported": "true"}, {"require_request_uri_registration": False},
            {"dpop_signing_alg_values_supported": ["RS256"]}, {"scopes_supported": ["openid"]},
            {"code_challenge_methods_supported": ["plain"]},
            {"grant_types_supported": ["authorization_code"]},
            {"response_types_supported": "code"}, {"token_endpoint_auth_methods_supported": ["none"]},
            {"authorization_endpoint": None}, {"token_endpoint": "http://as.example.com/token"},
            {"pushed_authorization_request_endpoint": None}, {"revocation_endpoint": "javascript:x"},
        ],
    )  # fmt: skip
    def test_what_the_profile_demands_is_demanded(self, changes: dict[str, Any]) -> None:
        assert refused(HANDLE, says(), plc(), resource(), metadata(**changes)).code == "metadata_invalid"

    def test_revocation_is_optional(self) -> None:
        server = Playbook(metadata(revocation_endpoint=None)).perform(server_at(ISSUER))
        assert server.endpoints.revocation_endpoint is None

    def test_a_data_server_s_address(self) -> None:
        found = resolved(PDS, resource(), metadata())
        assert (found.did, found.pds, found.server.issuer, found.login_hint) == (None, PDS, ISSUER, None)

    def test_an_authorization_server_s_address(self) -> None:
        nothing = sends("GET", f"{ISSUER}/.well-known/oauth-protected-resource", gives=Answer(404, b"{}"))
        found = resolved(f"{ISSUER}/", nothing, metadata())
        assert (found.did, found.pds, found.server.issuer) == (None, None, ISSUER)

    def test_a_loopback_server_s_address(self) -> None:
        local = "http://localhost:2583"
        here = json.loads(json.dumps(METADATA).replace(ISSUER, local))
        found = resolved(
            "localhost:2583",
            sends("GET", f"{local}/.well-known/oauth-protected-resource",
                  gives=json_answer({"resource": local, "authorization_servers": [local]})),
            sends("GET", f"{local}/.well-known/oauth-authorization-server", gives=json_answer(here)),
        )  # fmt: skip
        assert found.server.issuer == local
        assert found.near

    def test_a_server_that_is_down_is_not_taken_for_another_kind(self) -> None:
        assert isinstance(refused(PDS, sends("GET", RESOURCE, gives=Answer(503))), Transient)

    @pytest.mark.parametrize(
        "typed", ["http://pds.example.com", "https://pds.example.com/x", "ftp://x", "https://u@x.example"]
    )
    def test_unusable_addresses(self, typed: str) -> None:
        assert isinstance(refused(typed), Usage)

    @pytest.mark.parametrize(
        "typed",
        [
            "localhost:2583",
            "http://localhost:2583",
            "https://10.0.0.1",
            "did:web:localhost%3A2583",
            "http://[::1]",
        ],
    )
    def test_s84_a_stranger_names_nothing_on_this_network(self, typed: str) -> None:
        with pytest.raises(Usage):
            Playbook().perform(resolve(typed, plc=PLC, stranger=True))

    def test_a_stranger_s_address_must_be_one(self) -> None:
        with pytest.raises(Usage):
            Playbook().perform(resolve("https://[x", plc=PLC, stranger=True))

    @pytest.mark.parametrize(
        "handle", ["jay.bsky.social", "8.cn", "name.t--t", "xn--notarealidn.com", "a.co"]
    )
    def test_handles_of_the_specification(self, handle: str) -> None:
        assert handle_from(handle.upper()) == handle


KEY = new_key()
STATE, VERIFIER = Secret("state-1"), Secret("v" * 43)
REDIRECT = "http://127.0.0.1:43210/callback"
SCOPES = ("atproto", "transition:generic")
SERVER = Server(
    ISSUER,
    Endpoints(
        authorization_endpoint=f"{ISSUER}/oauth/authorize",
        token_endpoint=f"{ISSUER}/oauth/token",
        pushed_authorization_request_endpoint=f"{ISSUER}/oauth/par",
    ),
    require_pushed_authorization_requests=True,
)
CTX = FlowContext(
    Provider("bluesky", "Bluesky", methods=("atproto",), dpop="always", par="always"),
    Server(None, Endpoints()),
    Client(None),
    ENV,
    redirect_uri=REDIRECT,
    scopes=SCOPES,
    dpop_key=KEY,
)
ALICE = Resolved(SERVER, DID, HANDLE, PDS, HANDLE)
CLIENT_ID = (
    "http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback&scope=atproto%20transition%3Ageneric"
)
PUSHED = json_answer({"request_uri": "urn:x", "expires_in": 300}, 201)
TOKENS = {
    "access_token": "at", "refresh_token": "rt", "token_type": "DPoP", "expires_in": 3600, "sub": DID,
    "scope": "atproto transition:generic",
}  # fmt: skip
PROFILE = (
    f"{PDS}/xrpc/com.atproto.repo.getRecord?repo=did%3Aplc%3Aewvi7nxzyoun6zhxrhs64oiz&collection=app.bsky."
    "actor.profile&rkey=self"
)


def pushes(gives: Answer = PUSHED) -> Step:
    return sends("POST", f"{ISSUER}/oauth/par", gives=gives)


def returns(**params: str) -> Step:
    return comes_back(**{"code": "c", "state": "state-1", "iss": ISSUER, **params})


def trades(**changes: Any) -> tuple[Step, Step]:
    data = {k: v for k, v in {**TOKENS, **changes}.items() if v is not None}
    form = {
        "grant_type": "authorization_code",
        "code": "c",
        "code_verifier": VERIFIER.reveal(),
        "redirect_uri": REDIRECT,
    }
    return kept(sends("POST", f"{ISSUER}/oauth/token", form=form, gives=json_answer(data)))


def profile(gives: Answer | Exception | None = None, **value: Any) -> Step:
    return sends("GET", PROFILE, gives=gives or json_answer({"uri": "at://…", "value": value}))


def signed_in(book: Playbook, found: Resolved | None = ALICE, ctx: FlowContext = CTX) -> SignInResult:
    return book.perform(
        sign_in(
            book.within(ctx), found, state=STATE, code_verifier=VERIFIER, plc=PLC,
        )
    )  # fmt: skip


class TestSignIn:
    def test_the_whole_way(self) -> None:
        blob = {"$type": "blob", "ref": {"$link": "bafkreiabc"}, "mimeType": "image/jpeg"}
        book = Playbook(
            pushes(Answer(400, b'{"error":"use_dpop_nonce"}', {"dpop-nonce": "n-1"})), pushes(), opens(),
            returns(), trades(), profile(displayName="Alice", avatar=blob),
        )  # fmt: skip
        result = signed_in(book)
        assert (result.identity.subject, result.identity.name, result.identity.username) == (
            DID,
            "Alice",
            HANDLE,
        )
        assert result.identity.avatar_url == (
            f"{PDS}/xrpc/com.atproto.sync.getBlob?did=did%3Aplc%3Aewvi7nxzyoun6zhxrhs64oiz&cid=bafkreiabc"
        )
        assert result.grant.key == KEY
        assert result.grant.token_type == "DPoP"
        assert result.grant.scopes == SCOPES
        assert result.issued_client_id == CLIENT_ID
        assert dict(result.extra) == {"did": DID, "pds": PDS, "issuer": ISSUER, "handle": HANDLE}

    def test_what_the_server_and_the_browser_are_told(self) -> None:
        book = Playbook(pushes(), opens(), returns(), trades(), profile())
        signed_in(book)
        pushed = form_of(book.requests[0])
        assert pushed == {
            "response_type": "code", "client_id": CLIENT_ID, "redirect_uri": REDIRECT,
            "scope": " ".join(SCOPES),
            "state": "state-1", "code_challenge": pushed["code_challenge"], "code_challenge_method": "S256",
            "login_hint": HANDLE,
        }  # fmt: skip
        assert query_of(book.opened[0]) == {"client_id": CLIENT_ID, "request_uri": "urn:x"}
        waited = next(effect for effect in book.effects if isinstance(effect, AwaitCallback))
        assert waited.expectation.iss_required
        assert waited.expectation.issuer == ISSUER
        for request in book.requests[:2]:
            header = jwt.get_unverified_header(request.headers["DPoP"])
            assert header["jwk"] == dict(KEY.public_jwk)
        assert "DPoP" not in book.requests[2].headers, "the profile is public, and no token goes with it"
        assert "Authorization" not in book.requests[2].headers

    def test_s54_a_refused_push_opens_no_browser(self) -> None:
        book = Playbook(pushes(json_answer({"error": "invalid_request"}, 400)))
        with pytest.raises(PeerFault):
            signed_in(book)
        assert book.opened == []

    def test_s58_somebody_else_s_tokens_are_refused(self) -> None:
        book = Playbook(pushes(), opens(), returns(), trades(sub=OTHER))
        with pytest.raises(PeerFault) as caught:
            signed_in(book)
        assert caught.value.code == "subject_mismatch"
        assert not book.left
        assert len(book.requests) == 2

    @pytest.mark.parametrize("sub", [None, 7, "", "alice"])
    def test_s58_tokens_of_nobody_are_refused(self, sub: Any) -> None:
        with pytest.raises(PeerFault):
            signed_in(Playbook(pushes(), opens(), returns(), trades(sub=sub)))

    @pytest.mark.parametrize(
        "changes", [{"scope": "transition:generic"}, {"scope": None}, {"token_type": "Bearer"}]
    )
    def test_tokens_that_are_not_atproto_s_are_refused(self, changes: dict[str, Any]) -> None:
        with pytest.raises(PeerFault):
            signed_in(Playbook(pushes(), opens(), returns(), trades(**changes)))

    def test_declining(self) -> None:
        book = Playbook(pushes(), opens(), comes_back(error="access_denied", state="state-1", iss=ISSUER))
        with pytest.raises(SignInEnded) as caught:
            signed_in(book)
        assert caught.value.code == "declined"

    @pytest.mark.parametrize(
        "answer",
        [
            Transient("no network"), Answer(400, b'{"error":"RecordNotFound"}'), Answer(500),
            json_answer({"value": 7}),
            json_answer({"value": {"displayName": 7, "avatar": {"ref": {"$link": "a/b"}}}}),
            json_answer({"value": {"displayName": "\u202e", "avatar": "x"}}),
        ],
    )  # fmt: skip
    def test_a_profile_that_cannot_be_shown_is_no_failure(self, answer: Answer | Exception) -> None:
        identity = signed_in(Playbook(pushes(), opens(), returns(), trades(), profile(answer))).identity
        assert (identity.subject, identity.name, identity.avatar_url) == (DID, HANDLE, None)

    def test_a_server_first_sign_in_finds_out_who_came(self) -> None:
        book = Playbook(pushes(), opens(), returns(), trades(), plc(), says(), resource(), profile())
        result = signed_in(book, Resolved(SERVER))
        assert (result.identity.subject, result.identity.username) == (DID, HANDLE)
        assert result.extra["pds"] == PDS
        assert "login_hint" not in form_of(book.requests[0])

    def test_without_a_resolution_the_plan_s_server_is_meant(self) -> None:
        book = Playbook(pushes(), opens(), returns(), trades(), plc(alsoKnownAs=None), resource(), profile())
        result = signed_in(book, None, replace(CTX, server=SERVER))
        assert result.identity.username == DID
        assert "handle" not in result.extra

    def test_s58_a_data_server_that_names_another_server(self) -> None:
        elsewhere = resource(authorization_servers=["https://other.example.com"])
        book = Playbook(pushes(), opens(), returns(), trades(), plc(), says(), elsewhere)
        with pytest.raises(PeerFault) as caught:
            signed_in(book, Resolved(SERVER))
        assert caught.value.code == "issuer_mismatch"
        assert not book.left

    def test_a_registered_client_keeps_its_id_and_signs(self) -> None:
        key = new_key()
        client = Client("https://k.example/client.json", "private_key_jwt", key=key)
        book = Playbook(pushes(), opens(), returns(), trades(), profile())
        result = signed_in(book, ctx=replace(CTX, client=client))
        assert result.issued_client_id is None
        assertion = jwt.decode(
            form_of(book.requests[0])["client_assertion"], options={"verify_signature": False}
        )
        assert (assertion["iss"], assertion["aud"]) == ("https://k.example/client.json", ISSUER)

    @pytest.mark.parametrize("key", [None, new_key("RS256")])
    def test_without_an_es256_key_nothing_is_sent(self, key: SigningKey | None) -> None:
        with pytest.raises(Fault):
            signed_in(Playbook(), ctx=replace(CTX, dpop_key=key))

    @pytest.mark.parametrize(
        "changes",
        [
            {"scopes": ("transition:generic",)},
            {"redirect_uri": None},
            {"redirect_uri": "http://localhost:1/x"},
        ],
    )
    def test_a_preset_that_cannot_work_is_told(self, changes: dict[str, Any]) -> None:
        with pytest.raises(SettingWrong):
            signed_in(Playbook(), ctx=replace(CTX, **changes))


def test_the_loopback_client_id_has_no_port() -> None:
    assert loopback_client_id(REDIRECT, SCOPES) == CLIENT_ID
    other = loopback_client_id("http://[::1]:99/cb", ("atproto",))
    assert dict(parse_qsl(urlsplit(other).query)) == {"redirect_uri": "http://[::1]/cb", "scope": "atproto"}
