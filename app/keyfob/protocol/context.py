"""What every flow of one sign-in or renewal needs to know, and what a sign-in returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from keyfob.core.grant import Grant, SigningKey
from keyfob.core.provider import EMPTY, Provider, Server
from keyfob.core.secret import Secret
from keyfob.core.words import ClientAuth
from keyfob.protocol.env import FlowEnv
from keyfob.protocol.http.urls import safe


@dataclass(frozen=True, slots=True)
class Client:
    """A client's credentials. `auth` as in `ClientProfile.auth`. The
    secret is the vault's; never stored elsewhere.
    """

    client_id: str | None
    auth: ClientAuth = "none"
    secret: Secret | None = None
    key: SigningKey | None = None  # private_key_jwt


@dataclass(frozen=True, slots=True)
class FlowContext:
    """What every flow takes first: whom it talks to, as which client, and what it needs from outside.

    Immutable and thread-safe. Holds the client's secret; never logged.
    """

    provider: Provider  # with the user's inputs filled in: no `{instance}` left
    server: Server  # discovered or pinned
    client: Client
    env: FlowEnv
    redirect_uri: str | None = None
    scopes: tuple[str, ...] = ()
    resource: str | None = None
    dpop_key: SigningKey | None = None  # None: Bearer tokens
    inputs: Mapping[str, str] = field(default_factory=lambda: EMPTY)

    def safe(self, url: str | None, what: str) -> str:
        """As `urls.safe`, with the host that the user allowed without TLS."""
        return safe(url, what, self.provider.plain_host)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed in. Everything but `subject` is for display and has been made plain."""

    subject: str
    name: str | None = None
    username: str | None = None  # what the label is made of: preferred_username, handle, e-mail
    email: str | None = None
    avatar_url: str | None = None
    plan: str | None = None


@dataclass(frozen=True, slots=True)
class SignInResult:
    """A finished sign-in: nothing in it has been stored yet."""

    grant: Grant
    identity: Identity
    issued_client_id: str | None = None  # OpenAI's dynamic client: comes back in the callback
    extra: Mapping[str, str] = field(default_factory=lambda: EMPTY)
