"""`keyfob agent`: the keeper without a window, until it is told to end."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from types import FrameType

from keyfob.agent.host import AgentHost
from keyfob.core.errors import Fault
from keyfob.service.accounts.renewer import Renewer

log = logging.getLogger(__name__)
FINISH_WITHIN = timedelta(seconds=40)  # a renewal that has begun is not cut short


def run_agent(
    host: AgentHost, renewer: Renewer, say: Callable[[str], None], begin: Callable[[], None] = lambda: None
) -> int:
    """Serve and renew until SIGTERM, SIGINT or SIGHUP. Returns 0, also where another keeper runs already: then there
    is nothing to do. `begin` is called once the role is ours. On the main thread. Raises a KeyfobError where the socket cannot be served."""
    stop, look = threading.Event(), threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()
        look.set()

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
        while not stop.is_set() and host.holds:
            look.clear()
            wait = renewer.tick()
            # A plain wait would sleep through a suspend; the renewer never asks for more than 37 s.
            look.wait(wait.total_seconds())
        if not stop.is_set():
            raise Fault("The agent's server stopped unexpectedly")
    finally:
        host.leave()
        renewer.settled(FINISH_WITHIN)
    return 0
