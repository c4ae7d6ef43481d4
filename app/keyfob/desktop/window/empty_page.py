"""What the window shows while there is no account: what Keyfob does, and the ways to begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QPainter, QPaintEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from keyfob.desktop.shared import icons
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.outside_text import set_tooltip
from keyfob.desktop.shared.palette import TRAY
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import IconButton, Scroller, button, label, restyle, rule
from keyfob.desktop.shared.words import NO_TRAY

WIDEST, NARROW = 880, 640  # designed pixels: of the content; below it, the promises stand one above the other
TILES_FROM = 900  # designed pixels of the window's height


@dataclass(frozen=True, slots=True)
class EmptyModel:
    """What the page shows."""

    kept_in: str = "your keychain"
    forgetful: bool = False  # what is kept there is lost when Keyfob quits
    demo: bool = False  # a demo provider is there to try
    starting: bool = False  # it starts
    keys: int | None = None  # found in other tools' files; None: not looked for
    looking: bool = False
    problem: str = ""  # what went wrong with a press here
    tray_missing: bool = False
    leads: bool = True  # no banner has the primary button


class Tiles(Protocol):
    """What works at once, as tiles."""

    @property
    def view(self) -> QWidget:
        """The list itself."""

    def height_for(self, width: int) -> int:
        """The height that shows all of them at this width."""


class Promise(QWidget):
    """A drawing, and what Keyfob promises."""

    def __init__(self, theme: Theme, drawing: str, title: str, text: str) -> None:
        super().__init__()
        px = theme.px
        self.title = label(title, "strong", wrap=True)
        words = QVBoxLayout()
        words.setSpacing(px(1))
        words.addStretch(1)
        words.addWidget(self.title)
        words.addWidget(label(text, "small", wrap=True))
        words.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(px(12))
        row.addWidget(_Ground(theme, drawing), 0, Qt.AlignmentFlag.AlignVCenter)
        row.addLayout(words, 1)


class _Ground(QWidget):
    """A drawing on a tinted square."""

    def __init__(self, theme: Theme, drawing: str) -> None:
        super().__init__()
        self._theme, self._drawing = theme, drawing
        self.setFixedSize(QSize(theme.px(40), theme.px(40)))

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw it in the theme's colours of now."""
        theme, side = self._theme, self._theme.px(20)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("info_tint"))
        painter.drawRoundedRect(QRectF(self.rect()), theme.px(9), theme.px(9))
        drawn = icons.pixmap(self._drawing, theme.palette.accent, side, self.devicePixelRatioF())
        painter.drawPixmap((self.width() - side) // 2, (self.height() - side) // 2, drawn)
        painter.end()


class EmptyPage(QWidget):
    """What the window shows while there is no account. Emits what the user asks for."""

    connect_asked = Signal()
    demo_asked = Signal()
    keys_asked = Signal()
    settings_asked = Signal()
    check_asked = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("detail")
        self._theme = theme
        self._model = EmptyModel()
        self._tiles: Tiles | None = None
        self._column = QWidget()
        column = QVBoxLayout(self._column)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self._build_lead(column)
        self._build_tiles(column)
        self._build_promises(column)
        body = QWidget()
        middle = QHBoxLayout()
        middle.addStretch(1)
        middle.addWidget(self._column)
        middle.addStretch(1)
        rows = QVBoxLayout(body)
        rows.setContentsMargins(theme.px(30), theme.px(24), theme.px(30), theme.px(24))
        rows.addStretch(2)
        rows.addLayout(middle)
        rows.addStretch(3)
        self.scroller = Scroller()
        self.scroller.hold(body)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.scroller)
        # Above the content, in its corner; last in the order of Tab.
        self.settings_button = IconButton(theme, "gear", "Settings", "quiet")
        set_tooltip(self.settings_button, "Settings (Ctrl+,)")
        self.settings_button.setParent(self)
        self.settings_button.clicked.connect(self.settings_asked)
        theme.changed.connect(self._redraw)
        self._redraw()
        self.show_model(self._model)

    def _build_lead(self, column: QVBoxLayout) -> None:
        px, centre = self._theme.px, Qt.AlignmentFlag.AlignHCenter
        self._picture = label()
        title = label("Connect your first account", "title", wrap=True)
        self._text = label(
            "Sign in once. From then on, your tools ask Keyfob and get a fresh token every time.",
            "secondary",
            wrap=True,
        )
        self.connect_button = button("Connect Account", "primary")
        self.demo_button = button("Try the demo")
        self.problem = label("", "problem", wrap=True)
        self._question = label("Already have keys in files?", "small")
        self.keys_button = button("Import them", "link")
        set_tooltip(self.connect_button, "Ctrl+N")
        self.connect_button.clicked.connect(self.connect_asked)
        self.demo_button.clicked.connect(self.demo_asked)
        self.keys_button.clicked.connect(self.keys_asked)
        self.problem.setContentsMargins(0, px(12), 0, 0)
        for widget in (title, self._text, self.problem):
            widget.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column.addWidget(self._picture, 0, centre)
        column.addSpacing(px(18))
        column.addWidget(title)
        column.addSpacing(px(6))
        # Stretches centre it: an alignment flag would give it its sizeHint, too low for wrapped text.
        column.addLayout(_centred(0, self._text))
        column.addSpacing(px(20))
        column.addLayout(_centred(px(12), self.connect_button, self.demo_button))
        column.addWidget(self.problem)
        column.addSpacing(px(12))
        column.addLayout(_centred(px(6), self._question, self.keys_button))

    def _build_tiles(self, column: QVBoxLayout) -> None:
        px = self._theme.px
        self.tiles_box = QWidget()
        self.all_button = button("Show all", "link")
        self.all_button.setProperty("flush", True)
        self.all_button.clicked.connect(self.connect_asked)
        head = QHBoxLayout()
        head.setSpacing(px(10))
        head.addWidget(label("Works at once", "part"))
        head.addWidget(label("no setup at the provider", "small"))
        head.addStretch(1)
        head.addWidget(self.all_button)
        box = self._tiles_column = QVBoxLayout(self.tiles_box)
        box.setContentsMargins(0, px(36), 0, 0)
        box.setSpacing(px(8))
        box.addLayout(head)
        self.tiles_box.hide()
        column.addWidget(self.tiles_box)

    def _build_promises(self, column: QVBoxLayout) -> None:
        px, theme = self._theme.px, self._theme
        self._safe = Promise(theme, "lock", "", "Nothing in plain files.")
        self._promises = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._promises.setSpacing(px(16))
        for promise in (
            self._safe,
            Promise(theme, "renew", "Always fresh", "Renewed before it expires."),
            Promise(theme, "terminal", "Works with your tools", "git, Docker, kubectl, pip…"),
        ):
            policy = promise.sizePolicy()
            policy.setHorizontalPolicy(QSizePolicy.Policy.Ignored)  # each a third
            promise.setSizePolicy(policy)
            self._promises.addWidget(promise, 1)
        self.tray_note = label(NO_TRAY, "hint", wrap=True)
        self.tray_note.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.tray_note.setContentsMargins(0, px(20), 0, 0)
        column.addSpacing(px(30))
        column.addWidget(rule())
        column.addSpacing(px(24))
        column.addLayout(self._promises)
        column.addWidget(self.tray_note)
        self.check_button = button("Check everything", "link")
        set_tooltip(self.check_button, "Ctrl+E")
        self.check_button.clicked.connect(self.check_asked)
        column.addSpacing(px(24))
        column.addLayout(_centred(px(6), label("Something does not work?", "small"), self.check_button))

    # --- what it shows --------------------------------------------------------------------------------------

    def show_model(self, model: EmptyModel) -> None:
        """Show this."""
        if model.problem and model.problem != self._model.problem:
            announce(self, model.problem, urgent=True)
        before, self._model = self._model, model
        kind = "primary" if model.leads else ""
        if self.connect_button.property("kind") != kind:
            self.connect_button.setProperty("kind", kind)
            restyle(self.connect_button)
        words = "Starting…" if model.starting else "Try the demo"
        self.demo_button.setText(words)
        self.demo_button.setAccessibleName(words)
        self.demo_button.setEnabled(not model.starting)
        side, ink = self._theme.px(17), self._theme.palette.disabled
        self.demo_button.setIconSize(QSize(side, side))
        self.demo_button.setIcon(icons.icon("renew", ink, side, ink) if model.starting else QIcon())
        self.demo_button.setVisible(model.demo)
        self.problem.setText(model.problem)
        self.problem.setVisible(bool(model.problem))
        self._show_keys(model)
        place = {"encrypted file": "an encrypted file"}.get(model.kept_in, model.kept_in)
        self._safe.title.setText("Kept in memory only" if model.forgetful else f"Safe in {place}")
        self.tray_note.setVisible(model.tray_missing)
        # A button that cannot be pressed loses the focus: it comes back when the button does.
        if before.starting and not model.starting:
            self.demo_button.setFocus()
        if before.looking and not model.looking:
            self.keys_button.setFocus()
        self._arrange()

    def _show_keys(self, model: EmptyModel) -> None:
        words = "Import them"
        match model.keys:
            case None:
                question = "Already have keys in files?"
            case 0:
                question, words = "Keyfob found no keys in other tools’ files.", "Look again"
            case 1:
                question, words = "Keyfob found a key in another tool’s file.", "Import it"
            case many:
                question = f"Keyfob found {many} keys in other tools’ files."
        self._question.setText(question)
        self.keys_button.setText(words)
        self.keys_button.setAccessibleName(words)
        self.keys_button.setEnabled(not model.looking)

    def show_tiles(self, tiles: Tiles, total: int) -> None:
        """Show these where there is room; `total`: how many providers there are."""
        self._tiles = tiles
        self._tiles_column.addWidget(tiles.view)
        self.all_button.setText(f"Show all {total}")
        self.all_button.setAccessibleName(self.all_button.text())
        self._arrange()

    # --- its size -------------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Use the room there is."""
        super().resizeEvent(event)
        self._arrange()

    def showEvent(self, event: QShowEvent) -> None:
        """Begin at the first button, unless the user is somewhere already."""
        super().showEvent(event)
        if self.window().focusWidget() is None:
            self.connect_button.setFocus()

    def _arrange(self) -> None:
        px = self._theme.px
        width = min(max(self.width() - 2 * px(30), px(240)), px(WIDEST))
        self._column.setFixedWidth(width)
        self._text.setFixedWidth(min(width, px(340)))
        across = width >= px(NARROW)
        direction = QBoxLayout.Direction.LeftToRight if across else QBoxLayout.Direction.TopToBottom
        if self._promises.direction() != direction:
            self._promises.setDirection(direction)
        tiles = self._tiles
        self.tiles_box.setVisible(tiles is not None and self.window().height() >= px(TILES_FROM))
        if tiles is not None:
            tiles.view.setFixedHeight(tiles.height_for(width))
        size = self.settings_button.sizeHint()
        self.settings_button.setGeometry(
            self.width() - size.width() - px(18), px(14), size.width(), size.height()
        )

    def _redraw(self) -> None:
        side = self._theme.px(64)
        self._picture.setFixedSize(side, side)
        self._picture.setPixmap(icons.pixmap("app", TRAY["fine"], side, self.devicePixelRatioF()))


def _centred(gap: int, *widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(gap)
    row.addStretch(1)
    for widget in widgets:
        row.addWidget(widget)
    row.addStretch(1)
    return row
