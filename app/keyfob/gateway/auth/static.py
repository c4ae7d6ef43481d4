"""Keys from a YAML file or a dict, for a small team.

    api_keys:
      sk-alice-2b1f…:            # the key itself, or `sha256:` and the digest that `hashed` prints
        user_id: alice
        tenant_id: acme          # optional, as are the next
        is_admin: false
        subject_type: user
        scopes: [read]
        expires_at: 2027-01-31T00:00:00Z
        metadata: {team: tools}

The file must not be readable by others. It is read again when it changes. If the changed file is wrong, the
earlier keys stay in force and the log says why.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from keyfob.gateway.auth.result import (
    REFUSED,
    SUBJECT_TYPES,
    AuthProvider,
    AuthResult,
    AuthSettingError,
)

_log = logging.getLogger("keyfob.gateway.auth")
LOOK_AGAIN = 0.5  # seconds between two looks at the file
FILE_MOST = 4 << 20  # bytes
_FIELDS = {
    "user_id",
    "tenant_id",
    "is_admin",
    "metadata",
    "subject_type",
    "subject_id",
    "scopes",
    "expires_at",
}
_HASHED = "sha256:"


def hashed(key: str) -> str:
    """How a key may stand in the file, so that the file holds no key. Only for random keys."""
    return _HASHED + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class StaticAuth(AuthProvider):
    """Lets in whoever sends one of these keys. Give it a mapping, or a file that is then watched."""

    def __init__(self, api_keys: Mapping[str, Any] | None = None, *, file: Path | None = None) -> None:
        """Raises AuthSettingError for a wrong entry, and a file that others can read or nobody can."""
        if (api_keys is None) == (file is None):
            raise AuthSettingError("Give either api_keys or a file with them")
        self._file = file
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._seen = _stamp(file) if file else None
        self._keys = _entries(api_keys) if file is None else read_keys(file)

    async def authenticate(self, token: str) -> AuthResult:
        """As `AuthProvider` says."""
        self._look_again()
        # A look-up by digest takes the same time for every wrong key, however much of a right one it has.
        found = self._keys.get(hashed(token), REFUSED)
        if found.expires_at is not None and found.expires_at <= datetime.now(UTC):
            _log.info("Refused %s: the key has expired", found.key_id)
            return REFUSED
        if not found.authenticated:
            _log.info("Refused a key that is not in the list")
        return found

    async def validate_token(self, token: str) -> bool:
        """As `AuthProvider` says."""
        return (await self.authenticate(token)).authenticated

    def _look_again(self) -> None:
        if self._file is None or time.monotonic() - self._looked < LOOK_AGAIN:
            return
        with self._lock:
            self._looked = time.monotonic()
            now = _stamp(self._file)
            if now == self._seen:
                return
            self._seen = now
            try:
                self._keys = read_keys(self._file)
            except AuthSettingError as wrong:
                _log.error("The earlier keys stay in force: %s", wrong.message)


def read_keys(file: Path) -> dict[str, AuthResult]:
    """The entries of a file, by digest. Raises AuthSettingError."""
    import yaml

    try:
        with file.open("rb") as opened:
            about = os.fstat(opened.fileno())
            if sys.platform != "win32" and about.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise AuthSettingError(f"Other users can read {file}", remedy=f"Run: chmod 600 {file}")
            body = opened.read(FILE_MOST + 1)
        if len(body) > FILE_MOST:
            raise AuthSettingError(f"{file} is too large for a list of keys")
        document = yaml.safe_load(body)
    except OSError as error:
        raise AuthSettingError(f"{file} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        at = getattr(error, "problem_mark", None)
        where = f", line {at.line + 1}" if at is not None else ""
        raise AuthSettingError(f"{file} is not YAML{where}") from None
    keys = document.get("api_keys") if isinstance(document, dict) else None
    return _entries(keys, str(file))


def _entries(keys: object, where: str = "auth_config") -> dict[str, AuthResult]:
    if not isinstance(keys, Mapping):
        raise AuthSettingError(f"{where} has no mapping api_keys")
    found: dict[str, AuthResult] = {}
    for number, (key, words) in enumerate(keys.items(), 1):
        name = f"api_keys, entry {number} in {where}"  # never the key
        if not isinstance(key, str) or not key:
            raise AuthSettingError(f"{name}: the key is not text. Put it in quotation marks")
        if not isinstance(words, Mapping):
            raise AuthSettingError(f"{name}: expected a mapping with user_id")
        unknown = sorted(str(word) for word in words if word not in _FIELDS)
        if unknown:
            raise AuthSettingError(f"{name}: unknown field {', '.join(unknown)}")
        digest = key if key.startswith(_HASHED) else hashed(key)
        found[digest] = _result(words, name, digest)
    return found


def _result(words: Mapping[str, Any], name: str, digest: str) -> AuthResult:
    def text(field: str) -> str | None:
        value = words.get(field)
        if value is not None and not isinstance(value, str):
            raise AuthSettingError(f"{name}: {field} is not text. Put it in quotation marks")
        return value

    is_admin, metadata, scopes = words.get("is_admin", False), words.get("metadata"), words.get("scopes", [])
    if not isinstance(is_admin, bool):
        raise AuthSettingError(f"{name}: is_admin is neither true nor false")
    if metadata is not None and not isinstance(metadata, dict):
        raise AuthSettingError(f"{name}: metadata is not a mapping")
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise AuthSettingError(f"{name}: scopes is not a list of words")
    subject_type = text("subject_type") or "user"
    if subject_type not in SUBJECT_TYPES:
        raise AuthSettingError(f"{name}: subject_type is not one of {', '.join(SUBJECT_TYPES)}")
    user_id = text("user_id")
    return AuthResult(
        authenticated=True,
        user_id=user_id,
        tenant_id=text("tenant_id"),
        is_admin=is_admin,
        metadata=metadata,
        subject_type=subject_type,
        subject_id=text("subject_id") or user_id,
        scopes=tuple(scopes),
        expires_at=_moment(words.get("expires_at"), name),
        key_id=digest.removeprefix(_HASHED)[:12],
    )


def _moment(value: object, name: str) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise AuthSettingError(f"{name}: expires_at is not a time such as 2027-01-31T00:00:00Z") from None
    if value is None:
        return None
    if isinstance(value, datetime):  # YAML's own times without a zone are in UTC
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise AuthSettingError(f"{name}: expires_at is not a time such as 2027-01-31T00:00:00Z")


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        about = file.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size, about.st_ino
