"""Where an account is, below the address of a gateway. Pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlsplit

from keyfob.core.errors import Usage
from keyfob.core.hosts import is_loopback

ADDRESS: Final = "http://127.0.0.1:2026"  # what `keyfob serve` listens at by default
TOOL_USER: Final = "keyfob"  # beside a key, for tools that send a username and a password
_SAFE = "!$&'()*+,;=:@"  # RFC 3986 §3.3: what a segment may have unescaped, besides unreserved characters


def own_address(port: int) -> str:
    """The address of this computer's own gateway."""
    return f"http://127.0.0.1:{port}"


def account_path(provider: str, label: str, host: str | None = None) -> str:
    """`/github/you`, or `/github@github.com/you` for another host than the API's."""
    at = f"@{host}" if host else ""
    return f"/{provider}{at}/{quote(label, safe=_SAFE)}"


def checked_address(text: str) -> str:
    """A gateway's address without a slash at its end. Raises Usage for one that a key must not be sent to."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
        parts = urlsplit("")
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    has_more = "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment
    if not host or not is_safe or has_more:
        raise Usage(f"This is not a gateway's address, such as {ADDRESS} or https://gateway.example.org")
    return f"{parts.scheme}://{parts.netloc.lower()}"
