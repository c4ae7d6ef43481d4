"""Opens the whole history of an account, reads it and exports it, off the GUI thread. One QObject on the GUI
thread; one dialog at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from keyfob.core.account import AccountView, LoggedEvent
from keyfob.core.errors import KeyfobError
from keyfob.core.text import plain
from keyfob.desktop.shared import outside_text, remedies
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.history_dialog import HistoryDialog
from keyfob.desktop.window.history_export import export
from keyfob.desktop.window.names import name_of
from keyfob.ports import HISTORY_MOST

Read = Callable[[str], Sequence[LoggedEvent]]


class AccountHistory(QObject):
    """Shows everything that the store keeps of one account."""

    def __init__(self, theme: Theme, window: QWidget, read: Read, clock: Callable[[], datetime]) -> None:
        """`read` gives all events of an account, by its key, oldest first. Called off the GUI thread."""
        super().__init__(window)
        self._theme, self._window, self._read, self._clock = theme, window, read, clock
        self.dialog: HistoryDialog | None = None
        self._key = ""

    def open(self, view: AccountView) -> None:
        """Show the history of this account."""
        self.close()
        name = view.id.replace("/", "-")
        dialog = self.dialog = HistoryDialog(self._theme, name_of(view), f"{name}-activity", self._window)
        self._key = view.key
        dialog.export_asked.connect(self._export)
        dialog.finished.connect(self._closed)
        dialog.open()
        self.refresh()

    def refresh(self) -> None:
        """Something happened: read again, if the dialog is open."""
        dialog, key = self.dialog, self._key
        if dialog is None:
            return

        def read() -> list[LoggedEvent]:
            return [outside_text.event(each) for each in self._read(key)]

        def show(events: list[LoggedEvent]) -> None:
            dialog.show_events(events, self._clock(), HISTORY_MOST)

        def fail(error: KeyfobError) -> None:
            dialog.fail(remedies.sentence(error))

        Operation(dialog, read, show).failing(fail).start()

    def close(self) -> None:
        """Close the dialog, if it is open."""
        if self.dialog is not None:
            self.dialog.reject()

    def _export(self, path: Path, events: Sequence[LoggedEvent]) -> None:
        dialog = self.dialog
        assert dialog is not None

        def done(count: int) -> None:
            what = "1 event" if count == 1 else f"{count:,} events"
            dialog.say(f"Exported {what} to {plain(path.name, outside_text.NAME)}.", good=True)

        def fail(error: KeyfobError) -> None:
            dialog.say(remedies.sentence(error), good=False)

        Operation(dialog, lambda: export(path, events), done).failing(fail).start()

    def _closed(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None
