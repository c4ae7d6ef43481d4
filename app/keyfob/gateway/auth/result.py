"""What a provider of authentication answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from keyfob.core.errors import SettingWrong, Transient

SubjectType = Literal["user", "agent", "service", "session"]
SUBJECT_TYPES: Final[tuple[SubjectType, ...]] = get_args(SubjectType)

# The one sentence for every refused caller. The reason stands in the log alone.
REFUSAL: Final = "Authentication failed: invalid or expired token"


@dataclass(frozen=True)
class AuthResult:
    """Who a caller is, and what they may do. `expires_at` is in UTC."""

    authenticated: bool
    user_id: str | None = None
    tenant_id: str | None = None
    is_admin: bool = False  # of their tenant; without a tenant, of the server
    metadata: dict[str, Any] | None = None
    subject_type: str = "user"  # user, agent, service, session
    subject_id: str | None = None
    scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None  # of the key or token
    key_id: str | None = None  # the public part of the key, or the JWT's id


REFUSED: Final = AuthResult(authenticated=False)


class AuthProvider(ABC):
    """Checks the token that a caller sends.

    The methods may be called from many tasks of one event loop at a time. No method raises because a token is
    wrong, and none logs a token.
    """

    @abstractmethod
    async def authenticate(self, token: str) -> AuthResult:
        """Who the caller is. `authenticated` is False for every token that is not right, whatever the reason.

        Raises Transient if nobody can say now: the database or the issuer cannot be reached.
        """

    @abstractmethod
    async def validate_token(self, token: str) -> bool:
        """Whether `authenticate` would let the caller in. Looks up no identity. Raises as `authenticate`."""

    def close(self) -> None:
        """Writes what is still in memory. Blocks. May be called more than once."""
        return


class AuthSettingError(SettingWrong, ValueError):
    """A setting of a provider is wrong; the message names it."""


class TooManyAttemptsError(Transient):
    """Too many wrong passwords. `retry_after` says how long to wait."""
