"""Keyfob: connect online accounts once, and give every tool on the machine a fresh token.

    import keyfob
    keyfob.token("github")                       # a valid access token
    keyfob.accounts()                            # what is connected
    httpx.Client(auth=keyfob.Auth("github"))     # on each request, replaced once on a 401

`RequestsAuth`, `AiohttpAuth` and `Httpx2Auth` do the same for other libraries. Errors are `KeyfobError`; its
subclasses say what to do with them.

Importing this costs nothing: no Qt, no httpx and no keyring until they are needed.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from keyfob.client.aiohttp_auth import AiohttpAuth
    from keyfob.client.httpx2_auth import Httpx2Auth
    from keyfob.client.httpx_auth import Auth
    from keyfob.client.requests_auth import RequestsAuth
    from keyfob.client.tokens import accounts, token
    from keyfob.core.errors import (
        Fault,
        KeychainError,
        KeyfobError,
        NotFound,
        PeerFault,
        SettingWrong,
        SignInEnded,
        SignInNeeded,
        Transient,
        Usage,
    )

__version__ = "0.1.0"
__all__ = [
    "AiohttpAuth",
    "Auth",
    "Fault",
    "Httpx2Auth",
    "KeychainError",
    "KeyfobError",
    "NotFound",
    "PeerFault",
    "RequestsAuth",
    "SettingWrong",
    "SignInEnded",
    "SignInNeeded",
    "Transient",
    "Usage",
    "__version__",
    "accounts",
    "token",
]

_MODULES = {
    "token": "client.tokens",
    "accounts": "client.tokens",
    "Auth": "client.httpx_auth",
    "Httpx2Auth": "client.httpx2_auth",
    "RequestsAuth": "client.requests_auth",
    "AiohttpAuth": "client.aiohttp_auth",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'keyfob' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"keyfob.{_MODULES.get(name, 'core.errors')}"), name)
    globals()[name] = value
    return value
