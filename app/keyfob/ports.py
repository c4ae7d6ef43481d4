"""The world outside the engine, as Protocols. Adapters implement them, and contract test suites define what
they must do.

Clock, entropy, browser and notifier are plain callables: `Clock = () -> datetime` (aware, UTC), `Entropy =
(count) -> str` (count random bytes, base64url without padding), `Browser = (url[, plain_host]) -> None`
(raises SettingWrong `browser_failed`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from keyfob.core.account import Intent, LoggedEvent, PendingRevocation, Record
from keyfob.core.error_codes import ErrorCode
from keyfob.core.errors import KeyfobError, SettingWrong
from keyfob.core.facts import Facts
from keyfob.core.http import Callback, Outcome, Request, Response, Streamed
from keyfob.core.provider import RedirectProfile
from keyfob.core.secret import Secret
from keyfob.core.settings import Settings
from keyfob.protocol.effects import Expectation

Browser = Callable[..., None]
Clock = Callable[[], datetime]
Entropy = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class VaultHealth:
    """How a probe of the vault ended, in words for the user. It holds nothing secret."""

    ok: bool
    name: str  # "GNOME Keyring", "macOS Keychain", "in memory", …
    persistent: bool = True
    code: ErrorCode | None = None  # a KeychainError's if not ok
    message: str = ""
    facts: Facts = field(default_factory=Facts)


def unhealthy(error: KeyfobError, name: str = "keychain", persistent: bool = True) -> VaultHealth:
    """The health of a vault that answered `probe` with this error."""
    return VaultHealth(False, name, persistent, error.code, error.message, error.facts)


@dataclass(frozen=True, slots=True)
class Span:
    """The place of a secret in a file: the bytes from `start` to before `end`, and what replaces them."""

    start: int
    end: int
    filler: bytes = b""


@dataclass(frozen=True, slots=True)
class ToBlank:
    """One file's spans. `digest`: SHA-256 of the content they were found in, in hexadecimal."""

    path: Path
    digest: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Blanked:
    """How a file fared: `backup` holds the old content; or `error` says why the file is as it was."""

    path: Path
    backup: Path | None = None
    error: KeyfobError | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """An account whose row is there and cannot be read, or that should be there and is not. It is
    left alone.
    """

    key: str
    account_id: str  # empty when it is not known
    fault: KeyfobError  # Fault `store_damaged` or `store_too_new`, with what to do


BACKUP_SUFFIX = ".before-keyfob"  # of what stands next to a changed file


def file_changed(path: Path) -> SettingWrong:
    """The error for a file that is not what it was when Keyfob read it."""
    return SettingWrong(
        f"{path} has changed since Keyfob read it. Nothing was changed in it", code="file_changed"
    )


class ToolFiles(Protocol):
    """Files of other programs. A change is made completely or not at all, never replaces a link, keeps the
    file's permissions, and is refused if the file has changed since it was read. Raises OSError or
    SettingWrong.
    """

    def read(self, path: Path, most: int | None = None) -> bytes | None:
        """The file's bytes, at most `most` of them; None if there is no such file. Raises SettingWrong."""

    def blank(self, jobs: Sequence[ToBlank]) -> list[Blanked]:
        """Replace spans by their fillers, with a backup. Never raises: the results say what went wrong."""

    def create(self, path: Path, data: bytes, mode: int) -> None:
        """A new file, and its folder if there is none. Raises FileExistsError."""

    def replace(self, real: Path, before: bytes, after: bytes, *, private: bool = True) -> Path:
        """New content; returns the backup, which is 0600 if it is to be private."""

    def write_over(self, real: Path, before: bytes, after: bytes) -> None:
        """New content without a backup."""

    def remove(self, path: Path) -> None:
        """No error if there is no such file."""


# The output of a program that is started with an environment; empty if it cannot be started or does not end.
OutputOf = Callable[[Sequence[str], Mapping[str, str]], str]


class Vault(Protocol):
    """Named secrets in the system's keychain (or what replaces it). Values are single-line ASCII of any
    length.

    Every call ends within its deadline or raises KeychainError `keychain_timeout`; after a timed-out write
    the entry's content is unknown until it has been read. `save` reads back what it wrote and raises
    `keychain_write_lost` if it differs. Never blocks on a prompt beyond the deadline. Thread-safe. Names are
    `[A-Za-z0-9/_.-]`; implementations prefix them with `keyfob` and the home's id.
    """

    def load(self, name: str) -> Secret | None:
        """The secret, or None if there is none. Raises KeychainError."""

    def save(self, name: str, value: Secret) -> None:
        """Write or replace, then read back. Raises KeychainError."""

    def delete(self, name: str) -> None:
        """Forget; no error if there was none. Raises KeychainError."""

    def names(self) -> Sequence[str] | None:
        """All entries of this home, those too that were only emptied; None if the keychain cannot list them.
        Raises KeychainError.
        """

    def probe(self) -> VaultHealth:
        """Write, read and delete a throw-away entry. Never raises, never prompts."""

    def unlock(self, timeout: float, cancel: threading.Event | None = None) -> None:
        """Have the user unlock the keychain, or set it up if it is new: the system's own prompt
        opens. Blocks until it is answered, at most `timeout` seconds; returns at once if nothing is locked.
        The only call that prompts, so it is made for a user who is there, never for a renewal.
        Raises KeychainError `keychain_locked` or `keychain_not_set_up` (the prompt was closed),
        `keychain_timeout`, `keychain_absent`; SignInEnded `cancelled` within 0.2 s of `cancel`.
        """


class EncryptedFile(Protocol):
    """Keyfob's own file for secrets, as a window opens it: with a passphrase that the user typed there.
    Thread-safe and blocking.
    """

    def exists(self) -> bool:
        """Whether there is a file yet; if not, `open_with` makes it."""

    def open_with(self, passphrase: Secret) -> None:
        """Open the file, or make it. The vault over it can be used from then on. Raises KeychainError
        `passphrase_wrong`, `vault_damaged`, `vault_unwritable`, `keychain_timeout`, `keychain_refused`.
        """


class VaultLock(Protocol):
    """The vault of a process that lives on, which its user can close. Thread-safe."""

    @property
    def locked(self) -> bool:
        """Whether its user has closed it."""

    @property
    def is_open(self) -> bool:
        """Whether it can be used without a passphrase from its user."""

    def refuse(self) -> None:
        """Read nothing from now on: KeychainError `agent_locked`. What was received is still saved, until
        `lock`. Idempotent.
        """

    def lock(self) -> None:
        """Refuse every call from now on, with KeychainError `agent_locked`. Idempotent."""

    def open(self, passphrase: Secret | None) -> None:
        """Work again. Raises KeychainError `passphrase_needed` and `passphrase_wrong` for an encrypted
        file.
        """


class AccountRecords(Protocol):
    """The accounts, by key."""

    def records(self) -> Sequence[Record]:
        """All that can be read. A row that cannot be read takes no other away: see `unread`."""

    def unread(self) -> Sequence[Unread]:
        """The accounts that `records` leaves out."""

    def refresh(self, key: str) -> None:
        """Write again what is kept next to the record and made from it, if that has changed: the presets may
        have.
        """

    def get(self, key: str) -> Record | None:
        """Raises Fault `store_damaged` or `store_too_new` when the row cannot be read."""

    def put(self, record: Record) -> None:
        """Insert or replace by `account.key`. Raises Usage `label_taken` if provider/label is another's, and
        what `get` raises: a row that cannot be read is never replaced.
        """

    def restore(self, record: Record) -> None:
        """As `put`, but replaces a damaged row, of which a copy is kept."""

    def data_version(self) -> int:
        """A number that differs from the last one whenever anybody, this process too, has written since."""

    def update(self, key: str, change: Callable[[Record], Record | None]) -> Record | None:
        """Read, change and write in one immediate transaction; `change` returning None writes nothing.
        Returns what is then stored, None if there is no such account.
        """

    def remove(self, key: str) -> None:
        """The account and its intent; its history and pending revocations stay."""


class Journal(Protocol):
    """What is in progress or still to do: one intent for each account, and pending revocations."""

    def intent(self, key: str) -> Intent | None: ...

    def put_intent(self, intent: Intent) -> None: ...

    def clear_intent(self, key: str) -> None: ...

    def intents(self) -> Sequence[Intent]: ...

    def revocations(self) -> Sequence[PendingRevocation]: ...

    def put_revocation(self, pending: PendingRevocation) -> None:
        """Insert or replace by `entry`."""

    def remove_revocation(self, entry: str) -> None: ...


HISTORY_MOST = 10_000  # events that are kept, of all accounts together


class History(Protocol):
    """What happened, to be shown."""

    def log(self, event: LoggedEvent) -> LoggedEvent:
        """Append to the history; returns it with its `seq`. Events beyond `HISTORY_MOST` are dropped."""

    def events(
        self, *, after: int = 0, account_key: str | None = None, limit: int = 200
    ) -> Sequence[LoggedEvent]:
        """Oldest first; the newest `limit` of those with `seq > after`."""


class NamedValues(Protocol):
    """Small values by name (sign-ins in progress, metadata of client registrations); no secret."""

    def read(self, name: str) -> str | None: ...

    def write(self, name: str, value: str | None) -> None:
        """Set it, or remove it with None."""

    def names(self, prefix: str) -> Sequence[str]:
        """Those that begin so, in order. `prefix` is taken as it is: no wildcards."""


class AccountStore(AccountRecords, Journal, History, NamedValues, Protocol):
    """All that is durable and no secret. Each call of a part is one transaction, on disk before it returns.
    Safe across threads and processes. Raises Fault `store_*`. Code that needs only one part takes that part.
    """


class Locks(Protocol):
    """Named locks, exclusive across threads and processes, freed by the system when their holder dies."""

    def hold(
        self, name: str, *, timeout: timedelta, cancel: threading.Event | None = None
    ) -> AbstractContextManager[None]:
        """Raises Transient `busy` after `timeout`, SignInEnded `cancelled` when `cancel` is set while
        waiting.
        """

    def held(self, name: str) -> bool:
        """Whether somebody, in any process, holds it now. Never blocks."""

    def retire(self, name: str) -> None:
        """Remove a name that will not be used again. Never for an account's: a lock file that is
        deleted while somebody waits for it is two locks.
        """


class Transport(Protocol):
    """One HTTP exchange: no redirects followed, system CAs, bounded time and size. Thread-safe."""

    def send(self, request: Request) -> Response:
        """Raises Transient (with correct `sent` and `answered`) or SettingWrong (TLS, unsafe address)."""


class StreamingTransport(Transport, Protocol):
    """A transport that can also pass on answers as they come, for `keyfob request`."""

    def stream(self, request: Request, *, patience: float = ...) -> AbstractContextManager[Streamed]:
        """The same for an answer of any length, which is read as it comes. `patience` in seconds: how long to
        wait for the next piece. For a user's own API calls, whose answers Keyfob does not check.
        """


class SettingsStore(Protocol):
    """The user's settings. Thread-safe; another process's save is seen by the next load."""

    @property
    def path(self) -> Path:
        """The settings file, for messages. It need not exist."""

    def current(self) -> Settings:
        """As `load`, but cheap enough for each request. Never raises: while the settings cannot be read, the
        last that could be read; before any, the cautious defaults.
        """

    def load(self) -> Settings:
        """The settings; the defaults if none were saved. Raises SettingWrong `setting_faulty`."""

    def save(self, settings: Settings, was: Settings) -> None:
        """Write what differs from `was`. Raises SettingWrong."""


class Autostart(Protocol):
    """Whether Keyfob starts at login."""

    @property
    def path(self) -> Path | None:
        """The entry's file; None if the system has no file for it."""

    def enabled(self) -> bool:
        """Whether this desktop starts Keyfob at login. Reads the system each time."""

    def enable(self, on: bool) -> None:
        """Raises SettingWrong if it cannot be set."""


@dataclass(frozen=True, slots=True)
class MenuEntryState:
    """The user's own menu entry: its file, all files that belong to it, and those of them that are missing.
    `current`: installing it again would change nothing. `foreign`: the file is somebody else's. `autostart`:
    Keyfob was set to start at login together with it.
    """

    path: Path
    files: tuple[Path, ...]
    missing: tuple[Path, ...]
    current: bool
    foreign: bool
    autostart: bool

    @property
    def installed(self) -> bool:
        """Whether Keyfob wrote it."""
        return bool(self.files)


class MenuEntry(Protocol):
    """Keyfob in the user's own application menu. Blocks on files. Raises SettingWrong `desktop_entry_taken`
    for a file of somebody else's, `desktop_entry_unwritable`.
    """

    @property
    def supported(self) -> bool:
        """Whether this system has menu entries of this kind."""

    def state(self) -> MenuEntryState:
        """What is there now."""

    def install(self, *, autostart: bool) -> Sequence[Path]:
        """Write the files, or bring them up to date; their paths. `autostart` is noted for `state`."""

    def remove(self) -> tuple[Sequence[Path], Sequence[Path]]:
        """Remove what was installed: the removed files, and those that were changed since and stay."""


class AgentService(Protocol):
    """Has the system start the agent when a tool asks. Blocks. Raises SettingWrong `service_unavailable`."""

    def files(self) -> Sequence[Path]:
        """Where its files are, or would be."""

    def installed(self) -> bool:
        """Whether any of its files is there."""

    def install(self, socket: Path) -> None:
        """Write the files, and have the system listen at `socket`."""

    def uninstall(self) -> None:
        """Stop the agent that the system started, and remove the files."""


class Avatars(Protocol):
    """Account pictures, kept as files on this computer."""

    def fetch(self, url: str | None) -> Path | None:
        """An account picture's file; None if there is none. Blocks on the network; never raises."""


class Listener(Protocol):
    """A bound loopback callback server for one attempt. Bound when created; serves when asked."""

    @property
    def redirect_uri(self) -> str:
        """The redirect URI (RFC 6749 §3.1.2) that the provider must send the browser to, with the port that
        was bound.
        """

    def serve(self) -> None:
        """Blocks, answering requests, until `close`, or until some minutes after `retire`; then the socket is
        closed. Runs on a thread of the face.
        """

    def expect(self, expectation: Expectation) -> None:
        """From here a callback with this state is taken (once). Before, every callback is refused."""

    def wait(self, *, deadline: timedelta, cancel: threading.Event) -> Callback:
        """The callback. Raises SignInEnded `timed_out` or `cancelled` (within 0.2 s of `cancel`)."""

    def paste(self, text: str) -> None:
        """A pasted address or code instead of the browser's visit; the same checks. Raises
        PeerFault, Usage.
        """

    def conclude(self, outcome: Outcome) -> None:
        """Show this on the page that the browser is waiting for."""

    def concluded(self, timeout: float) -> bool:
        """True once a browser has fetched the outcome's page (or none is waiting); waits at most
        `timeout` s.
        """

    def retire(self, outcome: Outcome) -> None:
        """The attempt has ended. From here nothing is taken; a browser that comes late sees what `conclude`
        set, else `outcome`. The next `bind` gets the port at once. Idempotent, any thread; never blocks.
        """

    def close(self) -> None:
        """Free the port, whether or not `serve` was ever called; at most a second. Idempotent, any thread."""


class Listeners(Protocol):
    """Opens the loopback ports that browsers come back to (RFC 8252 §7.3)."""

    def bind(self, profile: RedirectProfile, *, setting_port: int) -> Listener:
        """Bind before the browser opens. Raises SettingWrong `port_taken`, naming who holds the port. An
        attempt that has ended does not hold it.
        """

    def close(self) -> None:
        """Close the listeners of attempts that have ended, now and from here on. Never blocks."""


Spawn = Callable[[Callable[[], None], str], None]  # run this on a thread of the face's kind, with a name

__all__ = [
    "AccountStore",
    "Autostart",
    "Avatars",
    "Browser",
    "Clock",
    "Entropy",
    "Listener",
    "Listeners",
    "Locks",
    "SettingsStore",
    "Spawn",
    "StreamingTransport",
    "Transport",
    "Unread",
    "Vault",
    "VaultHealth",
    "unhealthy",
]
