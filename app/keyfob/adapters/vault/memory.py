"""A vault in this process's memory. For the demo if there is no keychain, and for tests.

It reports `persistent=False`. Nothing ever falls back to it: callers ask for it by name.
"""

from __future__ import annotations

import threading

from keyfob.adapters.vault.entries import check_name, check_value
from keyfob.core.secret import Secret
from keyfob.ports import VaultHealth


class MemoryVault:
    """A `ports.Vault`. Thread-safe; never blocks; never fails but for a
    name or value that is a bug (Fault).
    """

    def __init__(self) -> None:
        self.entries: dict[str, Secret] = {}
        self._lock = threading.Lock()

    def load(self, name: str) -> Secret | None:
        """The value, None if there is none. Thread-safe."""
        check_name(name)
        with self._lock:
            return self.entries.get(name)

    def save(self, name: str, value: Secret) -> None:
        """Keep the value until the process ends. Thread-safe."""
        check_name(name)
        check_value(value)
        with self._lock:
            self.entries[name] = value

    def delete(self, name: str) -> None:
        """Forget the value, if there is one. Thread-safe."""
        check_name(name)
        with self._lock:
            self.entries.pop(name, None)

    def names(self) -> list[str]:
        """All names. Thread-safe."""
        with self._lock:
            return sorted(self.entries)

    def probe(self) -> VaultHealth:
        """Always usable, and not persistent."""
        return VaultHealth(True, "in memory", persistent=False)

    def unlock(self, timeout: float, cancel: threading.Event | None = None) -> None:
        """It is never locked."""
