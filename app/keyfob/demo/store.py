"""What the demo provider remembers: grants, codes, sign-ins at the provider, and its signing keys.

One JSON file in the home's demo folder, rewritten as a whole and flushed before any answer leaves, so that no
restart or kill loses a grant. Codes and tokens are stored only as SHA-256, so the file does not reveal them.
The demo server's signing keys are in a separate file, 0600, and sign only the demo's ID tokens. Callers hold
`lock` over a whole request, so that two uses of one token see each other.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey, KeySet, RSAKey

CODE_LIFETIME = 60  # seconds; RFC 6749 §4.1.2 wants it short
DEVICE_LIFETIME = 600  # seconds
USED_KEPT = 500  # used refresh tokens remembered per grant, to notice reuse
ENDED_KEPT = 20  # ended grants kept for the playground's list


def digest(token: str) -> str:
    """What is kept of a token: its SHA-256, in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(slots=True)
class Family:
    """One grant: a user allowed one app some scopes. Its refresh tokens
    follow one another (RFC 9700 §4.14.2).
    """

    id: str
    person: str
    client_id: str
    scopes: list[str]
    method: str
    created_at: float
    renewed_at: float
    refresh: str | None = None
    used: list[str] = field(default_factory=list)
    access: dict[str, float] = field(default_factory=dict)  # digest -> expiry, seconds since the epoch
    renewals: int = 0
    ended: str | None = None  # revoked | reuse | code_reuse | signed_out
    ended_at: float | None = None
    nonce: str | None = None
    auth_time: float | None = None


@dataclass(slots=True)
class Code:
    """An authorization code that was issued. Times are seconds since the epoch."""

    client_id: str
    redirect_uri: str
    scope: str
    person: str
    nonce: str | None
    code_challenge: str
    auth_time: float
    expires_at: float
    family: str | None = None  # set once used: a second use ends that family (RFC 6749 §4.1.2)


@dataclass(slots=True)
class Device:
    """A device sign-in in progress (RFC 8628). Times are seconds since the epoch."""

    client_id: str
    scope: str
    user_code: str
    expires_at: float
    interval: float
    polled_at: float | None = None
    person: str | None = None
    allowed: bool | None = None


class DemoStore:
    """Not for use without holding `lock`. Raises OSError if the folder cannot be written."""

    def __init__(self, folder: Path, now: Callable[[], float]) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self._file = folder / "grants.json"
        self.now = now
        self.families: dict[str, Family] = {}
        self.codes: dict[str, Code] = {}
        self.devices: dict[str, Device] = {}
        self.visits: dict[str, str] = {}  # digest of a browser's cookie -> person
        if self._file.exists():
            self._read(json.loads(self._file.read_text(encoding="utf-8")))
        self.keys = _signing_keys(folder / "signing-keys.json")
        self.id = _identity(folder / "id")

    def _read(self, data: dict[str, Any]) -> None:
        self.families = {key: Family(**value) for key, value in data["families"].items()}
        self.codes = {key: Code(**value) for key, value in data["codes"].items()}
        self.devices = {key: Device(**value) for key, value in data["devices"].items()}
        self.visits = dict(data["visits"])

    def save(self) -> None:
        """On disk before this returns."""
        now = self.now()
        self.codes = {key: code for key, code in self.codes.items() if code.expires_at + 600 > now}
        self.devices = {key: item for key, item in self.devices.items() if item.expires_at + 600 > now}
        ended = sorted((f for f in self.families.values() if f.ended), key=lambda f: f.ended_at or 0)
        for family in ended[:-ENDED_KEPT]:
            del self.families[family.id]
        for family in self.families.values():
            family.access = {key: until for key, until in family.access.items() if until > now}
        data = {
            "families": {key: asdict(value) for key, value in self.families.items()},
            "codes": {key: asdict(value) for key, value in self.codes.items()},
            "devices": {key: asdict(value) for key, value in self.devices.items()},
            "visits": self.visits,
        }
        write_private(self._file, json.dumps(data, indent=1))

    def new_family(self, person: str, client_id: str, scopes: list[str], method: str) -> Family:
        """Begin the family of tokens that one sign-in gets. The caller holds the lock."""
        now = self.now()
        family = Family(secrets.token_hex(8), person, client_id, scopes, method, now, now)
        self.families[family.id] = family
        return family

    def issue(self, family: Family, access: str, expires_at: float, refresh: str | None) -> None:
        """Note new tokens; a new refresh token takes the place of the
        old, which is from then on a used one.
        """
        family.access[digest(access)] = expires_at
        if refresh is not None:
            if family.refresh is not None:
                family.used = [*family.used, family.refresh][-USED_KEPT:]
            family.refresh = digest(refresh)

    def family_of_refresh(self, token: str) -> tuple[Family, bool] | None:
        """The living family this refresh token belongs to, and whether the token was used before."""
        key = digest(token)
        for family in self.families.values():
            if family.ended is None:
                if family.refresh == key:
                    return family, False
                if key in family.used:
                    return family, True
        return None

    def family_of_access(self, token: str) -> tuple[Family, float] | None:
        """The living family of this access token, and when the token expires."""
        key = digest(token)
        for family in self.families.values():
            if family.ended is None and key in family.access:
                return family, family.access[key]
        return None

    def end(self, family: Family, why: str) -> None:
        """End a family: none of its tokens works from now on. The caller holds the lock."""
        if family.ended is None:
            family.ended, family.ended_at = why, self.now()
            family.access.clear()


def write_private(path: Path, text: str) -> None:
    """Replace `path` whole, readable by its owner alone, flushed to disk."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _signing_keys(path: Path) -> KeySet:
    if path.exists():
        return KeySet.import_key_set(json.loads(path.read_text(encoding="utf-8")))
    keys = KeySet(
        [
            RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True),
            ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True),
        ]
    )
    write_private(path, json.dumps(keys.as_dict(private=True)))
    return keys


def _identity(path: Path) -> str:
    """A random name for this demo, so that a second start can tell it
    from another home's on the same port.
    """
    if path.exists():
        return path.read_text(encoding="ascii").strip()
    name = secrets.token_hex(16)
    write_private(path, name)
    return name
