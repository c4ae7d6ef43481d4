"""Opens callback listeners: implements `ports.Listeners`.

Knows the listeners that this process has open, so that an attempt that has ended never keeps the port from
the next one.
"""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

from keyfob.adapters.loopback.handover import ask_to_give_way
from keyfob.adapters.loopback.listener import CallbackListener
from keyfob.adapters.loopback.pages import CallbackPages
from keyfob.adapters.loopback.ports import candidates, take_port
from keyfob.core.errors import SettingWrong
from keyfob.core.provider import RedirectProfile
from keyfob.ports import Clock, Entropy

_FREE_WITHIN = 1.0  # seconds that an ended attempt gets to free its port
_LOOK_AGAIN = 0.02  # seconds


class Loopback:
    """Makes listeners. `resources` is the folder with `pages/outcome.html` and the icons. Thread-safe."""

    def __init__(self, clock: Clock, entropy: Entropy, resources: Path) -> None:
        self._clock = clock
        self._entropy = entropy
        self._pages = CallbackPages(resources)
        self._binding = threading.Lock()  # one bind at a time: none waits for a port that another gets
        self._lock = threading.Lock()  # guards the two below
        self._open: list[CallbackListener] = []
        self._closed = False

    def bind(self, profile: RedirectProfile, *, setting_port: int) -> CallbackListener:
        """A listener that already holds its port. The caller ends it: `retire` or `close`.

        `setting_port` 0 means any free port. A profile with its own `uri` takes no port: its answer can
        only be pasted. Blocks for about a second if another attempt is about to give up the port. Raises
        SettingWrong `port_taken` (naming who holds it) or `preset_faulty`.
        """
        with self._binding:
            sockets = [] if profile.uri else self._take(profile, setting_port)
            listener = CallbackListener(profile, sockets, self._clock, self._entropy, self._pages)
            with self._lock:
                self._open.append(listener)
                if self._closed:
                    listener.close_soon()
            return listener

    def close(self) -> None:
        """Close the listeners of attempts that have ended, now and from here on. Never blocks."""
        with self._lock:
            self._closed = True
            for listener in self._open:
                listener.close_soon()

    def _take(self, profile: RedirectProfile, setting_port: int) -> list[socket.socket]:
        wanted = {port for port in candidates(profile, setting_port) if port}
        self._free(wanted)
        try:
            return take_port(profile, setting_port)
        except SettingWrong as error:
            if error.code not in ("port_taken", "fixed_port_taken"):
                raise
            # Another process's attempt has ended, or one of ours is about to.
            given = [port for port in wanted if ask_to_give_way(port)]
            if not (self._free(wanted) or given):
                raise
        end = time.monotonic() + _FREE_WITHIN
        while True:
            try:
                return take_port(profile, setting_port)
            except SettingWrong:
                if time.monotonic() > end:
                    raise
                time.sleep(_LOOK_AGAIN)
                self._free(wanted)

    def _free(self, ports: set[int]) -> bool:
        """Close what has ended on these ports; whether a listener of ours held one of them."""
        with self._lock:
            self._open = [each for each in self._open if not each.ended]
            ours = [each for each in self._open if each.port in ports]
        for listener in ours:
            if listener.retired:
                listener.close()
        return bool(ours)


__all__ = ["Loopback"]
