"""People with passwords, and JWTs of OpenID Connect issuers."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bcrypt
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from keyfob.core.errors import Transient
from keyfob.gateway.auth import AuthResult, AuthSettingError, TooManyAttemptsError, create_auth_provider
from keyfob.gateway.auth import key_sets as key_sets_module
from keyfob.gateway.auth.attempts import FREE, LONGEST_WAIT, Attempts
from keyfob.gateway.auth.claim_rules import Rules
from keyfob.gateway.auth.local import ListedUsers, LocalAuth, StoredUsers
from keyfob.gateway.auth.oidc import MultiOIDCAuth, OIDCAuth
from keyfob.gateway.auth.passwords import NOBODY, hash_password, is_hash, matches
from keyfob.gateway.auth.tables import User, close_database, open_database
from support.issuer import Issuer

SECRET = "0123456789abcdef0123456789abcdef"
PASSWORD = "correct horse"


def ask(provider: Any, token: str) -> AuthResult:
    answer: AuthResult = asyncio.run(provider.authenticate(token))
    return answer


class TestPasswords:
    def test_argon2_and_bcrypt(self) -> None:
        for stored in (hash_password(PASSWORD), bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()):
            assert is_hash(stored)
            assert matches(PASSWORD, stored)
            assert not matches(PASSWORD + "x", stored)

    def test_what_bcrypt_would_cut_off_is_not_taken(self) -> None:
        stored = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
        assert matches("x" * 72, stored)
        assert not matches("x" * 73, stored)

    @pytest.mark.parametrize("stored", ["", "plain", "$2b$12$short", "$argon2id$v=19$broken", PASSWORD])
    def test_what_is_not_a_hash_matches_nothing(self, stored: str) -> None:
        assert not matches(stored, stored)

    def test_an_unknown_user_costs_a_real_hash(self) -> None:
        assert is_hash(NOBODY)
        assert not matches(PASSWORD, NOBODY)

    @pytest.mark.parametrize("password", ["short", "x" * 1025])
    def test_lengths(self, password: str) -> None:
        with pytest.raises(AuthSettingError):
            hash_password(password)


class TestLocal:
    @pytest.fixture
    def users(self) -> ListedUsers:
        stored = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        return ListedUsers({"alice": {"password_hash": stored, "tenant_id": "acme", "is_admin": True}})

    def token(self, provider: LocalAuth, password: str = PASSWORD) -> str | None:
        return asyncio.run(provider.login("alice", password, address="192.0.2.7"))

    def test_a_password_gives_a_token(self, users: ListedUsers) -> None:
        provider = LocalAuth(users, SECRET)
        token = self.token(provider)
        assert token is not None
        found = ask(provider, token)
        assert (found.authenticated, found.user_id, found.tenant_id, found.is_admin) == (
            True,
            "alice",
            "acme",
            True,
        )
        assert (found.subject_type, found.subject_id) == ("user", "alice")
        claims = jwt.decode(token, SECRET, algorithms=["HS256"])
        assert claims["exp"] - claims["iat"] == pytest.approx(3600, abs=1)
        assert asyncio.run(provider.validate_token(token))

    def test_with_a_private_key(self, users: ListedUsers) -> None:
        key = ed25519.Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        provider = LocalAuth(users, private_key=pem)
        token = self.token(provider)
        assert token is not None
        assert ask(provider, token).authenticated
        assert jwt.get_unverified_header(token)["alg"] == "EdDSA"
        # S-71, key confusion: the public key is known, and must not serve as a shared secret.
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        assert not ask(provider, _signed_by_hmac(_claims(token), public)).authenticated

    def test_it_ends(self, users: ListedUsers) -> None:
        now = [datetime.now(UTC)]
        provider = LocalAuth(users, SECRET, clock=lambda: now[0])
        token = self.token(provider)
        assert token is not None
        now[0] += timedelta(minutes=59)
        assert ask(provider, token).authenticated
        now[0] += timedelta(minutes=1)
        assert not ask(provider, token).authenticated

    def test_s71_changed_and_foreign_tokens(self, users: ListedUsers) -> None:
        provider = LocalAuth(users, SECRET)
        token = self.token(provider)
        assert token is not None
        claims = _claims(token)
        wrong = [
            jwt.encode(claims, SECRET + "x", algorithm="HS256"),
            jwt.encode(claims, SECRET * 2, algorithm="HS512"),
            jwt.encode({**claims, "iss": "other"}, SECRET, algorithm="HS256"),
            jwt.encode({k: v for k, v in claims.items() if k != "exp"}, SECRET, algorithm="HS256"),
            jwt.encode({**claims, "exp": "never"}, SECRET, algorithm="HS256"),
            jwt.encode({**claims, "sub": "bob"}, SECRET, algorithm="HS256"),
            _unsigned(claims),
            token[:-2],
            token + "x" * 9000,
            "",
        ]
        for one in wrong:
            assert not ask(provider, one).authenticated, one[:60]

    def test_wrong_passwords_have_to_wait(self, users: ListedUsers) -> None:
        provider = LocalAuth(users, SECRET)
        for _ in range(FREE):
            assert self.token(provider, "wrong password") is None
        with pytest.raises(TooManyAttemptsError) as raised:
            self.token(provider)
        assert raised.value.retry_after is not None

    def test_an_unknown_user_is_not_told_apart(self, users: ListedUsers) -> None:
        provider = LocalAuth(users, SECRET)
        assert asyncio.run(provider.login("nobody", PASSWORD)) is None
        assert self.token(provider, "wrong password") is None

    def test_users_of_the_database(self, tmp_path: Path) -> None:
        sessions = open_database(f"sqlite:///{tmp_path / 'g.db'}")
        now = datetime.now(UTC) - timedelta(seconds=5)
        stored = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        row = User(
            user_id="alice", password_hash=stored, is_admin=False, created_at=now, password_changed_at=now
        )
        with sessions.begin() as session:
            session.add(row)
        provider = LocalAuth(StoredUsers(sessions), SECRET)
        token = self.token(provider)
        assert token is not None
        assert ask(provider, token).user_id == "alice"
        # A changed password ends the tokens of the old one.
        with sessions.begin() as session:
            session.get_one(User, "alice").password_changed_at = datetime.now(UTC) + timedelta(seconds=1)
        assert not ask(LocalAuth(StoredUsers(sessions), SECRET), token).authenticated
        with sessions.begin() as session:
            session.get_one(User, "alice").disabled_at = datetime.now(UTC)
        assert self.token(provider) is None
        close_database(sessions)

    @pytest.mark.parametrize(
        "words",
        [
            {"users": {}, "jwt_secret": "short"},
            {"users": {}},
            {"users": {}, "private_key": "not a key"},
            {"users": {"alice": {"password_hash": "plain"}}, "jwt_secret": SECRET},
            {"users": {"alice": {}}, "jwt_secret": SECRET},
            {"users": [], "jwt_secret": SECRET},
            {"jwt_secret": SECRET},
            {"users": {}, "jwt_secret": SECRET, "lifetime_seconds": 5},
        ],
    )
    def test_wrong_settings(self, words: dict[str, Any]) -> None:
        with pytest.raises(AuthSettingError):
            create_auth_provider("local", words)


def _wait(attempts: Attempts) -> float:
    """In seconds."""
    try:
        attempts.check("alice", "bob")
    except TooManyAttemptsError as many:
        return many.retry_after.total_seconds() if many.retry_after else 0.0
    return 0.0


def test_waits_double_and_are_forgotten() -> None:
    now = [0.0]
    attempts = Attempts(clock=lambda: now[0])
    waits = []
    for _ in range(FREE + 14):
        attempts.failed("alice")
        waits.append(_wait(attempts))
    assert waits[: FREE + 3] == [0.0] * (FREE - 1) + [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == LONGEST_WAIT
    now[0] += LONGEST_WAIT
    attempts.check("alice")
    attempts.succeeded("alice")
    attempts.failed("alice")
    attempts.check("alice")


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as served:
        yield served


def rules(issuer: Issuer, **words: Any) -> Rules:
    return Rules(issuer.url, ("keyfob",), **words)


@pytest.mark.network
class TestOIDC:
    def test_an_access_token(self, issuer: Issuer) -> None:
        provider = OIDCAuth(rules(issuer, tenant="org", admin="roles=admin"))
        found = ask(provider, issuer.token(org="acme", roles=["admin", "user"], scope="read write"))
        assert (found.authenticated, found.user_id, found.tenant_id) == (True, "alice", "acme")
        assert (found.is_admin, found.scopes, found.key_id) == (True, ("read", "write"), "token-1")
        assert issuer.seen == ["/.well-known/openid-configuration", "/keys"]

    def test_keys_at_an_address_of_the_settings(self, issuer: Issuer) -> None:
        provider = OIDCAuth(rules(issuer), jwks_uri=issuer.url + "/keys")
        assert ask(provider, issuer.token()).authenticated
        assert issuer.seen == ["/keys"]

    @pytest.mark.parametrize(
        "claims",
        [
            {"iss": "https://other.example"},
            {"aud": "another"},
            {"aud": None},
            {"aud": ["another"]},
            {"exp": 1_700_000_000},
            {"exp": None},
            {"exp": True},
            {"exp": "9999999999"},
            {"nbf": 9_999_999_999},
            {"iat": 9_999_999_999},
            {"sub": None},
            {"sub": 7},
            {"client_id": None},
            {"jti": None},
        ],
    )
    def test_s71_claims(self, issuer: Issuer, claims: dict[str, Any]) -> None:
        assert not ask(OIDCAuth(rules(issuer)), issuer.token(**claims)).authenticated

    def test_s71_algorithms_and_foreign_keys(self, issuer: Issuer) -> None:
        provider = OIDCAuth(rules(issuer))
        claims = issuer.claims()
        other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = issuer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(other.public_key()))
        header = {"typ": "at+jwt"}
        wrong = [
            _unsigned(claims),
            _signed_by_hmac(claims, public, header),
            jwt.encode(claims, other, algorithm="RS256", headers={**header, "kid": issuer.kid}),
            jwt.encode(claims, other, algorithm="RS256", headers=header),
            jwt.encode(claims, other, algorithm="RS256", headers={**header, "jwk": jwk}),
            jwt.encode(claims, other, algorithm="RS256", headers={**header, "jku": issuer.url + "/evil"}),
            jwt.encode(claims, other, algorithm="RS256", headers={**header, "x5u": issuer.url + "/evil"}),
            jwt.encode(
                claims, issuer.key, algorithm="RS256", headers={**header, "kid": issuer.kid, "crit": ["exp"]}
            ),
            jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers=header),
            issuer.token()[:-4],
            "a.b.c",
            "",
        ]
        for one in wrong:
            assert not ask(provider, one).authenticated, one[:80]
        assert "/evil" not in issuer.seen

    def test_s71_a_token_of_another_kind(self, issuer: Issuer) -> None:
        access, plain, identity = (OIDCAuth(rules(issuer, kind=kind)) for kind in ("access", "jwt", "id"))
        as_jwt, id_token = issuer.token(typ="JWT"), issuer.token(typ="JWT", nonce="n")
        assert not ask(access, as_jwt).authenticated
        assert ask(plain, as_jwt).authenticated
        assert not ask(plain, id_token).authenticated, "an ID token is for the client that asked for it"
        assert ask(identity, id_token).authenticated
        assert not ask(identity, issuer.token()).authenticated
        two = {"typ": "JWT", "aud": ["keyfob", "other"]}
        assert not ask(identity, issuer.token(**two)).authenticated
        assert not ask(identity, issuer.token(**two, azp="other")).authenticated
        assert ask(identity, issuer.token(**two, azp="keyfob")).authenticated

    def test_without_its_tenant_nobody_is_let_in(self, issuer: Issuer) -> None:
        assert not ask(OIDCAuth(rules(issuer, tenant="org")), issuer.token()).authenticated

    @pytest.mark.parametrize(
        ("pattern", "value", "fits"),
        [
            ("acme/app", "acme/app", True),
            ("acme/*", "acme/app", True),
            ("acme/*", "acme/app/more", False),
            ("acme/*", "evil/acme/app", False),
            ("acme/*", "acme-evil/app", False),
            ("repo:acme/*:ref:refs/heads/main", "repo:acme/app:ref:refs/heads/main", True),
            ("repo:acme/*:ref:refs/heads/main", "repo:acme/app:pull_request", False),
            ("repo:acme/*:ref:refs/heads/main", "repo:acme/a:x:ref:refs/heads/main", False),
            ("repo:acme/**", "repo:acme/app:environment:live", True),
            ("a.c", "abc", False),
            ("acme", None, False),
            ("true", True, True),
            ("42", 42, True),
            ("acme", ["other", "acme"], True),
        ],
    )
    def test_patterns(self, issuer: Issuer, pattern: str, value: object, fits: bool) -> None:
        provider = OIDCAuth(rules(issuer, kind="jwt", required={"repository": pattern}))
        assert ask(provider, issuer.token(typ="JWT", repository=value)).authenticated is fits

    @pytest.mark.logs
    def test_new_keys_are_fetched_and_old_ones_serve_an_outage(
        self, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        provider = OIDCAuth(rules(issuer))

        async def run() -> None:
            old = issuer.token()
            assert (await provider.authenticate(old)).authenticated
            issuer.rotate()
            assert not (await provider.authenticate(issuer.token())).authenticated, "asked a moment ago"
            monkeypatch.setattr(key_sets_module, "BETWEEN", 0.0)
            assert (await provider.authenticate(issuer.token())).authenticated
            issuer.broken = True
            monkeypatch.setattr(key_sets_module, "FRESH_FOR", 0.0)
            assert (await provider.authenticate(issuer.token())).authenticated
            assert not (await provider.authenticate(old)).authenticated

        asyncio.run(run())

    def test_many_unknown_key_ids_ask_the_issuer_once(self, issuer: Issuer) -> None:
        provider = OIDCAuth(rules(issuer))

        async def run() -> None:
            tokens = [issuer.token(kid=f"unknown-{number}") for number in range(20)]
            await asyncio.gather(*(provider.authenticate(token) for token in tokens))

        asyncio.run(run())
        assert issuer.seen.count("/keys") == 1

    @pytest.mark.logs
    def test_an_issuer_that_was_never_there(self, issuer: Issuer) -> None:
        issuer.broken = True
        with pytest.raises(Transient):
            ask(OIDCAuth(rules(issuer)), issuer.token())

    @pytest.mark.logs
    def test_metadata_of_another_issuer(self, issuer: Issuer) -> None:
        issuer.says_issuer = "https://other.example"
        with pytest.raises(Transient):
            ask(OIDCAuth(rules(issuer)), issuer.token())

    @pytest.mark.parametrize(
        "url", ["http://issuer.example", "ftp://issuer.example", "issuer.example", "https://[::1"]
    )
    def test_s72_an_address_that_is_not_safe(self, url: str) -> None:
        with pytest.raises(AuthSettingError):
            OIDCAuth(Rules(url, ("keyfob",)))

    def test_several_issuers(self, issuer: Issuer) -> None:
        with Issuer() as other:
            both = MultiOIDCAuth([("one", OIDCAuth(rules(issuer))), ("two", OIDCAuth(rules(other)))])
            assert ask(both, issuer.token()).user_id == "one:alice"
            assert ask(both, other.token()).user_id == "two:alice"
            # One issuer's keys never serve another's tokens.
            assert not ask(both, issuer.token(iss=other.url)).authenticated
            assert not ask(both, "a.b.c").authenticated
            assert asyncio.run(both.validate_token(other.token()))

    def test_from_a_configuration(self, issuer: Issuer) -> None:
        entry = {
            "issuer": issuer.url,
            "audience": "keyfob",
            "tokens": "jwt",
            "user_claim": "repository",
            "required_claims": {"repository": "acme/*"},
            "subject_type": "service",
        }
        for provider, user in (
            (create_auth_provider("oidc", entry), "acme/app"),
            (create_auth_provider("multi-oidc", {"issuers": {"ci": entry}}), "ci:acme/app"),
        ):
            found = ask(provider, issuer.token(typ="JWT", repository="acme/app"))
            assert (found.user_id, found.subject_type, found.subject_id) == (user, "service", "alice")

    @pytest.mark.parametrize(
        "words",
        [
            {},
            {"issuer": "https://i.example"},
            {"issuer": "https://i.example", "audience": []},
            {"issuer": "https://i.example", "audience": "a", "tokens": "any"},
            {"issuer": "https://i.example", "audience": "a", "algorithms": ["none"]},
            {"issuer": "https://i.example", "audience": "a", "required_claims": {"x": 1}},
        ],
    )
    def test_wrong_settings(self, words: dict[str, Any]) -> None:
        with pytest.raises(AuthSettingError):
            create_auth_provider("oidc", words)
        with pytest.raises(AuthSettingError):
            create_auth_provider("multi-oidc", {"issuers": {"one": words}})


def _claims(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _unsigned(claims: dict[str, Any]) -> str:
    return f"{_part({'alg': 'none', 'typ': 'at+jwt'})}.{_part(claims)}."


def _signed_by_hmac(claims: dict[str, Any], secret: bytes, header: dict[str, Any] | None = None) -> str:
    body = f"{_part({'alg': 'HS256', **(header or {})})}.{_part(claims)}"
    signature = base64.urlsafe_b64encode(hmac.digest(secret, body.encode(), "sha256")).decode().rstrip("=")
    return f"{body}.{signature}"
