"""A call that never returns, and what its caller sees."""

from __future__ import annotations

import threading
import time

import pytest

from keyfob.adapters.vault.deadline import DeadlineVault
from keyfob.adapters.vault.memory import MemoryVault
from keyfob.core.errors import Fault, KeychainError
from keyfob.core.secret import Secret
from keyfob.ports import VaultHealth


class Hanging(MemoryVault):
    """Answers when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def load(self, name: str) -> Secret | None:
        self.go.wait(30)
        return super().load(name)

    def probe(self) -> VaultHealth:
        self.go.wait(30)
        return super().probe()


def test_a_call_that_hangs_ends_at_the_deadline_on_a_daemon_thread() -> None:
    """S-70: a thread that is no daemon would hold up the process's end."""
    inner = Hanging()
    vault = DeadlineVault(inner, 0.1)
    start = time.monotonic()
    with pytest.raises(KeychainError) as caught:
        vault.load("a")
    assert caught.value.code == "keychain_timeout"
    assert 0.1 <= time.monotonic() - start < 3
    left = [thread for thread in threading.enumerate() if thread.name == "keychain"]
    assert left
    assert all(thread.daemon for thread in left)
    health = vault.probe()
    assert (health.ok, health.code) == (False, "keychain_timeout")
    inner.go.set()
    for thread in left:
        thread.join(5)
    assert vault.load("a") is None


def test_errors_and_bugs_reach_the_callers_own_thread() -> None:
    with pytest.raises(Fault):
        DeadlineVault(MemoryVault()).save("a", Secret("two\nlines"))


def test_close_does_not_wait_for_a_keychain_that_hangs() -> None:
    class Stuck(MemoryVault):
        def __init__(self) -> None:
            super().__init__()
            self.go = threading.Event()
            self.closed = threading.Event()

        def close(self) -> None:
            self.go.wait(30)
            self.closed.set()

    inner = Stuck()
    start = time.monotonic()
    DeadlineVault(inner).close()
    assert time.monotonic() - start < 3
    inner.go.set()
    assert inner.closed.wait(5)
    DeadlineVault(MemoryVault()).close()
