"""Server-sent events: bytes to events, with any chunk borders, and back (the HTML standard, section 9.2)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

DEFAULT_LIMIT: Final = 16 * 2**20  # bytes; images that a model draws are whole in one event

_END: Final = re.compile(rb"\r\n|\n|\r")
_BOM: Final = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event. `name` is None if the stream gave none."""

    name: str | None
    data: str


class EventTooLargeError(Exception):
    """An event exceeds the limit."""


class EventReader:
    """Takes bytes as they come and gives the events that are complete. Not for several threads at once.

    `limit` bounds what is kept of one event, in bytes. What is left when the stream ends was cut off, and is
    no event.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._rest: list[bytes] = []  # pieces of a line that is incomplete
        self._rest_size = 0
        self._name: str | None = None
        self._data: list[bytes] = []
        self._data_size = 0
        self._at_start = True
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completes.

        Raises EventTooLargeError; the reader is then of no further use.
        """
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")  # the second half of CR LF
        events: list[Event] = []
        if b"\n" in chunk or b"\r" in chunk:
            whole = b"".join((*self._rest, chunk))
            lines = _END.split(whole) if b"\r" in whole else whole.split(b"\n")
            self._after_cr = whole.endswith(b"\r")
            chunk = lines.pop()
            self._rest.clear()
            self._rest_size = 0
            for line in lines:
                if event := self._line(line):
                    events.append(event)
        if chunk:
            self._rest.append(chunk)
            self._rest_size += len(chunk)
            self._check()
        return events

    def _line(self, line: bytes) -> Event | None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatched()
        name, colon, value = line.partition(b":")
        if not name and colon:
            return None  # a comment
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data_size += len(value) + 1
            self._check()
            self._data.append(value)
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")
        return None

    def _dispatched(self) -> Event | None:
        name, self._name = self._name, None
        if not self._data:
            return None
        data = b"\n".join(self._data).decode("utf-8", "replace")
        self._data = []
        self._data_size = 0
        return Event(name or None, data)

    def _check(self) -> None:
        if self._data_size + self._rest_size > self._limit:
            raise EventTooLargeError(f"an event has more than {self._limit} bytes")


def encoded(event: Event) -> bytes:
    """The event as bytes, ready to be sent."""
    name, data = event
    if "\n" in data or "\r" in data:
        data = re.sub(r"\r\n|\n|\r", "\ndata: ", data)
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {data}\n\n".encode()
