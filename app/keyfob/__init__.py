"""Keyfob: connect online accounts once, and give every tool on the machine a fresh token.

    import keyfob
    keyfob.token("github")                       # a valid access token
    keyfob.accounts()                            # what is connected
    httpx.Client(auth=keyfob.Auth("github"))     # on each request, replaced once on a 401

Importing this costs nothing: no Qt, no httpx and no keyring until they are needed.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from keyfob.client.tokens import accounts, token
    from keyfob.core.errors import KeyfobError

__version__ = "0.1.0"
__all__ = ["Auth", "KeyfobError", "__version__", "accounts", "token"]


def __getattr__(name: str) -> "Any":  # noqa: ANN401 - `Auth` is made when it is asked for
    if name in ("token", "accounts"):
        from keyfob.client import tokens

        return getattr(tokens, name)
    if name == "Auth":
        from keyfob.client.auth import make_auth

        made = globals()["Auth"] = make_auth()
        return made
    if name == "KeyfobError":
        from keyfob.core.errors import KeyfobError

        return KeyfobError
    raise AttributeError(f"module 'keyfob' has no attribute {name!r}")
