"""Which headers pass, in both directions (RFC 9110 §7.6.1). Pure."""

from __future__ import annotations

from collections.abc import Iterable

Pairs = Iterable[tuple[str, str]]

_HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
        "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
# The caller's own credentials, and what says where the request came from.
_CALLERS = frozenset(
    {
        "authorization", "cookie", "cookie2", "dpop", "forwarded", "host", "origin", "referer", "via",
        "x-api-key", "x-goog-api-key", "api-key", "x-real-ip", "content-length", "expect",
    }
)  # fmt: skip
_PROVIDERS = frozenset(
    {
        "set-cookie",
        "set-cookie2",
        "alt-svc",
        "strict-transport-security",
        "content-length",
        "www-authenticate",
    }
)


def to_provider(headers: Pairs, ours: Iterable[str]) -> list[tuple[str, str]]:
    """The caller's headers without credentials, connection headers, and those that we set (`ours`)."""
    pairs = list(headers)
    dropped = _HOP_BY_HOP | _CALLERS | _named(pairs) | {name.lower() for name in ours}
    return [
        (name, value)
        for name, value in pairs
        if name.lower() not in dropped and not name.lower().startswith(("x-forwarded-", "x-keyfob-", "sec-"))
    ]


def to_caller(headers: Pairs) -> list[tuple[str, str]]:
    """The provider's headers without those that are for a connection, or that a browser would keep."""
    pairs = list(headers)
    dropped = _HOP_BY_HOP | _PROVIDERS | _named(pairs)
    return [(name, value) for name, value in pairs if name.lower() not in dropped]


def _named(pairs: list[tuple[str, str]]) -> set[str]:
    """The headers that `Connection` names."""
    return {
        word.strip().lower()
        for name, value in pairs
        if name.lower() == "connection"
        for word in value.split(",")
    }
