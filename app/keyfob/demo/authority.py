"""The authorization server's rules, on Authlib: which codes, tokens and keys exist and when they end.

Each class implements what Authlib needs. Reuse detection (RFC 9700 §4.14.2) and the restriction to S256 (RFC
7636) are ours. Each request runs under the store's lock (see `web.py`), so it takes effect completely or not
at all.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.oauth2.rfc6749 import InvalidRequestError, grants
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant
from authlib.oidc.core import OpenIDToken
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask

from keyfob.demo.clients import KEYFOB, SCOPES, DemoClient
from keyfob.demo.issued import IssuedCode, IssuedToken
from keyfob.demo.settings import DemoSettings
from keyfob.demo.store import CODE_LIFETIME, DEVICE_LIFETIME, Code, DemoStore, Device, digest
from keyfob.demo.users import PEOPLE, Person

AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]
USER_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628 §6.1: no vowels, so no words

# Authlib logs the tokens that it issues at DEBUG; no level of the program around it may let them out.
logging.getLogger("authlib").setLevel(logging.WARNING)


class S256Only(CodeChallenge):  # type: ignore[misc]
    """PKCE for every client, by S256: a request without a challenge, or with `plain`, is refused."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]  # noqa: RUF012  (Authlib's own name)

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        """Refuse a request without PKCE, or with another method than S256 (RFC 7636)."""
        data = grant.request.payload.data
        if not data.get("code_challenge"):
            raise InvalidRequestError("PKCE is required: code_challenge is missing.")
        if data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE is required: code_challenge_method must be S256.")
        super().validate_code_challenge(grant, redirect_uri)


class Authority:
    """One demo provider's rules over its store. `server` and
    `protector` are Authlib's, bound to a Flask app.
    """

    def __init__(
        self, app: Flask, store: DemoStore, settings: DemoSettings, clients: tuple[DemoClient, ...]
    ) -> None:
        self.store = store
        self.settings = settings
        self.clients = {client.client_id: client for client in (KEYFOB, *clients)}
        self.server = AuthorizationServer(app, query_client=self.clients.get, save_token=self._keep)
        self.server.scopes_supported = list(SCOPES)
        self.server.register_token_generator("default", self._generate)
        openid = _open_id(self)
        openid_later = _open_id_later(self)
        self.server.register_grant(_code_grant(self), [S256Only(required=True), openid])
        self.server.register_grant(_refresh_grant(self), [openid_later])
        self.server.register_grant(_device_grant(self), [openid_later])
        self.server.register_endpoint(_revocation(self))
        self.server.register_endpoint(_device_authorization(self))
        self.protector = ResourceProtector()
        self.protector.register_token_validator(_bearer(self))

    # --- tokens ---------------------------------------------------------------------------------------------

    def _generate(
        self,
        grant_type: str,
        client: DemoClient,
        user: Person | None = None,
        scope: str | None = None,
        expires_in: int | None = None,
        include_refresh_token: bool = True,
    ) -> dict[str, Any]:
        token: dict[str, Any] = {
            "token_type": "Bearer",
            "access_token": secrets.token_urlsafe(32),
            "expires_in": self.settings.access_lifetime,
            "scope": client.get_allowed_scope(scope),
        }
        if include_refresh_token:
            token["refresh_token"] = secrets.token_urlsafe(32)
        return token

    def _keep(self, token: dict[str, Any], request: Any) -> None:
        """Authlib hands over each new token here, before the answer is made."""
        store = self.store
        if isinstance(request.refresh_token, IssuedToken):
            family = request.refresh_token.family
            family.renewed_at = store.now()
            family.renewals += 1
        else:
            method = "device" if request.credential is not None else "browser"
            family = store.new_family(
                request.user.id, request.client.client_id, token["scope"].split(), method
            )
            if isinstance(request.authorization_code, IssuedCode):
                code = request.authorization_code.code
                family.nonce, family.auth_time = code.nonce, code.auth_time
                code.family = family.id
        expires_at = store.now() + self.settings.access_lifetime
        store.issue(family, token["access_token"], expires_at, token.get("refresh_token"))
        store.save()
        self.settings.count("tokens")

    def token_of(self, text: str, hint: str | None = None) -> IssuedToken | None:
        """The living token with this text; either kind, whatever the hint says (RFC 7009 §2.1)."""
        now = self.store.now()
        if found := self.store.family_of_refresh(text):
            return IssuedToken(found[0], None, now, True, text)
        if held := self.store.family_of_access(text):
            return IssuedToken(held[0], held[1], now, False, text)
        return None

    def id_claims(self, client: DemoClient) -> dict[str, Any]:
        """The claims that every ID token of this client has (OpenID Connect Core §2)."""
        now = int(self.store.now())
        return {
            "iss": self.settings.issuer,
            "aud": [client.client_id],
            "iat": now,
            "exp": now + max(self.settings.access_lifetime, 60),
            "auth_time": now,
        }

    def key_for(self, client: DemoClient) -> Any:
        """The key that signs this client's ID tokens."""
        alg = client.id_token_signed_response_alg
        return next(key for key in self.store.keys if key.get("alg") == alg)


def _code_grant(authority: Authority) -> type:
    store = authority.store

    class CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

        def save_authorization_code(self, code: str, request: Any) -> None:
            now = store.now()
            store.codes[digest(code)] = Code(
                client_id=request.client.client_id,
                redirect_uri=request.payload.redirect_uri,
                scope=request.scope,
                person=request.user.id,
                nonce=request.payload.data.get("nonce"),
                code_challenge=request.payload.data["code_challenge"],
                auth_time=now,
                expires_at=now + CODE_LIFETIME,
            )
            store.save()

        def query_authorization_code(self, code: str, client: DemoClient) -> IssuedCode | None:
            key = digest(code)
            found = store.codes.get(key)
            if found is None or found.client_id != client.client_id:
                return None
            if found.family is not None:
                family = store.families.get(found.family)
                if family is not None:
                    store.end(family, "code_reuse")
                    store.save()
                return None
            return IssuedCode(key, found) if store.now() < found.expires_at else None

        def delete_authorization_code(self, authorization_code: IssuedCode) -> None:
            """A used code stays for a while, so that a second use is noticed; saving a token marked it."""

        def authenticate_user(self, authorization_code: IssuedCode) -> Person | None:
            return PEOPLE.get(authorization_code.code.person)

    return CodeGrant


def _refresh_grant(authority: Authority) -> type:
    store = authority.store

    class RefreshGrant(grants.RefreshTokenGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS
        INCLUDE_NEW_REFRESH_TOKEN = authority.settings.rotate

        def authenticate_refresh_token(self, refresh_token: str) -> IssuedToken | None:
            found = store.family_of_refresh(refresh_token)
            if found is None:
                return None
            family, spent = found
            if spent:  # somebody has a copy: no one keeps the grant
                store.end(family, "reuse")
                store.save()
                return None
            return IssuedToken(family, None, store.now(), True, refresh_token)

        def authenticate_user(self, refresh_token: IssuedToken) -> Person | None:
            return PEOPLE.get(refresh_token.family.person)

        def revoke_old_credential(self, refresh_token: IssuedToken) -> None:
            """The new token took its place when it was kept."""

        def create_token_response(self) -> Any:
            answer = super().create_token_response()
            authority.settings.count("renewals")
            return answer

    return RefreshGrant


def _device_grant(authority: Authority) -> type:
    store = authority.store

    @dataclass(frozen=True, slots=True)
    class Credential:
        device: Device

        def get_client_id(self) -> str:
            return self.device.client_id

        def get_scope(self) -> str:
            return self.device.scope

        def get_user_code(self) -> str:
            return self.device.user_code

        def is_expired(self) -> bool:
            return store.now() >= self.device.expires_at

    class DeviceGrant(DeviceCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

        def query_device_credential(self, device_code: str) -> Credential | None:
            device = store.devices.get(digest(device_code))
            return Credential(device) if device else None

        def query_user_grant(self, user_code: str) -> tuple[Person, bool] | None:
            device = self._device(user_code)
            if device is None or device.person is None or device.allowed is None:
                return None
            return PEOPLE[device.person], device.allowed

        def should_slow_down(self, credential: Credential) -> bool:
            device, now = credential.device, store.now()
            early = device.polled_at is not None and now - device.polled_at < device.interval - 0.5
            device.polled_at = now
            if early:
                device.interval += 5
            return early

        def create_token_response(self) -> Any:
            # Single use: the code is forgotten before the tokens are saved, in the same write.
            code = digest(self.request.payload.data["device_code"])
            del store.devices[code]
            return super().create_token_response()

        @staticmethod
        def _device(user_code: str) -> Device | None:
            return next((item for item in store.devices.values() if item.user_code == user_code), None)

    return DeviceGrant


def _device_authorization(authority: Authority) -> type:
    store, settings = authority.store, authority.settings

    class DeviceAuthorization(DeviceAuthorizationEndpoint):  # type: ignore[misc]
        CLIENT_AUTH_METHODS = AUTH_METHODS
        EXPIRES_IN = DEVICE_LIFETIME
        INTERVAL = settings.device_interval

        def generate_user_code(self) -> str:
            letters = [secrets.choice(USER_CODE_LETTERS) for _ in range(8)]
            return f"{''.join(letters[:4])}-{''.join(letters[4:])}"

        def get_verification_uri(self) -> str:
            return f"{settings.issuer}/device"

        def save_device_credential(self, client_id: str, scope: str | None, data: dict[str, Any]) -> None:
            store.devices[digest(data["device_code"])] = Device(
                client_id, scope or "openid", data["user_code"], store.now() + DEVICE_LIFETIME, self.INTERVAL
            )
            store.save()

    return DeviceAuthorization


def _revocation(authority: Authority) -> type:
    store = authority.store

    class Revocation(RevocationEndpoint):  # type: ignore[misc]
        CLIENT_AUTH_METHODS = AUTH_METHODS

        def query_token(self, token_string: str, token_type_hint: str | None) -> IssuedToken | None:
            return authority.token_of(token_string, token_type_hint)

        def revoke_token(self, token: IssuedToken, request: Any) -> None:
            if token.is_refresh:
                store.end(token.family, "revoked")
            else:
                token.family.access.pop(digest(token.text), None)
            store.save()
            authority.settings.count("revocations")

    return Revocation


def _bearer(authority: Authority) -> Any:
    class Bearer(BearerTokenValidator):  # type: ignore[misc]
        def authenticate_token(self, token_string: str) -> IssuedToken | None:
            token = authority.token_of(token_string)
            return token if token is not None and not token.is_refresh else None

    return Bearer()


def _sign(authority: Authority, base: type) -> Any:
    class Claims(base):  # type: ignore[misc]
        def resolve_client_private_key(self, client: DemoClient) -> Any:
            return authority.key_for(client)

        def get_client_claims(self, client: DemoClient) -> dict[str, Any]:
            return authority.id_claims(client)

        def get_client_algorithm(self, client: DemoClient) -> str:
            return client.id_token_signed_response_alg

        def get_encode_header(self, client: DemoClient) -> dict[str, Any]:
            return {"alg": client.id_token_signed_response_alg, "kid": authority.key_for(client).kid}

        def generate_user_info(self, user: Person, scope: str) -> dict[str, object]:
            return user.claims(authority.settings.issuer, tuple(scope.split()))

        def exists_nonce(self, nonce: str, request: Any) -> bool:
            return any(code.nonce == nonce for code in authority.store.codes.values())

    return Claims


def _open_id(authority: Authority) -> Any:
    return _sign(authority, OpenIDCode)()


def _open_id_later(authority: Authority) -> Any:
    """ID tokens of renewals and device sign-ins; a renewal's has the sign-in's `auth_time` (Core 12.2)."""
    base = _sign(authority, OpenIDToken)

    class Later(base):  # type: ignore[misc,valid-type]
        def get_compatible_claims(self, request: Any) -> dict[str, Any]:
            claims: dict[str, Any] = super().get_compatible_claims(request)
            if isinstance(request.refresh_token, IssuedToken) and request.refresh_token.family.auth_time:
                claims["auth_time"] = int(request.refresh_token.family.auth_time)
            return claims

    return Later()
