"""A deadline for a vault that has none, for a command that works alone and ends with the call.

The call runs on a daemon thread. After the deadline the caller gets `keychain_timeout`, and the thread is
abandoned. That is only right if the process ends soon: an abandoned thread's write may land later, and it
blocks the inner vault until then. A long-running program uses `process`, whose process is killed. (Not a
ThreadPoolExecutor: at exit it waits for its threads, and so for the keychain that hangs.)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from keyfob.core.errors import KeychainError, SignInEnded

if TYPE_CHECKING:  # a command that only reads a token pays for what it imports
    from keyfob.core.secret import Secret
    from keyfob.ports import Vault, VaultHealth

T = TypeVar("T")

# Seconds. Long enough for a slow disk and a busy machine, short enough for a user who looks at a terminal.
DEADLINE = 10.0
PROMPT_DEADLINE = 60.0  # for a user who answers a prompt
LOOK = 0.1  # seconds between looks whether a user gave up


class DeadlineVault:
    """A `ports.Vault` that ends each call of `inner` after `deadline`
    seconds. Thread-safe where `inner` is.
    """

    def __init__(self, inner: Vault, deadline: float = DEADLINE) -> None:
        self._inner = inner
        self._deadline = deadline

    def load(self, name: str) -> Secret | None:
        """The inner vault's value. Raises KeychainError if it does not answer in time."""
        return self._within(lambda: self._inner.load(name))

    def save(self, name: str, value: Secret) -> None:
        """Save in the inner vault. Raises KeychainError if it does not answer in time; the value may be saved
        all the same.
        """
        self._within(lambda: self._inner.save(name, value))

    def delete(self, name: str) -> None:
        """Delete in the inner vault. Raises KeychainError if it does not answer in time."""
        self._within(lambda: self._inner.delete(name))

    def names(self) -> Sequence[str] | None:
        """All entries in the inner vault. Raises KeychainError if it does not answer in time."""
        return self._within(self._inner.names)

    def probe(self) -> VaultHealth:
        """The inner vault's health; not usable if it does not answer in time."""
        try:
            return self._within(self._inner.probe)
        except KeychainError as error:
            from keyfob.ports import unhealthy

            return unhealthy(error)

    def unlock(self, timeout: float, cancel: threading.Event | None = None) -> None:
        """Have the user unlock the inner vault, for at most `timeout` seconds or until `cancel` is set."""
        self._within(lambda: self._inner.unlock(timeout), timeout, cancel)

    def close(self) -> None:
        """Give back what `inner` holds, if it does so at once; a keychain
        that hangs does not hold up the exit.
        """
        closing = getattr(self._inner, "close", None)
        if closing is not None:
            thread = threading.Thread(target=closing, name="keychain", daemon=True)
            thread.start()
            thread.join(0.2)

    def _within(
        self, call: Callable[[], T], seconds: float | None = None, cancel: threading.Event | None = None
    ) -> T:
        done = threading.Event()
        value: list[T] = []
        failure: list[BaseException] = []

        def work() -> None:
            try:
                value.append(call())
            except BaseException as error:  # handed to the caller's thread, which raises it
                failure.append(error)
            finally:
                done.set()

        threading.Thread(target=work, name="keychain", daemon=True).start()
        until = time.monotonic() + (self._deadline if seconds is None else seconds)
        while not done.wait(max(min(until - time.monotonic(), LOOK), 0)):
            if cancel is not None and cancel.is_set():
                raise SignInEnded("Unlocking the keychain was cancelled")
            if time.monotonic() >= until:
                raise KeychainError("The keychain did not answer in time", code="keychain_timeout")
        if failure:
            raise failure[0]
        return value[0]
