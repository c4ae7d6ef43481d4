"""What the faces are given: bootstrap's engine, the demo provider and its visitor, the window. Belongs with bootstrap.

Everything is imported when a door is used, so that a verb pays for what it opens and no more.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from keyfob.cli.engine import Doors

if TYPE_CHECKING:
    from socket import socket  # noqa: TID251  (a type's name)

    from keyfob.adapters.system.home import Home
    from keyfob.agent.host import AgentHost
    from keyfob.bootstrap import Engine
    from keyfob.core.account import LoggedEvent
    from keyfob.demo.server import DemoServer
    from keyfob.ports import Vault
    from keyfob.service.accounts.recovery import Recovered

DEMO_LIFETIME = 60  # seconds: short enough to watch a renewal


def doors() -> Doors:
    """For `__main__`."""
    return Doors(engine=engine, demo=demo, visit=visit, window=window, agent=agent, recover=recover)


def engine(home: Path | None = None, *, in_memory: bool = False) -> Engine:
    """The engine of the person's own home, or of one folder; with a vault that forgets where `in_memory`."""
    from keyfob.adapters.system import log
    from keyfob.adapters.system.home import open_home
    from keyfob.adapters.vault.prompt import can_ask
    from keyfob.bootstrap import build

    place = open_home({"KEYFOB_HOME": str(home)}) if home is not None else open_home()
    log.set_up(place.log)
    vault = None
    if in_memory:
        from keyfob.adapters.vault.memory import MemoryVault

        vault = MemoryVault()
    at_terminal = any(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
    built = build(place, vault=vault, say=_note if can_ask() else None, patient=at_terminal)
    built.events.subscribe(_alarm)
    return built


def _alarm(event: LoggedEvent) -> None:
    if event.kind == "unsaved":
        _note(
            f"The provider sent a new token for {event.account_id}, but the keychain cannot save it. Unlock the keychain and keep this command running. It saves the token when it can."
        )


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def demo(state_dir: Path, *, port: int, access_lifetime: int) -> DemoServer:
    """A demo provider that serves. Raises SettingWrong."""
    from keyfob.demo.server import DemoServer

    return DemoServer(state_dir, port=port, access_lifetime=access_lifetime).start()


def visit(url: str) -> object:
    """Alice, with a browser of code."""
    from keyfob.demo.scripted_browser import ScriptedBrowser

    return ScriptedBrowser().sign_in(url, "alice")


def window(arguments: Sequence[str]) -> int:
    """The desktop app, until it is quit. `--demo` starts the demo provider with it; without a keychain, the demo plays
    in memory, in a home that is gone at the end."""
    from contextlib import ExitStack
    from tempfile import TemporaryDirectory

    from keyfob.adapters.system import log
    from keyfob.adapters.system.autostart import Autostart
    from keyfob.adapters.system.home import open_home
    from keyfob.adapters.vault.memory import MemoryVault
    from keyfob.desktop.app import run

    start_demo = "--demo" in arguments
    with ExitStack() as until_the_end:
        place, vault = open_home(), None
        if start_demo and not _has_keychain(place):
            # In a home of its own: with no keychain, the accounts of the person's own home would lose theirs.
            folder = until_the_end.enter_context(TemporaryDirectory(prefix="keyfob-demo-"))
            place, vault = open_home({"KEYFOB_HOME": folder}), MemoryVault()
        log.set_up(place.log)
        return run(
            lambda: serving_engine(place, vault),
            home=place,
            demo=lambda: _lasting_demo(place),
            start_demo=start_demo,
            autostart=Autostart(),
        )


def _has_keychain(place: Home) -> bool:
    """Whether the vault that the settings name can be there at all; True also when they cannot be read."""
    from keyfob.adapters.store.settings_file import SettingsFile
    from keyfob.adapters.vault.choice import keychain_there
    from keyfob.core.errors import SettingWrong

    try:
        chosen = SettingsFile(place.config / "settings.json").load().vault
    except SettingWrong:
        return True
    return chosen != "keychain" or keychain_there(place.id)


def _lasting_demo(place: Home) -> DemoServer:
    from keyfob.demo.lasting import start_lasting

    return start_lasting(place.data, place.config, access_lifetime=DEMO_LIFETIME)


def recover() -> tuple[Recovered, Path | None]:
    """Lists lost accounts again, and says where a store that was damaged as a whole is kept. Raises Transient `busy`
    while an agent or the app runs, which has the store open, KeychainError, SettingWrong and Fault `store_*`."""
    from keyfob.adapters.store.file_locks import FileLocks
    from keyfob.adapters.store.sqlite import SqliteAccountStore, set_aside
    from keyfob.adapters.system import log
    from keyfob.adapters.system.home import open_home
    from keyfob.adapters.vault.prompt import can_ask
    from keyfob.agent.host import ROLE
    from keyfob.bootstrap import build
    from keyfob.core.errors import Transient

    place = open_home()
    log.set_up(place.log)
    path = place.data / "accounts.db"
    try:
        with FileLocks(place.state / "locks").hold(ROLE, timeout=timedelta(0)):
            aside = set_aside(path)
            SqliteAccountStore(path, anew=True).close()
            engine = build(place, say=_note if can_ask() else None)
            try:
                return engine.recovery.recover(), aside
            finally:
                engine.close()
    except Transient as error:
        raise Transient(
            "Keyfob is running", code="busy", remedy="Quit the app or stop the agent, then run this again."
        ) from error


def agent(say: Callable[[str], None], shared: Path | None = None) -> int:
    """The keeper without a window."""
    from keyfob.adapters.system import log
    from keyfob.adapters.system.home import open_home
    from keyfob.agent.endpoints import handed_over
    from keyfob.agent.run import run_agent
    from keyfob.bootstrap import build

    handed = handed_over()
    place = open_home()
    log.set_up(place.log)
    engine = build(place, lasting=True)

    def begin() -> None:
        if engine.settings.load().vault == "sealed":
            # Its passphrase is asked for now, where somebody is there to type it.
            engine.vault.load("opened")

    try:
        return run_agent(agent_host(engine, handed=handed, shared=shared), engine.renewer, say, begin)
    finally:
        engine.close()


def serving_engine(place: Home, vault: Vault | None = None) -> Engine:
    """The window's engine: with its renewer's first look it takes the keeper's role, where that is free, and serves
    the tools; when it closes, it gives the role back."""
    from keyfob.bootstrap import build

    engine = build(place, vault=vault, lasting=True)
    host = agent_host(engine)
    engine.renewer.allowed = host.take
    return replace(engine, before_close=host.leave)


def agent_host(engine: Engine, *, handed: socket | None = None, shared: Path | None = None) -> AgentHost:
    """The keeper's role and the sockets over `engine`: the agent's and the window's alike."""
    import threading

    from keyfob.adapters.system.clock import now
    from keyfob.adapters.system.home import socket_path
    from keyfob.agent.api import Api
    from keyfob.agent.consent import NamedApps
    from keyfob.agent.endpoints import Endpoint, UnixEndpoint, endpoint_for
    from keyfob.agent.host import AgentHost
    from keyfob.agent.server import AgentServer

    def spawn(work: Callable[[], None], name: str) -> None:
        threading.Thread(target=work, name=name, daemon=True).start()

    def make() -> AgentServer:
        endpoints: list[Endpoint] = [endpoint_for(socket_path(engine.home), handed)]
        if shared is not None:
            endpoints.append(UnixEndpoint(shared, forwarding=True))
        apps = NamedApps(engine.consents)
        api = Api(engine.accounts, engine.sign_in, engine.signer, now, spawn, apps)
        return AgentServer(api, engine.events, engine.store, endpoints, now, lambda: apps.on)

    return AgentHost(make, engine.locks)
