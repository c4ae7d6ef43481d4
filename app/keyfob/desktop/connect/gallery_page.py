"""The list of providers: search for one, choose it, choose a method."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLineEdit,
    QListView,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from keyfob.desktop.connect.cards import found, lead
from keyfob.desktop.connect.models import Card
from keyfob.desktop.shared import icons
from keyfob.desktop.shared.avatar import paint_tile
from keyfob.desktop.shared.outside_text import set_tooltip
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Choice, Selector, button, label

CARD = Qt.ItemDataRole.UserRole
COLUMNS = 3
TITLE = "Connect Account"


class CardDelegate(QStyledItemDelegate):
    """Paints a provider's card in the gallery."""

    def __init__(self, theme: Theme, parent: QListWidget) -> None:
        super().__init__(parent)
        self._theme, self._list = theme, parent

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        """The size of a cell of the grid."""
        return self._list.gridSize()

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Draw a provider's card: letter, name, methods."""
        card: Card = index.data(CARD)
        theme, px = self._theme, self._theme.px
        state: QStyle.StateFlag = option.state
        chosen = bool(state & QStyle.StateFlag.State_Selected)
        hovered = bool(state & QStyle.StateFlag.State_MouseOver)
        box = QRectF(option.rect).adjusted(1, px(4) + 0.5, -px(8), -px(4) - 0.5)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ring = QPen(theme.color("focus"), 2) if chosen else QPen(theme.color("line"), 1)
        painter.setPen(ring)
        painter.setBrush(theme.color("selection" if chosen else "hover" if hovered else "panel"))
        painter.drawRoundedRect(box, px(9), px(9))
        side = px(34)
        tile = QRectF(box.left() + px(11), box.center().y() - side / 2, side, side)
        paint_tile(painter, tile, card.letter, card.color, theme.color("edge"))
        left = tile.right() + px(11)
        right = box.right() - px(8)
        if card.blocked:
            sign = px(15)
            drawn = icons.pixmap("blocked", theme.palette.warn, sign, self._list.devicePixelRatioF())
            painter.drawPixmap(int(right - sign), int(box.top() + px(8)), drawn)
        width = int(right - left)
        name, under = theme.font(13.5, 600), theme.font(12)
        name_metrics, under_metrics = QFontMetrics(name), QFontMetrics(under)
        height = name_metrics.height() + under_metrics.height() + px(1)
        top = box.center().y() - height / 2
        elide, middle = Qt.TextElideMode.ElideRight, Qt.AlignmentFlag.AlignVCenter
        painter.setFont(name)
        painter.setPen(theme.color("ink"))
        upper = QRectF(left, top, width, name_metrics.height())
        narrowed = width - px(18) if card.blocked else width
        painter.drawText(upper, middle, name_metrics.elidedText(card.title, elide, narrowed))
        painter.setFont(under)
        painter.setPen(theme.color("ink2"))
        lower = QRectF(left, upper.bottom() + px(1), width, under_metrics.height())
        painter.drawText(lower, middle, under_metrics.elidedText(card.subtitle, elide, width))
        painter.restore()


class GalleryPage(QWidget):
    """`chosen(provider, method)` by Continue, Return or a double click."""

    chosen = Signal(str, str)
    cancelled = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._cards: tuple[Card, ...] = ()
        self._text: str | None = None  # None: what the chosen method takes
        self.title = title = label("", "dialogTitle", wrap=True)
        self.text = text = label("", "secondary", wrap=True)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search providers")
        self.search.setAccessibleName("Search providers")
        self.search.setClearButtonEnabled(False)
        self.search.textChanged.connect(self._filter)
        self.search.installEventFilter(self)
        self.list = Selector()
        self.list.setAccessibleName("Providers")
        self.list.setViewMode(QListView.ViewMode.IconMode)
        self.list.setMovement(QListView.Movement.Static)
        self.list.setResizeMode(QListView.ResizeMode.Adjust)
        self.list.setUniformItemSizes(True)
        self.list.setSpacing(0)
        self.list.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setMouseTracking(True)
        self.list.setItemDelegate(CardDelegate(theme, self.list))
        self.list.installEventFilter(self)
        self.list.currentItemChanged.connect(self._current_changed)
        self.list.itemDoubleClicked.connect(self._continue)  # Return presses Continue, the default button
        self.note = label("", "problem", wrap=True)
        self.note.hide()
        self.nothing = label(
            "No providers found. To connect to any server, search for “any”.", "secondary", wrap=True
        )
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.nothing.hide()
        self.method_label = label("Method", "small")
        self.method = Choice(theme, "Method")
        self.method.setSizeAdjustPolicy(Choice.SizeAdjustPolicy.AdjustToContents)
        self.method_label.setBuddy(self.method)
        self.method.currentIndexChanged.connect(self._lead)
        self.cancel = button("Cancel")
        self.go = button("Continue", "primary")
        self.go.setDefault(True)
        self.cancel.clicked.connect(self.cancelled)
        self.go.clicked.connect(self._continue)
        foot = QHBoxLayout()
        foot.setSpacing(9)
        foot.addWidget(self.method_label)
        foot.addWidget(self.method)
        foot.addStretch(1)
        foot.addWidget(self.cancel)
        foot.addWidget(self.go)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(26, 24, 26, 22)
        layout.setSpacing(4)
        layout.addWidget(title)
        layout.addWidget(text)
        layout.addSpacing(12)
        layout.addWidget(self.search)
        layout.addWidget(self.note)
        layout.addSpacing(8)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.nothing, 1)
        layout.addSpacing(12)
        layout.addLayout(foot)
        self._choose_first()

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
        text: str | None = None,
        searched: bool = True,
    ) -> None:
        """Show these providers; `preferred` is chosen if it is there. Without `searched` there is nothing to
        look through: one provider whose method is chosen.
        """
        self._cards = cards
        self.title.setText(title)
        self._text = text
        self.search.setVisible(searched)
        self.search.clear()
        self.list.clear()
        for card in cards:
            item = QListWidgetItem(card.title)
            item.setData(CARD, card)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, card.title)
            described = ". ".join(part for part in (card.subtitle, card.badge) if part)
            item.setData(Qt.ItemDataRole.AccessibleDescriptionRole, described)
            set_tooltip(
                item, "\n".join(p for p in (f"{card.title}: {card.subtitle}", card.badge, card.blocked) if p)
            )
            self.list.addItem(item)
            if card.id == preferred:
                self.list.setCurrentItem(item)
        self._filter(self.search.text())

    def say(self, note: str) -> None:
        """What the user should know of this list; empty for nothing."""
        self.note.setText(note)
        self.note.setVisible(bool(note))

    def _filter(self, query: str) -> None:
        for number, card in enumerate(self._cards):
            self.list.setRowHidden(number, not found(card, query))
        current = self.list.currentRow()
        if current < 0 or self.list.isRowHidden(current):
            self._choose_first()
        none = bool(self._cards) and all(self.list.isRowHidden(n) for n in range(self.list.count()))
        self.nothing.setVisible(none)
        self.list.setVisible(not none)
        self._offer()

    def _choose_first(self) -> None:
        for number in range(self.list.count()):
            if not self.list.isRowHidden(number):
                self.list.setCurrentRow(number)
                return
        self.list.setCurrentRow(-1)
        self._offer()

    def current(self) -> Card | None:
        """The chosen provider, if the search shows it."""
        item = self.list.currentItem()
        if item is None or self.list.isRowHidden(self.list.row(item)):
            return None
        card: Card = item.data(CARD)
        return card

    def _current_changed(self) -> None:
        self._offer()

    def _offer(self) -> None:
        """The methods of the chosen provider."""
        card = self.current()
        self.go.setEnabled(card is not None)
        methods = card.methods if card else ()
        if [self.method.itemData(n) for n in range(self.method.count())] != [m for m, _ in methods]:
            self.method.clear()
            for method, words in methods:
                self.method.addItem(words, method)
        self.method.setEnabled(len(methods) > 1)
        self.method.setVisible(bool(methods))
        self.method_label.setVisible(bool(methods))
        self._lead()

    def _lead(self) -> None:
        """What the chosen method takes, unless the page has its own text."""
        card, method = self.current(), self.method.currentData()
        if self._text is not None:
            self.text.setText(self._text)
        elif card is not None and method is not None:
            self.text.setText(lead(card, method))

    def _continue(self) -> None:
        card = self.current()
        if card is not None:
            self.chosen.emit(card.id, str(self.method.currentData()))

    def _lay_out(self) -> None:
        """As many columns as fit, next to the place where the scroll bar comes."""
        px = self._theme.px
        room = self.list.width() - 2 * self.list.verticalScrollBar().sizeHint().width() - 4
        columns = max(min(COLUMNS, room // px(190)), 1)
        self.list.setGridSize(QSize(room // columns, px(66)))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Up and down in the search field walk through the gallery."""
        if watched is self.list and event.type() == QEvent.Type.Resize:
            self._lay_out()
        if watched is self.search and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            walks = event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up)
            if walks:
                self.list.setFocus()
            return walks
        return super().eventFilter(watched, event)
