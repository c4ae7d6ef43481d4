"""Runs the keeper over an engine: for `keyfob agent`, which has no
window, and for the app, which also serves tools.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import FrameType

from keyfob.agent.api import Api
from keyfob.agent.consent import NamedApps
from keyfob.agent.control import Control
from keyfob.agent.endpoints import Endpoint, Handed, UnixEndpoint, endpoint_for, handed_over
from keyfob.agent.host import AgentHost
from keyfob.agent.server import AgentServer
from keyfob.agent.sign_ins import SignIns
from keyfob.agent.succession import Succession, check_may_restart
from keyfob.core.errors import Fault
from keyfob.engine import Engine, build, on_a_thread, system_ports
from keyfob.ports import Vault
from keyfob.process import log
from keyfob.process.home import Home, open_home, socket_path
from keyfob.service.accounts.renewer import Renewer
from keyfob.updates.bundle import mark_started

FINISH_WITHIN = timedelta(seconds=40)  # a renewal that has begun is not cut short
TAKE_WITHIN = timedelta(seconds=5)  # for the role, while another process only looks whether it is free


def run(say: Callable[[str], None], shared: Path | None = None) -> int:
    """`keyfob agent`, until it is asked to end; its exit code. `shared`: a second socket, for other machines.
    `say` takes the lines that say how it stands. Raises SettingWrong.
    """
    handed = handed_over()
    home = open_home()
    log.set_up(home.log)
    engine = build(system_ports(home, lasting=True))
    ending = Ending(Succession())

    def begin() -> None:
        if engine.settings.load().vault == "sealed":
            # Its passphrase is asked for now, while somebody is there to type it.
            engine.vault.load("opened")

    try:
        host = agent_host(engine, handed=handed, shared=shared, ending=ending)
        code = run_agent(host, engine.renewer, say, begin, ending)
    finally:
        engine.close()
    if ending.succession is not None and ending.succession.asked:
        ending.succession.become(sys.argv[1:])
    return code


def serving_engine(home: Home, vault: Vault | None = None, succession: Succession | None = None) -> Engine:
    """The window's engine. At its renewer's first look it takes the keeper's role, if that is free, and
    serves the tools. When it closes, it gives the role back, or with `succession` passes it on. Raises as
    `system_ports`.
    """
    engine = build(system_ports(home, vault=vault, lasting=True, window=True))
    handed = handed_over() if succession is not None else None
    host = agent_host(engine, handed=handed, succession=succession)
    engine.renewer.allowed = host.take
    return replace(engine, before_close=host.leave)


def agent_host(
    engine: Engine,
    *,
    handed: Handed | None = None,
    shared: Path | None = None,
    ending: Ending | None = None,
    succession: Succession | None = None,
) -> AgentHost:
    """The keeper's role and the sockets over `engine`: the agent's and the window's alike. `ending` has this
    process end; None for the window. `succession`: the window's, if it can become another version.
    """
    succession = ending.succession if ending is not None else succession
    lock = engine.vault_lock
    control: Control | None = None
    if lock is not None:
        vault = engine.settings.current().vault
        by_system = handed is not None and handed.file is None

        def become_new() -> None:
            assert ending is not None
            check_may_restart(vault == "sealed")
            ending.replace()

        control = Control(
            engine.home.id,
            lock,
            vault,
            engine.clock(),
            engine.keeper.settled,
            None if ending is None else ending.ask,
            by_system,
            None if ending is None else become_new,
        )

    def make() -> AgentServer:
        endpoints: list[Endpoint] = [endpoint_for(socket_path(engine.home), handed, succession)]
        if shared is not None:
            endpoints.append(UnixEndpoint(shared, forwarding=True))
        apps = NamedApps(engine.consents)
        sign_ins = SignIns(engine.sign_in, engine.clock, on_a_thread)
        api = Api(
            engine.accounts,
            sign_ins,
            engine.signer,
            engine.clock,
            apps,
            engine.client_keys,
            control,
            engine.id_tokens,
            lambda provider, inputs, client_id, secret: engine.clients.keep(
                engine.providers.get(provider), inputs, client_id, secret
            ),
        )

        def consenting() -> bool:
            return apps.on or (lock is not None and lock.locked)

        return AgentServer(api, engine.events, engine.store, endpoints, engine.clock, consenting)

    return AgentHost(make, engine.locks, timedelta(0) if handed is None else TAKE_WITHIN)


class Ending:
    """Has an agent end, from any thread."""

    def __init__(self, succession: Succession | None = None) -> None:
        """`succession`: if the process can become another version."""
        self.asked, self.look = threading.Event(), threading.Event()
        self.succession = succession

    def replace(self) -> None:
        """End to become the version that is installed now. Returns at once."""
        if self.succession is not None:
            self.succession.ask()
        self.ask()

    def ask(self) -> None:
        """Returns at once."""
        self.asked.set()
        self.look.set()


def run_agent(
    host: AgentHost,
    renewer: Renewer,
    say: Callable[[str], None],
    begin: Callable[[], None] = lambda: None,
    ending: Ending | None = None,
) -> int:
    """Serve and renew until SIGTERM, SIGINT, SIGHUP or `ending`. Returns 0, also when another keeper runs
    already: then there is nothing to do. `begin` is called once the role is ours. On the main thread. Raises
    a KeyfobError when the socket cannot be served.
    """
    ending = ending or Ending()
    stop, look = ending.asked, ending.look

    def end(_number: int, _frame: FrameType | None) -> None:
        ending.ask()

    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)
    try:
        held = host.take()
        if host.problem is not None:
            raise host.problem
        if not held:
            say("Keyfob is already running. This agent is not needed and stops.")
            return 0
        begin()
        renewer.allowed = host.take
        renewer.sooner = look.set
        say("The Keyfob agent is running. It keeps your accounts signed in and answers your tools.")
        mark_started()
        while not stop.is_set() and host.holds:
            look.clear()
            wait = renewer.tick()
            # A plain wait would sleep through a suspend; the renewer never asks for more than 37 s.
            look.wait(wait.total_seconds())
        if not stop.is_set():
            raise Fault("The agent's server stopped unexpectedly")
    finally:
        if ending.succession is not None and ending.succession.asked:
            renewer.settled(FINISH_WITHIN)  # tools are served meanwhile
        host.leave()
        renewer.settled(FINISH_WITHIN)
    return 0
