"""Who holds the keeper: of the app and any number of agents, one a person serves the socket and renews.

The role is a lock that the system frees when its holder dies. Whoever does not have it asks again at each of its
renewer's looks, so a killed agent is replaced by the open app within 37 s, and the other way round.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from datetime import timedelta

from keyfob.agent.server import AgentServer
from keyfob.core.errors import KeyfobError, Transient
from keyfob.ports import Locks

log = logging.getLogger(__name__)
ROLE = "keeper"


class AgentHost:
    """`take` and `leave` from any thread. The server runs on a thread of its own while the role is held."""

    def __init__(
        self, make: Callable[[], AgentServer], locks: Locks, listening: socket.socket | None = None
    ) -> None:
        self._make = make
        self._locks = locks
        self._listening = listening
        self._lock = threading.Lock()
        self._server: AgentServer | None = None
        self._thread: threading.Thread | None = None
        self._holds = False
        self._left = False
        self.problem: KeyfobError | None = None

    @property
    def holds(self) -> bool:
        return self._holds

    def take(self) -> bool:
        """Take the role if it is free. True where this process has it (then the socket is being served, or
        `problem` says why not). Blocks for a few milliseconds."""
        with self._lock:
            if self._holds or self._left:
                return self._holds
            settled = threading.Event()
            self._thread = threading.Thread(target=self._hold, args=(settled,), name="agent", daemon=True)
            self._thread.start()
        settled.wait(5)
        return self._holds

    def leave(self) -> None:
        """Give the role up; the socket is gone when this returns (at most 5 s)."""
        with self._lock:
            self._left = True
            server, thread = self._server, self._thread
        if server is not None:
            server.stop()
        if thread is not None:
            thread.join(5)

    def wait(self) -> None:
        """Blocks until the role is given up."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _hold(self, settled: threading.Event) -> None:
        try:
            with self._locks.hold(ROLE, timeout=timedelta(0)):
                server = self._make()
                with self._lock:
                    self._server = server
                self._holds = True
                try:
                    self._serve(server, settled)
                finally:
                    self._holds = False
        except Transient:
            pass  # somebody else has it
        finally:
            settled.set()

    def _serve(self, server: AgentServer, settled: threading.Event) -> None:
        def watch() -> None:
            server.ready.wait(5)
            settled.set()

        threading.Thread(target=watch, name="agent start", daemon=True).start()
        try:
            server.run(self._listening)
        except KeyfobError as error:
            # Without a socket the role is still ours to renew with; tools do their work in process.
            log.warning("the agent's socket is not served: %s", error.code)
            self.problem = error
            settled.set()
            self._idle(server)

    def _idle(self, server: AgentServer) -> None:
        done = threading.Event()
        server.stop = done.set  # type: ignore[method-assign]
        done.wait()
