"""The list of providers: search for one, choose it, choose a method."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from keyfob.desktop.connect.cards import OWN_SERVER, best, found
from keyfob.desktop.connect.categories import ALL, Categories, entries
from keyfob.desktop.connect.gallery_foot import Foot
from keyfob.desktop.connect.models import Card
from keyfob.desktop.connect.tiles import EDGE, TileView
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import SearchField, Switch, button, label, rule

TITLE = "Connect Account"
TEXT = "Sign in once. Keyfob keeps the token fresh and gives it to your tools."
NARROW = 640  # designed pixels under which the categories are a drop-down
TIGHT = 820  # and under which the footer has two lines
LOW = 560  # the height under which the tiles need the room of the sentence at the top
ONLY = "Only what works at once"


class GalleryPage(QWidget):
    """`chosen(provider, method)` by Continue, Return or a double click."""

    chosen = Signal(str, str)
    cancelled = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._cards: tuple[Card, ...] = ()
        self._searched = True
        self._count = 0  # of the providers that are shown
        self.title = label("", "title", wrap=True)
        self.text = label("", "secondary", wrap=True)
        self.note = label("", "problem", wrap=True)
        self.note.hide()
        self.categories = Categories(theme)
        self.foot = Foot(theme)
        self.method, self.cancel, self.go = self.foot.method, self.foot.cancel, self.foot.go
        self._build_search()
        self._build_list()
        self._lay_out()
        self.categories.changed.connect(self._filter)
        self.categories.own_server_asked.connect(self.show_own_server)
        self.cancel.clicked.connect(self.cancelled)
        self.go.clicked.connect(self._continue)

    def _build_search(self) -> None:
        self.search = SearchField(self._theme, "Search providers")
        self.search.textChanged.connect(self._searched_for)
        self.search.installEventFilter(self)
        self.only = Switch(self._theme, ONLY)
        self.only.toggled.connect(self._filter)
        self._only_text = label(ONLY, "line")
        self._only_text.setBuddy(self.only)
        self._only_text.installEventFilter(self)

    def _build_list(self) -> None:
        self.list = TileView(self._theme)
        self.list.setAccessibleName("Providers")
        self.list.currentItemChanged.connect(self._offer)
        self.list.itemDoubleClicked.connect(self._continue)  # Return presses Continue, the default button
        self.list.left_top.connect(self._back_to_search)
        self.nothing = QWidget()
        self.nothing_title = label("", "lead", wrap=True)
        self.nothing_text = label("", "secondary", wrap=True)
        self.show_all = button("Show all providers")
        self.add_server = button("Add your own server…")
        self.show_all.clicked.connect(self._show_all)
        self.add_server.clicked.connect(self.show_own_server)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.show_all)
        buttons.addWidget(self.add_server)
        buttons.addStretch(1)
        column = QVBoxLayout(self.nothing)
        column.setContentsMargins(0, 0, self._theme.px(EDGE), 0)
        column.setSpacing(self._theme.px(6))
        column.addStretch(2)
        for words in (self.nothing_title, self.nothing_text):
            words.setAlignment(Qt.AlignmentFlag.AlignCenter)
            column.addWidget(words)
        column.addSpacing(self._theme.px(10))
        column.addLayout(buttons)
        column.addStretch(3)
        self.nothing.hide()

    def _lay_out(self) -> None:
        px = self._theme.px
        head = QVBoxLayout()
        head.setContentsMargins(px(EDGE), px(22), px(EDGE), px(16))
        head.setSpacing(px(3))
        for widget in (self.title, self.text, self.note):
            head.addWidget(widget)
        only = QHBoxLayout()
        only.setSpacing(px(8))
        only.addWidget(self.only)
        only.addWidget(self._only_text, 1)
        self._second = QHBoxLayout()  # the drop-down, and the switch
        self._second.setSpacing(px(16))
        self._second.addWidget(self.categories.choice)
        self._second.addStretch(1)
        self._second.addLayout(only)
        self._bar = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._bar.setContentsMargins(0, 0, px(EDGE), 0)
        self._bar.setSpacing(px(12))
        self._bar.addWidget(self.search, 1)
        self._bar.addLayout(self._second)
        right = self._body = QFrame()
        right.setObjectName("dialogBody")
        column = QVBoxLayout(right)
        column.setContentsMargins(px(EDGE), px(16), 0, 0)
        column.setSpacing(px(16))
        column.addLayout(self._bar)
        column.addWidget(self.list, 1)
        column.addWidget(self.nothing, 1)
        middle = QHBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self.categories)
        middle.addWidget(right, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(rule())
        layout.addLayout(middle, 1)
        layout.addWidget(rule())
        layout.addWidget(self.foot)
        for first, second in zip(stops := self._stops(), stops[1:], strict=False):
            QWidget.setTabOrder(first, second)

    def _stops(self) -> list[QWidget]:
        """What the Tab key reaches, in order."""
        categories = self.categories
        return [
            self.search, self.only, categories.choice, categories.list, categories.own_server, self.list,
            self.show_all, self.add_server, self.method, self.cancel, self.go,
        ]  # fmt: skip

    # --- what it shows --------------------------------------------------------------------------------------

    @property
    def cards(self) -> tuple[Card, ...]:
        """All providers that can be chosen, also those that the search hides."""
        return self._cards

    def show_cards(
        self,
        cards: tuple[Card, ...],
        preferred: str | None = None,
        *,
        title: str = TITLE,
        text: str = TEXT,
        searched: bool = True,
    ) -> None:
        """Show these providers; `preferred` is chosen if it is there. Without `searched` there is nothing to
        look through: one provider whose method is chosen.
        """
        self._cards, self._searched = cards, searched
        self.title.setText(title)
        self.text.setText(text)
        for widget in (self.search, self.only, self._only_text):
            widget.setVisible(searched)
        self.search.setPlaceholderText(f"Search {len(cards)} providers")
        self.search.clear()
        self.only.setChecked(False)
        self.categories.choose(ALL)
        self.list.show_cards(cards, headed=searched)
        self._filter()
        wanted = next((n for n, card in enumerate(cards) if card.id == preferred), None)
        if wanted is not None:
            self.list.setCurrentRow(wanted)
            self.list.scrollTo(self.list.currentIndex())
        self._fit()

    def focus_first(self) -> None:
        """The search has the focus, or what there is to choose, or Continue."""
        method = self.method if self.method.isVisibleTo(self) else self.go
        (self.search if self._searched else method).setFocus()

    def say(self, note: str) -> None:
        """What the user should know of this list; empty for nothing."""
        self.note.setText(note)
        self.note.setVisible(bool(note))

    def show_own_server(self) -> None:
        """Show the presets that fit any server."""
        self._clear()
        self.categories.choose(OWN_SERVER)
        self.list.setFocus()

    def _show_all(self) -> None:
        query = self.search.text()
        self._clear()
        self.search.setText(query)
        self.search.setFocus()

    def _clear(self) -> None:
        self.search.clear()
        self.only.setChecked(False)
        self.categories.choose(ALL)

    def _searched_for(self, query: str) -> None:
        """Choose the first match: Return in the search field continues with it."""
        self._filter()
        match = best([self.list.card_at(row) for row in self.list.shown()], query)
        if match is not None:
            self.list.setCurrentRow(self._cards.index(match))
            self.list.scrollTo(self.list.currentIndex())

    def _filter(self) -> None:
        """Show what the search, the switch and the category leave."""
        query, only = self.search.text(), self.only.isChecked()
        usable = [card for card in self._cards if card.group == "at_once" or not only]
        self.categories.show_entries(entries(usable))
        category = self.categories.current()
        shown = {c.id for c in usable if found(c, query) and category in (ALL, c.category)}
        for row, card in enumerate(self._cards):
            self.list.setRowHidden(row, card.id not in shown)
        self.list.arrange()
        current = self.list.currentRow()
        if current < 0 or self.list.isRowHidden(current):
            self.list.setCurrentRow(next(iter(self.list.shown()), -1))
        none = bool(self._cards) and not shown
        if none:
            self._say_nothing(query)
        self.nothing.setVisible(none)
        self.list.setVisible(not none)
        if self.isVisible() and len(shown) != self._count:
            many = f"{len(shown)} provider{'' if len(shown) == 1 else 's'}"
            announce(self, self.nothing_title.text() if none else many)
        self._count = len(shown)
        self._offer()

    def _say_nothing(self, query: str) -> None:
        """Why no provider is shown, and what can be done."""
        elsewhere = sum(found(card, query) for card in self._cards)
        wanted = query.strip()[:60]
        if elsewhere:
            matching = "1 provider that matches" if elsewhere == 1 else f"{elsewhere} providers that match"
            self.nothing_title.setText(f"“{wanted}” is not in this view")
            self.nothing_text.setText(f"The filters hide {matching}.")
        else:
            self.nothing_title.setText(f"No provider called “{wanted}”")
            self.nothing_text.setText("You can connect to any server by its address.")
        self.show_all.setVisible(bool(elsewhere))
        self.add_server.setVisible(not elsewhere)

    def current(self) -> Card | None:
        """The chosen provider, if the search shows it."""
        row = self.list.currentRow()
        return None if row < 0 or self.list.isRowHidden(row) else self.list.card_at(row)

    def _offer(self) -> None:
        """The methods of the chosen provider."""
        self.foot.show_card(self.current())

    def _continue(self) -> None:
        card = self.current()
        if card is not None:
            self.chosen.emit(card.id, str(self.method.currentData()))

    # --- size, theme, keys ----------------------------------------------------------------------------------

    def _fit(self) -> None:
        """Side by side if there is room. Else the categories drop down, bar and footer have two lines,
        and a low dialog does without the sentence under its title.
        """
        px, width = self._theme.px, self.width()
        wide = width >= px(NARROW)
        across, down = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
        self.categories.setVisible(wide and self._searched)
        self.categories.choice.setVisible(not wide and self._searched)
        self.text.setVisible(self.height() >= px(LOW) or not self._searched)
        self._bar.setDirection(across if wide else down)
        words = self._only_text.fontMetrics().horizontalAdvance(ONLY)
        beside = self.categories.choice.sizeHint().width() + self.only.sizeHint().width() + px(28)
        self._only_text.setWordWrap(not wide and words > width - 2 * px(EDGE) - beside)
        self.foot.fit(wide=width >= px(TIGHT))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """One column or two."""
        super().resizeEvent(event)
        self._fit()

    def _back_to_search(self) -> None:
        if self._searched:
            self.search.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Down in the search field leads to the tiles; the switch's words switch it too."""
        if watched is self._only_text and event.type() == QEvent.Type.MouseButtonRelease:
            self.only.toggle()
            return True
        if watched is self.search and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            walks = event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up)
            if walks and self.list.isVisible():
                self.list.setFocus()
            return walks
        return super().eventFilter(watched, event)
