"""Who may call a server: one key, keys from a file or a database, people with passwords, JWTs of issuers.

    from keyfob.gateway.auth import create_auth_provider

    provider = create_auth_provider("static", {"file": "keys.yaml"})
    caller = await provider.authenticate(token)
    if not caller.authenticated:
        ...  # answer 401

Every server can use it, with nothing else of Keyfob running. Databases and passwords need the extra
`keyfob[gateway]`.
"""

from keyfob.gateway.auth.create import create_auth_provider
from keyfob.gateway.auth.result import (
    REFUSAL,
    AuthProvider,
    AuthResult,
    AuthSettingError,
    TooManyAttemptsError,
)

__all__ = [
    "REFUSAL",
    "AuthProvider",
    "AuthResult",
    "AuthSettingError",
    "TooManyAttemptsError",
    "create_auth_provider",
]
