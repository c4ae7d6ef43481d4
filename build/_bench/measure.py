"""Times commands beside each other, and holds what came of it. Medians with quartiles; what is compared is
interleaved, so that a busy moment of the machine falls on all alike.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sample:
    """Times of one thing, in milliseconds."""

    times: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def best(self) -> float:
        return min(self.times)

    def at(self, share: float) -> float:
        """The time that `share` of all stay under."""
        ordered = sorted(self.times)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]

    def told(self) -> str:
        return f"{ms(self.median)} ({ms(self.at(0.25))}–{ms(self.at(0.75))})"


@dataclass
class Row:
    """One line of the table. `met` is None where there is nothing to compare with on this machine."""

    name: str
    what: str
    aim: str
    measured: str = ""
    met: bool | None = None
    beside: list[str] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)

    def skip(self, why: str) -> Row:
        self.measured = f"not measured: {why}"
        return self


def ms(value: float) -> str:
    return f"{value:.2f}" if value < 2 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


@dataclass(frozen=True)
class Command:
    """A program to start again and again. It must print something and
    exit 0, which the first start is asked for.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]


def spawn(command: Command, out: int) -> int:
    """Start with stdin and stderr at nothing; its pid."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        actions = [
            (os.POSIX_SPAWN_DUP2, null, 0),
            (os.POSIX_SPAWN_DUP2, out, 1),
            (os.POSIX_SPAWN_DUP2, null, 2),
        ]
        return os.posix_spawn(command.argv[0], list(command.argv), dict(command.env), file_actions=actions)
    finally:
        os.close(null)


def once(command: Command) -> float:
    """One start to its end, in milliseconds, its output read as a shell would."""
    reader, writer = os.pipe()
    began = time.perf_counter()
    pid = spawn(command, writer)
    os.close(writer)
    output = b""
    while chunk := os.read(reader, 65536):
        output += chunk
    _, status = os.waitpid(pid, 0)
    took = (time.perf_counter() - began) * 1000
    os.close(reader)
    if status != 0:
        raise RuntimeError(f"{command.name} ended with {os.waitstatus_to_exitcode(status)}")
    return took


def side_by_side(commands: Sequence[Command], rounds: int, warm: int = 3) -> dict[str, Sample]:
    """All of them in turn, `rounds` times over."""
    for command in commands:
        for _ in range(warm):
            once(command)
    times: dict[str, list[float]] = {command.name: [] for command in commands}
    for number in range(rounds):
        # Not always behind the same neighbour.
        turn = number % len(commands)
        for command in [*commands[turn:], *commands[:turn]]:
            times[command.name].append(once(command))
    return {name: Sample(tuple(values)) for name, values in times.items()}


def timed(call: Callable[[], object], rounds: int) -> Sample:
    """The same for a call in this process."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1000)
    return Sample(tuple(times))
