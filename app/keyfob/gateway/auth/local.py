"""People with a password. A sign-in gives a JWT, which they then send.

Users come from the table `gateway_users`, or from a file or dict:

    users:
      alice:
        password_hash: $argon2id$v=19$…     # or a bcrypt hash
        tenant_id: acme
        is_admin: true
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol, assert_never

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from keyfob.core.errors import Transient
from keyfob.gateway.auth.attempts import FREE, Attempts
from keyfob.gateway.auth.passwords import NOBODY, is_hash, matches
from keyfob.gateway.auth.result import REFUSED, AuthProvider, AuthResult, AuthSettingError
from keyfob.gateway.auth.tables import User
from keyfob.gateway.auth.uses import Uses

_log = logging.getLogger("keyfob.gateway.auth")
LIFETIME = timedelta(hours=1)
SECRET_LEAST = 32  # bytes: RFC 7518 §3.2 wants a key as long as the hash
ISSUER = "keyfob"
TOKEN_MOST = 8192  # characters
KNOWN_FOR = 0.8  # seconds that a user's state is taken from memory
CHECKS_AT_ONCE = 2  # each takes 64 MB and a core for a moment
_CLAIMS = ("exp", "iat", "sub", "jti", "iss")
Algorithm = Literal["HS256", "EdDSA"]


@dataclass(frozen=True)
class LocalUser:
    """A user as a check needs them."""

    user_id: str
    password_hash: str
    tenant_id: str | None = None
    is_admin: bool = False
    metadata: dict[str, Any] | None = None
    password_changed_at: datetime | None = None


class Users(Protocol):
    """Where users are."""

    def find(self, user_id: str) -> LocalUser | None:
        """The user, None if there is no such user or they are disabled. May block. Raises Transient."""


class ListedUsers:
    """Users from a dict. Raises AuthSettingError for a wrong entry."""

    def __init__(self, users: object) -> None:
        if not isinstance(users, Mapping):
            raise AuthSettingError("users is not a mapping of names")
        self._users = {str(name): _listed(str(name), words) for name, words in users.items()}

    def find(self, user_id: str) -> LocalUser | None:
        """As `Users` says."""
        return self._users.get(user_id)


class StoredUsers:
    """Users from the table."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def find(self, user_id: str) -> LocalUser | None:
        """As `Users` says."""
        try:
            with self._sessions() as session:
                row = session.get(User, user_id)
        except SQLAlchemyError as error:
            raise Transient("The users' database cannot be reached", detail=type(error).__name__) from None
        if row is None or row.disabled_at is not None:
            return None
        return LocalUser(
            row.user_id, row.password_hash, row.tenant_id, row.is_admin, row.details, row.password_changed_at
        )


class LocalAuth(AuthProvider):
    """Signs people in, and lets in whoever sends a token that it gave."""

    def __init__(
        self,
        users: Users,
        jwt_secret: str | None = None,
        *,
        private_key: str | None = None,
        lifetime: timedelta = LIFETIME,
        uses: Uses | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """Tokens are signed under `jwt_secret` (HS256, at least 32 bytes) or `private_key` (an Ed25519 key as
        PEM, EdDSA). Raises AuthSettingError.
        """
        if (jwt_secret is None) == (private_key is None):
            raise AuthSettingError("Local sign-in needs either jwt_secret or private_key")
        self._algorithm: Algorithm = "HS256" if jwt_secret is not None else "EdDSA"
        self._signing, self._checking = _keys(self._algorithm, jwt_secret or private_key or "")
        self._users, self._lifetime, self._uses = users, lifetime, uses
        self._clock = clock or (lambda: datetime.now(UTC))
        self._by_user, self._by_address = Attempts(), Attempts(free=4 * FREE)
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)
        self._known: dict[str, tuple[float, LocalUser | None]] = {}

    @property
    def lifetime_seconds(self) -> int:
        """How long a token lives."""
        return int(self._lifetime.total_seconds())

    async def login(self, user_id: str, password: str, *, address: str = "") -> str | None:
        """A token for this user, None if name or password is wrong: which of them, nobody is shown.

        `address` is the caller's. Raises TooManyAttemptsError after several wrong passwords for the user or
        from the address, and Transient if the users cannot be read.
        """
        self._by_user.check(user_id)
        self._by_address.check(address)
        async with self._checks:
            user = await asyncio.to_thread(self._users.find, user_id)
            right = await asyncio.to_thread(matches, password, user.password_hash if user else NOBODY)
        if user is None or not right:
            self._by_user.failed(user_id)
            self._by_address.failed(address)
            self._refuse("wrong_password" if user else "unknown_user", user.user_id if user else None)
            return None
        self._by_user.succeeded(user_id)
        return self._token(user)

    def _token(self, user: LocalUser) -> str:
        import jwt

        now = self._clock()
        claims = {
            "iss": ISSUER,
            "sub": user.user_id,
            "tenant_id": user.tenant_id,
            "is_admin": user.is_admin,
            "subject_type": "user",
            "subject_id": user.user_id,
            "iat": now.timestamp(),
            "exp": now + self._lifetime,
            "jti": str(uuid.uuid4()),
        }
        return jwt.encode(claims, self._signing, algorithm=self._algorithm)

    async def authenticate(self, token: str) -> AuthResult:
        """As `AuthProvider` says."""
        claims = self._claims(token)
        if claims is None:
            self._refuse("invalid_token", None)
            return REFUSED
        user = await self._user(claims["sub"])
        changed = user.password_changed_at if user else None
        if user is None or (changed is not None and claims["iat"] < changed.timestamp()):
            self._refuse("disabled_user" if user is None else "older_password", claims["sub"])
            return REFUSED
        return AuthResult(
            authenticated=True,
            user_id=user.user_id,
            tenant_id=user.tenant_id,
            is_admin=user.is_admin,
            metadata=user.metadata,
            subject_type="user",
            subject_id=user.user_id,
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
            key_id=claims["jti"],
        )

    async def validate_token(self, token: str) -> bool:
        """As `AuthProvider` says."""
        return self._claims(token) is not None

    def close(self) -> None:
        """As `AuthProvider` says."""
        if self._uses is not None:
            self._uses.close()

    def _claims(self, token: str) -> dict[str, Any] | None:
        import jwt

        if len(token) > TOKEN_MOST:
            return None
        # The time is this clock's, so that a test can move it; PyJWT checks that the claims are numbers.
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._checking,
                algorithms=[self._algorithm],
                issuer=ISSUER,
                options={"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            return None
        numbers = all(isinstance(claims[name], (int, float)) for name in ("exp", "iat"))
        return claims if numbers and claims["exp"] > self._clock().timestamp() else None

    async def _user(self, user_id: str) -> LocalUser | None:
        kept = self._known.get(user_id)
        if kept is not None and time.monotonic() < kept[0]:
            return kept[1]
        started = time.monotonic()
        found = await asyncio.to_thread(self._users.find, user_id)
        self._known[user_id] = started + KNOWN_FOR, found
        return found

    def _refuse(self, reason: str, user_id: str | None) -> None:
        _log.info("Refused %s: %s", user_id or "a caller", reason)
        if self._uses is not None:
            self._uses.refused(reason, user_id=user_id)


def _keys(algorithm: Algorithm, given: str) -> tuple[Any, Any]:
    match algorithm:
        case "HS256":
            if len(given.encode()) < SECRET_LEAST:
                raise AuthSettingError(f"jwt_secret is too short: it needs at least {SECRET_LEAST} bytes")
            return given, given
        case "EdDSA":
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
            from cryptography.hazmat.primitives.serialization import load_pem_private_key

            try:
                key = load_pem_private_key(given.encode(), None)
            except (ValueError, TypeError):
                raise AuthSettingError("private_key is not an unencrypted key as PEM") from None
            if not isinstance(key, Ed25519PrivateKey):
                raise AuthSettingError("private_key is not an Ed25519 key")
            return key, key.public_key()
        case _:
            assert_never(algorithm)


def _listed(name: str, words: object) -> LocalUser:
    if not isinstance(words, Mapping):
        raise AuthSettingError(f"users, {name}: expected a mapping with password_hash")
    stored = words.get("password_hash")
    if not isinstance(stored, str) or not is_hash(stored):
        raise AuthSettingError(f"users, {name}: password_hash is not an argon2 or bcrypt hash")
    tenant, is_admin, metadata = words.get("tenant_id"), words.get("is_admin", False), words.get("metadata")
    if tenant is not None and not isinstance(tenant, str):
        raise AuthSettingError(f"users, {name}: tenant_id is not text. Put it in quotation marks")
    if not isinstance(is_admin, bool) or not (metadata is None or isinstance(metadata, dict)):
        raise AuthSettingError(f"users, {name}: is_admin needs true or false, and metadata a mapping")
    return LocalUser(name, stored, tenant, is_admin, metadata)
