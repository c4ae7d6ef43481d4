"""A provider's challenges (RFC 9110 §11.6.1) are answered here, and never by the caller. Pure.

The caller signs in to the gateway, not to the provider: a challenge that reached it would lead it into a
sign-in of its own. Its look for an authorization server (RFC 8414, RFC 9728) finds none for the same reason.
"""

from __future__ import annotations

import re
import shlex

from keyfob.core.text import plain
from keyfob.protocol.oauth.protected_resource import parameters_of

_DISCOVERY = re.compile(r"/\.well-known/(oauth-[a-z-]+|openid-configuration)(/|\Z)")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}")  # RFC 6749 §3.3
SCOPES_MOST = 20


def is_discovery(path: str) -> bool:
    """Whether a client that has no key looks here for an authorization server."""
    return _DISCOVERY.search(path) is not None


def lacking(account: str, status: int, challenge: str) -> str | None:
    """What to say if the provider wants a token that may do more (RFC 6750 §3.1 `insufficient_scope`), with
    the command that asks for it; None if the answer means something else.
    """
    if status not in (401, 403) or not challenge:
        return None
    found = parameters_of(challenge)
    if found.get("error") != "insufficient_scope":
        return None
    scopes = [each for each in found.get("scope", "").split() if _SCOPE.fullmatch(each)][:SCOPES_MOST]
    options = " ".join(f"--scope {shlex.quote(each)}" for each in scopes) or "--scope SCOPE"
    said = plain(found.get("error_description", ""), 200).rstrip(".")
    reason = f" It says: {said}." if said else ""
    return (
        f"{account} does not have the access that the provider wants for this.{reason} "
        f"To ask for it, run: keyfob reconnect {shlex.quote(account)} {options}"
    )
