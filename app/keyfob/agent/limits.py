"""How many connections the agent keeps, and how long it waits for each client.

Without limits, clients that connect and stay silent use up the process's file descriptors. Renewals, the
keychain and the store need descriptors too. Only for the event loop's thread, except `capacity`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Protocol

CONNECTIONS_MOST = 512
CONNECTIONS_LEAST = 16  # however few descriptors the process may have
FORWARDED_MOST = 64  # from another machine, for each gate
STREAMS_MOST = 64  # event streams; they have no time limit
WORKERS_MOST = 64  # threads for what must wait: a renewal, the keychain
WORKERS_LEAST = 4
FORWARDED_WORKERS_MOST = 16  # separate threads, so that another machine never uses up all of them
RESERVE = 128  # descriptors for the renewer, the keychain and the store, which no client may use up
DESCRIPTORS_WANTED = 4096
DESCRIPTORS_A_WORKER = 6  # one connection to a provider, the account's lock, the store's files


class Closable(Protocol):
    """A connection that can be closed from outside to make room."""

    def drop(self) -> None:
        """Close now, whatever has not been sent yet."""


class Connections:
    """Counts connections in, and closes those that keep the agent
    waiting. A group is a set of connections with a limit of its own.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int = CONNECTIONS_MOST) -> None:
        self._loop = loop
        self._most = most
        self._groups: dict[Closable, Hashable] = {}
        self._sizes: dict[Hashable, int] = {}
        self._deadlines: dict[Closable, float] = {}  # of idle ones, the longest idle first
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._groups)

    def admit(self, one: Closable, group: Hashable, most: int | None = None) -> bool:
        """Count a new connection in. When all places are taken, the connection that has been idle longest is
        closed. False when none is idle: the new one must be refused.
        """
        if most is not None and self._sizes.get(group, 0) >= most and not self._drop_oldest(group):
            return False
        if len(self._groups) >= self._most and not self._drop_oldest(None):
            return False
        self._groups[one] = group
        self._sizes[group] = self._sizes.get(group, 0) + 1
        return True

    def remove(self, one: Closable) -> None:
        """It is closed. Idempotent."""
        self._deadlines.pop(one, None)
        group = self._groups.pop(one, None)
        if group is not None:
            self._sizes[group] -= 1
            if not self._sizes[group]:
                del self._sizes[group]

    def wait(self, one: Closable, seconds: float) -> None:
        """The agent waits for this client: the connection is idle, and is closed after `seconds`."""
        if one not in self._groups:
            return
        self._deadlines.pop(one, None)
        when = self._deadlines[one] = self._loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._close_late)

    def work(self, one: Closable) -> None:
        """This client waits for the agent: its connection is kept."""
        self._deadlines.pop(one, None)

    def shed(self, count: int) -> None:
        """Close the `count` connections that have been idle longest."""
        for _ in range(count):
            if not self._drop_oldest(None):
                return

    def _drop_oldest(self, group: Hashable | None) -> bool:
        for one in self._deadlines:
            if group is None or self._groups[one] == group:
                self._drop(one)
                return True
        return False

    def _drop(self, one: Closable) -> None:
        self.remove(one)
        one.drop()

    def _close_late(self) -> None:
        self._timer = None
        now = self._loop.time()
        for one, when in list(self._deadlines.items()):
            if when <= now and one in self._deadlines:
                self._drop(one)
        if self._deadlines:
            self._timer = self._loop.call_at(min(self._deadlines.values()), self._close_late)


@dataclass(frozen=True, slots=True)
class Capacity:
    """What this process can afford next to its reserve."""

    connections: int = CONNECTIONS_MOST
    workers: int = WORKERS_MOST
    forwarded_workers: int = FORWARDED_WORKERS_MOST


def capacity() -> Capacity:
    """How many clients the process's limit of descriptors allows. Raises
    the soft limit toward the hard one first.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return Capacity()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(DESCRIPTORS_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):
            pass  # the system allows fewer than it says; the old limit holds
    return capacity_of(DESCRIPTORS_WANTED if soft == resource.RLIM_INFINITY else soft)


def capacity_of(descriptors: int) -> Capacity:
    """How a process with so many descriptors divides them: the reserve first, then half to connections."""
    free = max(0, descriptors - RESERVE)
    workers = free // 2 // DESCRIPTORS_A_WORKER
    return Capacity(
        max(CONNECTIONS_LEAST, min(CONNECTIONS_MOST, free // 2)),
        max(WORKERS_LEAST, min(WORKERS_MOST, workers)),
        max(WORKERS_LEAST, min(FORWARDED_WORKERS_MOST, workers // 4)),
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """What the agent gives its clients, and how many seconds it waits for
    each. The defaults are for this process.
    """

    capacity: Capacity = field(default_factory=capacity)
    first_byte: float = 10.0
    request: float = 10.0  # from a request's first byte to its last
    idle: float = 60.0  # between two requests
    read: float = 30.0  # for a client to read its answer
    news: float = 1.0  # between looks at what other processes did, only while somebody listens
