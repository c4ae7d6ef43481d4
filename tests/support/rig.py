"""The real services over stores in memory, a clock that moves when told, and a strict authorization server.

`Server` is a Transport that behaves as a server with refresh token rotation and reuse detection does: an old
refresh token that is sent again kills its whole family, unless a grace is set. `faults` is a queue of what
goes wrong next.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

from keyfob.adapters.vault.memory import MemoryVault
from keyfob.core.account import Account, Connected, Pin, Record
from keyfob.core.errors import KeyfobError, Transient
from keyfob.core.grant import Grant
from keyfob.core.http import Request, Response
from keyfob.core.provider import Endpoints, Server
from keyfob.core.renewal import jitter_of, renews_at
from keyfob.core.secret import Secret
from keyfob.core.settings import Settings
from keyfob.engine import Engine, build
from keyfob.ports import AccountStore, Locks, Vault
from keyfob.service.accounts.grant_store import GrantStore
from support.fake_ports import fake_ports
from support.memory_store import MemoryAccountStore, MemoryLocks

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ISSUER = "https://id.example.org"
PRESET = """
id = "example"
title = "Example"
tested = "software"
methods = ["oauth", "api_key"]
scopes = ["openid", "profile"]
[policy]
client_id = "keyfob"
[client]
client_id = "keyfob-client"
[endpoints]
authorization_endpoint = "https://id.example.org/authorize"
token_endpoint = "https://id.example.org/token"
userinfo_endpoint = "https://id.example.org/userinfo"
revocation_endpoint = "https://id.example.org/revoke"
[api]
base = "https://id.example.org"
[identity]
source = "userinfo"
[identity.map]
subject = "sub"
name = "name"
[test]
url = "https://id.example.org/userinfo"
[revocation]
style = "rfc7009"
[api_key]
create_at = "https://id.example.org/keys"
[api_key.api]
base = "https://id.example.org"
placement = "header"
name = "X-Key"
[api_key.identity]
source = "request"
url = "https://id.example.org/me"
[api_key.identity.map]
subject = "id"
name = "name"
"""


class MovingClock:
    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **span: float) -> None:
        self.at += timedelta(**span)


@dataclass
class StrictServer:
    """Thread-safe. `log` holds each request's purpose in order."""

    clock: Callable[[], datetime]
    lifetime: int = 3600
    grace: bool = False
    faults: list[object] = field(default_factory=list)
    extra: dict[str, object] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    serial: int = 0
    current: str | None = None
    last_spent: str | None = None
    dead: bool = False
    revoked: list[str] = field(default_factory=list)
    sub: str = "subject-1"
    before: Callable[[], None] | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def issue(self) -> dict[str, object]:
        self.serial += 1
        self.current = f"refresh-{self.serial}"
        return {
            "access_token": f"access-{self.serial}",
            "refresh_token": self.current,
            "expires_in": self.lifetime,
            "token_type": "Bearer",
            **self.extra,
        }

    def send(self, request: Request) -> Response:
        if self.before is not None and request.purpose == "refresh":
            self.before()
        with self._guard:
            self.log.append(request.purpose)
            fault = self.faults.pop(0) if self.faults else None
            if isinstance(fault, KeyfobError) and not (isinstance(fault, Transient) and fault.sent):
                raise fault
            answer = self._answer(request, fault)
            if isinstance(fault, KeyfobError):
                raise fault  # the server committed; its answer never arrived
            return answer

    def _answer(self, request: Request, fault: object) -> Response:
        if isinstance(fault, Response):
            return replace(fault, at=self.clock())
        form = {k: v[0] for k, v in parse_qs((request.body or b"").decode()).items()}
        match request.purpose:
            case "refresh":
                sent = form["refresh_token"]
                if self.dead or (sent != self.current and not (self.grace and sent == self.last_spent)):
                    self.dead = True
                    return self.reply(400, {"error": "invalid_grant"})
                self.last_spent = self.current if sent == self.current else self.last_spent
                return self.reply(200, self.issue())
            case "revoke":
                self.revoked.append(form["token"])
                return self.reply(200, {})
            case "userinfo" | "whoami":
                return self.reply(200, {"sub": self.sub, "id": self.sub, "name": "Alice"})
        return self.reply(404, {})

    def reply(self, status: int, body: object, **headers: str) -> Response:
        return Response(
            status, {"content-type": "application/json", **headers}, json.dumps(body).encode(), self.clock()
        )


class RigSettings:
    """ports.SettingsStore, in memory."""

    def __init__(self) -> None:
        self.value = Settings()

    def load(self) -> Settings:
        return self.value

    def current(self) -> Settings:
        return self.value

    def save(self, settings: Settings, was: Settings) -> None:
        self.value = settings


class Rig:
    """The engine over ports in memory. `connect()` makes an account that was signed in just now."""

    def __init__(
        self,
        folder: Path,
        *,
        vault: Vault | None = None,
        store: AccountStore | None = None,
        locks: Locks | None = None,
        server: StrictServer | None = None,
        save_for: timedelta | None = timedelta(seconds=0),
    ) -> None:
        self.clock = MovingClock()
        self.server = server or StrictServer(self.clock)
        self.server.clock = self.clock
        self.vault = vault or MemoryVault()
        self.store = store or MemoryAccountStore()
        self.locks = locks or MemoryLocks()
        self.settings = RigSettings()
        self.ports = fake_ports(
            folder,
            settings=self.settings,
            store=self.store,
            vault=self.vault,
            transport=self.server,
            locks=self.locks,
            clock=self.clock,
            spawn=lambda job, name: job(),
            save_for=save_for,
        )
        self.presets = self.ports.home.config / "providers"
        self.presets.mkdir(exist_ok=True, parents=True)
        preset = self.presets / "example.toml"
        if not preset.exists():
            preset.write_text(PRESET)
        self.engine = build(self.ports)
        self.events = self.engine.events
        self.keeper, self.accounts = self.engine.keeper, self.engine.accounts
        self.disconnector, self.renewer = self.engine.disconnector, self.engine.renewer
        self.grants = GrantStore(self.vault)

    def another_engine(self, save_for: timedelta | None = timedelta(seconds=0)) -> Engine:
        """A second engine on the same vault, store and locks, as another
        process would have. It reads the presets anew.
        """
        return build(replace(self.ports, save_for=save_for))

    def connect(self, key: str = "key-1", label: str = "alice", *, renewable: bool = True) -> Record:
        answer = self.server.issue()
        now = self.clock()
        grant = Grant(
            access=Secret(str(answer["access_token"])),
            refresh=Secret(str(answer["refresh_token"])) if renewable else None,
            obtained_at=now,
            expires_at=now + timedelta(seconds=self.server.lifetime),
            scopes=("openid", "profile"),
            generation=1,
        )
        self.grants.save(key, grant)
        account = Account(
            key=key,
            provider="example",
            label=label,
            method="oauth",
            subject=self.server.sub,
            pin=Pin(
                server=Server(
                    None,
                    Endpoints(
                        authorization_endpoint=f"{ISSUER}/authorize",
                        token_endpoint=f"{ISSUER}/token",
                        userinfo_endpoint=f"{ISSUER}/userinfo",
                        revocation_endpoint=f"{ISSUER}/revoke",
                    ),
                ),
                client_id="keyfob-client",
                api_base=ISSUER,
            ),
            name="Alice",
            created_at=now,
        )
        record = Record(
            account,
            Connected(),
            generation=1,
            scopes=grant.scopes,
            obtained_at=now,
            expires_at=grant.expires_at,
            renews_at=renews_at(grant, self.settings.value.margin, jitter_of(key)),
            renewable=renewable,
            connected_at=now,
        )
        self.store.put(record)
        return record

    def record(self, key: str = "key-1") -> Record:
        found = self.store.get(key)
        assert found is not None
        return found

    def held(self, key: str = "key-1") -> Grant:
        stored = self.grants.newest(key)
        assert stored is not None
        return stored.grant

    def ask(
        self, key: str = "key-1", *, min_life: float = 60, rejected: str | None = None, force: bool = False
    ) -> str:
        grant = self.keeper.grant(
            key,
            min_life=timedelta(seconds=min_life),
            rejected=Secret(rejected) if rejected else None,
            force=force,
        )
        return grant.access.reveal()
