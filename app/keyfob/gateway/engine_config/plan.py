"""What a configuration is made of. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from keyfob.core.hosts import is_loopback

SYSTEM_CA: Final = "/etc/ssl/certs/ca-certificates.crt"
# What a decision is made of, apart from the method and the address.
ASKED_WITH: Final = ("Authorization", "X-Api-Key", "Api-Key", "Origin", "Sec-Fetch-Site")
# `proxy.headers` removes these too. An engine that knows no wildcards needs their names.
NEVER_PASSED: Final = (
    "Authorization", "Cookie", "Cookie2", "DPoP", "Forwarded", "Origin", "Referer", "Via", "X-Api-Key",
    "X-Goog-Api-Key", "Api-Key", "X-Real-IP", "TE", "Trailer", "Keep-Alive", "Proxy-Authorization",
    "Proxy-Connection", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port",
    "X-Forwarded-Server", "X-Forwarded-Prefix", "X-Forwarded-Method", "X-Forwarded-Uri", "X-Original-Method",
    "X-Original-URI", "X-Keyfob-Engine", "X-Keyfob-Account", "X-Keyfob-Upstream", "X-Keyfob-Client",
    "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-User", "Sec-CH-UA",
    "Sec-CH-UA-Mobile", "Sec-CH-UA-Platform",
)  # fmt: skip
NEVER_BACK: Final = ("Set-Cookie", "Set-Cookie2", "Alt-Svc", "Strict-Transport-Security")


@dataclass(frozen=True)
class Route:
    """An account, and where its API is."""

    account: str  # provider/label
    base: str  # of the API, without a slash at its end
    secret: tuple[str, ...] = ("Authorization",)  # headers that hold the token or key
    plain: tuple[str, ...] = ()  # headers that are the same for everybody
    optional: tuple[str, ...] = ()  # headers that a decision may leave empty

    @property
    def headers(self) -> tuple[str, ...]:
        """All that a decision sets."""
        ours = {name.lower() for name in (*self.secret, *self.optional)}
        return (
            *self.secret,
            *(name for name in self.plain if name.lower() not in ours),
            *(name for name in self.optional if name not in self.secret),
        )

    @property
    def tls(self) -> bool:
        """Whether the API has TLS."""
        return self.base.startswith("https://")

    @property
    def host(self) -> str:
        """As `Host` and as the name in the certificate: without the port unless it is unusual."""
        return urlsplit(self.base).netloc

    @property
    def name(self) -> str:
        """The host's name alone."""
        return urlsplit(self.base).hostname or ""

    @property
    def port(self) -> int:
        """The API's, also if the address does not name it."""
        return urlsplit(self.base).port or (443 if self.tls else 80)

    @property
    def address(self) -> str:
        """Name and port."""
        return f"{f'[{self.name}]' if ':' in self.name else self.name}:{self.port}"

    @property
    def path(self) -> str:
        """Of the base: empty, or with a slash at its beginning."""
        return urlsplit(self.base).path

    @property
    def dropped(self) -> tuple[str, ...]:
        """Headers of a caller that are removed: all of `NEVER_PASSED` that the decision does not set."""
        ours = {name.lower() for name in self.headers}
        return tuple(name for name in NEVER_PASSED if name.lower() not in ours)


@dataclass(frozen=True)
class Plan:
    """All that the three configurations say. Paths are absolute."""

    routes: tuple[Route, ...]
    gateway: str  # host:port of keyfob serve, on this computer
    listen: str  # host:port
    secret_file: str  # with nginx's line for the secret
    public_name: str | None = None
    certificate: str | None = None
    certificate_key: str | None = None
    upstream_ca: str = SYSTEM_CA
    cache: float = 0.0  # seconds; nginx alone

    @property
    def names(self) -> tuple[str, ...]:
        """What callers may name the server. Other names get nothing."""
        if self.public_name is not None:
            return (self.public_name,)
        host = self.listen_host
        return ("127.0.0.1", "localhost", "[::1]") if is_loopback(host) else (host,)

    @property
    def listen_host(self) -> str:
        """The address alone."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def listen_port(self) -> int:
        """The port alone."""
        return int(self.listen.rpartition(":")[2])

    @property
    def made_by(self) -> str:
        """For the first line."""
        return f"keyfob gateway config, for {', '.join(route.account for route in self.routes)}"
