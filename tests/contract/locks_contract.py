"""What all locks must do. A subclass gives `locks` and is collected."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest

from keyfob.core.errors import SignInEnded, Transient
from keyfob.ports import Locks

LONG = timedelta(seconds=20)
SHORT = timedelta(milliseconds=150)
NONE = timedelta(0)


class LocksContract:
    """Subclass it with a `locks` fixture."""

    def test_one_holder_at_a_time(self, locks: Locks) -> None:
        inside, most = 0, 0

        def work() -> None:
            nonlocal inside, most
            for _ in range(10):
                with locks.hold("demo/alice", timeout=LONG):
                    inside += 1
                    most = max(most, inside)
                    time.sleep(0.001)
                    inside -= 1

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == 1

    def test_other_names_are_not_in_the_way(self, locks: Locks) -> None:
        with locks.hold("a", timeout=NONE), locks.hold("b", timeout=NONE), locks.hold("a/b", timeout=NONE):
            assert locks.held("a")
            assert locks.held("a/b")

    def test_held_tells_and_does_not_disturb(self, locks: Locks) -> None:
        assert not locks.held("a")
        with locks.hold("a", timeout=NONE):
            assert all(locks.held("a") for _ in range(50))
        assert not locks.held("a")
        with locks.hold("a", timeout=NONE):
            pass

    def test_whoever_waits_too_long_is_told_that_it_is_busy(self, locks: Locks) -> None:
        with locks.hold("a", timeout=NONE):
            began = time.monotonic()
            with pytest.raises(Transient) as caught, locks.hold("a", timeout=SHORT):
                pytest.fail("two holders")
        assert (caught.value.code, caught.value.sent) == ("busy", False)
        assert 0.1 < time.monotonic() - began < 3

    def test_a_wait_ends_at_once_when_it_is_cancelled(self, locks: Locks) -> None:
        cancel = threading.Event()
        with locks.hold("a", timeout=NONE):
            threading.Timer(0.1, cancel.set).start()
            began = time.monotonic()
            with pytest.raises(SignInEnded) as caught, locks.hold("a", timeout=LONG, cancel=cancel):
                pytest.fail("two holders")
        assert caught.value.code == "cancelled"
        assert time.monotonic() - began < 2

    def test_a_cancel_after_the_lock_was_had_changes_nothing(self, locks: Locks) -> None:
        cancel = threading.Event()
        with locks.hold("a", timeout=LONG, cancel=cancel):
            cancel.set()
            assert locks.held("a")
        assert not locks.held("a")

    def test_a_retired_name_is_free(self, locks: Locks) -> None:
        with locks.hold("once", timeout=NONE):
            locks.retire("once")
        locks.retire("once")
        assert not locks.held("once")

    def test_it_is_freed_by_an_error(self, locks: Locks) -> None:
        with pytest.raises(RuntimeError), locks.hold("a", timeout=NONE):
            raise RuntimeError
        with locks.hold("a", timeout=NONE):
            pass

    def test_a_waiter_gets_it_soon_after_it_is_free(self, locks: Locks) -> None:
        got = threading.Event()

        def wait() -> None:
            with locks.hold("a", timeout=LONG):
                got.set()

        with locks.hold("a", timeout=NONE):
            waiter = threading.Thread(target=wait)
            waiter.start()
            assert not got.wait(0.1)
        assert got.wait(2)
        waiter.join()
