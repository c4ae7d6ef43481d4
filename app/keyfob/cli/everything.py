"""What there is to delete of a home and outside it, and deleting it: for `keyfob remove --everything`.

The order makes it safe to be interrupted and run again. What would start Keyfob again goes first, then the
tools' settings, then accounts and keychain, and last the folders, which name all the rest. The folders stay
if something before them could not be deleted.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from keyfob.cli.wire_gateway import undo_tool
from keyfob.core.errors import KeychainError, KeyfobError, Transient
from keyfob.core.words import KEEPER_ROLE
from keyfob.engine import Engine
from keyfob.nexus.link_handler import link_handler
from keyfob.process.home import Home, socket_path
from keyfob.service.accounts.views import Disconnection

# Codes of a vault that is not there: with nothing of ours in it, that keeps nobody from deleting the rest.
ABSENT = ("keychain_absent", "keychain_no_session", "keychain_off", "pass_missing", "pass_not_set_up")


@dataclass(frozen=True, slots=True)
class Found:
    """What there is, before anything is changed. `entries`: names in the keychain, None if it is not read:
    the encrypted file is deleted as it is, without its passphrase.
    """

    accounts: tuple[str, ...]
    vault: str  # "GNOME Keyring", …
    entries: tuple[str, ...] | None
    tools: tuple[str, ...]
    starters: tuple[tuple[str, Path], ...]  # what starts this home: what it is, and its file
    presets: int  # of the user's own
    folders: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """The object `found` of `--json`."""
        return {
            "accounts": list(self.accounts),
            "vault": self.vault,
            "keychain_entries": None if self.entries is None else len(self.entries),
            "tools": list(self.tools),
            "starters": [str(path) for _, path in self.starters],
            "presets": self.presets,
            "folders": [str(path) for path in self.folders],
        }


@dataclass(frozen=True, slots=True)
class Left:
    """What could not be deleted, and why. `harmless`: it is empty, and keeps nothing else from going."""

    what: str
    why: str
    harmless: bool = False


@dataclass
class Removed:
    """What was done."""

    accounts: list[tuple[str, str, Disconnection]] = field(default_factory=list)  # id, provider's title, end
    waiting: list[tuple[str, str]] = field(
        default_factory=list
    )  # revocations of earlier accounts: id, outcome
    restored: list[Path] = field(default_factory=list)
    deleted: list[Path] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)


def look(engine: Engine, *, local: bool, keep_settings: bool) -> Found:
    """Raises KeychainError, with nothing changed, if the keychain is locked or does not work, SettingWrong if
    the settings cannot be read, and Fault `store_*`.
    """
    home, settings = engine.home, engine.settings.load()
    records = engine.store.records()
    accounts = [record.account.id for record in records]
    accounts += [each.account_id or each.key for each in engine.store.unread()]
    vault, entries = "the encrypted file", None
    if settings.vault != "sealed" or not local:
        health = engine.vault.probe()
        vault = health.name
        if health.ok:
            entries = tuple(engine.keychain_entries.found())
        elif health.code in ABSENT and not engine.keychain_entries.expected():
            entries = ()
        else:
            raise KeychainError(health.message, code=health.code, facts=health.facts)
    return Found(
        accounts=tuple(accounts),
        vault=vault,
        entries=entries,
        tools=tuple(engine.wiring.wired()),
        starters=tuple(starters(engine)),
        presets=0 if keep_settings else sum(1 for _ in (home.config / "providers").glob("*.toml")),
        folders=tuple(folders(home, keep_settings=keep_settings)),
    )


def starters(engine: Engine) -> Iterator[tuple[str, Path]]:
    """The files outside the home that start this home, and not another one."""
    if engine.agent_service.installed():
        for path in engine.agent_service.files():
            if path.exists() and _names(path, os.environ.get("KEYFOB_HOME")):
                yield "the agent that the system starts", path
    entry = engine.autostart.path
    if entry is not None and entry.exists() and _names(entry, os.environ.get("KEYFOB_HOME")):
        yield "the start at login", entry
    if engine.menu_entry.supported:
        menu = engine.menu_entry.state()
        if menu.installed and not menu.foreign and _names(menu.path, os.environ.get("KEYFOB_HOME")):
            yield "the menu entry", menu.path
    links = link_handler(engine.home.data)
    if links.path is not None and links.state().on:
        yield "the program for nxm links", links.path


def _names(path: Path, home: str | None) -> bool:
    """Whether a unit or an entry is of this home: it names it, or none if this is the user's own."""
    with suppress(OSError):
        text = path.read_text("utf-8", errors="replace").replace("%%", "%")
        return os.path.abspath(home) in text if home else "KEYFOB_HOME" not in text  # noqa: PTH100
    return False


def folders(home: Home, *, keep_settings: bool = False) -> Iterator[Path]:
    """The home's folders that are there, in the order in which they go: the one with the home's id last."""
    parts = [home.log, home.run, home.state, home.data]
    short = None
    with suppress(KeyfobError):
        short = socket_path(home, {**os.environ, "KEYFOB_SOCK": ""}).parent
    if short is not None and short != home.run and short.name.startswith("keyfob-"):
        parts.insert(0, short)
    if not keep_settings:
        parts.insert(0, home.config)
    seen: list[Path] = []
    for path in parts:
        if path.is_dir() and path not in seen:
            seen.append(path)
            yield path


def remove_all(
    engine: Engine,
    found: Found,
    *,
    local: bool,
    keep_settings: bool,
    stop: threading.Event,
    stop_agent: Callable[[], object],
    close: Callable[[], object],
) -> Removed:
    """Delete everything that `look` found. Blocks. Raises KeychainError, Usage if the app runs, and Transient
    `interrupted` and `keyfob_running`, with the rest still there; it can be run again. `close` closes the
    engine, before its folders go.
    """
    done = Removed()
    _stop_starting(engine, found, done)
    if engine.locks.held(KEEPER_ROLE):
        stop_agent()
    with _alone(engine):
        for tool in found.tools:
            _check(stop)
            _unwire(engine, tool, done)
        if found.entries is not None:
            _end_accounts(engine, done, local=local, stop=stop)
            _check(stop)
            if found.entries or engine.keychain_entries.expected():
                for undeleted in engine.keychain_entries.delete_all(stop.is_set):
                    error, what = undeleted.error, f"the keychain's entry {undeleted.name}"
                    why = error.message if error else "It is empty, and the keychain would ask you first"
                    done.left.append(Left(what, why, harmless=error is None))
        _check(stop)
    close()
    if all(left.harmless for left in done.left):
        for folder in folders(engine.home, keep_settings=keep_settings):
            _delete(folder, done)
        with suppress(OSError):
            engine.home.root.rmdir()  # KEYFOB_HOME itself, if nothing else is in it
    return done


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    try:
        with engine.locks.hold(KEEPER_ROLE, timeout=timedelta(seconds=1)):
            yield
    except Transient as error:
        if error.code != "busy":
            raise
        raise Transient("Keyfob is running", code="keyfob_running") from error


def _is_default_home() -> bool:
    return not os.environ.get("KEYFOB_HOME")


def _stop_starting(engine: Engine, found: Found, done: Removed) -> None:
    paths = {path for _, path in found.starters}
    if engine.agent_service.installed() and paths & set(engine.agent_service.files()):
        _try(done, "the agent that the system starts", engine.agent_service.uninstall)
    if engine.autostart.path in paths or (engine.autostart.path is None and _is_default_home()):
        _try(done, "the start at login", lambda: engine.autostart.enable(False))
    if engine.menu_entry.supported and engine.menu_entry.state().path in paths:
        _try(done, "the menu entry", lambda: _leave_menu(engine, done))
    links = link_handler(engine.home.data)
    if links.path in paths:
        _try(done, "the program for nxm links", links.turn_off)
    done.deleted += [path for path in sorted(paths) if not path.exists()]


def _leave_menu(engine: Engine, done: Removed) -> None:
    _, kept = engine.menu_entry.remove()
    done.left += [Left(str(path), "It was changed since Keyfob wrote it", harmless=True) for path in kept]


def _unwire(engine: Engine, tool: str, done: Removed) -> None:
    def undo() -> None:
        changes = engine.wiring.undoing(tool)
        undo_tool(engine, tool, changes)
        done.restored.extend(change.path for change, _ in changes)

    _try(done, f"the setup of {tool}", undo)


def _end_accounts(engine: Engine, done: Removed, *, local: bool, stop: threading.Event) -> None:
    """Raises KeychainError. A provider that does not answer is asked once."""
    for view in engine.accounts.views():
        _check(stop)
        ended = engine.accounts.remove(view.id, local=local)
        done.accounts.append((view.id, view.provider_title, ended))
    if not local:
        _check(stop)
        ours = {account for account, _, _ in done.accounts}
        for pending, outcome in engine.keychain_entries.revoke_waiting():
            if pending.account_id not in ours:
                done.waiting.append((pending.account_id, outcome))


def _try(done: Removed, what: str, work: Callable[[], object]) -> None:
    try:
        work()
    except KeyfobError as error:
        done.left.append(Left(what, error.message))


def _check(stop: threading.Event) -> None:
    if stop.is_set():
        raise Transient(
            "Interrupted. Some of it is deleted",
            code="interrupted",
            remedy="To delete the rest, run the command again.",
        )


def _delete(folder: Path, done: Removed) -> None:
    """A link to a folder elsewhere, as programs for dotfiles make it, goes with what it points to."""

    def failed(_call: object, path: str, info: tuple[object, BaseException, object]) -> None:
        error = info[1]
        reason = error.strerror if isinstance(error, OSError) else None
        done.left.append(Left(path, reason or type(error).__name__))

    before = len(done.left)
    shutil.rmtree(folder.resolve() if folder.is_symlink() else folder, onerror=failed)
    if folder.is_symlink() and len(done.left) == before:
        folder.unlink()
    if len(done.left) == before:
        done.deleted.append(folder)
