"""One row of the page Programs: a program, its account, its limits, its last hours, and its button."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from keyfob.desktop.programs.models import ProgramRow
from keyfob.desktop.shared.accessible import list_item, teach
from keyfob.desktop.shared.avatar import Avatar, Tile
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import RETURNS, Elided, button, label, restyle

# How much of the page there is: wide has a column for each fact, medium puts the account under the program,
# narrow puts the facts into a line below.
Room = Literal["wide", "medium", "narrow"]
SHARES = {"program": 14, "account": 12, "what": 14}  # of the room that is left, so that columns line up
UNTIL, LAST = 100, 88  # designed pixels of these columns
GAP = 12
TILE = 30


class Bars(QWidget):
    """Requests by the hour, the last at the right. Decoration: the number below says it too."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._bars: tuple[int, ...] = ()
        self._dim = False
        self.setFixedHeight(theme.px(26))

    def show_bars(self, bars: tuple[int, ...], *, dim: bool) -> None:
        """Show these counts."""
        if (bars, dim) != (self._bars, self._dim):
            self._bars, self._dim = bars, dim
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw a bar for each hour that has one, and a line below the others."""
        painter = QPainter(self)
        ratio = self.devicePixelRatioF()
        bottom = self.height() - 1.0
        pen = QPen(self._theme.color("edge"), 1, Qt.PenStyle.CustomDashLine)
        pen.setDashPattern([2, 2])
        painter.setPen(pen)
        painter.setOpacity(0.6)
        painter.drawLine(0, round(bottom), self.width(), round(bottom))
        painter.setOpacity(0.45 if self._dim else 1)
        most = max(self._bars, default=0)
        if most:
            step = self.width() / len(self._bars)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._theme.color("accent"))
            for number, count in enumerate(self._bars):
                if count:
                    # On whole pixels of the screen, so that all are equally sharp.
                    left = round(number * step * ratio) / ratio
                    right = round((number + 1) * step * ratio) / ratio - max(1.0, 1 / ratio)
                    height = max(bottom * count / most, self._theme.px(2))
                    painter.drawRect(QRectF(left, bottom - height + 1, right - left, height))
        painter.end()


class ProgramRowView(QFrame):
    """`pressed`: the grant's id and `open`, `end` or `again`. `moved`: to the row above (-1), to
    this one (0) or to the one below (1).
    """

    pressed = Signal(str, str)
    moved = Signal(str, int)

    def __init__(self, theme: Theme, row: ProgramRow, room: Room) -> None:
        teach("ProgramRowView", list_item)
        super().__init__()
        px = theme.px
        self._theme, self._row, self._room = theme, row, room
        self._dim = False
        self._tile = Tile(theme, TILE, edged=False)
        self._name, self._used = Elided("", "strong"), Elided("", "small")
        self._account_line = label("", "small", wrap=True)
        self._face = Avatar(theme, 24, "panel")
        self._account, self._provider = Elided(""), label("", "small", wrap=True)
        self._what, self._limit = Elided(""), Elided("", "small")
        self._often, self._refused = label("", "small", wrap=True), label("", "warn", wrap=True)
        self._until, self._left = Elided(""), Elided("", "small")
        self._bars = Bars(theme)
        self._requests = Elided("", "small")
        self._rest, self._rest_refused = label("", "small", wrap=True), label("", "warn", wrap=True)
        self.button = button("")
        self.button.clicked.connect(self._press)
        program = _column(theme, self._name, self._account_line, self._used)
        self._account_cell = QWidget()
        account = QHBoxLayout(self._account_cell)
        account.setContentsMargins(0, 0, 0, 0)
        account.setSpacing(px(8))
        account.addWidget(self._face)
        account.addWidget(_column(theme, self._account, self._provider), 1)
        what = _column(theme, self._what, self._limit, self._often, self._refused)
        self._until_cell = _column(theme, self._until, self._left)
        self._last_cell = _column(theme, self._bars, self._requests)
        for cell, width in ((self._until_cell, UNTIL), (self._last_cell, LAST)):
            cell.setFixedWidth(px(width))
        for cell in (program, self._account_cell, what):
            cell.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._what_cell = what
        top = QHBoxLayout()
        top.setSpacing(px(GAP))
        top.addWidget(self._tile)
        top.addWidget(program, SHARES["program"])
        top.addWidget(self._account_cell, SHARES["account"])
        top.addWidget(what, SHARES["what"])
        top.addWidget(self._until_cell)
        top.addWidget(self._last_cell)
        top.addWidget(self.button)
        for below in (self._rest, self._rest_refused):
            below.setContentsMargins(px(TILE) + px(GAP), 0, 0, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(px(15), px(10), px(15), px(10))
        layout.setSpacing(px(4))
        layout.addLayout(top)
        layout.addWidget(self._rest)
        layout.addWidget(self._rest_refused)
        self.setMinimumHeight(px(62))
        self._show()
        self._arrange()

    @property
    def key(self) -> str:
        """The grant's id."""
        return self._row.key

    @property
    def row(self) -> ProgramRow:
        """What is shown."""
        return self._row

    def show_row(self, row: ProgramRow, *, dim: bool) -> None:
        """Show the program as it is now. `dim`: nothing serves it."""
        if (row, dim) != (self._row, self._dim):
            self._row, self._dim = row, dim
            self._show()
            self._arrange()

    def fit(self, room: Room) -> None:
        """Arrange for that much room."""
        if room != self._room:
            self._room = room
            self._arrange()

    def be_stop(self, stop: bool) -> None:
        """Whether Tab reaches this row and its button. A press always does."""
        policy = Qt.FocusPolicy.StrongFocus if stop else Qt.FocusPolicy.ClickFocus
        self.setFocusPolicy(policy)
        self.button.setFocusPolicy(policy)

    def _show(self) -> None:
        row = self._row
        self._tile.show_letter(row.letter, row.color)
        self._name.show_text(row.name)
        self._used.show_text(row.used)
        where = " · ".join(part for part in (row.provider, row.account_note) if part)
        where = where[:1].upper() + where[1:]
        self._account.show_text(row.account)
        self._provider.setText(where)
        self._account_line.setText(f"{row.account} · {where}")
        for each in (self._provider, self._account_line):
            _role(each, "warn" if row.account_note else "small")
        if row.face is not None:
            self._face.show_face(replace(row.face, badge=""))
        self._face.setVisible(row.face is not None)
        self._what.show_text(row.what)
        self._limit.show_text(row.limit)
        self._often.setText(row.often)
        for shown in (self._refused, self._rest_refused):
            shown.setText(row.refused)
        self._until.show_text(row.until)
        self._left.show_text(row.left)
        _role(self._left, "warn" if row.soon else "small")
        self._bars.show_bars(row.bars, dim=self._dim or row.ended)
        self._requests.show_text(row.requests)
        may = " · ".join(part for part in (row.what, row.limit, row.often) if part)
        self._rest.setText(f"{may}\n{row.span} · {row.requests} in 24 hours")
        words = "Allow…" if row.ended else "End"
        self.button.setText(words)
        self.button.setAccessibleName(f"{words} {row.name}")
        self.setAccessibleName(row.name)
        self.setAccessibleDescription(row.spoken)
        if self.property("dim") != self._dim:
            self.setProperty("dim", self._dim)
            for part in self.findChildren(QWidget):
                restyle(part)

    def _arrange(self) -> None:
        wide, narrow = self._room == "wide", self._room == "narrow"
        self._account_line.setVisible(not wide)
        self._account_cell.setVisible(wide)
        for cell in (self._what_cell, self._until_cell, self._last_cell):
            cell.setVisible(not narrow)
        self._limit.setVisible(bool(self._row.limit))
        self._often.setVisible(bool(self._row.often))
        self._refused.setVisible(bool(self._row.refused))
        self._rest.setVisible(narrow)
        self._rest_refused.setVisible(narrow and bool(self._row.refused))

    def _press(self) -> None:
        self.pressed.emit(self.key, "again" if self._row.ended else "end")

    def focusInEvent(self, event: QFocusEvent) -> None:
        """A press makes it the current row."""
        super().focusInEvent(event)
        self.moved.emit(self.key, 0)

    def mouseDoubleClickEvent(self, _event: QMouseEvent) -> None:
        """Show the details, as Return does."""
        self.pressed.emit(self.key, "open")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Return opens the details, Delete ends, arrows go to the next row."""
        match event.key():
            case key if key in RETURNS or key == Qt.Key.Key_Space:
                self.pressed.emit(self.key, "open")
            case Qt.Key.Key_Delete if not self._row.ended:
                self.pressed.emit(self.key, "end")
            case Qt.Key.Key_Up:
                self.moved.emit(self.key, -1)
            case Qt.Key.Key_Down:
                self.moved.emit(self.key, 1)
            case _:
                super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the focus ring."""
        super().paintEvent(event)
        if self.hasFocus():
            painter = QPainter(self)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(self._theme.color("focus"), 2))
            box = QRectF(self.rect()).adjusted(3, 3, -3, -3)
            painter.drawRoundedRect(box, self._theme.px(7), self._theme.px(7))
            painter.end()


class Headings(QWidget):
    """The names of the columns."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        px = theme.px
        self._theme = theme
        row = QHBoxLayout(self)
        row.setContentsMargins(px(15), 0, px(15), 0)
        row.setSpacing(px(GAP))
        self._named: dict[str, QWidget] = {}
        for key, text in (
            ("program", "Program"), ("account", "Account"), ("what", "What it may do"), ("until", "Until"),
            ("last", "Last 24 hours"),
        ):  # fmt: skip
            made = label(text, "heading")
            self._named[key] = made
            share = SHARES.get(key, 0)
            if share:
                made.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            else:
                made.setFixedWidth(px({"until": UNTIL, "last": LAST}[key]))
            if key == "program":
                # Over the tiles too, so it is placed by hand: the layout has only its room.
                made.setParent(self)
                tile, room = QWidget(), QWidget()
                tile.setFixedWidth(px(TILE))
                room.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
                row.addWidget(tile)
                row.addWidget(room, share)
            else:
                row.addWidget(made, share)
        self.end = QWidget()
        row.addWidget(self.end)

    def fit(self, room: Room) -> None:
        """As the rows are arranged."""
        self._named["account"].setVisible(room == "wide")

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Place the first name."""
        super().resizeEvent(event)
        left = self._theme.px(15)
        self._named["program"].setGeometry(left, 0, self.width() - left, self.height())


def _column(theme: Theme, *widgets: QWidget) -> QWidget:
    made = QWidget()
    layout = QVBoxLayout(made)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(theme.px(2))
    layout.addStretch(1)
    for each in widgets:
        layout.addWidget(each)
    layout.addStretch(1)
    return made


def _role(widget: QWidget, role: str) -> None:
    if widget.property("role") != role:
        widget.setProperty("role", role)
        restyle(widget)
