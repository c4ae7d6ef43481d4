"""Which process is the keeper: of the app and any number of agents, one
for each user serves the socket and renews.

The role is a lock that the system frees when its holder dies. The others try again each time that their
renewer looks, so the open app replaces a killed agent within 37 s, and the other way round. If systemd
listens on the socket, the app leaves the role to the agent that systemd starts.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from keyfob.agent.server import AgentServer
from keyfob.core.errors import KeyfobError, Transient
from keyfob.core.words import KEEPER_ROLE
from keyfob.ports import Locks

log = logging.getLogger(__name__)
SETTLED_WITHIN = 5.0  # seconds until the socket is there, or it is known why not
LEFT_WITHIN = 45.0  # seconds: a renewal that a tool asked for is not cut short


class AgentHost:
    """`take` and `leave` from any thread. The server runs on a separate thread while the role is held."""

    def __init__(
        self, make: Callable[[], AgentServer], locks: Locks, patience: timedelta = timedelta(0)
    ) -> None:
        """`patience`: how long to wait for a process that holds the role only to look whether it may have it.
        For a process that was handed its socket, so that nobody else serves there.
        """
        self._make = make
        self._locks = locks
        self._patience = patience
        self._lock = threading.Lock()
        self._server: AgentServer | None = None
        self._thread: threading.Thread | None = None
        self._holds = False
        self._left = threading.Event()
        self.problem: KeyfobError | None = None

    @property
    def holds(self) -> bool:
        """Whether this process serves the socket now."""
        return self._holds

    def take(self) -> bool:
        """Take the role if it is free. True if this process has it (then the socket is being served, or
        `problem` says why not). Blocks for a few milliseconds. What `Renewer.allowed` asks.
        """
        with self._lock:
            if self._holds or self._left.is_set():
                return self._holds
            settled = threading.Event()
            self._thread = threading.Thread(target=self._hold, args=(settled,), name="agent", daemon=True)
            self._thread.start()
            settled.wait(SETTLED_WITHIN)
            return self._holds

    def leave(self) -> None:
        """Give the role up permanently; requests in progress are answered first, at most 45 s."""
        self._left.set()
        server, thread = self._server, self._thread
        if server is not None:
            server.stop()
        if thread is not None and thread is not threading.current_thread():
            thread.join(LEFT_WITHIN)

    def _hold(self, settled: threading.Event) -> None:
        try:
            with self._locks.hold(KEEPER_ROLE, timeout=self._patience):
                server = self._make()
                if server.live():
                    return  # somebody serves without the role: a socket of systemd's, whose agent takes it
                self._server = server
                self._holds = True
                try:
                    self._serve(server, settled)
                finally:
                    self._holds = False
                    self._server = None
        except Transient:
            pass  # somebody else has it
        except KeyfobError as error:
            self.problem = error
        finally:
            settled.set()

    def _serve(self, server: AgentServer, settled: threading.Event) -> None:
        if self._left.is_set():
            return
        try:
            server.run(settled.set)
        except KeyfobError as error:
            # Without a socket the role is still ours to renew with; tools do their work in process.
            log.warning("the agent's socket is not served: %s", error.code)
            self.problem = error
            settled.set()
            self._left.wait()
