"""Sets up a tool again whose settings another program has changed: shows the change, and makes it if the
user says so.

One QObject on the GUI thread. Files are read and written off it.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from keyfob.core.errors import KeyfobError
from keyfob.core.text import inert
from keyfob.desktop.shared import remedies
from keyfob.desktop.shared.dialog import ModalDialog
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import button, label
from keyfob.tools.setup import SetupPlan
from keyfob.tools.tool_setup import Asked, ToolSetup

ROWS = 12  # of the change that are seen without scrolling


@dataclass(frozen=True, slots=True)
class Planned:
    """A change to be confirmed. `lines`: as a diff, with secrets masked."""

    tool: str
    asked: Asked
    plan: SetupPlan
    lines: tuple[str, ...]


class RepairDialog(ModalDialog):
    """Shows the change. `confirmed` when the user says so. Cancel has the focus at first."""

    confirmed = Signal()

    def __init__(
        self, theme: Theme, tool: str, lines: tuple[str, ...], warnings: tuple[str, ...], parent: QWidget
    ) -> None:
        title = f"Set up {tool} again?"
        super().__init__("Repair", title, parent)
        px = theme.px
        text = (
            f"Another program changed its settings. Keyfob makes this change, so that {tool} gets its tokens "
            "from Keyfob again."
        )
        self.change = QPlainTextEdit("\n".join(inert(each) for each in lines))
        self.change.setReadOnly(True)
        self.change.setTabChangesFocus(True)
        self.change.setAccessibleName("The change")
        self.change.setProperty("mono", True)
        self.change.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.change.ensurePolished()  # its font decides how high a line is
        rows = min(len(lines) + 1, ROWS)
        self.change.setFixedHeight(self.change.fontMetrics().lineSpacing() * rows + px(24))
        self.cancel = button("Cancel")
        self.cancel.setDefault(True)
        self.action = button("Repair", "primary")
        self.cancel.clicked.connect(self.reject)
        self.action.clicked.connect(self._confirm)
        row = QHBoxLayout()
        row.setSpacing(px(9))
        row.addStretch(1)
        row.addWidget(self.cancel)
        row.addWidget(self.action)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.margins(26, 22, 26, 20))
        layout.setSpacing(px(8))
        layout.addWidget(label(title, "dialogTitle", wrap=True))
        layout.addWidget(label(text, "secondary", wrap=True))
        layout.addSpacing(px(4))
        layout.addWidget(self.change)
        for each in warnings:
            layout.addWidget(label(each, "warn", wrap=True))
        layout.addSpacing(px(14))
        layout.addLayout(row)
        self.setFixedWidth(px(620))
        self.cancel.setFocus()

    def _confirm(self) -> None:
        self.accept()
        self.confirmed.emit()


class ToolRepair(QObject):
    """One repair at a time."""

    said = Signal(str, bool)  # what came of it; False: it failed
    repaired = Signal()

    def __init__(self, theme: Theme, window: QWidget, setup: ToolSetup, parent: QObject) -> None:
        super().__init__(parent)
        self._theme, self._window, self._setup = theme, window, setup
        self._busy = False
        self.dialog: RepairDialog | None = None

    def ask(self, tool: str) -> None:
        """Look what would change, and ask."""
        if self._busy:
            return
        self._busy = True
        Operation(self, lambda: self._plan(tool), self._planned).failing(self._failed).start()

    def close(self) -> None:
        """Close the dialog, if it is open."""
        if self.dialog is not None:
            self.dialog.reject()

    def _plan(self, tool: str) -> Planned:
        asked = self._setup.asked(tool)
        plan = self._setup.plan(tool, asked)
        return Planned(tool, asked, plan, tuple(line for c in plan.changes if c.needed for line in c.lines()))

    def _planned(self, planned: Planned) -> None:
        if not planned.lines:
            self._busy = False
            self.repaired.emit()  # somebody else has done it
            return
        dialog = self.dialog = RepairDialog(
            self._theme, planned.tool, planned.lines, tuple(planned.plan.warnings), self._window
        )
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.confirmed.connect(lambda: self._make(planned))
        dialog.finished.connect(self._closed)
        dialog.open()

    def _closed(self, _result: int) -> None:
        self.dialog = None
        self._busy = False

    def _make(self, planned: Planned) -> None:
        def done(_result: object) -> None:
            notes = " ".join(f"{note.rstrip('.')}." for note in planned.plan.notes)
            self.said.emit(f"{planned.tool} is set up again. {notes}".strip(), True)
            self.repaired.emit()

        work = Operation(self, lambda: self._setup.make(planned.tool, planned.asked, planned.plan), done)
        work.failing(self._failed).start()

    def _failed(self, error: KeyfobError) -> None:
        self._busy = False
        self.said.emit(remedies.sentence(error), False)
