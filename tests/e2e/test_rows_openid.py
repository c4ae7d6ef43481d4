"""The OpenID Foundation's RP tests for the code flow, by their names,
and the ID token's rows, through the whole engine.

A refusing case passes when nothing is kept, nothing is called afterwards (neither user information nor
anything else) and the browser's last page says that it did not work.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from keyfob.agent.remedies import REMEDIES
from keyfob.core.errors import KeyfobError, PeerFault
from keyfob.core.secret import Secret
from support.hostile import Behaviour, answer
from support.misbehaving import METADATA, Misbehaving
from support.signer import compact, signer
from support.whole_engine import Whole

pytestmark = pytest.mark.network
UP_TO_TOKEN = [METADATA, "/authorize", "/token"]


def refused(whole: Whole, case: str, last: tuple[str, ...]) -> None:
    whole.provider.become(case)
    error = whole.fails()
    paths = whole.provider.paths()
    time.sleep(0.05)
    assert whole.provider.paths() == paths
    assert paths[-1] in last, (case, paths, error)
    assert paths.count("/token") == 1
    assert whole.engine.accounts.views() == []
    assert not [name for name in whole.entries() if name.endswith(("/a", "/b"))]
    assert "Connected" not in whole.pages[-1].text
    assert error.code in REMEDIES, "it says what to do"


@pytest.mark.parametrize(
    "case",
    [
        "oidcc-client-test",
        "oidcc-client-test-kid-absent-single-jwks",
        "oidcc-client-test-idtoken-sig-rs256",
        "oidcc-client-test-scope-userinfo-claims",
        "oidcc-client-test-discovery-openid-config",
        "oidcc-client-test-discovery-jwks-uri-keys",
    ],
)
def test_oidf_accepts(whole: Whole, case: str) -> None:
    whole.provider.become(case)
    view = whole.connect()
    assert (view.status, view.subject, view.name, view.email) == (
        "connected", "subject-1", "Alice", "alice@example.org"
    )  # fmt: skip
    assert whole.token() in whole.provider.access
    paths = whole.provider.paths()
    assert paths[:3] == UP_TO_TOKEN
    assert "/jwks" in paths
    assert paths[-1] == "/userinfo"
    assert "openid" in whole.authorization["scope"].split()


@pytest.mark.parametrize(
    "case",
    [
        "oidcc-client-test-invalid-iss",
        "oidcc-client-test-missing-sub",
        "oidcc-client-test-invalid-aud",
        "oidcc-client-test-missing-iat",
        "oidcc-client-test-idtoken-sig-none",
        "oidcc-client-test-invalid-sig-rs256",
        "oidcc-client-test-nonce-invalid",
    ],
)
def test_oidf_refuses_before_user_information(whole: Whole, case: str) -> None:
    refused(whole, case, ("/token", "/jwks"))


def test_oidcc_client_test_kid_absent_multiple_jwks(whole: Whole) -> None:
    """Of several keys without names, the one that verifies is found."""
    whole.provider.become("oidcc-client-test-kid-absent-multiple-jwks")
    assert whole.connect().subject == "subject-1"


def test_oidcc_client_test_userinfo_invalid_sub(whole: Whole) -> None:
    refused(whole, "oidcc-client-test-userinfo-invalid-sub", ("/userinfo",))


def test_oidcc_client_test_discovery_issuer_mismatch(whole: Whole) -> None:
    whole.provider.become("oidcc-client-test-discovery-issuer-mismatch")
    assert whole.fails().code == "issuer_mismatch"
    assert whole.provider.paths() == [METADATA]
    assert "browser" not in whole.stages


def test_oidcc_client_test_client_secret_basic(whole: Whole) -> None:
    whole.connect(client_secret=Secret("s3cr%t:+ s"))
    sent = next(each for each in whole.provider.requests if each.target == "/token")
    import base64

    pair = base64.b64decode(sent.headers["authorization"].removeprefix("Basic ")).decode()
    assert pair == "app:s3cr%25t%3A%2B+s"  # RFC 6749 §2.3.1: form-encoded first
    assert b"client_secret" not in sent.body


def test_oidcc_client_test_signing_key_rotation(whole: Whole) -> None:
    whole.connect()
    whole.provider.rotate_key()
    again = whole.connect(account="here")
    assert again.status == "connected"
    assert whole.provider.count("/jwks") == 2


def test_oidcc_client_test_signing_key_rotation_just_before_signing(whole: Whole) -> None:
    """The new key has the old one's name, and comes between the authorization and the token."""
    whole.connect()
    whole.provider.before["/authorize"] = lambda: whole.provider.rotate_key("k1")
    assert whole.connect(account="here").status == "connected"
    assert whole.provider.count("/jwks") == 2


def test_oidcc_client_test_refresh_token(whole: Whole) -> None:
    whole.connect()
    before = whole.grant()
    assert whole.renew() is None
    after = whole.grant()
    assert before.refresh is not None
    assert whole.provider.renewals() == [before.refresh.reveal()]
    assert after.access != before.access
    assert whole.token() in whole.provider.access


@pytest.mark.parametrize(
    "case",
    [
        "oidcc-client-test-refresh-token-invalid-issuer",
        "oidcc-client-test-refresh-token-invalid-sub",
        "S-38 aud",
    ],
)
def test_oidf_renewal_for_somebody_else(whole: Whole, case: str) -> None:
    """S-38: what came is not used, and the rotated refresh token is saved all the same."""
    whole.connect()
    before = whole.grant()
    whole.provider.become(case)
    mark = len(whole.provider.requests)
    error = whole.renew()
    assert isinstance(error, PeerFault)
    assert error.exit_code == 9
    assert set(whole.provider.paths(mark)) <= {"/token", "/jwks"}
    kept = whole.grant()
    assert kept.access == before.access
    assert kept.refresh != before.refresh
    assert whole.engine.accounts.view("here").status == "connected"
    assert whole.token() == before.access.reveal()
    whole.provider.become("honest")
    assert whole.renew() is None  # the rotated token that was saved is good
    assert len(whole.provider.renewals()) == len(set(whole.provider.renewals())) == 2


@pytest.mark.parametrize(
    "case",
    [
        "S-40 nOnE", "S-40 empty signature", "S-41 HS256", "S-42 mismatch", "S-42 crit", "S-42 jku",
        "S-42 x5u",
        "S-42 jwk", "S-45 slash", "S-45 missing", "S-46 missing", "S-46 more without azp", "S-46 azp",
        "S-46 type",
        "S-47 expired", "S-47 exp missing", "S-47 exp type", "S-47 iat ahead", "S-47 nbf ahead",
        "S-48 missing",
        "S-48 type", "S-49", "S-50 empty", "S-50 type", "S-51 header", "S-51 body",
    ],
)  # fmt: skip
def test_id_token_rows(whole: Whole, case: str) -> None:
    refused(whole, case, ("/token", "/jwks"))


def test_s_50_userinfo_without_a_subject(whole: Whole) -> None:
    refused(whole, "S-50 userinfo without", ("/userinfo",))


def test_s_43_an_unknown_key_id_costs_one_look(whole: Whole) -> None:
    """Ten sign-ins with keys nobody knows within 30 s: the key set is fetched once, and once again."""
    whole.connect()
    whole.provider.become("S-43")
    for _ in range(10):
        assert whole.fails().code == "id_token_invalid"
    assert whole.provider.count("/jwks") <= 3
    whole.provider.become("honest")
    assert whole.connect().status == "connected"


def test_s_44_cached_keys_serve_in_an_outage(whole: Whole) -> None:
    whole.connect()
    whole.provider.next("/jwks", *[answer(500, b"down")] * 9)
    assert whole.connect().status == "connected"


# --- user information ---------------------------------------------------------------------------------------

REFUSED = answer(401, b'{"error":"invalid_token"}', {"WWW-Authenticate": 'Bearer error="invalid_token"'})


def test_a_token_for_another_resource_is_no_obstacle_where_the_id_token_says_who_it_is(whole: Whole) -> None:
    whole.provider.next("/userinfo", REFUSED)
    assert whole.connect().subject == "subject-1"


def test_a_first_connect_that_nobody_is_told_of_says_what_to_do(whole: Whole) -> None:
    whole.provider.next("/userinfo", REFUSED)
    error = whole.fails(only_scopes=("profile",))
    assert (error.exit_code, error.code) == (8, "openid_needed")
    assert "reconnect" not in error.sentence(REMEDIES).lower()
    assert whole.provider.live == {}  # the token was given back


def test_an_account_known_by_its_id_token_is_tested_without_user_information(whole: Whole) -> None:
    file = whole.home.config / "providers" / "here.toml"
    file.write_text(file.read_text().replace('source = "userinfo"', 'source = "id_token"'))
    whole.engine.close()
    whole.engine = whole.another()
    whole.connect()
    before = whole.token()
    assert whole.engine.accounts.test("here").ok
    assert whole.token() != before  # renewed, which proves that the grant lives
    assert whole.provider.count("/userinfo") == 0
    whole.provider.end_grants()
    with pytest.raises(KeyfobError) as caught:
        whole.engine.accounts.test("here")
    assert caught.value.exit_code == 3


def signed(provider: Misbehaving, **changes: object) -> Behaviour:
    claims = {**provider.person, "iss": provider.issuer, "aud": "app", **changes}
    body = provider.signer.sign({name: value for name, value in claims.items() if value is not None})
    return answer(200, body.encode(), {"Content-Type": "application/jwt"})


def test_signed_user_information_is_read_by_its_signature(whole: Whole) -> None:
    whole.provider.next("/userinfo", signed(whole.provider, name="Alice Signed"))
    assert whole.connect().name == "Alice Signed"
    whole.provider.next("/userinfo", signed(whole.provider, aud=["app", "other"], name="Alice Again"))
    assert whole.engine.accounts.test("here").name == "Alice Again"


@pytest.mark.parametrize("changes", [
    {"iss": "https://somebody-else.example"}, {"iss": None}, {"aud": "another"}, {"aud": None},
    {"sub": "subject-2"},
], ids=str)  # fmt: skip
def test_s_50_signed_user_information_of_others_is_refused(whole: Whole, changes: dict[str, object]) -> None:
    whole.provider.next("/userinfo", signed(whole.provider, **changes))
    error = whole.fails()
    assert error.exit_code == 9
    assert "user information" in error.message.lower()
    assert whole.provider.paths()[-1] == "/userinfo"


def test_s_40_user_information_is_not_taken_unsigned_or_signed_by_another(whole: Whole) -> None:
    other = signer("RS256", "k1", number=5)
    claims = {**whole.provider.person, "iss": whole.provider.issuer, "aud": "app"}
    unsigned = compact({"alg": "none", "typ": "JWT"}, claims, lambda signed: b"")
    for body in (other.sign(claims), unsigned, "not.a.jwt", "five.parts.in.a.row"):
        whole.provider.next(
            "/userinfo", answer(200, body.encode(), {"Content-Type": "application/jwt; charset=utf-8"})
        )
        assert whole.fails().exit_code == 9


# --- what is called JSON ------------------------------------------------------------------------------------

PLACES = [METADATA, "/register", "/par", "/device", "/token", "/userinfo"]


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize(
    ("body", "kind", "exit_code"),
    [
        (b"[]", "application/json", 9),
        (b'"ok"', "application/json", 9),
        (b"nonsense", "application/json", 9),
        (b'{"a": 1, "a": 2}', "application/json", 9),
        (b'{"access_token": "ab', "application/json", 5),
        (b"", "application/json", 5),
        (b"<html>sign in to wifi</html>", "text/html", 5),
        (b"<html>", "application/json", 5),
    ],
)
def test_s_30_what_is_called_json_and_is_none(
    tmp_path: Path, path: str, body: bytes, kind: str, exit_code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list at the user information endpoint is read as a list, and names nobody."""
    monkeypatch.setattr("keyfob.service.runner.pause", lambda span, cancel: None)
    with Misbehaving() as provider:
        whole = Whole(tmp_path, provider)
        file = whole.home.config / "providers" / "here.toml"
        text = file.read_text()
        if path == "/device":
            text = text.replace('methods = ["oauth"]', 'methods = ["device"]')
        if path == "/register":
            text = text.replace('client_id = "user"', 'client_id = "dynamic"')
        file.write_text(text)
        whole.engine.close()
        whole.engine = whole.another()
        provider.become({"/register": "S-61", "/par": "S-54", "/device": "S-60"}.get(path, "honest"))
        provider.next(path, answer(200, body, {"Content-Type": kind}))
        assert whole.fails(client_id=None if path == "/register" else "app").exit_code == exit_code
        whole.engine.close()


KEYS = """
[api_key.identity]
source = "request"
url = "{issuer}/userinfo"
[api_key.identity.map]
subject = "sub"
[api_key.api]
base = "{issuer}"
"""


def test_a_key_that_is_refused_at_its_first_use_is_entered_again(
    tmp_path: Path, provider: Misbehaving
) -> None:
    whole = Whole(tmp_path, provider, tables=KEYS.format(issuer=provider.issuer))
    file = whole.home.config / "providers" / "here.toml"
    file.write_text(file.read_text().replace('methods = ["oauth"]', 'methods = ["api_key"]'))
    error = whole.fails(method="api_key", api_key=Secret("not-a-key-of-anybody"), client_id=None)
    assert error.code == "key_refused"
    assert error.sentence(REMEDIES).endswith("Check the key, and enter it again.")
    whole.engine.close()
