"""The whole history of one account: a list with a filter, and its export. It knows no service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from pathlib import Path

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence, QPainter, QPixmap, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QMenu,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from keyfob.core import time_words
from keyfob.core.account import LoggedEvent
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.dialog import ModalDialog
from keyfob.desktop.shared.outside_text import tooltip
from keyfob.desktop.shared.status_widgets import paint_status
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Choice, button, label, restyle
from keyfob.desktop.window.history import text_of, tone_of

# What the filter offers; None: every event.
FILTERS: Mapping[str, frozenset[str] | None] = {
    "Everything": None,
    "Renewals": frozenset({"renewed"}),
    "Problems": frozenset(
        {
            "renewal_failed", "saving_failed", "needs_sign_in", "key_expiring", "revocation_pending",
            "revocation_failed",
        }
    ),
    "Sign-ins and changes": frozenset(
        {"connected", "reconnected", "imported", "disconnected", "revoked", "renamed", "removed"}
    ),
}  # fmt: skip
_SHAPES = {"warn": "triangle", "bad": "triangle", "ink2": "ring"}
ENDINGS = ("csv", "json")  # of files that an export writes
Index = QModelIndex | QPersistentModelIndex


class Events(QAbstractTableModel):
    """Events for a view, newest first: when, and what happened."""

    def __init__(self, theme: Theme, zone: tzinfo | None) -> None:
        super().__init__()
        self._theme, self._zone = theme, zone
        self._now: datetime | None = None
        self.events: Sequence[LoggedEvent] = ()
        self._marks: dict[str, QPixmap] = {}

    def show_events(self, events: Sequence[LoggedEvent], now: datetime) -> None:
        """Show these, which come newest first."""
        self.beginResetModel()
        self.events, self._now = events, now
        self._marks.clear()
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  (Qt's own default)
        """One for each event."""
        return 0 if parent.isValid() else len(self.events)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """When, and what."""
        return 0 if parent.isValid() else 2

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """The words of a cell; the first has the event's mark."""
        event = self.events[index.row()]
        assert self._now is not None
        if role == Qt.ItemDataRole.DisplayRole:
            when = time_words.moment(event.at, self._now, self._zone)
            return when if index.column() == 0 else words(event)
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(f"{event.at.astimezone(self._zone):%Y-%m-%d %H:%M:%S}\n{words(event)}")
        if role == Qt.ItemDataRole.DecorationRole and index.column() == 0:
            return self._mark(tone_of(event))
        return None

    def _mark(self, tone: str) -> QPixmap:
        if tone not in self._marks:
            px = self._theme.px
            mark = QPixmap(QSize(px(16), px(16)) * 2)
            mark.setDevicePixelRatio(2)
            mark.fill(Qt.GlobalColor.transparent)
            painter = QPainter(mark)
            box = QRectF(px(3), px(4), px(8), px(8))
            paint_status(painter, box, _SHAPES.get(tone, "dot"), self._theme.color(tone))
            painter.end()
            self._marks[tone] = mark
        return self._marks[tone]


class HistoryDialog(ModalDialog):
    """`export_asked(path, events)`: write the events that are shown, newest last."""

    export_asked = Signal(Path, object)

    def __init__(
        self, theme: Theme, name: str, file_name: str, parent: QWidget | None, zone: tzinfo | None = None
    ) -> None:
        """`name`: the account's. `file_name`: what an export is called at first, without its ending."""
        super().__init__("Activity", f"Activity of {name}", parent)
        self._theme, self._zone, self._file_name = theme, zone, file_name
        self._events: Sequence[LoggedEvent] = ()
        self._now: datetime | None = None
        px = theme.px
        self.lead = label("Reading the history …", "secondary", wrap=True)
        self.model = Events(theme, zone)
        self._build_filter()
        self._build_table()
        self.note = label("", "hint", wrap=True)
        self.export = button("Export…")
        self.export.setEnabled(False)
        self.formats = QMenu(self.export)
        for ending in ENDINGS:
            self.formats.addAction(f"As {ending.upper()}…").setData(ending)
        self.formats.triggered.connect(self._choose_file)
        self.export.setMenu(self.formats)
        self.close_button = button("Close")
        self.close_button.clicked.connect(self.reject)
        foot = QHBoxLayout()
        foot.setSpacing(px(9))
        foot.addWidget(self.note, 1)
        foot.addWidget(self.export)
        foot.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(px(26), px(24), px(26), px(22))
        layout.setSpacing(px(12))
        head = QVBoxLayout()
        head.setSpacing(px(3))
        head.addWidget(label(f"Activity of {name}", "dialogTitle", wrap=True))
        head.addWidget(self.lead)
        layout.addLayout(head)
        layout.addLayout(self._filters)
        layout.addWidget(self.pages, 1)
        layout.addLayout(foot)
        self.resize(QSize(px(680), px(560)))
        self.setMinimumSize(QSize(px(440), px(360)))
        self.search.setFocus()

    def _build_filter(self) -> None:
        self.search = QLineEdit()
        self.search.setAccessibleName("Search activity")
        self.search.setPlaceholderText("Search")
        self.search.textChanged.connect(self._filter)
        self.kind = Choice(self._theme, "Kind")
        self.kind.addItems(list(FILTERS))
        self.kind.currentIndexChanged.connect(self._filter)
        self._find = QShortcut(QKeySequence.StandardKey.Find, self)
        self._find.activated.connect(self.search.setFocus)
        self._filters = QHBoxLayout()
        self._filters.setSpacing(self._theme.px(9))
        self._filters.addWidget(self.search, 1)
        self._filters.addWidget(self.kind)

    def _build_table(self) -> None:
        self.table = QTableView()
        self.table.setAccessibleName("Events")
        self.table.setModel(self.model)
        self.table.setShowGrid(False)
        self.table.setTabKeyNavigation(False)
        self.table.setWordWrap(False)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(self._theme.px(28))
        header = self.table.horizontalHeader()
        header.hide()
        header.setStretchLastSection(True)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.nothing = label("", "secondary", wrap=True)
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.table)
        self.pages.addWidget(self.nothing)
        self.pages.setCurrentWidget(self.nothing)

    # --- showing --------------------------------------------------------------------------------------------

    def show_events(self, events: Sequence[LoggedEvent], now: datetime, kept: int) -> None:
        """Show these, oldest first. `kept`: how many events of all accounts Keyfob keeps."""
        self._events, self._now = tuple(reversed(events)), now
        rule = f"Keyfob keeps the newest {kept:,} events of all accounts together."
        if events:
            since = time_words.moment(events[0].at, now, self._zone)
            self.lead.setText(f"{_count(len(events))} since {since}. {rule}")
        else:
            self.lead.setText(rule)
        self._filter()

    def fail(self, text: str) -> None:
        """The history could not be read: `text` says why."""
        self.lead.setText("")
        self.nothing.setText(text)
        self.pages.setCurrentWidget(self.nothing)
        announce(self, text, urgent=True)

    def say(self, text: str, *, good: bool) -> None:
        """What came of an export."""
        self.note.setProperty("role", "hint" if good else "problem")
        restyle(self.note)
        self.note.setText(text)
        self.export.setEnabled(bool(self.model.events))
        announce(self, text, urgent=not good)

    def _filter(self) -> None:
        if self._now is None:
            return
        kinds, text = FILTERS[self.kind.currentText()], self.search.text().strip().casefold()
        shown = [
            event
            for event in self._events
            if (kinds is None or event.kind in kinds) and text in words(event).casefold()
        ]
        self.model.show_events(shown, self._now)
        self.pages.setCurrentWidget(self.table if shown else self.nothing)
        self.nothing.setText("No event matches." if self._events else "There is no activity yet.")
        self.export.setEnabled(bool(shown))
        narrowed = f"{_count(len(shown))} of {len(self._events)}" if len(shown) < len(self._events) else ""
        self.note.setProperty("role", "hint")
        restyle(self.note)
        self.note.setText(narrowed)

    # --- exporting ------------------------------------------------------------------------------------------

    def _choose_file(self, chosen: QAction) -> None:
        ending = str(chosen.data())
        asked = QFileDialog(self, "Export activity")
        asked.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        asked.setNameFilter(f"{ending.upper()} (*.{ending})")
        asked.setDefaultSuffix(ending)
        asked.selectFile(f"{self._file_name}.{ending}")
        asked.fileSelected.connect(self.export_to)
        asked.finished.connect(asked.deleteLater)
        asked.open()

    def export_to(self, path: str) -> None:
        """Ask for the events that are shown to be written to this file; `say` follows."""
        self.export.setEnabled(False)
        self.export_asked.emit(Path(path), tuple(reversed(self.model.events)))


def words(event: LoggedEvent) -> str:
    """What happened, as it was noted; for an event without a message, in the words of its kind."""
    return event.message or text_of(event)


def _count(number: int) -> str:
    return "1 event" if number == 1 else f"{number:,} events"
