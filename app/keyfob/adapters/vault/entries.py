"""A vault over flat entries: what every keychain adapter shares.

An adapter implements `Entries`, which is as small as keychains are alike: get, put and drop one line of text.
`EntryVault` makes a `ports.Vault` of it. Names are under `keyfob/<home id>/`, values are checked before they
are written, everything written is read back, and a value above the backend's limit is split into parts.

Split values: the parts are written first, into whichever of two sets (a, b) the entry does not use now. Then
one head line is written that names the set, the count and the digest. Only then are the old parts dropped. If
the process is killed in between, either the old value or the new one is complete. A part that is missing or
foreign is reported as `entry_damaged`.

Not here: a deadline (see `deadline` and `process`), a choice of backend (see `choice`).
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from keyfob.core.errors import Fault, KeychainError
from keyfob.core.secret import Secret

if TYPE_CHECKING:  # a command that only reads a token pays for what it imports
    from keyfob.ports import VaultHealth

PREFIX = "keyfob"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
_VALUE = re.compile(r"[\x20-\x7e]*")
_HEAD = re.compile(r"keyfob:parts:([ab]):([0-9]{1,4}):([0-9a-f]{64})")
_HEAD_START = "keyfob:parts:"
# A reader may meet a writer who has just dropped the parts it was about to read: it starts over this often.
_READS = 3


Labels = Callable[[str], str]


def plain_label(_name: str) -> str:
    """What an entry is called in the keychain's own program, if nothing better is known."""
    return "Keyfob"


class Entries(Protocol):
    """One line of ASCII under each full name. Every error is a
    KeychainError. Called by one thread at a time.
    """

    @property
    def title(self) -> str:
        """The keychain's name as a user knows it."""

    @property
    def persistent(self) -> bool:
        """Whether entries outlive the session."""

    @property
    def limit(self) -> int | None:
        """The longest value in characters, or None if there is no limit worth splitting for."""

    def get(self, name: str) -> str | None:
        """The text of the entry, None if there is none. Raises KeychainError."""

    def put(self, name: str, text: str) -> None:
        """Create or replace the entry. Raises KeychainError."""

    def drop(self, name: str) -> None:
        """No error if there was none."""

    def names(self, prefix: str) -> list[str] | None:
        """The full names that begin so; None if the keychain cannot list them. Raises KeychainError."""


def check_name(name: str) -> None:
    """A name outside `[A-Za-z0-9/_.-]`, or one that would leave its folder, is a bug: Fault."""
    if not _NAME.fullmatch(name):
        raise Fault("The name is not valid for a keychain entry")


def check_value(value: Secret) -> str:
    """The text, if it is one line of printable ASCII. Anything else is a bug: Fault, without the value."""
    text = value.reveal()
    if not _VALUE.fullmatch(text):
        raise Fault("A keychain entry must be a single line of ASCII")
    return text


@dataclass(frozen=True, slots=True)
class _Head:
    set: str
    count: int
    digest: str

    def line(self) -> str:
        return f"{_HEAD_START}{self.set}:{self.count}:{self.digest}"


def _head(text: str | None) -> _Head | None:
    found = _HEAD.fullmatch(text or "")
    return _Head(found[1], int(found[2]), found[3]) if found else None


class EntryVault:
    """A `ports.Vault` over `Entries`. Calls from several threads are taken one after the other."""

    def __init__(self, home_id: str, entries: Entries) -> None:
        check_name(home_id)
        self._prefix = f"{PREFIX}/{home_id}/"
        self._entries = entries
        self._lock = threading.Lock()

    @property
    def title(self) -> str:
        """What the keychain is called, for the user."""
        with self._lock:
            return self._entries.title

    def load(self, name: str) -> Secret | None:
        """The entry's value, put together from its parts. Raises KeychainError. Thread-safe."""
        check_name(name)
        with self._lock:
            text = self._read(self._prefix + name)
        return None if text is None else Secret(text)

    def save(self, name: str, value: Secret) -> None:
        """Save the value, in parts if the keychain limits the length. The old value stays until the new one
        is whole.
        """
        check_name(name)
        text = check_value(value)
        full = self._prefix + name
        with self._lock:
            limit = self._entries.limit
            if limit is None:
                self._entries.put(full, text)
            else:
                self._write_limited(full, text, limit)
            if self._read(full) != text:
                raise KeychainError("The keychain did not save what Keyfob wrote", code="keychain_write_lost")

    def delete(self, name: str) -> None:
        """Delete the entry with all its parts. Raises KeychainError if it is still there afterwards."""
        check_name(name)
        full = self._prefix + name
        with self._lock:
            old = _head(self._entries.get(full)) if self._entries.limit is not None else None
            self._entries.drop(full)
            if self._entries.limit is not None:
                self._sweep(full, old)
            if self._entries.get(full) is not None:
                raise KeychainError("The keychain did not delete an entry", code="keychain_write_lost")

    def names(self) -> list[str] | None:
        """All entries of this home; None if the keychain cannot list them. Raises KeychainError."""
        with self._lock:
            found = self._entries.names(self._prefix)
        return None if found is None else sorted(name.removeprefix(self._prefix) for name in found)

    def probe(self) -> VaultHealth:
        """Save and delete a random entry, and say how that went. Never raises."""
        from keyfob.ports import VaultHealth, unhealthy

        name = f"probe-{secrets.token_hex(8)}"
        persistent = self._entries.persistent
        try:
            self.save(name, Secret(secrets.token_hex(16)))
            self.delete(name)
        except KeychainError as error:
            return unhealthy(error, self.title, persistent)
        return VaultHealth(True, self.title, persistent)

    def unlock(self, timeout: float, cancel: threading.Event | None = None) -> None:
        """These open their own prompts, with their own time limit, when they are used."""
        self.load("unlock")

    # --- parts; only if the backend has a limit ----------------------------------------------------------

    def _read(self, full: str) -> str | None:
        text = self._entries.get(full)
        if self._entries.limit is None:
            return text
        for _ in range(_READS):
            head = _head(text)
            if head is None:
                return text
            joined = self._join(full, head)
            if joined is not None:
                return joined
            again = self._entries.get(full)
            if again == text:
                break
            text = again
        raise KeychainError("A keychain entry is damaged: part of it is missing", code="entry_damaged")

    def _join(self, full: str, head: _Head) -> str | None:
        parts: list[str] = []
        for number in range(1, head.count + 1):
            part = self._entries.get(_part(full, head.set, number))
            if part is None:
                return None
            parts.append(part)
        text = "".join(parts)
        return text if hashlib.sha256(text.encode()).hexdigest() == head.digest else None

    def _write_limited(self, full: str, text: str, limit: int) -> None:
        old = _head(self._entries.get(full))
        # A value that reads like a head would be taken for one: it goes into parts whatever its length.
        if len(text) <= limit and not text.startswith(_HEAD_START):
            self._entries.put(full, text)
            self._sweep(full, old)
            return
        part_set = "b" if old is not None and old.set == "a" else "a"
        pieces = list(_pieces(text, limit))
        for number, piece in enumerate(pieces, start=1):
            self._entries.put(_part(full, part_set, number), piece)
        head = _Head(part_set, len(pieces), hashlib.sha256(text.encode()).hexdigest())
        # What the head promises must be there before it replaces a good one.
        if self._join(full, head) != text:
            raise KeychainError("The keychain did not save what Keyfob wrote", code="keychain_write_lost")
        self._entries.put(full, head.line())
        self._sweep(full, old, keep=head)

    def _sweep(self, full: str, old: _Head | None, *, keep: _Head | None = None) -> None:
        """Drop the parts that `keep` does not name: those of the `old` head, even if one of them is missing,
        and those that a killed writer left behind. From the last one down, so that a sweep that is cut off
        leaves no gap for the next to stop at.
        """
        for part_set in ("a", "b"):
            first = keep.count if keep is not None and keep.set == part_set else 0
            last = max(first, old.count if old is not None and old.set == part_set else 0)
            while self._entries.get(_part(full, part_set, last + 1)) is not None:
                last += 1
            for number in range(last, first, -1):
                self._entries.drop(_part(full, part_set, number))


def _part(full: str, part_set: str, number: int) -> str:
    return f"{full}.{part_set}{number}"


def _pieces(text: str, limit: int) -> Iterator[str]:
    for start in range(0, len(text), limit):
        yield text[start : start + limit]
