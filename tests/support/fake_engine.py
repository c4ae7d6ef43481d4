"""An engine of fakes for the tests that `sample_engine.py` does not serve yet.

It keeps nothing and reaches nothing. Tests of the window drive it by `push` (an event), `change` (a view) and
the lists of `calls` that it writes down.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from keyfob.core.account import AccountView, LoggedEvent
from keyfob.core.consent import Permission, Question, Reply
from keyfob.core.errors import KeychainError, KeyfobError, NotFound, SignInEnded, SignInNeeded
from keyfob.core.provider import (
    ApiKeyProfile,
    ClientProfile,
    Endpoints,
    Input,
    Policy,
    Provider,
    RedirectProfile,
    Server,
)
from keyfob.core.secret import Secret
from keyfob.core.settings import Settings
from keyfob.ports import Blanked, VaultHealth
from keyfob.protocol.context import Client, FlowContext
from keyfob.protocol.env import FlowEnv
from keyfob.protocol.oauth.authorization_response import callback_error
from keyfob.service.accounts.views import Disconnection, Progress, SignInRequest, TestResult, Token
from keyfob.tools.imports import Found
from support.fake_ports import FakeAutostart, FakeListeners
from support.memory_store import MemoryAccountStore
from support.samples import NOW as NOW
from support.samples import D as D
from support.samples import M as M
from support.samples import sample_events, sample_views, view


def declined(title: str) -> KeyfobError:
    """What a sign-in ends with that the person has declined, in the words of the real code."""
    env = FlowEnv(str, lambda: NOW)
    ctx = FlowContext(Provider("declined", title), Server(None, Endpoints()), Client("client-1"), env)
    return callback_error(ctx, "access_denied", "The resource owner denied the request")


def sample_providers() -> list[Provider]:
    own = Policy(
        client_id="user",
        register_at="https://console.cloud.google.com/apis/credentials",
        register_note="Choose the type “Desktop app”.",
        note="Needs your own app registration.",
    )
    key = ApiKeyProfile(create_at="https://platform.example/keys", hint="Begins with sk-")
    none, keyfob = Policy(client_id="none"), Policy(client_id="keyfob")
    return [
        Provider("demo", "Demo provider", "demo", color="#2f7a80", policy=keyfob),
        Provider("nexusmods", "Nexus Mods", "games", color="#d98f40", methods=("oauth", "api_key"),
            api_key=key,
                 policy=Policy(client_id="user", register_at="https://www.nexusmods.com/settings/api-keys")),
        Provider("bluesky", "Bluesky", "social", color="#2b7de9", methods=("atproto",), policy=none,
                 inputs=(Input("handle", "Handle", "alice.bsky.social", "Your name on Bluesky, or your DID.",
                     kind="handle"),)),
        Provider("github", "GitHub", "code", color="#24292f", methods=("device", "api_key"), api_key=key,
            policy=keyfob),
        Provider("openai", "OpenAI", "ai", color="#111111", methods=("oauth", "api_key"), api_key=key,
            policy=Policy(client_id="dynamic")),
        Provider("claude", "Claude", "ai", color="#c96a4a", methods=("api_key",), api_key=key, policy=none),
        Provider("claude-ai", "Claude subscription", "ai", color="#c96a4a", methods=("oauth",),
                 policy=Policy(client_id="user", terms="https://www.anthropic.com/legal/consumer-terms",
                               blocked="Anthropic’s terms allow this sign-in only for its own apps.")),
        Provider("google", "Google", "work", color="#d0553f", policy=own,
            client=ClientProfile(secret="optional")),
        Provider("microsoft", "Microsoft", "work", color="#2a6fb8", policy=own,
                 inputs=(Input("tenant", "Tenant", "contoso.onmicrosoft.com",
                     "Leave “common” for any account.", default="common"),)),
        Provider("mastodon", "Mastodon", "social", color="#6364ff", policy=Policy(client_id="dynamic"),
                 inputs=(Input("instance", "Instance", "mastodon.social", "The server your account is on.",
                     kind="host"),)),
        Provider("nextcloud", "Nextcloud", "storage", color="#0082c9", methods=("app_password",), policy=none,
                 inputs=(Input("instance", "Server", "cloud.example.org", kind="host"),)),
        Provider("discord", "Discord", "social", color="#5865f2", policy=own),
        Provider("spotify", "Spotify", "media", color="#1db954", policy=own,
                 redirect=RedirectProfile(port="fixed", ports=(9876,))),
        Provider("openid", "Any OpenID server", "custom", color="#5c5c63",
                 inputs=(Input("issuer", "Address", "https://login.example.org", kind="url"),), policy=own),
    ]  # fmt: skip


class FakeEventBus:
    def __init__(self) -> None:
        self._callbacks: list[Callable[[LoggedEvent], None]] = []

    def subscribe(self, callback: Callable[[LoggedEvent], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback) if callback in self._callbacks else None

    def publish(self, event: LoggedEvent) -> None:
        for callback in tuple(self._callbacks):
            callback(event)

    def keychain(self, error: KeyfobError | None) -> None:
        self.keychain_code = error.code if error else None


@dataclass
class FakeAccounts:
    events: FakeEventBus
    rows: list[AccountView]
    calls: list[tuple[str, str]] = field(default_factory=list)
    error: KeyfobError | None = None
    unreadable: list[KeyfobError] = field(default_factory=list)
    gate: threading.Event | None = None  # set: calls wait for it, as a slow keychain would make them

    def _called(self, name: str, ref: str) -> AccountView:
        self.calls.append((name, ref))
        if self.gate is not None:
            self.gate.wait(20)
        if self.error is not None:
            raise self.error
        return self.view(ref)

    def views(self) -> list[AccountView]:
        return list(self.rows)

    def unread(self) -> list[KeyfobError]:
        return list(self.unreadable)

    def view(self, ref: str) -> AccountView:
        for row in self.rows:
            if ref in (row.id, row.key):
                return row
        raise NotFound(f"There is no account {ref}")

    def change(self, ref: str, **values: Any) -> AccountView:
        old = self.view(ref)
        new = replace(old, **values)
        self.rows[self.rows.index(old)] = new
        self.events.publish(LoggedEvent(NOW, new.id, new.key, "changed", "Changed"))
        return new

    def token(self, ref: str, *, min_life: timedelta, rejected: Secret | None = None) -> Token:
        row = self._called("token", ref)
        return Token(row.id, Secret("canary-access-token"), "Bearer", row.expires_at, row.scopes)

    def renew(self, ref: str) -> AccountView:
        self._called("renew", ref)
        return self.change(ref, last_renewed_at=NOW, obtained_at=NOW, last_error=None)

    def test(self, ref: str) -> TestResult:
        row = self._called("test", ref)
        return TestResult(row.id, True, row.subject, row.name or "Aldis", 200, 84)

    def rename(self, ref: str, label: str) -> AccountView:
        row = self._called("rename", ref)
        return self.change(ref, label=label, id=f"{row.provider}/{label}")

    def disconnect(self, ref: str, *, local: bool = False) -> Disconnection:
        self._called("disconnect", ref)
        return Disconnection(self.change(ref, status="disconnected", renewable=False), "yes")

    def remove(self, ref: str) -> Disconnection:
        row = self._called("remove", ref)
        self.rows.remove(row)
        self.events.publish(LoggedEvent(NOW, row.id, row.key, "removed", "Removed"))
        return Disconnection(None, "yes")

    def history(self, ref: str | None, limit: int = 50, after: int = 0) -> list[LoggedEvent]:
        if ref is None:
            return []
        row = self.view(ref)
        return sample_events(row.key, row.id) if row.provider != "openai" else []


class FakeAttempt:
    """A sign-in that goes where the test sends it: `step(stage, …)`; `finish`, `fail`."""

    id = "attempt-1"

    def __init__(self, request: SignInRequest, provider: Provider, accounts: FakeAccounts) -> None:
        self.request = request
        self._provider = provider
        self._accounts = accounts
        self._observers: list[Callable[[Progress], None]] = []
        self._over = threading.Event()
        self._error: KeyfobError | None = None
        self.pasted: list[str] = []
        self.undone = False
        self.progress = Progress(
            "preparing", provider.id, provider.title, request.method or provider.methods[0]
        )

    def observe(self, callback: Callable[[Progress], None]) -> Callable[[], None]:
        self._observers.append(callback)
        callback(self.progress)
        return lambda: self._observers.remove(callback)

    def step(self, stage: str, **values: Any) -> None:
        self.progress = replace(self.progress, stage=stage, **values)
        for observer in tuple(self._observers):
            observer(self.progress)

    def run(self, spawn: Callable[[Callable[[], None], str], None]) -> AccountView:
        spawn(self._serve, "fake-listener")
        self._over.wait(20)
        if self._error is not None:
            raise self._error
        assert self.progress.account is not None
        return self.progress.account

    def _serve(self) -> None:
        self._over.wait(20)

    def finish(self, account: AccountView, **values: Any) -> None:
        self._accounts.rows.append(account)
        self.step("done", account=account, **values)
        self._over.set()

    def fail(self, error: KeyfobError) -> None:
        self._error = error
        self.step("cancelled" if error.code == "cancelled" else "failed", error=error)
        self._over.set()

    def cancel(self) -> None:
        if not self._over.is_set():
            self.fail(SignInEnded("The sign-in was cancelled"))

    def paste(self, text: str) -> None:
        self.pasted.append(text)

    def undo(self) -> None:
        self.undone = True
        account = self.progress.account
        if account in self._accounts.rows:
            self._accounts.rows.remove(account)


@dataclass
class FakeCatalogue:
    rows: list[Provider]

    def all(self) -> list[Provider]:
        return list(self.rows)

    def get(self, name: str) -> Provider:
        for row in self.rows:
            if row.id == name:
                return row
        raise NotFound(f"There is no provider {name}", code="provider_not_found")


@dataclass
class FakeSignIn:
    catalogue: FakeCatalogue
    accounts: FakeAccounts
    attempts: list[FakeAttempt] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)

    def interrupted(self) -> list[str]:
        told, self.unfinished = self.unfinished, []
        return told

    def begin(self, request: SignInRequest) -> FakeAttempt:
        attempt = FakeAttempt(request, self.catalogue.get(request.provider), self.accounts)
        self.attempts.append(attempt)
        return attempt

    def run(self, attempt: FakeAttempt, spawn: Callable[[Callable[[], None], str], None]) -> AccountView:
        return attempt.run(spawn)

    def undo(self, attempt: FakeAttempt) -> None:
        attempt.undo()


@dataclass
class FakeSettings:
    value: Settings = field(default_factory=lambda: Settings(first_start_done=True))

    def load(self) -> Settings:
        return self.value

    def save(self, settings: Settings, was: Settings) -> None:
        self.value = settings.checked()


@dataclass
class FakeRenewer:
    ticks: int = 0
    backs: int = 0

    def keychain_back(self) -> None:
        self.backs += 1

    def tick(self) -> timedelta:
        self.ticks += 1
        return timedelta(seconds=30)


@dataclass
class FakeVault:
    health: VaultHealth = field(default_factory=lambda: VaultHealth(True, "GNOME Keyring"))
    prompts: int = 0  # that were opened
    answered: threading.Event = field(default_factory=threading.Event)  # by the person, when the test sets it
    answer: KeyfobError | None = None  # how; None: well

    def probe(self) -> VaultHealth:
        return self.health

    def load(self, name: str) -> Secret | None:
        if not self.health.ok:
            raise KeychainError(self.health.message, code=self.health.code)
        return None

    def unlock(self, timeout: float, cancel: threading.Event | None = None) -> None:
        self.prompts += 1
        while not self.answered.wait(0.05):
            if cancel is not None and cancel.is_set():
                raise SignInEnded("Given up")
        self.answered.clear()
        if self.answer is not None:
            raise self.answer
        self.health = VaultHealth(True, "GNOME Keyring")


@dataclass(frozen=True)
class FakeKnown:
    client_id: str
    source: str


class FakeClients:
    """The person's app is known at Microsoft and nowhere else."""

    def known(self, preset: Provider, inputs: Any) -> FakeKnown | None:
        return FakeKnown("3f6c1d20-77aa", "yours") if preset.id == "microsoft" else None


@dataclass
class FakeLegacy:
    accounts: FakeAccounts
    rows: list[Found] = field(default_factory=list)
    refused: str = ""  # the source whose keys the provider refuses
    moved: list[Found] = field(default_factory=list)
    blanked: list[Found] = field(default_factory=list)

    def find(self) -> list[Found]:
        return list(self.rows)

    def move(self, found: Found, spawn: Any) -> AccountView:
        if found.source == self.refused:
            raise SignInNeeded("GitLab refused the key")
        self.moved.append(found)
        made = view(str(found.provider), str(found.provider_title), str(found.username))
        self.accounts.rows.append(made)
        return made

    def blank(self, moved: Sequence[Found]) -> list[Blanked]:
        self.blanked += moved
        paths = sorted({each.path for each in moved})
        return [Blanked(path, path.with_name(path.name + ".before-keyfob")) for path in paths]


class FakeAvatars:
    def fetch(self, url: str | None) -> Path | None:
        return None


@dataclass(frozen=True)
class FakeHome:
    data: Path
    config: Path
    run: Path
    id: str = "fake"


@dataclass
class FakeConsents:
    permissions: list[Permission] = field(default_factory=list)
    ask: Callable[[Question], Reply] | None = None

    def list(self) -> list[Permission]:
        return [*self.permissions]

    def revoke(self, permission_id: str) -> None:
        self.permissions = [each for each in self.permissions if each.id != permission_id]


_MADE: weakref.WeakSet[FakeEngine] = weakref.WeakSet()


def made() -> list[FakeEngine]:
    """The engines that are still there."""
    return list(_MADE)


class FakeEngine:
    def __init__(self, root: Path, views: list[AccountView] | None = None) -> None:
        _MADE.add(self)
        for name in ("data", "config", "run"):
            (root / name).mkdir(parents=True, exist_ok=True)
        self.home = FakeHome(root / "data", root / "config", root / "run")
        self.events = FakeEventBus()
        self.providers = FakeCatalogue(sample_providers())
        self.settings = FakeSettings()
        self.accounts = FakeAccounts(self.events, sample_views() if views is None else views)
        self.sign_in = FakeSignIn(self.providers, self.accounts)
        self.renewer = FakeRenewer()
        self.vault = FakeVault()
        self.clients = FakeClients()
        self.avatars = FakeAvatars()
        self.autostart = FakeAutostart()
        self.imports = FakeLegacy(self.accounts)
        self.consents = FakeConsents()
        self.listeners = FakeListeners()
        self.store = MemoryAccountStore()
        self.store_path = root / "data" / "accounts.db"
        self.closed = False

    def fail_keychain(self, code: str) -> None:
        message = "The keychain failed"
        self.vault.health = VaultHealth(False, "GNOME Keyring", code=code, message=message)
        self.accounts.error = KeychainError(message, code=code)

    def release(self) -> None:
        """Let every call go on that waits, and end every sign-in."""
        if self.accounts.gate is not None:
            self.accounts.gate.set()
        for attempt in self.sign_in.attempts:
            attempt.cancel()

    def close(self) -> None:
        self.closed = True
