"""The page Check everything: a summary, the checks in three cards, and a report to copy."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from keyfob.desktop.check.hop_row import HopRow
from keyfob.desktop.check.models import Check, Group
from keyfob.desktop.shared.copy_button import CopyButton
from keyfob.desktop.shared.page import Page
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import IconButton, card, label

NARROW = 600  # designed pixels below which a name stands above what was found, and buttons below the title
NOTE = "The report contains no tokens, keys, names, or paths."


class CheckPage(Page):
    """Shows a `Check`. `asked` has the `Action` of a row's button, `again_asked` that of the head."""

    asked = Signal(object)
    again_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "Check everything", 16)
        self._check = Check("")
        self._leads = True
        self._cards: list[GroupCard] = []
        self.copy = CopyButton(theme, "Copy report", "Copy report")
        self.again = IconButton(theme, "renew", "Check again", "", "Check again")
        self.again.clicked.connect(self.again_asked)
        self.add_button(self.copy)
        self.add_button(self.again)
        self._groups = QVBoxLayout()
        self._groups.setSpacing(theme.px(16))
        self.inner.addLayout(self._groups)
        self.inner.addWidget(label(NOTE, "hint", wrap=True))
        self.inner.addStretch(1)
        self.copy.setEnabled(False)

    def show_check(self, check: Check, report: str) -> None:
        """`report` is what Copy report copies; empty until a run has ended."""
        self._check = check
        self.summary.setText(check.summary)
        self.copy.setEnabled(bool(report) and not check.running)
        if check.running:
            self.copy.setEnabled(False)
        else:
            self.copy.holds(report)
        self._show()

    def lead(self, leads: bool) -> None:
        """`leads`: no banner above has the window's primary button."""
        if leads != self._leads:
            self._leads = leads
            self._show()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """One column if there is not room for two."""
        super().resizeEvent(event)
        narrow = self._narrow()
        self.stack_head(narrow)
        for each in self._cards:
            each.stack(narrow)

    def _narrow(self) -> bool:
        return self.width() < self._theme.px(NARROW)

    def _show(self) -> None:
        held = self.focusWidget()
        while len(self._cards) > len(self._check.groups):
            gone = self._cards.pop()
            gone.hide()
            gone.deleteLater()
        while len(self._cards) < len(self._check.groups):
            made = GroupCard(self._theme)
            made.pressed.connect(self.asked)
            self._cards.append(made)
            self._groups.addWidget(made)
        for each, group in zip(self._cards, self._check.groups, strict=True):
            each.show_group(group, leads=self._leads, narrow=self._narrow())
        if held is not None and held.isHidden():
            self.again.setFocus()  # the row is well now, so its button is gone


class GroupCard(QWidget):
    """One card with its rows."""

    pressed = Signal(object)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        px = theme.px
        frame: QFrame
        frame, inner = card(theme)
        inner.setContentsMargins(px(9), px(14), px(9), px(12))
        inner.setSpacing(0)
        self.title = label("", "heading")
        self.title.setContentsMargins(px(10), 0, 0, px(5))
        inner.addWidget(self.title)
        self._inner = inner
        self.rows: list[HopRow] = []
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(frame)

    def show_group(self, group: Group, *, leads: bool, narrow: bool) -> None:
        """Show these rows; each stays the same widget while its check runs."""
        self.title.setText(group.title)
        while len(self.rows) > len(group.hops):
            gone = self.rows.pop()
            gone.hide()
            gone.deleteLater()
        while len(self.rows) < len(group.hops):
            made = HopRow(self._theme)
            made.stack(narrow)
            made.pressed.connect(self.pressed)
            self.rows.append(made)
            self._inner.addWidget(made)
        grown = [hop.grown for hop in group.hops]
        last = len(grown) - 1
        for number, (row, hop) in enumerate(zip(self.rows, group.hops, strict=True)):
            above = number > 0 and not grown[number] and not grown[number - 1]
            below = number < last and not grown[number] and not grown[number + 1]
            row.show_hop(hop, (above, below), leads=leads)

    def stack(self, narrow: bool) -> None:
        """As `HopRow.stack`."""
        for row in self.rows:
            row.stack(narrow)
