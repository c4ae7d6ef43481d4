"""Moves keys from other tools' files: looks for them at the first start, and moves what the user chose.

One QObject on the GUI thread. Files, keychain and network are used off
it. Only the last characters of a key are shown.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal

from keyfob.core.errors import KeychainError, KeyfobError, SignInEnded
from keyfob.core.text import plain
from keyfob.desktop.shared import remedies
from keyfob.desktop.shared.avatar import first_letter
from keyfob.desktop.shared.operation import Operation
from keyfob.ports import Blanked, Spawn
from keyfob.tools.imports import KEY, SIGN_IN, Found, Imports

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was found, as it is shown."""

    title: str
    note: str
    letter: str
    color: str
    movable: bool


@dataclass(frozen=True, slots=True)
class Step:
    """How one item has ended."""

    number: int
    words: str
    good: bool


def item(found: Found, home: Path) -> Item:
    """Words for what was found: whose, where, and what would happen to it."""
    whose = found.provider_title or found.entry.host or found.tool
    who = f" · {found.username}" if found.username else ""
    tail = f" · …{found.tail}" if found.tail else ""
    path = found.path
    where = f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
    what = {KEY: "moves to your keychain", SIGN_IN: "needs you to sign in once"}.get(
        found.way, "stays where it is"
    )
    reason = f" {plain(found.reason, 200).rstrip('.')}." if found.reason else ""
    return Item(
        plain(f"{whose}{who}{tail}", 100),
        plain(f"{where}: {what}.{reason}", 300),
        first_letter(whose),
        found.color,
        found.way in (KEY, SIGN_IN),
    )


class ImportPresenter(QObject):
    """Finds and moves keys of other tools, off the GUI thread, and says how it goes."""

    found = Signal(object)  # list of Found; empty if there is nothing to move
    stepped = Signal(object)  # Step, while moving
    moved = Signal(object)  # the Founds whose plaintext may be blanked now
    blanked = Signal(object)  # the backups, each of which still holds what was taken out
    failed = Signal(str)

    _stepping = Signal(object)

    def __init__(self, imports: Imports, spawn: Spawn, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._imports, self._spawn = imports, spawn
        self._stepping.connect(self.stepped, Qt.ConnectionType.QueuedConnection)

    def look(self) -> None:
        """`found` follows, whatever happens: what cannot be looked into is not there for us."""
        Operation(self, self._imports.find, self._looked).failing(self._nothing).start()

    def _looked(self, found: list[Found]) -> None:
        self.found.emit(found if any(each.way in (KEY, SIGN_IN) for each in found) else [])

    def _nothing(self, error: KeyfobError) -> None:
        log.warning("other tools' stores were not looked into: %s", error.code)
        self.found.emit([])

    def move(self, chosen: Sequence[tuple[int, Found]]) -> None:
        """Each on its own: a key that its provider refuses does not delay the next. `moved` follows."""
        Operation(self, self._mover(tuple(chosen)), self._moved).failing(self._not_moved).start()

    def _mover(self, chosen: tuple[tuple[int, Found], ...]) -> Callable[[], list[Found]]:
        def work() -> list[Found]:
            keys: list[Found] = []
            for number, found in chosen:
                try:
                    view = self._imports.move(found, self._spawn)
                except (KeychainError, SignInEnded):
                    raise  # nothing further can be kept
                except KeyfobError as error:
                    self._stepping.emit(Step(number, remedies.sentence(error), False))
                    continue
                if found.way == KEY:
                    keys.append(found)
                    self._stepping.emit(Step(number, f"Moved. Its name for tools is {view.id}.", True))
                else:
                    self._stepping.emit(Step(number, f"Added as {view.id}. Sign in to it once.", True))
            return keys

        return work

    def _moved(self, keys: list[Found]) -> None:
        self.moved.emit(keys)

    def _not_moved(self, error: KeyfobError) -> None:
        self.failed.emit(remedies.sentence(error))
        self.moved.emit([])

    def blank(self, keys: Sequence[Found]) -> None:
        """Take what was moved out of its files. `blanked` follows, and
        `failed` for each file that stayed as it was.
        """
        kept = tuple(keys)
        Operation(self, lambda: self._imports.blank(kept), self._blanked).failing(self._not_blanked).start()

    def _blanked(self, done: Sequence[Blanked]) -> None:
        self.blanked.emit(tuple(each.backup for each in done if each.backup is not None))
        for each in done:
            if each.error is not None:
                self.failed.emit(remedies.sentence(each.error))

    def _not_blanked(self, error: KeyfobError) -> None:
        self.failed.emit(remedies.sentence(error))
