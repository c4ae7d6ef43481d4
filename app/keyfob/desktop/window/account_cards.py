"""The cards of an account's page: what it needs, its token's life, permissions, facts and history.

Each shows its part of a `Detail` and knows no service.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QBoxLayout, QFrame, QGridLayout, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from keyfob.desktop.shared.flow_layout import FlowLayout
from keyfob.desktop.shared.outside_text import set_tooltip
from keyfob.desktop.shared.status_widgets import Chip
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import (
    Elided,
    IconButton,
    Label,
    Picture,
    button,
    label,
    restyle,
)
from keyfob.desktop.window.account_pictures import LifeBarView, Strip
from keyfob.desktop.window.history import Line
from keyfob.desktop.window.models import Detail, Problem

FEW = 3  # lines of history that need no second column


def _frame(theme: Theme, spacing: int = 8) -> tuple[QFrame, QVBoxLayout]:
    """A card whose margins grow with the font."""
    frame = QFrame()
    frame.setProperty("card", True)
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(theme.px(18), theme.px(15), theme.px(18), theme.px(16))
    layout.setSpacing(theme.px(spacing))
    return frame, layout


class NeedCard:
    """What the account needs its user for, and the button that helps. `frame` goes into the page."""

    def __init__(self, theme: Theme) -> None:
        px = theme.px
        self.frame = QFrame()
        self.frame.setProperty("note", "warn")
        self._sign = Picture(theme, "warning", "warn", 20)
        self.title = label("", "lead", wrap=True)
        self.text = label("", "secondary", wrap=True)
        self.reconnect = button("Reconnect", "primary")
        # Beside the button that helps, or, if there is none, at the right of the text.
        self.copies = (button("Copy details", "quiet"), button("Copy details", "quiet"))
        self._foot = QWidget()
        buttons = QHBoxLayout(self._foot)
        buttons.setContentsMargins(0, px(8), 0, 0)
        buttons.setSpacing(px(9))
        buttons.addWidget(self.reconnect)
        buttons.addStretch(1)
        buttons.addWidget(self.copies[0])
        texts = QVBoxLayout()
        texts.setSpacing(px(4))
        texts.addWidget(self.title)
        texts.addWidget(self.text)
        texts.addWidget(self._foot)
        row = QHBoxLayout(self.frame)
        row.setContentsMargins(px(18), px(16), px(14), px(16))
        row.setSpacing(px(14))
        row.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(texts, 1)
        row.addWidget(self.copies[1], 0, Qt.AlignmentFlag.AlignVCenter)

    def show_problem(self, problem: Problem | None, *, details: bool, leads: bool, usable: bool) -> None:
        """Show it; None hides the card. `leads`: its button is the page's primary one."""
        self.frame.setVisible(problem is not None)
        if problem is None:
            self.reconnect.hide()
            return
        self.title.setText(problem.title)
        self.text.setText(problem.text)
        self.text.setVisible(bool(problem.text))
        self.reconnect.setVisible(bool(problem.button))
        self._foot.setVisible(bool(problem.button))
        self.reconnect.setEnabled(usable)
        self.copies[0].setVisible(details)
        self.copies[1].setVisible(details and not problem.button)
        self._sign.setVisible(problem.warns)
        for widget, name, value in (
            (self.frame, "note", "warn" if problem.warns else None),
            (self.frame, "card", None if problem.warns else True),
            (self.reconnect, "kind", "primary" if leads else None),
        ):
            if widget.property(name) != value:
                widget.setProperty(name, value)
                restyle(widget)


class LifeCard:
    """How long all is well: when the token is renewed or ends, as words and as a bar."""

    def __init__(self, theme: Theme) -> None:
        self.frame, layout = _frame(theme, 7)
        self.headline = label("", "lead", wrap=True)
        self.note = label("", "secondary", wrap=True)
        self.life = LifeBarView(theme)
        self.copy_details = button("Copy details", "quiet")  # first: Tab goes from left to right
        self.copy = IconButton(theme, "copy", "Copy token", "", "Copy token")
        head = QHBoxLayout()
        head.setSpacing(theme.px(12))
        head.addWidget(self.headline, 1)
        head.addWidget(self.copy_details, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self.copy, 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(head)
        layout.addWidget(self.note)
        layout.addWidget(self.life)

    def show_model(self, model: Detail) -> None:
        """Show the account's token."""
        self.frame.setVisible(model.connected)
        self.headline.setText(model.headline)
        self.note.setText(model.note)
        self.note.setVisible(bool(model.note))
        self.life.show_life(model.life)
        self.copy.setVisible(model.connected)
        self.copy.setEnabled(model.can_copy)
        set_tooltip(self.copy, model.copy_reason or "Keyfob clears it from the clipboard after 30 seconds")
        self.copy_details.setVisible(bool(model.details) and model.problem is None)


class AccessCard:
    """What tools may do with the account: in words if the preset has them, else the scopes that were granted;
    and what was asked for in vain. `more` asks for more.
    """

    def __init__(self, theme: Theme) -> None:
        self._theme = theme
        self.frame, layout = _frame(theme)
        self._heading = label("", "heading")
        self._lines = QWidget()
        self._column = QVBoxLayout(self._lines)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(theme.px(8))
        self._box = QWidget()
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self._box.setSizePolicy(policy)
        self._chips = FlowLayout(self._box, theme.px(6))
        self.narrower = label("", "warn", wrap=True)
        self._none = label("Everything that the account may do", "small", wrap=True)
        self.more = button("Ask for more…")
        for widget in (self._heading, self._lines, self._box, self._none, self.narrower):
            layout.addWidget(widget)
        layout.addStretch(1)
        layout.addSpacing(theme.px(4))
        layout.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)
        self._shown: tuple[object, ...] | None = None

    def show_model(self, model: Detail) -> None:
        """Show this account's access."""
        granted, missing, access = model.scopes, model.missing_scopes, model.access
        self.more.setVisible(model.can_ask_more)
        if (granted, missing, access, model.refused) == self._shown:
            return
        self._shown = (granted, missing, access, model.refused)
        self._heading.setText("What it may do" if access else "Permissions")
        for layout in (self._chips, self._column):
            while (item := layout.takeAt(0)) is not None:
                widget = item.widget()
                if widget is not None:
                    widget.setParent(None)
                    widget.deleteLater()
        for title, scopes in access:
            self._column.addWidget(self._line(title, scopes))
        for scope in () if access else granted:
            self._chips.addWidget(Chip(self._theme, scope))
        for scope in () if access else missing:
            self._chips.addWidget(Chip(self._theme, scope, missing=True))
        self._lines.setVisible(bool(access))
        self._box.setVisible(bool(not access and (granted or missing)))
        self._none.setVisible(not (access or granted or missing))
        self.narrower.setText(model.refused)
        self.narrower.setVisible(bool(model.refused))
        self._box.updateGeometry()

    def _line(self, title: str, scopes: str) -> QWidget:
        line = QWidget()
        row = QHBoxLayout(line)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(self._theme.px(10))
        row.addWidget(Picture(self._theme, "check", "ok", 16), 0, Qt.AlignmentFlag.AlignTop)
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(label(title, "line", wrap=True))
        texts.addWidget(Elided(scopes, "scope"))
        row.addLayout(texts, 1)
        return line


class FactsCard:
    """Names and times of the account, two columns."""

    def __init__(self, theme: Theme) -> None:
        self.frame, layout = _frame(theme)
        layout.addWidget(label("Details", "heading"))
        self._grid = _Pairs(theme, right=True)
        layout.addLayout(self._grid)
        layout.addStretch(1)

    def show_facts(self, facts: tuple[tuple[str, str], ...]) -> None:
        """Show these names and values."""
        self._grid.fill(facts)


class HistoryCard(QWidget):
    """The last days as a strip and as lines, newest first, and the way to the whole history."""

    all_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        self.frame, layout = _frame(theme)
        outer.addWidget(self.frame)
        self.show_all = button("Show all", "link", name="Show all activity")
        self.show_all.setProperty("flush", True)  # the words end where the strip does
        self.show_all.clicked.connect(self.all_asked)
        head = QHBoxLayout()
        head.addWidget(label("Recent activity", "heading"))
        head.addStretch(1)
        head.addWidget(self.show_all)
        layout.addLayout(head)
        self.strip = Strip(theme)
        layout.addWidget(self.strip)
        self._columns = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._columns.setSpacing(theme.px(7))
        self._halves = (_Pairs(theme, right=False), _Pairs(theme, right=False))
        for half in self._halves:
            self._columns.addLayout(half, 1)
            self._columns.setAlignment(half, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(self._columns)
        self._nothing = label("There is no activity yet.", "small")
        layout.addWidget(self._nothing)
        self._gap = theme.px(24)

    def show_model(self, model: Detail) -> None:
        """Show the account's last days."""
        few = len(model.lately) <= FEW
        half = FEW if few else (len(model.lately) + 1) // 2
        self._columns.setStretch(1, 0 if few else 1)
        for pairs, lines in zip(self._halves, (model.lately[:half], model.lately[half:]), strict=True):
            pairs.fill(tuple((line.when, line.text) for line in lines))
            pairs.explain(lines)
        self._nothing.setVisible(not model.lately)
        self.show_all.setVisible(bool(model.lately))
        self.strip.setVisible(bool(model.points))
        self.strip.show_points(model.points, model.days)

    def side_by_side(self, wide: bool) -> None:
        """Two columns of lines if there is room."""
        way = QBoxLayout.Direction.LeftToRight if wide else QBoxLayout.Direction.TopToBottom
        if self._columns.direction() != way:
            self._columns.setDirection(way)
        self._columns.setSpacing(self._gap if wide else self._halves[0].verticalSpacing())


class _Pairs(QGridLayout):
    """Two columns of text. Its labels are reused."""

    def __init__(self, theme: Theme, *, right: bool) -> None:
        """`right`: values stand at the right end and are cut in their middle."""
        super().__init__()
        self._right = right
        self._labels: list[tuple[Label, Elided]] = []
        self.setHorizontalSpacing(theme.px(14))
        self.setVerticalSpacing(theme.px(6))
        self.setColumnStretch(1, 1)
        self._first = 0 if right else theme.px(72)

    def fill(self, pairs: tuple[tuple[str, str], ...]) -> None:
        """Show these pairs."""
        self.setColumnMinimumWidth(0, self._first if pairs else 0)
        while len(self._labels) < len(pairs):
            self._add()
        for number, (first, second) in enumerate(self._labels):
            shown = number < len(pairs)
            first.setVisible(shown)
            second.setVisible(shown)
            if shown:
                first.setText(pairs[number][0])
                second.show_text(pairs[number][1])

    def explain(self, lines: tuple[Line, ...]) -> None:
        """The tooltips of these lines, in full."""
        for (_, text), line in zip(self._labels, lines, strict=False):
            set_tooltip(text, line.tooltip)

    def _add(self) -> None:
        mode = Qt.TextElideMode.ElideMiddle if self._right else Qt.TextElideMode.ElideRight
        first = label("", "small" if self._right else "hint")
        second = Elided("", "small" if self._right else "line", mode)
        if self._right:
            second.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.addWidget(first, len(self._labels), 0)
        self.addWidget(second, len(self._labels), 1)
        self._labels.append((first, second))
