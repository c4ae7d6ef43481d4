"""What an application says about itself: its address, its keys, and with whom people may sign in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from keyfob.core.errors import SettingWrong
from keyfob.core.hosts import is_loopback
from keyfob.core.provider import EMPTY
from keyfob.core.secret import Secret
from keyfob.core.words import ClientAuth
from keyfob.gateway.web.targets import is_own_path
from keyfob.protocol.http.urls import fault_of, origin_of

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")


@dataclass(frozen=True)
class AppRegistration:
    """One "Sign in with …".

    `provider` is a preset's id. atproto presets need nothing else: the client is this server's metadata
    document. Others need the client id of your app registration; its redirect URI is the server's
    `callback_url`. `inputs` fills in what the preset asks for (an issuer, an instance), and `ask` names those
    that the person enters. `name` is the part of the address, by default the provider's id.
    """

    provider: str
    client_id: str | None = None
    client_secret: Secret | str | None = field(default=None, repr=False)
    client_auth: ClientAuth | None = None  # None: as the preset says for a client with or without a secret
    scopes: Sequence[str] | None = None  # None: the preset's
    inputs: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    ask: Sequence[str] = ("handle",)
    name: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.id):
            raise SettingWrong(f"{self.id!r} cannot be the name of an app registration")

    @property
    def id(self) -> str:
        """What the addresses and sessions call it."""
        return self.name or self.provider

    @property
    def secret(self) -> Secret | None:
        """The client secret, if there is one."""
        return Secret(self.client_secret) if isinstance(self.client_secret, str) else self.client_secret


@dataclass(frozen=True)
class WebSettings:
    """`public_url` is the https address that browsers and providers use, without a path. `secret_keys` seal
    cookies and the database: the first one seals, older ones still open; each is at least 32 random
    characters.
    """

    public_url: str
    apps: Sequence[AppRegistration]
    secret_keys: Sequence[Secret | str] = field(repr=False)
    prefix: str = "/sign-in"
    home: str = "/"  # where a browser goes after it signs out, or signs in without saying where to
    client_name: str = "Keyfob"
    client_uri: str | None = None
    unused_for: timedelta = timedelta(days=90)  # after which a session is ended and revoked
    active_for: timedelta = timedelta(hours=1)  # since its last use: so long a session is renewed ahead
    keep_alive: timedelta = timedelta(days=1)  # how often a session that is not used is renewed

    def __post_init__(self) -> None:
        fault = fault_of(self.public_url)
        parts = urlsplit(self.public_url)
        if fault is not None or parts.scheme != "https" or is_loopback(parts.hostname):
            raise SettingWrong("The public URL must be the https address that browsers use")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise SettingWrong("The public URL must have no path")
        if not _PREFIX.fullmatch(self.prefix) or len(self.prefix) > 100:
            raise SettingWrong("The prefix must be a path such as /sign-in")
        if not is_own_path(self.home, self.origin):
            raise SettingWrong("The home must be a path of the public URL")
        names = [app.id for app in self.apps]
        if len(set(names)) != len(names):
            raise SettingWrong(
                "Two app registrations have the same name", remedy="Set the name of one of them."
            )

    @property
    def keys(self) -> list[Secret]:
        """The secret keys, newest first."""
        return [Secret(key) if isinstance(key, str) else key for key in self.secret_keys]

    @property
    def origin(self) -> str:
        """The public URL as an origin."""
        return origin_of(self.public_url).removesuffix(":443")

    @property
    def callback_url(self) -> str:
        """The redirect URI of every app registration."""
        return f"{self.origin}{self.prefix}/callback"

    @property
    def client_id(self) -> str:
        """The address of the client metadata document, which is the client id at atproto servers."""
        return f"{self.origin}{self.prefix}/client-metadata.json"

    @property
    def jwks_uri(self) -> str:
        """The address of the public keys."""
        return f"{self.origin}{self.prefix}/jwks.json"

    def app(self, name: str) -> AppRegistration | None:
        """The app registration of this name."""
        return next((app for app in self.apps if app.id == name), None)
