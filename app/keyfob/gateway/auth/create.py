"""Makes a provider from a word and a configuration, as a server's settings have them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, assert_never, get_args

from keyfob.gateway.auth.result import AuthProvider, AuthSettingError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, sessionmaker

    from keyfob.gateway.auth.oidc import OIDCAuth

AuthType = Literal["api_key", "static", "database", "local", "oidc", "multi-oidc"]
AUTH_TYPES: Final[tuple[AuthType, ...]] = get_args(AuthType)
_ISSUER_FIELDS = {
    "issuer",
    "audience",
    "jwks_uri",
    "tokens",
    "user_claim",
    "tenant_claim",
    "admin_claim",
    "scopes_claim",
    "subject_type",
    "required_claims",
}


def create_auth_provider(
    auth_type: str | None,
    auth_config: dict[str, Any] | None = None,
    **kwargs: Any,  # noqa: ANN401  (settings of any type)
) -> AuthProvider | None:
    """The provider of this type; None for None, which means that nobody is asked who they are.

    Further arguments are added to the configuration: `api_key=`, `session_factory=` for `database` and
    `local`. Both open a database themselves if they are given `database_url`. Raises AuthSettingError, which
    is a ValueError, with the name of the setting.
    """
    if auth_type is None:
        return None
    kind = next((known for known in AUTH_TYPES if known == auth_type), None)
    if kind is None:
        raise AuthSettingError(f"Unknown auth_type {auth_type}. Use one of: {', '.join(AUTH_TYPES)}")
    words = {**(auth_config or {}), **kwargs}
    match kind:
        case "api_key":
            from keyfob.gateway.auth.one_key import OneKeyAuth

            _known(words, {"api_key"})
            return OneKeyAuth(_text(words, "api_key"))
        case "static":
            from keyfob.gateway.auth.static import StaticAuth

            _known(words, {"api_keys", "file"})
            file = words.get("file")
            return StaticAuth(words.get("api_keys"), file=Path(file) if file is not None else None)
        case "database":
            from keyfob.gateway.auth.database import DatabaseAPIKeyAuth

            _known(words, {"session_factory", "database_url"})
            return DatabaseAPIKeyAuth(_sessions(words), owned=_opened_here(words))
        case "local":
            return _local(words)
        case "oidc":
            return _issuer(words, "auth_config")
        case "multi-oidc":
            from keyfob.gateway.auth.oidc import MultiOIDCAuth

            _known(words, {"issuers"})
            issuers = words.get("issuers")
            if not isinstance(issuers, Mapping):
                raise AuthSettingError("issuers is not a mapping of names")
            return MultiOIDCAuth(
                (str(name), _issuer(entry, f"issuers, {name}")) for name, entry in issuers.items()
            )
        case _:
            assert_never(kind)


def _local(words: Mapping[str, Any]) -> AuthProvider:
    from keyfob.gateway.auth.local import LIFETIME, ListedUsers, LocalAuth, StoredUsers
    from keyfob.gateway.auth.uses import Uses

    _known(
        words, {"users", "session_factory", "database_url", "jwt_secret", "private_key", "lifetime_seconds"}
    )
    seconds = words.get("lifetime_seconds", LIFETIME.total_seconds())
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 60 <= seconds <= 86_400:
        raise AuthSettingError("lifetime_seconds is not between 60 and 86400")
    secrets = {name: words.get(name) for name in ("jwt_secret", "private_key")}
    lifetime = timedelta(seconds=seconds)
    if "users" in words:
        return LocalAuth(ListedUsers(words["users"]), lifetime=lifetime, **secrets)
    sessions = _sessions(words)
    if sessions is None:
        raise AuthSettingError("Local sign-in needs users, session_factory or database_url")
    return LocalAuth(
        StoredUsers(sessions), lifetime=lifetime, uses=Uses(sessions, owned=_opened_here(words)), **secrets
    )


def _sessions(words: Mapping[str, Any]) -> sessionmaker[Session] | None:
    if words.get("session_factory") is None and words.get("database_url"):
        from keyfob.gateway.auth.tables import open_database

        return open_database(_text(words, "database_url"))
    found: sessionmaker[Session] | None = words.get("session_factory")
    return found


def _opened_here(words: Mapping[str, Any]) -> bool:
    return words.get("session_factory") is None


def _issuer(words: object, where: str) -> OIDCAuth:
    from keyfob.gateway.auth.claim_rules import Rules
    from keyfob.gateway.auth.oidc import OIDCAuth

    if not isinstance(words, Mapping):
        raise AuthSettingError(f"{where}: expected a mapping with issuer and audience")
    _known(words, _ISSUER_FIELDS, where)
    audience, required = words.get("audience"), words.get("required_claims", {})
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or not all(isinstance(one, str) for one in audiences):
        raise AuthSettingError(f"{where}: audience is not a word or a list of words")
    if not isinstance(required, Mapping) or not all(isinstance(one, str) for one in required.values()):
        raise AuthSettingError(f"{where}: required_claims is not a mapping of claims to patterns")
    given = {
        field: _text(words, name, where)
        for field, name in {
            "kind": "tokens",
            "user": "user_claim",
            "tenant": "tenant_claim",
            "admin": "admin_claim",
            "scopes": "scopes_claim",
            "subject_type": "subject_type",
        }.items()
        if words.get(name) is not None
    }
    rules = Rules(_text(words, "issuer", where), tuple(audiences), required=dict(required), **given)  # type: ignore[arg-type]  # Rules checks the words
    return OIDCAuth(rules, jwks_uri=_text(words, "jwks_uri", where) if words.get("jwks_uri") else None)


def _text(words: Mapping[str, Any], name: str, where: str = "auth_config") -> str:
    value = words.get(name)
    if not isinstance(value, str) or not value:
        raise AuthSettingError(f"{where}: {name} is missing or is not text")
    return value


def _known(words: Mapping[str, Any], fields: set[str], where: str = "auth_config") -> None:
    unknown = sorted(str(name) for name in words if name not in fields)
    if unknown:
        raise AuthSettingError(f"{where}: unknown field {', '.join(unknown)}")
