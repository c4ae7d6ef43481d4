"""The page of a Nexus Mods account: its head, its tabs, and where downloads go. Holds no service.

The tab Account is the account's own page, which the window shows below the tabs.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from keyfob.desktop.nexus.downloads import Downloads
from keyfob.desktop.nexus.header import Header
from keyfob.desktop.nexus.models import NexusPage, TabName
from keyfob.desktop.nexus.mods import Mods
from keyfob.desktop.nexus.parts import column
from keyfob.desktop.nexus.pictures import Pictures
from keyfob.desktop.nexus.tabs import Tabs
from keyfob.desktop.nexus.trending import Trending
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Elided, Picture, button


class Page(QWidget):
    """`tab_chosen(name)`; `asked(action)` of notes and of the foot; the parts have signals of their own."""

    tab_chosen = Signal(str)
    asked = Signal(str)
    folder_asked = Signal()
    shown = Signal()

    def __init__(self, theme: Theme, pictures: Pictures) -> None:
        super().__init__()
        px = theme.px
        self.setObjectName("detail")
        self._known = False  # where downloads go
        self.header, self.tabs = Header(theme), Tabs(theme)
        self.mods = Mods(theme, pictures)
        self.trending = Trending(theme, pictures)
        self.downloads = Downloads(theme, pictures)
        top, inner = column(theme, 24, 0)
        inner.addWidget(self.header)
        inner.addWidget(self.tabs)
        self.body = QStackedWidget()
        self._parts: dict[TabName, QWidget] = {
            "mods": self.mods, "trending": self.trending, "downloads": self.downloads,
        }  # fmt: skip
        for part in (self.mods, self.trending, self.downloads):
            part.asked.connect(self.asked)
            self.body.addWidget(part)
        self.foot, foot = column(theme, 6, 16)
        self.folder = Elided("", "secondary")
        self.change = button("Change…", "link", name="Change the folder for downloads")
        self.change.clicked.connect(self.folder_asked)
        line = QHBoxLayout()
        line.setSpacing(px(8))
        line.addWidget(Picture(theme, "folder", "ink2", 17))
        self.folder.setSizePolicy(
            self.folder.sizePolicy().Policy.Maximum, self.folder.sizePolicy().Policy.Fixed
        )
        line.addWidget(self.folder)
        line.addWidget(self.change)
        line.addStretch(1)
        foot.addLayout(line)
        self.foot.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(top)
        layout.addWidget(self.body, 1)
        layout.addWidget(self.foot)
        self.tabs.chosen.connect(self._chosen)

    @property
    def current(self) -> TabName:
        """The tab that is shown."""
        return self.tabs.current

    def show_page(self, page: NexusPage) -> None:
        """Show this. Cheap where little has changed."""
        self.header.show_head(page.head)
        self.tabs.show_counts(page.counts)
        self.mods.show_part(page.mods, leads=page.leads)
        self.trending.show_part(page.trending, leads=page.leads)
        self.downloads.show_part(page.downloads, leads=page.leads)
        self.folder.show_text(page.folder)
        self._known = bool(page.folder)
        self.foot.setVisible(self._known and self.current != "account")

    def _chosen(self, name: TabName) -> None:
        part = self._parts.get(name)
        self.body.setVisible(part is not None)
        self.foot.setVisible(self._known and part is not None)
        if part is not None:
            self.body.setCurrentWidget(part)
        self.tab_chosen.emit(name)

    def showEvent(self, event: QShowEvent) -> None:
        """Emit `shown`: what is on the page may be old."""
        super().showEvent(event)
        self.shown.emit()
