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
        """The PKCE challenge that the code was asked for with (RFC 7636 §4.2)."""
        return self.code.code_challenge

    @property
    def code_challenge_method(self) -> str:
        """S256: the only method that this provider takes."""
        return "S256"

    def get_redirect_uri(self) -> str:
        """The redirect URI of the authorization request, which the token request must repeat."""
        return self.code.redirect_uri

    def get_scope(self) -> str:
        """The scopes that the user allowed, separated by spaces."""
        return self.code.scope

    def get_nonce(self) -> str | None:
        """The nonce for the ID token, None if the app sent none."""
        return self.code.nonce

    def get_auth_time(self) -> int:
        """When the user signed in, in seconds since the epoch."""
        return int(self.code.auth_time)

    def get_acr(self) -> None:
        """None: the demo makes no claim about how the user signed in."""

    def get_amr(self) -> None:
        """None, as `get_acr`."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A living refresh or access token as Authlib reads it."""

    family: Family
    expires_at: float | None
    now: float
    is_refresh: bool
    text: str

    def check_client(self, client: DemoClient) -> bool:
        """Whether the token was issued to this client."""
        return self.family.client_id == client.client_id

    def get_scope(self) -> str:
        """The token's scopes, separated by spaces."""
        return " ".join(self.family.scopes)

    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.now >= self.expires_at

    def is_revoked(self) -> bool:
        """Whether its family has ended: revoked, replayed or signed out."""
        return self.family.ended is not None
