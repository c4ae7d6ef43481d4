"""Whole lives of accounts at a real authorization server: engine, loopback listener and store as in the app,
only the keychain in memory and the person's browser played.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx
import jwt
import pytest

from keyfob.adapters.system.keys import new_key
from keyfob.adapters.vault.memory import MemoryVault
from keyfob.core.access import GrantedAccess
from keyfob.core.account import AccountView
from keyfob.core.errors import SettingWrong, SignInEnded, SignInNeeded, Transient
from keyfob.core.grant import seal_key, unseal_key
from keyfob.core.http import Request, Response
from keyfob.core.secret import Secret
from keyfob.engine import Engine, build, system_ports
from keyfob.process.home import open_home
from keyfob.protocol.jws import published_jwk
from keyfob.service.accounts.views import Progress, SignInRequest
from support.oidc_provider import SERVICE_ID, SERVICE_SECRET, OidcProvider, Person
from support.running import until

# The first run installs the server.
pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.timeout(600)]

PRESET = """
id = "op"
title = "OP"
tested = "software"
methods = ["oauth", "device"]
issuer = "{issuer}"
discovery = "openid"
scopes = ["openid", "profile", "email", "offline_access"]
{more}
[policy]
client_id = "{policy}"
register_at = "{issuer}/"
[client]
{client}
[redirect]
port = "any"
[api]
base = "{issuer}"
[identity]
source = "userinfo"
[revocation]
style = "rfc7009"
"""
ACCESS = """
[[access]]
id = "contact"
title = "Your e-mail address"
scopes = ["email"]
"""
MINUTE = timedelta(minutes=1)


def spawn(work: Callable[[], None], name: str) -> None:
    threading.Thread(target=work, name=name, daemon=True).start()


class Stage:
    def __init__(self, folder: Path, server: OidcProvider) -> None:
        self.server = server
        self.home = open_home({"KEYFOB_HOME": str(folder / "home")})
        self.vault = MemoryVault()
        self.engine: Engine = build(system_ports(self.home, vault=self.vault))

    def preset(self, *, client: str = 'client_id = "native"', policy: str = "keyfob", more: str = "") -> None:
        text = PRESET.format(issuer=self.server.issuer, client=client, policy=policy, more=more)
        presets = self.home.config / "providers"
        presets.mkdir(parents=True, exist_ok=True)
        (presets / "op.toml").write_text(text)

    def restart(self) -> None:
        self.engine.close()
        self.engine = build(system_ports(self.home, vault=self.vault))

    def connect(self, who: str = "alice", *, declines: bool = False, **request: object) -> AccountView:
        attempt = self.engine.sign_in.begin(SignInRequest("op", open_browser=False, **request))  # type: ignore[arg-type]
        seen: list[str] = []

        def visit(url: str) -> None:
            # The last page is the listener's, which closes with the attempt.
            with Person(who, declines=declines) as person, suppress(httpx.HTTPError):
                person.visit(url)

        def watch(progress: Progress) -> None:
            if progress.stage in ("waiting", "code") and progress.url is not None and not seen:
                seen.append(progress.url.reveal())
                spawn(lambda: visit(seen[0]), "browser")

        attempt.observe(watch)
        return self.engine.sign_in.run(attempt, spawn)

    def token(self, *, rejected: Secret | None = None) -> Secret:
        return self.engine.accounts.token("op", min_life=timedelta(0), rejected=rejected).token


@pytest.fixture(scope="module")
def running() -> Iterator[OidcProvider]:
    with OidcProvider() as server:
        yield server


@pytest.fixture
def stage(tmp_path: Path, running: OidcProvider) -> Iterator[Stage]:
    running.reset()
    running.ttl(AccessToken=3600, ClientCredentials=3600)
    running.behave(rotate=True, nonces=True)
    running.revoke("alice")
    made = Stage(tmp_path, running)
    yield made
    made.engine.close()


def test_id_tokens_are_given_and_renewed(stage: Stage) -> None:
    stage.preset()
    stage.server.ttl(IdToken=6)
    try:
        stage.connect()
        first = stage.engine.id_tokens.token("op").token
        claims = jwt.decode(first.reveal(), options={"verify_signature": False})
        assert (claims["iss"], claims["aud"]) == (stage.server.issuer, "native")
        assert stage.engine.id_tokens.token("op").token == first
        until(lambda: stage.engine.clock().timestamp() > claims["exp"] + 1)
        second = stage.engine.id_tokens.token("op").token
        later = jwt.decode(second.reveal(), options={"verify_signature": False})
        assert later["exp"] > claims["exp"]
        assert later["sub"] == claims["sub"]
        stage.restart()
        assert stage.engine.accounts.renew("op").status == "connected", "the rotated refresh token was kept"
    finally:
        stage.server.ttl(IdToken=3600)


def test_connect_renew_restart_revoke_reconnect_disconnect(stage: Stage) -> None:
    stage.preset()
    account = stage.connect()
    assert (account.id, account.name, account.status) == ("op/alice", "Alice", "connected")
    first = stage.token()
    assert stage.engine.accounts.renew("op").status == "connected"
    second = stage.token()
    assert second != first
    stage.restart()
    assert stage.token() == second
    assert stage.token(rejected=second) != second

    assert stage.server.revoke("alice") >= 1
    with pytest.raises(SignInNeeded):
        stage.engine.accounts.renew("op")
    assert stage.engine.accounts.view("op").status == "needs_sign_in"

    again = stage.connect(account="op/alice")
    assert (again.id, again.key, again.status) == ("op/alice", account.key, "connected")
    assert stage.engine.accounts.disconnect("op").revoked == "yes"
    assert stage.engine.accounts.view("op").status == "disconnected"


def test_s85_after_connect_reconnect_disconnect_no_sign_in_lives_at_the_server(stage: Stage) -> None:
    stage.preset()
    stage.connect("erin")
    stage.connect("erin")
    stage.engine.accounts.renew("op")
    stage.connect("erin", account="op/erin")
    assert len(stage.server.live("erin")) == 3
    ended = stage.engine.accounts.disconnect("op")
    assert (ended.revoked, ended.sign_ins) == ("yes", 3)
    assert stage.server.live("erin") == []
    assert stage.engine.store.revocations() == []


def test_more_access_is_asked_for_and_the_old_sign_in_stands_until_it_is_given(stage: Stage) -> None:
    """The server tells the e-mail address only to a token with the scope email."""
    stage.preset(more=ACCESS)
    path = stage.home.config / "providers" / "op.toml"
    path.write_text(path.read_text().replace('"profile", "email", ', '"profile", '))

    def knows() -> bool:
        header = {"Authorization": f"Bearer {stage.token().reveal()}"}
        answer = httpx.get(f"{stage.server.issuer}/me", headers=header, trust_env=False)
        assert answer.status_code == 200
        return "email" in answer.json()

    account = stage.connect()
    assert (account.access, knows()) == ((), False)
    with pytest.raises(SignInEnded):
        stage.connect(declines=True, account="op/alice", access=("contact",))
    assert stage.engine.accounts.view("op") == account
    assert not knows()
    more = stage.connect(account="op/alice", access=("contact",))
    assert (more.key, more.access) == (account.key, (GrantedAccess("contact", "Your e-mail address"),))
    assert knows()
    assert stage.engine.accounts.renew("op").access == more.access
    assert knows()
    assert stage.engine.accounts.disconnect("op").sign_ins == 2, "the older one was kept for its revocation"
    assert stage.server.live("alice") == []


def test_an_expired_token_is_renewed_and_never_handed_out(stage: Stage) -> None:
    stage.preset()
    stage.server.ttl(AccessToken=3)
    stage.connect()
    seen = set()
    for _ in range(3):
        # It must live long enough for the request, also on a busy machine.
        token = stage.engine.accounts.token("op", min_life=timedelta(seconds=2)).token
        answer = httpx.get(
            f"{stage.server.issuer}/me",
            headers={"Authorization": f"Bearer {token.reveal()}"},
            trust_env=False,
        )
        assert answer.status_code == 200
        seen.add(token)
        threading.Event().wait(3.1)
    assert len(seen) == 3


def test_an_outage_is_waited_out(stage: Stage) -> None:
    stage.preset()
    stage.connect()
    stage.server.outage("/token", status=503)
    with pytest.raises(Transient):
        stage.engine.accounts.renew("op")
    assert stage.engine.accounts.view("op").status == "connected"
    assert stage.token()
    stage.server.outage("/token", times=0)
    assert stage.engine.accounts.renew("op").last_error is None


def test_s60_by_device_code(stage: Stage) -> None:
    stage.preset()
    account = stage.connect(method="device")
    assert (account.id, account.method, account.status) == ("op/alice", "device", "connected")
    assert stage.engine.accounts.renew("op").status == "connected"


def test_s60_a_declined_device_code(stage: Stage) -> None:
    stage.preset()
    with pytest.raises(SignInEnded) as caught:
        stage.connect("mallory", declines=True, method="device")
    assert caught.value.code == "declined"
    assert stage.engine.accounts.views() == []


@pytest.mark.parametrize("method", ["oauth", "device"])
def test_s55_s56_bound_tokens_by_both_ways(stage: Stage, method: str) -> None:
    stage.preset(client='client_id = "dpop"', more='dpop = "always"\npar = "always"')
    stage.connect(method=method)
    first = stage.engine.accounts.token("op", min_life=MINUTE)
    assert first.token_type == "DPoP"
    stage.restart()
    assert stage.engine.accounts.renew("op").status == "connected"
    assert stage.engine.accounts.test("op").ok
    assert stage.engine.accounts.disconnect("op").revoked == "yes"


def test_s57_the_key_is_kept_before_anything_is_signed_with_it(stage: Stage) -> None:
    """Whenever the process is killed, the key that a code or a token may be bound to is in the keychain."""
    stage.preset(client='client_id = "dpop"', more='dpop = "always"\npar = "always"')
    transport = stage.engine.transport
    send = transport.send
    signed: list[tuple[str, bool]] = []

    def watched(request: Request) -> Response:
        if "DPoP" in request.headers:
            entries = [entry for name, entry in stage.vault.entries.items() if name.endswith("/dpop")]
            kept = [dict(unseal_key(entry).public_jwk) for entry in entries]
            signed.append(
                (request.purpose, jwt.get_unverified_header(request.headers["DPoP"])["jwk"] in kept)
            )
        return send(request)

    transport.send = watched  # type: ignore[method-assign]
    stage.connect()
    assert {purpose for purpose, _ in signed} >= {"par", "token"}
    assert all(was_kept for _, was_kept in signed)


def test_a_person_s_own_client_with_a_secret(stage: Stage) -> None:
    stage.preset(
        client='auth = "client_secret_post"\nsecret = "required"', policy="user", more='par = "always"'
    )
    stage.connect(client_id="post", client_secret=Secret("posted-secret"))
    assert stage.engine.accounts.renew("op").status == "connected"
    assert stage.engine.accounts.disconnect("op").revoked == "yes"


def test_a_client_that_signs(stage: Stage) -> None:
    key = new_key()
    stage.server.add_client(
        client_id="signs", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [published_jwk(key)]}
    )
    stage.preset(
        client='client_id = "signs"\nauth = "private_key_jwt"\nalg = "ES256"',
        more='par = "always"\ndpop = "always"',
    )
    stage.vault.save(f"jwk/{key.kid}", seal_key(key))
    stage.engine.store.write("jwk-of/op", key.kid)
    stage.connect()
    stage.restart()
    assert stage.engine.accounts.renew("op").status == "connected"
    assert stage.engine.accounts.disconnect("op").revoked == "yes"


def test_s61_a_client_of_the_account_s_own_goes_with_it(stage: Stage) -> None:
    stage.preset(client="", policy="dynamic")
    before = set(stage.server.registered())
    stage.connect()
    (issued,) = set(stage.server.registered()) - before
    assert stage.engine.accounts.renew("op").status == "connected"
    assert stage.engine.accounts.resolve("op").account.pin.client_id == issued
    assert stage.engine.accounts.remove("op").revoked == "yes"
    assert issued not in stage.server.registered()


def test_s61_a_sign_in_that_fails_takes_its_registration_along(stage: Stage) -> None:
    stage.preset(client="", policy="dynamic")
    before = set(stage.server.registered())
    with pytest.raises(SignInEnded):
        stage.connect(declines=True)
    assert stage.server.counts()["/reg"] == 1
    assert set(stage.server.registered()) == before


def test_s61_a_failed_reconnect_leaves_the_accounts_own_registration(stage: Stage) -> None:
    stage.preset(client="", policy="dynamic")
    stage.connect()
    held = set(stage.server.registered())
    with pytest.raises(SignInEnded):
        stage.connect(account="op", declines=True)
    assert set(stage.server.registered()) == held
    assert stage.engine.accounts.renew("op").status == "connected"


def service(stage: Stage) -> None:
    stage.preset()
    path = stage.home.config / "providers" / "op.toml"
    path.write_text(path.read_text().replace('"oauth", "device"', '"client_credentials"'))


def active(stage: Stage, token: Secret) -> bool:
    """Whether the server still takes this token (RFC 7662)."""
    answer = httpx.post(
        f"{stage.server.issuer}/token/introspection",
        data={"token": token.reveal()},
        auth=(SERVICE_ID, SERVICE_SECRET),
        trust_env=False,
    )
    return bool(answer.json()["active"])


def test_a_service_account_gets_the_next_token_with_its_own_secret(stage: Stage) -> None:
    service(stage)
    stage.server.ttl(ClientCredentials=4)
    account = stage.connect(client_id=SERVICE_ID, client_secret=Secret(SERVICE_SECRET))
    assert (account.id, account.subject, account.method) == ("op/service", SERVICE_ID, "client_credentials")
    assert account.renewable
    assert stage.engine.store.read("client/op") is None, "it is no app of the user's for other sign-ins"
    seen = []
    for _ in range(3):
        seen.append(stage.engine.accounts.token("op", min_life=timedelta(seconds=2)).token)
        assert active(stage, seen[-1])
        threading.Event().wait(3.1)
        stage.restart()
    assert len(set(seen)) == 3
    assert stage.server.counts()["grant client_credentials"] >= 3
    assert stage.engine.accounts.test("op").ok
    assert stage.token() not in seen


def test_an_outage_at_a_service_account_loses_nothing(stage: Stage) -> None:
    service(stage)
    stage.connect(client_id=SERVICE_ID, client_secret=Secret(SERVICE_SECRET))
    before = stage.token()
    stage.server.outage("/token", status=503, times=1)
    with pytest.raises(Transient):
        stage.engine.accounts.renew("op")
    assert stage.token() == before
    assert stage.engine.accounts.renew("op").status == "connected"
    assert stage.token() != before


def test_a_service_account_is_refused_with_another_secret_and_revoked_at_the_end(stage: Stage) -> None:
    service(stage)
    with pytest.raises(SettingWrong) as missing:
        stage.connect(client_id=SERVICE_ID)
    assert missing.value.code == "client_missing"
    with pytest.raises(SettingWrong) as refused:
        stage.connect(client_id=SERVICE_ID, client_secret=Secret("canary-wrong"))
    assert refused.value.code == "client_refused"
    assert stage.engine.accounts.views() == []
    first = stage.connect(client_id=SERVICE_ID, client_secret=Secret(SERVICE_SECRET))
    again = stage.connect(account=first.id)
    assert (again.key, again.status) == (first.key, "connected")
    token = stage.token()
    assert active(stage, token)
    assert stage.engine.accounts.disconnect("op").revoked == "yes"
    assert not active(stage, token)
