"""`keyfob agent`: the keeper without a window, until it is told to end."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from types import FrameType

from keyfob.agent.host import AgentHost
from keyfob.service.renewer import Renewer

log = logging.getLogger(__name__)
FINISH_WITHIN = timedelta(seconds=40)  # a renewal that has begun is not cut short


def run_agent(host: AgentHost, renewer: Renewer, say: Callable[[str], None]) -> int:
    """Serve and renew until SIGTERM, SIGINT or SIGHUP. Returns 0, also where another keeper runs already: then there
    is nothing to do. On the main thread."""
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)
    if not host.take():
        say("Keyfob runs already and keeps the accounts; this agent has nothing to do.")
        return 0
    if host.problem is not None:
        raise host.problem
    renewer.allowed = host.take
    say("Keyfob's agent keeps the accounts and serves the tools.")
    try:
        while not stop.is_set() and host.holds:
            wait = renewer.tick()
            # A plain wait would sleep through a suspend; the renewer never asks for more than 37 s.
            stop.wait(wait.total_seconds())
    finally:
        host.leave()
        renewer.settled(FINISH_WITHIN)
    return 0
