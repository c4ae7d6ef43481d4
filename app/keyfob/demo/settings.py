"""How the demo provider behaves now, and what it has counted. The
playground page changes it while it runs.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

SLOW_SECONDS = 4.0


@dataclass(slots=True)
class DemoSettings:
    """`slow` delays every answer to an app by SLOW_SECONDS, `down` makes each a 503. Neither outlives the
    process: a demo that starts broken would puzzle. `access_lifetime` and `device_interval` are seconds.
    """

    issuer: str
    access_lifetime: int
    rotate: bool
    device_interval: int = 5
    slow: bool = False
    down: bool = False
    counters: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str) -> None:
        """Add one to a counter that the playground shows. Thread-safe."""
        with self._lock:
            self.counters[what] += 1
