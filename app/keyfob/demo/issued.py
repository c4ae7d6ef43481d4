"""What the authority has issued, with the methods that Authlib asks of codes and tokens."""

from __future__ import annotations

from dataclasses import dataclass

from keyfob.demo.clients import DemoClient
from keyfob.demo.store import Code, Family


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """An authorization code as Authlib reads it."""

    key: str
    code: Code

    @property
    def code_challenge(self) -> str:
        return self.code.code_challenge

    @property
    def code_challenge_method(self) -> str:
        return "S256"

    def get_redirect_uri(self) -> str:
        return self.code.redirect_uri

    def get_scope(self) -> str:
        return self.code.scope

    def get_nonce(self) -> str | None:
        return self.code.nonce

    def get_auth_time(self) -> int:
        return int(self.code.auth_time)

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A living refresh or access token as Authlib reads it."""

    family: Family
    expires_at: float | None
    now: float
    is_refresh: bool
    text: str

    def check_client(self, client: DemoClient) -> bool:
        return self.family.client_id == client.client_id

    def get_scope(self) -> str:
        return " ".join(self.family.scopes)

    def is_expired(self) -> bool:
        return self.expires_at is not None and self.now >= self.expires_at

    def is_revoked(self) -> bool:
        return self.family.ended is not None
