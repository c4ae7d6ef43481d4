"""The apps that the demo provider knows. They are listed here; the demo registers no others."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

SCOPES = ("openid", "profile", "email", "offline_access")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True, slots=True)
class DemoClient:
    """With `secret` None a public client. `redirect_uris` empty: any loopback port, path /callback (RFC 8252
    §7.3). The methods are what Authlib asks of a client.
    """

    client_id: str
    title: str
    secret: str | None = None
    redirect_uris: tuple[str, ...] = ()
    id_token_signed_response_alg: str = "RS256"  # noqa: S105  (an algorithm)
    trusted_scopes: tuple[str, ...] = SCOPES

    def get_client_id(self) -> str:
        """The client id."""
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:
        """The registered redirect URI, if there is exactly one."""
        return self.redirect_uris[0] if len(self.redirect_uris) == 1 else None

    def get_allowed_scope(self, scope: str | None) -> str:
        """Of the scopes that were asked for, those that the client may have."""
        asked = (scope or "openid").split()
        return " ".join(word for word in asked if word in self.trusted_scopes)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether it is registered; without any, each loopback address
        with any port will do (RFC 8252 §7.3).
        """
        if self.redirect_uris:
            return redirect_uri in self.redirect_uris
        try:
            parts = urlsplit(redirect_uri)
            port = parts.port
        except ValueError:
            return False
        return (
            parts.scheme == "http"
            and parts.hostname in LOOPBACK
            and port is not None
            and parts.username is None
            and parts.path == "/callback"
            and not parts.query
            and not parts.fragment
        )

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether it is the client's secret, compared in constant time."""
        return self.secret is not None and hmac.compare_digest(self.secret, client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Whether the client authenticates as it must: a public one not at all."""
        if self.secret is None:
            return method == "none"
        return method in ("client_secret_basic", "client_secret_post")

    def check_response_type(self, response_type: str) -> bool:
        """The code flow alone."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Codes, refresh tokens and the device flow (RFC 8628)."""
        return grant_type in ("authorization_code", "refresh_token", DEVICE_GRANT)


KEYFOB = DemoClient("keyfob-demo", "Keyfob")
