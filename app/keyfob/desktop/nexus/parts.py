"""What the tabs have in common: a note, a list that is empty, grey rows, and the choice of a game."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from keyfob.desktop.nexus.models import Empty, Games, Note
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Choice, Picture, Scroller, button, label, restyle

GREY_AFTER = 200  # milliseconds that an answer may take before grey rows say that it is waited for
GREY_ROWS = 5
OTHER_GAME = "Another game…"
WIDEST = 880  # designed pixels of the content
EDGE = 30  # designed pixels at its sides


class NoteCard(QFrame):
    """A note above a list. `asked` has its button's action."""

    asked = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        px = theme.px
        self._note: Note | None = None
        self._leads = False
        self._sign = Picture(theme, "warning", "warn", 20)
        self.title = label("", "strong", wrap=True)
        self.text = label("", "secondary", wrap=True)
        self.button = button("")
        self.button.clicked.connect(self._pressed)
        texts = QVBoxLayout()
        texts.setSpacing(px(2))
        texts.addWidget(self.title)
        texts.addWidget(self.text)
        row = QHBoxLayout(self)
        row.setContentsMargins(px(16), px(12), px(14), px(12))
        row.setSpacing(px(12))
        row.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(texts, 1)
        row.addWidget(self.button, 0, Qt.AlignmentFlag.AlignVCenter)
        self.hide()

    def show_note(self, note: Note | None, *, leads: bool) -> None:
        """None: the card goes. `leads`: its button may be the primary one."""
        self.setVisible(note is not None)
        if note is None or (note, leads) == (self._note, self._leads):
            return
        self._note, self._leads = note, leads
        self.title.setText(note.title)
        self.text.setText(note.text)
        self.text.setVisible(bool(note.text))
        self.button.setText(note.button)
        self.button.setAccessibleName(note.button)
        self.button.setVisible(bool(note.button))
        self._sign.become(
            "warning" if note.tone == "warn" else "info", "warn" if note.tone == "warn" else "accent"
        )
        self.setProperty("note", note.tone)
        restyle(self)
        self.button.setProperty("kind", "primary" if leads and note.tone == "warn" else None)
        restyle(self.button)

    @property
    def primary(self) -> bool:
        """Whether its button is the page's primary one."""
        return not self.isHidden() and bool(self.button.property("kind")) and not self.button.isHidden()

    def _pressed(self) -> None:
        if self._note is not None:
            self.asked.emit(self._note.action)


class EmptyCard(QFrame):
    """In place of a list without rows. `asked` has its button's action."""

    asked = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        px = theme.px
        self._action = ""
        self.setProperty("card", True)
        self.title = label("", "lead", wrap=True)
        self.text = label("", "secondary", wrap=True)
        self.button = button("")
        self.button.clicked.connect(self._pressed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.margins(22, 20, 22, 20))
        layout.setSpacing(px(6))
        layout.addWidget(self.title)
        layout.addWidget(self.text)
        layout.addSpacing(px(6))
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignLeft)
        self.hide()

    def show_empty(self, empty: Empty | None, *, leads: bool) -> None:
        """None: there are rows, or they are waited for."""
        self.setVisible(empty is not None)
        if empty is None:
            return
        self._action = empty.action
        self.title.setText(empty.title)
        self.text.setText(empty.text)
        self.text.setVisible(bool(empty.text))
        self.button.setText(empty.button)
        self.button.setAccessibleName(empty.button)
        self.button.setVisible(bool(empty.button))
        kind = "primary" if leads else None
        if self.button.property("kind") != kind:
            self.button.setProperty("kind", kind)
            restyle(self.button)

    def _pressed(self) -> None:
        self.asked.emit(self._action)


class GreyRows(QWidget):
    """Where rows will be, if the first answer takes longer than a moment."""

    def __init__(self, theme: Theme, high: int) -> None:
        """`high`: designed pixels of one row."""
        super().__init__()
        self._theme, self._high = theme, high
        self._shows = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._late)
        self.setAccessibleName("Loading")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.hide()

    def wait(self, waiting: bool) -> None:
        """Begin or end."""
        if waiting == self.isHidden():
            self.setVisible(waiting)
            self._shows = False
            if waiting:
                self._timer.start(GREY_AFTER)
            else:
                self._timer.stop()

    def _late(self) -> None:
        self._shows = True
        self.update()

    @property
    def shows(self) -> bool:
        """Whether the rows are drawn by now."""
        return self._shows and not self.isHidden()

    def sizeHint(self) -> QSize:
        """As high as the rows."""
        return QSize(self._theme.px(200), self._theme.px(self._high) * GREY_ROWS)

    def paintEvent(self, _event: object) -> None:
        """Draw them, once it takes long."""
        if not self._shows:
            return
        px, theme = self._theme.px, self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(theme.color("line"))
        painter.setBrush(theme.color("panel"))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), px(10), px(10))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("quiet_tint"))
        high = px(self._high)
        for number in range(GREY_ROWS):
            middle = number * high + high / 2
            painter.drawRoundedRect(QRectF(px(16), middle - px(23), px(76), px(46)), px(6), px(6))
            wide = px(150 + 34 * ((number * 2) % 3))
            painter.drawRoundedRect(QRectF(px(104), middle - px(15), wide, px(11)), px(4), px(4))
            painter.drawRoundedRect(QRectF(px(104), middle + px(5), wide * 0.7, px(9)), px(4), px(4))
        painter.end()


class GameChoice(Choice):
    """Game: which game's mods are shown. `picked` has its domain; `other_asked`: one that is not listed."""

    picked = Signal(str)
    other_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "Game")
        self._games = Games()
        self.setSizeAdjustPolicy(Choice.SizeAdjustPolicy.AdjustToContents)
        self.activated.connect(self._activated)

    def show_games(self, games: Games) -> None:
        """Show these. Hidden while none is known."""
        if games == self._games:
            self.setVisible(bool(games.all))
            return
        if games.all != self._games.all:
            self.clear()
            for domain, name in games.all:
                self.addItem(name, domain)
            self.addItem(OTHER_GAME, "")
        self._games = games
        self.setCurrentIndex(max(self.findData(games.chosen), 0))
        self.setVisible(bool(games.all))

    def _activated(self, number: int) -> None:
        domain = str(self.itemData(number))
        if domain:
            self.picked.emit(domain)
        else:
            self.setCurrentIndex(max(self.findData(self._games.chosen), 0))
            self.other_asked.emit()


def column(theme: Theme, top: int, bottom: int) -> tuple[QWidget, QVBoxLayout]:
    """A body with a centred column, and the column's layout. `top`, `bottom`: designed pixels of margin."""
    px = theme.px
    inner_widget = QWidget()
    inner_widget.setMaximumWidth(px(WIDEST))
    inner_widget.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    inner = QVBoxLayout(inner_widget)
    inner.setContentsMargins(0, 0, 0, 0)
    inner.setSpacing(px(14))
    body = QWidget()
    middle = QHBoxLayout(body)
    middle.setContentsMargins(px(EDGE), px(top), px(EDGE), px(bottom))
    middle.setSpacing(0)
    middle.addStretch(1)
    middle.addWidget(inner_widget, 1000)
    middle.addStretch(1)
    return body, inner


class Part(QWidget):
    """One tab's body: a column that scrolls. `asked(action)`: of a note or an empty list."""

    asked = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.setObjectName("detail")
        self.note, self.empty = NoteCard(theme), EmptyCard(theme)
        self.note.asked.connect(self.asked)
        self.empty.asked.connect(self.asked)
        body, self.inner = column(theme, 16, 16)
        self.scroller = Scroller()
        self.scroller.hold(body)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.scroller)


def listed(view: QWidget) -> QFrame:
    """A card that holds nothing but a list."""
    frame = QFrame()
    frame.setProperty("card", True)
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(1, 1, 1, 1)
    layout.addWidget(view)
    return frame
