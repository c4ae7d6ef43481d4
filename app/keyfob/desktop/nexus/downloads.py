"""The tab Downloads: what runs, what came earlier, and the switch for download links."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from keyfob.desktop.nexus.models import DownloadsPart, Links
from keyfob.desktop.nexus.parts import Part, listed
from keyfob.desktop.nexus.pictures import Pictures
from keyfob.desktop.nexus.row_drawing import RowDrawing
from keyfob.desktop.nexus.rows import RowList
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Switch, label

LINKS = "Open Nexus download links with Keyfob"


class LinksCard(QFrame):
    """The switch for nxm links. It shows what is so: `turned` asks for a change."""

    turned = Signal(bool)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        px = theme.px
        self.setProperty("card", True)
        self.switch = Switch(theme, LINKS)
        self.switch.clicked.connect(self._clicked)
        self.text = label("", "small", wrap=True)
        texts = QVBoxLayout()
        texts.setSpacing(px(2))
        texts.addWidget(label(LINKS, "name", wrap=True))
        texts.addWidget(self.text)
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.margins(18, 12, 16, 12))
        row.setSpacing(px(14))
        row.addLayout(texts, 1)
        row.addWidget(self.switch)
        self._on = False

    def show_links(self, links: Links) -> None:
        """Show who opens them now."""
        self._on = links.on
        self.switch.setChecked(links.on)
        self.switch.setEnabled(links.usable)
        self.text.setText(links.text)
        self.text.setVisible(bool(links.text))
        self.switch.setAccessibleDescription(links.text)

    def _clicked(self, on: bool) -> None:
        self.switch.setChecked(self._on)  # until it is so
        self.turned.emit(on)


class Downloads(Part):
    """The lists' own signals are `pressed` and `details_asked` of `running` and `earlier`."""

    def __init__(self, theme: Theme, pictures: Pictures) -> None:
        super().__init__(theme)
        self.running, self.earlier = RowList("Downloads"), RowList("Earlier downloads")
        for each in (self.running, self.earlier):
            each.draw_by(RowDrawing(theme, pictures, each))
        self._running, self._earlier = listed(self.running), listed(self.earlier)
        self._heading = label("Earlier", "heading")
        self.links = LinksCard(theme)
        for part in (self.note, self.empty, self._running, self._heading, self._earlier, self.links):
            self.inner.addWidget(part)
        self.inner.addStretch(1)

    def show_part(self, part: DownloadsPart, *, leads: bool) -> None:
        """`leads`: no banner above has the window's primary button."""
        self.note.show_note(part.note, leads=leads)
        self.empty.show_empty(part.empty, leads=False)
        self._running.setVisible(bool(part.running))
        self.running.show_rows(part.running)
        self._heading.setVisible(bool(part.earlier))
        self._earlier.setVisible(bool(part.earlier))
        self.earlier.show_rows(part.earlier)
        self.links.show_links(part.links)
