"""Ports for a test's engine: stores in memory, a clock that stands still until moved, a transport that
answers from a script, and no browser. `build(fake_ports(folder))` is the real engine over them.

A test replaces what it is about: `fake_ports(folder, transport=…, clock=…)`.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from keyfob.adapters.loopback.listener import timed_out
from keyfob.adapters.loopback.ports import take_port
from keyfob.adapters.network.transport import unreachable
from keyfob.adapters.store.settings_file import SettingsFile
from keyfob.adapters.system import tool_files
from keyfob.adapters.system.desktop_entry import DesktopEntry
from keyfob.adapters.system.keys import new_key
from keyfob.adapters.vault.choice import SEALED_FILE
from keyfob.adapters.vault.memory import MemoryVault
from keyfob.adapters.vault.passphrase import ask_nowhere
from keyfob.adapters.vault.sealed import Cost, SealedVault
from keyfob.core.errors import KeychainError, KeyfobError, SignInEnded
from keyfob.core.finding import Finding
from keyfob.core.http import Callback, Outcome, Request, Response, Streamed
from keyfob.core.provider import RedirectProfile
from keyfob.core.secret import Secret
from keyfob.core.words import PasteForm
from keyfob.engine import Ports
from keyfob.ports import VaultHealth, unhealthy
from keyfob.process.home import open_home
from keyfob.protocol.effects import Expectation
from keyfob.protocol.oauth.callback import Accepted, Visit, judge, read_paste
from keyfob.providers.catalogue import standard
from keyfob.service.accounts.labels import Labels
from support.memory_store import MemoryAccountStore, MemoryLocks

CHEAP = Cost(iterations=1, lanes=1, memory_kib=64)  # of a guess at the passphrase
NOW = datetime(2026, 11, 20, 15, 0, 12, tzinfo=UTC)


@dataclass
class FixedClock:
    at: datetime = NOW

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **span: float) -> None:
        self.at += timedelta(**span)


@dataclass
class ScriptedTransport:
    """Answers each request by `answer`; without one, no server can be
    reached. `requests` holds what was sent.
    """

    answer: Callable[[Request], Response] | None = None
    requests: list[Request] = field(default_factory=list)

    def send(self, request: Request) -> Response:
        self.requests.append(request)
        if self.answer is None:
            raise unreachable(urlsplit(request.url).netloc)
        return self.answer(request)

    @contextmanager
    def stream(self, request: Request, *, patience: float = 60.0) -> Iterator[Streamed]:
        whole = self.send(request)
        yield Streamed(whole.status, whole.headers, iter([whole.body]))


class FakeVault(MemoryVault):
    """A keychain in memory that can fail and be unlocked. `error`: what every call raises. `prompts` counts
    those that opened; the test sets `answered` when the person has answered one, and `answer` is how (None:
    well).
    """

    def __init__(self) -> None:
        super().__init__()
        self.name = "GNOME Keyring"
        self.error: KeychainError | None = None
        self.prompts = 0
        self.answered = threading.Event()
        self.answer: KeyfobError | None = None
        self.persistent = True
        self.gate: threading.Event | None = (
            None  # set: calls wait for it, as a keychain that hangs makes them
        )
        self.closed = False

    def close(self) -> None:
        self.closed = True

    def _check(self) -> None:
        if self.gate is not None:
            self.gate.wait(20)
        if self.error is not None:
            raise self.error

    def load(self, name: str) -> Secret | None:
        self._check()
        return super().load(name)

    def save(self, name: str, value: Secret) -> None:
        self._check()
        super().save(name, value)

    def delete(self, name: str) -> None:
        self._check()
        super().delete(name)

    def names(self) -> list[str]:
        self._check()
        return super().names()

    def probe(self) -> VaultHealth:
        if self.error is not None:
            return unhealthy(self.error, self.name)
        return VaultHealth(True, self.name if self.persistent else "in memory", self.persistent)

    def unlock(self, timeout: float, cancel: threading.Event | None = None) -> None:
        self.prompts += 1
        while not self.answered.wait(0.05):
            if cancel is not None and cancel.is_set():
                raise SignInEnded("Given up")
        self.answered.clear()
        if self.answer is not None:
            raise self.answer
        self.error = None


class FakeListener:
    """A callback listener without a socket: the test sends the browser back with `visit`, or lets the time
    pass with `time_out`. What comes back is judged as at the real one.
    """

    def __init__(self, redirect_uri: str = "http://127.0.0.1:9876/callback", paste: PasteForm | None = None):
        self.redirect_uri = redirect_uri
        self.expectation: Expectation | None = None
        self.outcome: Outcome | None = None
        self._paste = paste
        self._ended = threading.Event()
        self._arrived = threading.Event()  # something came, or the time is up
        self._callback: Callback | None = None

    def serve(self) -> None:
        self._ended.wait()

    def expect(self, expectation: Expectation) -> None:
        self.expectation = expectation

    def visit(self, address: str) -> None:
        """The browser comes to this address."""
        parts = urlsplit(address)
        assert self.expectation is not None
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == self.redirect_uri
        verdict = judge(Visit(parts.path, parts.query), self.expectation)
        assert isinstance(verdict, Accepted), verdict
        self._take(verdict)

    def paste(self, text: str) -> None:
        assert self.expectation is not None
        self._take(
            read_paste(text, form=self._paste, redirect_uri=self.redirect_uri, expectation=self.expectation)
        )

    def time_out(self) -> None:
        self._arrived.set()

    def _take(self, accepted: Accepted) -> None:
        self._callback = Callback(accepted.params, NOW, accepted.state_checked)
        self._arrived.set()

    def wait(self, *, deadline: timedelta, cancel: threading.Event) -> Callback:
        while not self._arrived.wait(0.02):
            if cancel.is_set():
                raise SignInEnded("The sign-in was cancelled")
        if self._callback is None:
            raise timed_out()
        return self._callback

    def conclude(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def concluded(self, timeout: float) -> bool:
        return True

    def retire(self, outcome: Outcome) -> None:
        self.outcome = self.outcome or outcome
        self._ended.set()

    def close(self) -> None:
        self._ended.set()


@dataclass
class FakeListeners:
    """`take`: takes the real ports first, which fails as it does for the person if one is taken."""

    made: list[FakeListener] = field(default_factory=list)
    take: bool = False

    def bind(self, profile: RedirectProfile, *, setting_port: int) -> FakeListener:
        if self.take:
            for each in take_port(profile, setting_port):
                each.close()
        port = profile.ports[0] if profile.ports else setting_port
        uri = profile.uri or f"http://{profile.host}:{port}{profile.path}"
        self.made.append(FakeListener(uri, profile.paste))
        return self.made[-1]

    def close(self) -> None:
        for listener in self.made:
            listener.close()


@dataclass
class FakeAgentService:
    """The system's units: `at` is the socket that it listens at."""

    def __init__(self) -> None:
        self.at: Path | None = None

    def files(self) -> Sequence[Path]:
        return (Path("/units/keyfob-agent.socket"),)

    def installed(self) -> bool:
        return self.at is not None

    def install(self, socket: Path) -> None:
        self.at = socket

    def uninstall(self) -> None:
        self.at = None


class FakeAutostart:
    on: bool = False
    path: Path | None = None

    def enabled(self) -> bool:
        return self.on

    def enable(self, on: bool) -> None:
        self.on = on


class NoAvatars:
    def fetch(self, url: str | None) -> Path | None:
        return None


def counted_entropy() -> Callable[[int], str]:
    numbers = itertools.count(1)
    return lambda count: hashlib.sha512(str(next(numbers)).encode()).hexdigest()[: max(count, 8)]


def on_a_daemon(job: Callable[[], None], name: str) -> None:
    threading.Thread(target=job, name=name, daemon=True).start()


def fake_ports(folder: Path, **replaced: Any) -> Ports:
    """Ports on a home in `folder`, which is all that is written to. `replaced`: fields of Ports."""
    home = open_home({"KEYFOB_HOME": str(folder / "home")})
    store = replaced.get("store") or MemoryAccountStore()
    numbers = itertools.count(1)
    file = SealedVault(home.id, home.data / SEALED_FILE, ask_nowhere, cost=CHEAP)
    ports: dict[str, Any] = {
        "home": home,
        "settings": SettingsFile(home.config / "settings.json"),
        "store": store,
        "store_path": home.data / "accounts.db",
        "vault": FakeVault(),
        "encrypted_file": lambda: file,
        "labels": Labels(store),
        "transport": ScriptedTransport(),
        "locks": MemoryLocks(),
        "listeners": FakeListeners(),
        "browser": lambda url: None,
        "dns_txt": lambda name: (),
        "clock": FixedClock(),
        "entropy": counted_entropy(),
        "new_id": lambda: f"id-{next(numbers)}",
        "new_key": new_key,
        "spawn": on_a_daemon,
        "environment": {},
        "avatars": NoAvatars(),
        "autostart": FakeAutostart(),
        "menu_entry": DesktopEntry(
            ("/opt/my programs/keyfob",), {"XDG_DATA_HOME": str(folder / "xdg-data")}, "linux"
        ),
        "agent_service": FakeAgentService(),
        "user_home": folder,
        "tool_files": tool_files,
        "output_of": lambda command, environment: "",
        "presets": standard(home.config),
        "checks": (),
        "tray": lambda seen: Finding("tray", True, "This desktop has a tray"),
        "save_for": timedelta(0),
    }
    return Ports(**ports | replaced)
