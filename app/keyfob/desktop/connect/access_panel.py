"""What tools may do with the account: a check box for each of the preset's bundles of scopes, and a field for
more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from keyfob.desktop.connect.form_parts import Field
from keyfob.desktop.connect.models import AccessChoice
from keyfob.desktop.shared.outside_text import set_tooltip
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Check, Picture, button, label, rule

LEAD = "Ask for as little as you need. You can ask for more later."
# RFC 6749 section 3.3; the separator is the preset's.
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


class AccessRow(QWidget):
    """One bundle: pressing anywhere in the row switches it."""

    def __init__(self, theme: Theme, choice: AccessChoice) -> None:
        super().__init__()
        px = theme.px
        self.choice = choice
        self.check = Check(theme, choice.title, locked=choice.fixed)
        self.check.setChecked(choice.chosen or choice.fixed)
        scopes = " ".join(choice.scopes)
        parts = (choice.note, choice.risky, choice.allows, scopes)
        self.check.setAccessibleDescription(". ".join(part for part in parts if part))
        if scopes:
            set_tooltip(self, f"Scopes: {scopes}")
        title = label(choice.title, "strong", wrap=True)
        title.setBuddy(self.check)
        head = QHBoxLayout()
        head.setSpacing(px(10))
        head.addWidget(title, 1)
        if choice.note:
            note = label(choice.note, "small")
            note.setContentsMargins(0, px(2), 0, 0)  # on the line of the title's first words
            head.addWidget(note, 0, Qt.AlignmentFlag.AlignTop)
        texts = QVBoxLayout()
        texts.setSpacing(px(1))
        texts.addLayout(head)
        if choice.allows:
            texts.addWidget(label(choice.allows, "small", wrap=True))
        if choice.risky:
            warning = QHBoxLayout()
            warning.setSpacing(px(6))
            warning.addWidget(Picture(theme, "warning", "warn", 14), 0, Qt.AlignmentFlag.AlignTop)
            warning.addWidget(label(choice.risky, "warn", wrap=True), 1)
            texts.addLayout(warning)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, px(9), 0, px(9))
        row.setSpacing(px(12))
        row.addWidget(self.check, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(texts, 1)

    def mousePressEvent(self, _event: QMouseEvent) -> None:
        """Switch it."""
        if self.check.isEnabled():
            self.check.setFocus()
            self.check.click()


class AccessPanel(QWidget):
    """The bundles under each other. `changed` after each choice."""

    changed = Signal()

    def __init__(self, theme: Theme, choices: Sequence[AccessChoice], *, more: bool) -> None:
        """`more`: for an account that exists, which has some of them."""
        super().__init__()
        px = theme.px
        self._theme = theme
        self.rows = tuple(AccessRow(theme, choice) for choice in choices)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(label("What may your tools do?", "part", wrap=True))
        column.addSpacing(px(4))
        lead = "Choose what else they need." if more else LEAD
        column.addWidget(label(lead, "small", wrap=True))
        column.addSpacing(px(10))
        for row in self.rows:
            column.addWidget(rule())
            column.addWidget(row)
            row.check.toggled.connect(self.changed)
        column.addWidget(rule())
        column.addSpacing(px(8))
        self.add = button("Add a scope by name…", "link", name="Add a scope by name")
        self.add.setProperty("flush", True)
        self.add.clicked.connect(self._add)
        hint = "Separate several with spaces. The provider's documentation lists them."
        self.further = Field(theme, "Further scopes", hint=hint)
        self.further.hide()
        self.further.changed.connect(self._typed)
        column.addWidget(self.add, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.further)
        column.addStretch(1)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The ids of the bundles that are ticked, without those that are always asked for."""
        return tuple(row.choice.id for row in self.rows if row.check.isChecked() and row.choice.id)

    @property
    def new(self) -> bool:
        """Whether something is asked for that the account does not have."""
        return bool(self.scopes) or any(r.check.isChecked() and not r.choice.fixed for r in self.rows)

    @property
    def scopes(self) -> tuple[str, ...]:
        """The further scopes that were typed, each once."""
        return tuple(dict.fromkeys(self.further.edit.text().split()))

    def complete(self) -> bool:
        """Whether the typed scopes can be asked for; what is wrong with them is said below the field."""
        wrong = next((each for each in self.scopes if not SCOPE.fullmatch(each)), None)
        self.further.complain(f"{wrong} is not a scope." if wrong is not None else "")
        return wrong is None

    def keep(self, ids: Iterable[str], scopes: Sequence[str]) -> None:
        """Choose these again, as the form is made anew."""
        kept = set(ids)
        for row in self.rows:
            if not row.choice.fixed:
                row.check.setChecked(row.choice.id in kept)
        if scopes:
            self._add()
            self.further.edit.setText(" ".join(scopes))

    def first(self) -> Check | None:
        """The first thing to choose."""
        return next((row.check for row in self.rows if row.check.isEnabled()), None)

    def _add(self) -> None:
        self.add.hide()
        self.further.show()
        self.further.edit.setFocus()

    def _typed(self) -> None:
        self.further.complain("")
        self.changed.emit()
