"""The flows against a real, certified authorization server: each way of proving a client, PAR, DPoP with
nonces, device grant, registration, rotation. The app's own transport carries them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import httpx
import pytest

from keyfob.adapters.system.keys import new_key
from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, SignInEnded, SignInNeeded, Transient
from keyfob.core.grant import SigningKey
from keyfob.core.http import Request
from keyfob.core.provider import Provider, Revocation
from keyfob.core.secret import Secret
from keyfob.protocol import dpop
from keyfob.protocol.context import Client, FlowContext, SignInResult
from keyfob.protocol.jws import published_jwk
from keyfob.protocol.oauth import device, par, register
from keyfob.protocol.oauth.authorize import authorization_code, authorization_params
from keyfob.protocol.oauth.client_auth import ASSERTION_TYPE
from keyfob.protocol.oauth.discovery import discover
from keyfob.protocol.oauth.renewal import renew
from keyfob.protocol.oauth.revoke import revoke
from support.live import Live
from support.oidc_provider import BASIC_ID, BASIC_SECRET, POST_ID, POST_SECRET, OidcProvider, Person
from support.playbook import form_of, query_of

# The first run installs the server.
pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.timeout(600)]

REDIRECT = "http://127.0.0.1:48123/callback"  # nobody listens: the person's browser is played
SCOPES = ("openid", "profile", "email", "offline_access")


@pytest.fixture(scope="module")
def running() -> Iterator[OidcProvider]:
    with OidcProvider() as server:
        yield server


@pytest.fixture
def server(running: OidcProvider) -> OidcProvider:
    running.reset()
    running.ttl(AccessToken=3600, DeviceCode=600)
    running.behave(rotate=True, nonces=True)
    return running


@pytest.fixture
def alice() -> Iterator[Person]:
    with Person("alice") as person:
        yield person


@pytest.fixture
def live(alice: Person) -> Live:
    return Live(lambda url: alice.visit(url, until=REDIRECT), redirect_uri=REDIRECT)


def context_at(server: OidcProvider, live: Live, client: Client, **changes: Any) -> FlowContext:
    provider = Provider(
        "op", "OP", issuer=server.issuer, discovery="openid", par=changes.pop("par", "never"),
        revocation=Revocation(style="rfc7009"),
    )  # fmt: skip
    ctx = FlowContext(
        provider, live.perform(discover(provider)), client, live.env, redirect_uri=REDIRECT, scopes=SCOPES
    )
    return replace(ctx, **changes)


def sign_in(live: Live, ctx: FlowContext) -> SignInResult:
    return live.perform(
        authorization_code(
            ctx, state=live.secret(), nonce=live.secret(), code_verifier=live.secret()
        )
    )  # fmt: skip


def renewed(live: Live, ctx: FlowContext, result: SignInResult) -> SignInResult:
    grant = live.perform(renew(ctx, result.grant, subject=result.identity.subject))
    return replace(result, grant=grant)


def ask(
    live: Live, server: OidcProvider, access: Secret, key: SigningKey | None = None
) -> httpx.Response | Any:
    bearer = {} if key else {"Authorization": f"Bearer {access.reveal()}"}
    request = Request("GET", f"{server.issuer}/me", "userinfo", bearer)
    return live.perform(dpop.send(request, key=key, access=access, env=live.env))


def test_a_public_client_signs_in_renews_and_revokes(server: OidcProvider, live: Live) -> None:
    ctx = context_at(server, live, Client("native"))
    first = sign_in(live, ctx)
    assert (first.identity.subject, first.identity.name, first.identity.email) == (
        "alice",
        "Alice",
        "alice@example.test",
    )
    assert first.grant.lifetime == timedelta(hours=1)
    second = renewed(live, ctx, first)
    assert second.grant.access != first.grant.access
    assert second.grant.refresh != first.grant.refresh
    assert live.kept[-1] == second.grant
    assert ask(live, server, second.grant.access).status == 200
    assert second.grant.refresh is not None
    assert live.perform(revoke(ctx, second.grant.refresh, "refresh_token")) == "yes"
    assert ask(live, server, second.grant.access).status == 401
    with pytest.raises(SignInNeeded):
        renewed(live, ctx, second)


def test_s36_reuse_kills_the_family(server: OidcProvider, live: Live) -> None:
    ctx = context_at(server, live, Client("native"))
    first = sign_in(live, ctx)
    second = renewed(live, ctx, first)
    with pytest.raises(SignInNeeded):
        renewed(live, ctx, first)
    with pytest.raises(SignInNeeded):
        renewed(live, ctx, second)


def test_a_grant_that_was_revoked_at_the_server_has_ended(server: OidcProvider, live: Live) -> None:
    ctx = context_at(server, live, Client("native"))
    first = sign_in(live, ctx)
    assert server.revoke("alice") >= 1
    with pytest.raises(SignInNeeded) as caught:
        renewed(live, ctx, first)
    assert caught.value.code == "grant_ended"


def test_an_outage_ends_nothing(server: OidcProvider, live: Live) -> None:
    ctx = context_at(server, live, Client("native"))
    first = sign_in(live, ctx)
    server.outage("/token", status=503, times=1)
    with pytest.raises(Transient):
        renewed(live, ctx, first)
    assert renewed(live, ctx, first).grant.generation == 1


def test_declining_is_told(server: OidcProvider) -> None:
    with Person("mallory", declines=True) as person:
        live = Live(lambda url: person.visit(url, until=REDIRECT), redirect_uri=REDIRECT)
        with pytest.raises(SignInEnded) as caught:
            sign_in(live, context_at(server, live, Client("native")))
    assert caught.value.code == "declined"
    assert "/token" not in server.counts()


def signing_client(server: OidcProvider, alg: str) -> Client:
    key = new_key(alg)
    server.add_client(
        client_id=f"signing-{alg}", token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [published_jwk(key)]}
    )  # fmt: skip
    return Client(f"signing-{alg}", "private_key_jwt", key=key)


CLIENTS: dict[str, Callable[[OidcProvider], Client]] = {
    "client_secret_basic": lambda server: Client(BASIC_ID, "client_secret_basic", Secret(BASIC_SECRET)),
    "client_secret_post": lambda server: Client(POST_ID, "client_secret_post", Secret(POST_SECRET)),
    "private_key_jwt ES256": lambda server: signing_client(server, "ES256"),
    "private_key_jwt RS256": lambda server: signing_client(server, "RS256"),
    "private_key_jwt EdDSA": lambda server: signing_client(server, "EdDSA"),
}


@pytest.mark.parametrize("kind", CLIENTS)
def test_confidential_clients_at_every_endpoint(server: OidcProvider, live: Live, kind: str) -> None:
    ctx = context_at(server, live, CLIENTS[kind](server), par="always")
    result = renewed(live, ctx, sign_in(live, ctx))
    assert server.counts()["/request"] == 1
    assert result.grant.refresh is not None
    assert live.perform(revoke(ctx, result.grant.refresh, "refresh_token")) == "yes"
    with pytest.raises(SignInNeeded):
        renewed(live, ctx, result)


def test_an_assertion_is_used_once(server: OidcProvider, live: Live) -> None:
    ctx = context_at(server, live, signing_client(server, "ES256"))
    sign_in(live, ctx)
    spent = form_of(next(r for r in live.requests if r.url.endswith("/token")))
    assert spent["client_assertion_type"] == ASSERTION_TYPE
    answer = httpx.post(f"{server.issuer}/token", data=spent, trust_env=False)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    "client",
    [
        Client(BASIC_ID, "client_secret_basic", Secret("wrong")),
        Client(POST_ID, "client_secret_post", Secret("wrong")),
        Client("signing-ES256", "private_key_jwt", key=new_key()),
        Client("nobody"),
    ],
)
def test_a_client_that_cannot_prove_itself_is_told(server: OidcProvider, live: Live, client: Client) -> None:
    signing_client(server, "ES256")
    with pytest.raises(SettingWrong) as caught:
        sign_in(live, context_at(server, live, client, par="always"))
    assert caught.value.code == "client_refused"
    assert "/auth" not in server.counts(), "no browser opened"


class TestPar:
    def test_s54_the_browser_sees_a_reference_only(self, server: OidcProvider, alice: Person) -> None:
        seen: list[str] = []

        def visit(url: str) -> str:
            seen.append(url)
            return alice.visit(url, until=REDIRECT)

        live = Live(visit, redirect_uri=REDIRECT)
        sign_in(live, context_at(server, live, Client("par"), par="offered"))
        assert set(query_of(seen[0])) == {"client_id", "request_uri"}

    def test_s54_a_reference_is_used_once(self, server: OidcProvider, live: Live) -> None:
        ctx = context_at(server, live, Client("par"))
        params = authorization_params(ctx, live.secret(), None, live.secret())
        uri = live.perform(par.push(ctx, params))
        address = str(httpx.URL(f"{server.issuer}/auth", params={"client_id": "par", "request_uri": uri}))
        with Person() as one, Person() as other:
            assert "code=" in one.visit(address, until=REDIRECT)
            assert "invalid_request_uri" in other.visit(address)

    def test_s54_a_refused_push_never_becomes_a_query(self, server: OidcProvider, live: Live) -> None:
        for status, body in ((400, '{"error":"invalid_request"}'), (503, "down"), (404, "")):
            server.outage("/request", status=status, body=body, **{"content-type": "application/json"})
            with pytest.raises(KeyfobError):
                sign_in(live, context_at(server, live, Client("native"), par="offered"))
        assert "/auth" not in server.counts()


class TestDpop:
    def test_s55_s56_the_whole_way_with_nonces(self, server: OidcProvider, live: Live) -> None:
        key = new_key()
        ctx = context_at(server, live, Client("dpop"), dpop_key=key, par="always")
        result = renewed(live, ctx, sign_in(live, ctx))
        assert result.grant.token_type == "DPoP"
        assert result.grant.key == key
        assert live.env.nonces.get(server.issuer) is not None
        assert ask(live, server, result.grant.access, key).status == 200
        counts = server.counts()
        assert counts["/request"] == 2, "one challenge, one retry; from then on the nonce is known"
        assert counts["/token"] == 2
        assert counts["/me"] == 2, "who-am-I, and ours"

    def test_s56_a_nonce_is_learned_at_the_resource_too(self, server: OidcProvider, live: Live) -> None:
        key = new_key()
        result = sign_in(live, context_at(server, live, Client("dpop"), dpop_key=key))
        fresh = Live()
        assert ask(fresh, server, result.grant.access, key).status == 200
        assert [("nonce" in _claims(r)) for r in fresh.requests] == [False, True]

    def test_the_token_is_worth_nothing_without_the_key(self, server: OidcProvider, live: Live) -> None:
        key = new_key()
        result = sign_in(live, context_at(server, live, Client("dpop"), dpop_key=key))
        assert ask(live, server, result.grant.access, new_key()).status == 401
        assert ask(live, server, result.grant.access).status in (400, 401)
        assert ask(live, server, result.grant.access, key).status == 200

    def test_a_renewal_needs_the_key(self, server: OidcProvider, live: Live) -> None:
        key = new_key()
        ctx = context_at(server, live, Client("dpop"), dpop_key=key)
        result = sign_in(live, ctx)
        with pytest.raises(KeyfobError):
            renewed(live, replace(ctx, dpop_key=new_key()), result)
        assert renewed(live, ctx, result).grant.generation == 1

    def test_without_nonces_one_request_is_enough(self, server: OidcProvider, live: Live) -> None:
        server.behave(nonces=False)
        sign_in(live, context_at(server, live, Client("dpop"), dpop_key=new_key()))
        assert server.counts()["/token"] == 1

    @pytest.mark.parametrize("alg", ["ES256", "EdDSA"])
    def test_other_keys(self, server: OidcProvider, live: Live, alg: str) -> None:
        ctx = context_at(server, live, Client("native"), dpop_key=new_key(alg))
        assert sign_in(live, ctx).grant.token_type == "DPoP"

    def test_s33_a_bearer_token_where_a_bound_one_was_asked_for_is_refused(
        self, server: OidcProvider, live: Live
    ) -> None:
        body = '{"access_token":"x","token_type":"Bearer"}'
        ctx = context_at(server, live, Client("native"), dpop_key=new_key())
        server.outage("/token", status=200, body=body, **{"content-type": "application/json"})
        with pytest.raises(PeerFault):
            sign_in(live, ctx)


def _claims(request: Request) -> dict[str, Any]:
    import jwt

    claims: dict[str, Any] = jwt.decode(request.headers["DPoP"], options={"verify_signature": False})
    return claims


class TestDevice:
    def approved(self, server: OidcProvider, client: Client, **changes: Any) -> tuple[Live, SignInResult]:
        live = Live()
        with Person("alice") as person:
            live.on_code = lambda shown: person.visit(shown.verification_uri_complete or "")
            ctx = context_at(server, live, client, **changes)
            result = live.perform(device.device_code(ctx))
        return live, result

    def test_s60_a_person_enters_the_code_elsewhere(self, server: OidcProvider) -> None:
        live, result = self.approved(server, Client("native"))
        assert (result.identity.subject, result.identity.name) == ("alice", "Alice")
        assert result.grant.refresh is not None
        assert live.shown[0].verification_uri == f"{server.issuer}/device"
        assert live.waited == [5.0], "the server tells no interval"

    def test_s60_asking_goes_on_while_the_person_thinks(self, server: OidcProvider) -> None:
        live = Live()
        ctx = context_at(server, live, Client("native"))
        with Person("alice") as person:

            def decide() -> None:
                if len(live.waited) == 3:
                    person.visit(live.shown[0].verification_uri_complete or "")

            live.on_wait = decide
            result = live.perform(device.device_code(ctx))
        assert result.identity.subject == "alice"
        assert live.waited == [5.0, 5.0, 5.0]

    def test_s60_a_failing_network_does_not_end_it(self, server: OidcProvider) -> None:
        server.outage("/token", status=503, times=2)
        live, result = self.approved(server, Client("native"))
        assert result.identity.subject == "alice"
        assert live.waited == [5.0, 10.0, 20.0]

    def test_s60_declined(self, server: OidcProvider) -> None:
        live = Live()
        with Person("mallory", declines=True) as person:
            live.on_code = lambda shown: person.visit(shown.verification_uri_complete or "")
            ctx = context_at(server, live, Client("native"))
            with pytest.raises(SignInEnded) as caught:
                live.perform(device.device_code(ctx))
        assert caught.value.code == "declined"

    def test_s60_expired(self, server: OidcProvider) -> None:
        server.ttl(DeviceCode=1)
        live = Live()
        with pytest.raises(SignInEnded) as caught:
            live.perform(device.device_code(context_at(server, live, Client("native"))))
        assert caught.value.code == "code_expired"

    @pytest.mark.parametrize("kind", ["client_secret_basic", "private_key_jwt ES256"])
    def test_a_confidential_client(self, server: OidcProvider, kind: str) -> None:
        _, result = self.approved(server, CLIENTS[kind](server))
        assert result.identity.subject == "alice"

    def test_a_bound_grant(self, server: OidcProvider) -> None:
        key = new_key()
        _, result = self.approved(server, Client("dpop"), dpop_key=key)
        assert (result.grant.token_type, result.grant.key) == ("DPoP", key)


class TestRegistration:
    METADATA: ClassVar[dict[str, Any]] = {
        "client_name": "Keyfob",
        "application_type": "native",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }

    def test_s61_a_client_of_one_s_own_from_beginning_to_end(self, server: OidcProvider, live: Live) -> None:
        ctx = context_at(server, live, Client("native"))
        endpoint = ctx.server.endpoints.registration_endpoint
        issued = live.perform(register.register(endpoint, self.METADATA))
        assert (issued.auth, issued.client_secret, issued.secret_expires_at) == ("none", None, None)
        assert issued.client_id in server.registered()
        sign_in(live, replace(ctx, client=Client(issued.client_id)))
        uri, token = issued.registration_client_uri, issued.registration_access_token
        assert uri is not None
        assert token is not None
        assert live.perform(register.unregister(uri, token)) is True
        assert issued.client_id not in server.registered()
        assert live.perform(register.unregister(uri, token)) is True, "gone is gone"

    @pytest.mark.parametrize("auth", ["client_secret_basic", "client_secret_post"])
    def test_s61_a_client_with_a_secret(self, server: OidcProvider, live: Live, auth: str) -> None:
        ctx = context_at(server, live, Client("native"))
        metadata = {**self.METADATA, "token_endpoint_auth_method": auth}
        issued = live.perform(register.register(ctx.server.endpoints.registration_endpoint, metadata))
        assert issued.auth == auth
        client = Client(issued.client_id, issued.auth, issued.client_secret)
        assert sign_in(live, replace(ctx, client=client)).identity.subject == "alice"

    def test_a_client_with_a_key(self, server: OidcProvider, live: Live) -> None:
        ctx = context_at(server, live, Client("native"))
        key = new_key()
        metadata = {
            **self.METADATA, "token_endpoint_auth_method": "private_key_jwt",
            "jwks": {"keys": [published_jwk(key)]},
        }  # fmt: skip
        issued = live.perform(register.register(ctx.server.endpoints.registration_endpoint, metadata))
        client = Client(issued.client_id, issued.auth, key=key)
        assert sign_in(live, replace(ctx, client=client)).identity.subject == "alice"

    def test_a_refused_registration_is_told(self, server: OidcProvider, live: Live) -> None:
        ctx = context_at(server, live, Client("native"))
        metadata = {**self.METADATA, "redirect_uris": ["http://evil.example/callback"]}
        with pytest.raises(PeerFault):
            live.perform(register.register(ctx.server.endpoints.registration_endpoint, metadata))
