"""The page Programs: the gateway's switch, the programs with access, and those whose access has ended."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from keyfob.core.text import plain
from keyfob.desktop.programs.gateway_card_view import GatewayCardView
from keyfob.desktop.programs.models import ProgramRow, ProgramsPage
from keyfob.desktop.programs.row import Headings, ProgramRowView, Room
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.outside_text import SENTENCE, set_tooltip
from keyfob.desktop.shared.page import Page
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Choice, SearchField, button, card, label, restyle, rule

WIDE, NARROW = (
    860,
    600,
)  # designed pixels of the page from which, and below which, rows are arranged otherwise
SEARCHED_FROM = 10  # programs
SUMMARY = "Each program has its own key and its own limits. Your tokens stay in Keyfob."
FOOT = "Ending a program’s access takes effect at once. The account stays connected."
NONE = "No program acts as you yet. Give one access, and it gets its own address and key."
NO_ACCOUNT = "Connect an account first. Then you can give programs access to it."
SORTS = ("Last use", "Name", "First to end")


class ProgramsPageView(Page):
    """Shows a `ProgramsPage`. `pressed`: a grant's id and `open`, `end` or `again`."""

    pressed = Signal(str, str)
    give_asked = Signal()
    switched = Signal(bool)
    gateway_pressed = Signal(str)
    last_use_asked = Signal()  # in that order from now on

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "Programs that act as you", 14)
        self._page: ProgramsPage | None = None
        self.summary.setText(SUMMARY)
        self.give = button("Give a program access…", "primary")
        self.give.clicked.connect(self.give_asked)
        self.add_button(self.give)
        self.gateway = GatewayCardView(theme)
        self.gateway.switched.connect(self.switched)
        self.gateway.pressed.connect(self.gateway_pressed)
        self.inner.addWidget(self.gateway)
        self.problem = label("", "problem", wrap=True)
        self.problem.hide()
        self.inner.addWidget(self.problem)
        self.inner.addWidget(self._build_finding())
        self._table = Table(theme)
        self._ended = Table(theme, "Ended")
        for table in (self._table, self._ended):
            table.pressed.connect(self.pressed)
            self.inner.addWidget(table)
        self.empty = label("", "secondary", wrap=True)
        self._empty_card, empty = card(theme)
        empty.addWidget(self.empty)
        self.inner.addWidget(self._empty_card)
        self.foot = label(FOOT, "hint", wrap=True)
        self.inner.addWidget(self.foot)
        self.inner.addStretch(1)

    def _build_finding(self) -> QWidget:
        px = self._theme.px
        self._finding = QWidget()
        self.search = SearchField(self._theme, "Search programs")
        self.search.setPlaceholderText("Search programs")
        self.search.textChanged.connect(self._searched)
        self.sort = Choice(self._theme, "Sort by")
        set_tooltip(self.sort, "Sort by")
        self.sort.addItems(SORTS)
        self.sort.currentIndexChanged.connect(self._sorted)
        row = QHBoxLayout(self._finding)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(px(10))
        row.addWidget(self.search, 1)
        row.addWidget(label("Sort by", "small"))
        row.addWidget(self.sort)
        self._finding.hide()
        return self._finding

    @property
    def rows(self) -> list[ProgramRowView]:
        """The rows on screen: programs with access, then those without any more."""
        return [*self._table.rows, *self._ended.rows]

    def show_page(self, page: ProgramsPage) -> None:
        """Show this. Each program keeps its row, and with it the focus."""
        if page != self._page:
            self._page = page
            self._show()

    def lead(self, leads: bool) -> None:
        """`leads`: no banner above has the window's primary button."""
        kind = "primary" if leads else ""
        if self.give.property("kind") != kind:
            self.give.setProperty("kind", kind)
            restyle(self.give)

    def _show(self) -> None:
        page = self._page
        if page is None:
            return
        self.gateway.show_card(page.gateway)
        self.give.setEnabled(page.can_give)
        self._finding.setVisible(len(page.rows) >= SEARCHED_FROM or bool(self.search.text()))
        rows = self._wanted(page.rows)
        self._table.show_rows(rows, dim=page.dimmed)
        self._ended.show_rows(page.ended if not self.search.text().strip() else (), dim=False)
        self.problem.setText(page.problem)
        self.problem.setVisible(bool(page.problem))
        self.empty.setText(self._empty_text(page))
        self._empty_card.setVisible(not rows and not page.loading and (page.can_give or not page.accounts))
        self.foot.setVisible(bool(rows))
        self._fit()

    def _empty_text(self, page: ProgramsPage) -> str:
        if page.rows:
            return f"No program called “{plain(self.search.text(), SENTENCE)}”"
        return NONE if page.accounts else NO_ACCOUNT

    def _wanted(self, rows: tuple[ProgramRow, ...]) -> tuple[ProgramRow, ...]:
        text = self.search.text().casefold().strip()
        found = [row for row in rows if text in f"{row.name} {row.account} {row.provider}".casefold()]
        match self.sort.currentIndex():
            case 1:
                found.sort(key=lambda row: row.name.casefold())
            case 2:
                found.sort(key=lambda row: row.ends_at)
        return tuple(found)

    def _searched(self) -> None:
        self._show()
        if self.isVisible():
            count = len(self._table.rows)
            found = f"{count} program{'' if count == 1 else 's'}"
            announce(self.search, found if count else self.empty.text())

    def _sorted(self, number: int) -> None:
        if number == 0:
            self.last_use_asked.emit()
        self._show()

    def showEvent(self, event: QShowEvent) -> None:
        """The sizes are known now."""
        super().showEvent(event)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Arrange the rows for the new width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        px, width = self._theme.px, self.width()
        room: Room = "wide" if width >= px(WIDE) else "medium" if width >= px(NARROW) else "narrow"
        self.stack_head(room == "narrow")
        self.gateway.stack(room == "narrow")
        for table in (self._table, self._ended):
            table.fit(room)
        ends = [view.button for view in self.rows]
        most = max((each.sizeHint().width() for each in ends), default=0)
        for each in (*ends, self._table.headings.end):
            each.setFixedWidth(most)


class Table(QWidget):
    """Rows in a card, with the columns' names above, or with a title. One stop for Tab; arrows move."""

    pressed = Signal(str, str)

    def __init__(self, theme: Theme, title: str = "") -> None:
        super().__init__()
        px = theme.px
        self._theme = theme
        self._room: Room = "medium"
        self.rows: list[ProgramRowView] = []
        self._rules: list[QFrame] = []
        self.headings = Headings(theme)
        self._title = label(title, "heading")
        frame, self._inner = card(theme)
        self._inner.setContentsMargins(0, 0, 0, 0)
        self._inner.setSpacing(0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, px(4), 0, 0)
        layout.setSpacing(px(7))
        layout.addWidget(self._title)
        layout.addWidget(self.headings)
        layout.addWidget(frame)
        self._title.setVisible(bool(title))
        self.hide()

    def show_rows(self, rows: tuple[ProgramRow, ...], *, dim: bool) -> None:
        """Show these. If the one with the focus has gone, the next has it."""
        if [view.key for view in self.rows] != [row.key for row in rows]:
            self._make(rows)
        for view, row in zip(self.rows, rows, strict=True):
            view.show_row(row, dim=dim)
        self.setVisible(bool(rows))

    def _make(self, rows: tuple[ProgramRow, ...]) -> None:
        held = next(
            (n for n, view in enumerate(self.rows) if view.isAncestorOf(self._focus()) or view.hasFocus()),
            None,
        )
        kept = {view.key: view for view in self.rows}
        for line in self._rules:
            line.hide()
            line.deleteLater()
        self._rules = []
        before, self.rows = self.rows, []
        for number, row in enumerate(rows):
            if number:
                line = rule()
                self._rules.append(line)
                self._inner.addWidget(line)
            view = kept.pop(row.key, None)
            if view is None:
                view = ProgramRowView(self._theme, row, self._room)
                view.pressed.connect(self.pressed)
                view.moved.connect(self._move)
            self.rows.append(view)
            self._inner.addWidget(view)
        for gone in kept.values():
            gone.hide()
            gone.deleteLater()
        self._one_stop(None)
        if held is not None and before[held].key in kept and self.rows:
            self._go_to(min(held, len(self.rows) - 1))

    def _focus(self) -> QWidget:
        return self.window().focusWidget() or self

    def _move(self, key: str, by: int) -> None:
        if by == 0:
            self._one_stop(next(view for view in self.rows if view.key == key))
            return
        number = next(n for n, view in enumerate(self.rows) if view.key == key) + by
        if 0 <= number < len(self.rows):
            self._go_to(number)

    def _go_to(self, number: int) -> None:
        self._one_stop(self.rows[number])
        self.rows[number].setFocus()

    def _one_stop(self, current: ProgramRowView | None) -> None:
        """Tab reaches the current row and its button, of all the rows."""
        chosen = current or (self.rows[0] if self.rows else None)
        for view in self.rows:
            view.be_stop(view is chosen)

    def fit(self, room: Room) -> None:
        """Arrange for that much room."""
        self._room = room
        for view in self.rows:
            view.fit(room)
        self.headings.fit(room)
        self.headings.setVisible(room != "narrow" and not self._title.text())
