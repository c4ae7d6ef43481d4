"""Which account a request is for, read from its raw target. Pure.

`/{provider}/{label}/path?query` is for the account `provider/label`. `/{provider}@{host}/{label}/path` is
for another host that tools use this account's token at, such as github.com for git. The target is read as it
was sent, and what two programs could read in two ways is refused: an encoded slash or dot, a dot segment, two
slashes, a backslash. So what is compared with a grant is what the provider receives.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from keyfob.core.gateway_address import account_path

TARGET_MOST = 8000  # characters
# RFC 3986 §3.3 and §3.4: what a path and a query may contain.
_TARGET = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*(\?[A-Za-z0-9\-._~!$&'()*+,;=:@%/?\[\]{}|^`\"<>]*)?")
_AMBIGUOUS = re.compile(r"//|%2[fe]|%5c|%00|%25(2[fe]|5c)|(^|/)\.{1,2}(/|$)", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9.\-]+(:[0-9]{1,5})?")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Route(NamedTuple):
    """An account, and the path of its API, both as they were sent."""

    account: str  # provider/label
    path: str  # begins with a slash, or is empty: then it is the API's own address; without the query
    query: str  # without the question mark
    host: str | None = None  # in lower case, with its port; None for the account's API
    tenant: str | None = None  # whose account it is, as the grant says; None: the server's own

    @property
    def prefix(self) -> str:
        """What is before the path in an address of the gateway."""
        provider, _, label = self.account.partition("/")
        return account_path(provider, label, self.host)


class NotRoutableError(Exception):
    """The target is refused. The text says why, for the caller."""


def route_of(target: str) -> Route:
    """Raises NotRoutableError."""
    if len(target) > TARGET_MOST:
        raise NotRoutableError("The address is too long")
    if not _TARGET.fullmatch(target) or _ESCAPE.search(target):
        raise NotRoutableError("The address has characters that an address must not have")
    path, _, query = target.partition("?")
    if _AMBIGUOUS.search(path):
        raise NotRoutableError("The address can be read in two ways, so it is refused")
    parts = path.split("/", 3)
    if len(parts) < 3 or not parts[1] or not parts[2]:
        raise NotRoutableError("The address does not begin with /provider/label/")
    (provider, at, host), label = unquote(parts[1]).partition("@"), unquote(parts[2])
    host = host.lower()
    if "/" in provider or "/" in label or (at and not _HOST.fullmatch(host)):
        raise NotRoutableError("The address can be read in two ways, so it is refused")
    path = f"/{parts[3]}" if len(parts) == 4 else ""
    return Route(f"{provider}/{label}", path, query, host or None)
