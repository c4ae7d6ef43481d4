"""The dialog of Keyfob's own update: what is new, then how far it is, then the restart.

It may be closed at any time: an update that goes on is then followed on the page.
"""

from __future__ import annotations

import re

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QTextCharFormat, QTextCursor, QTextDocument
from PySide6.QtWidgets import QHBoxLayout, QTextBrowser, QVBoxLayout, QWidget

from keyfob.core.text import inert
from keyfob.desktop.shared.dialog import ModalDialog
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import button, label
from keyfob.desktop.updates.own_models import UpdateView
from keyfob.desktop.updates.progress_bar import ThinBar

NOTES_MOST = 20_000  # characters that are shown
PICTURE = re.compile(r"!\[([^\]\n]*)\]\([^)\n]*\)")  # its words stay


class Notes(QTextBrowser):
    """The notes of a version, Markdown from its publisher: no HTML, no picture, no file; links only through
    `link_pressed`.
    """

    link_pressed = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.setAccessibleName("What’s new")
        self.setOpenLinks(False)
        self.setTabChangesFocus(True)
        self.setProperty("notes", True)
        self.anchorClicked.connect(self._pressed)

    def show_notes(self, text: str) -> None:
        """Show these notes."""
        shown = "\n".join(inert(line) for line in text[:NOTES_MOST].splitlines())
        document, px = self.document(), self._theme.px
        document.setIndentWidth(px(18))
        document.setDocumentMargin(px(10))
        document.setMarkdown(PICTURE.sub(r"\1", shown), QTextDocument.MarkdownFeature.MarkdownNoHTML)
        self._calm_headings()

    def _calm_headings(self) -> None:
        """Headings in the size of text: Qt's own are as large as the dialog's title."""
        heading = QTextCharFormat()
        heading.setFont(self._theme.font(13.5, 600))
        block, first = self.document().begin(), True
        while block.isValid():
            if block.blockFormat().headingLevel():
                cursor = QTextCursor(block)
                room = block.blockFormat()
                room.setTopMargin(0 if first else self._theme.px(10))
                room.setBottomMargin(self._theme.px(3))
                cursor.setBlockFormat(room)
                cursor.select(QTextCursor.SelectionType.BlockUnderCursor)
                cursor.setCharFormat(heading)
            block, first = block.next(), False

    def loadResource(self, _kind: int, _name: QUrl | str) -> object:
        """Nothing is loaded, from the network or from a file."""
        return None

    def _pressed(self, url: QUrl) -> None:
        if url.scheme() == "https":
            self.link_pressed.emit(url.toString())


class UpdateDialog(ModalDialog):
    """Shows an `UpdateView`."""

    update_asked = Signal()
    cancel_asked = Signal()
    restart_asked = Signal()
    link_pressed = Signal(str)

    def __init__(self, theme: Theme, shown: UpdateView, *, installs: bool, parent: QWidget) -> None:
        """`installs`: this copy can change to the new version by itself."""
        super().__init__("Update", shown.title, parent)
        px = theme.px
        self._installs = installs
        self._shown: UpdateView | None = None
        self._title = label("", "dialogTitle", wrap=True)
        self._text = label("", "secondary", wrap=True)
        self.notes = Notes(theme)
        self.notes.link_pressed.connect(self.link_pressed)
        self.notes.setFixedHeight(px(230))
        self.bar = ThinBar(theme, "Progress of the update")
        self._amount = label("", "small")
        self._left = label("", "small")
        self._going = QWidget()
        amounts = QHBoxLayout()
        amounts.addWidget(self._amount)
        amounts.addStretch(1)
        amounts.addWidget(self._left)
        going = QVBoxLayout(self._going)
        going.setContentsMargins(0, px(4), 0, 0)
        going.setSpacing(px(6))
        going.addWidget(self.bar)
        going.addLayout(amounts)
        self.problem = label("", "problem", wrap=True)
        self.later = button("Later")
        self.later.clicked.connect(self.reject)
        self.cancel = button("Cancel")
        self.cancel.clicked.connect(self.cancel_asked)
        self.action = button("Update", "primary")
        self.action.clicked.connect(self._press)
        row = QHBoxLayout()
        row.setSpacing(px(9))
        row.addStretch(1)
        for each in (self.later, self.cancel, self.action):
            row.addWidget(each)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.margins(26, 22, 26, 20))
        layout.setSpacing(px(9))
        for part in (self._title, self._text, self.notes, self._going, self.problem):
            layout.addWidget(part)
        layout.addSpacing(px(8))
        layout.addLayout(row)
        self.setFixedWidth(px(560))
        self.show_view(shown)
        (self.action if installs else self.later).setFocus()

    def show_view(self, shown: UpdateView) -> None:
        """Show how it stands now."""
        if shown == self._shown:
            return
        before, self._shown = self._shown, shown
        busy = shown.bar is not None
        self._title.setText(shown.title)
        self._text.setText(shown.text)
        if before is None or before.notes != shown.notes:
            self.notes.show_notes(shown.notes)
        self.notes.setVisible(bool(shown.notes.strip()))
        if busy and (before is None or before.bar is None):
            self.bar.begin()
        if shown.bar is not None:
            self.bar.show_part(shown.bar.part)
            self._amount.setText(shown.bar.amount)
            self._left.setText(shown.bar.left)
        self._going.setVisible(busy)
        self.problem.setText(shown.problem)
        self.problem.setVisible(bool(shown.problem))
        self.action.setText(
            "Restart and update" if shown.ready else "Try again" if shown.problem else "Update"
        )
        self.action.setAccessibleName(self.action.text())
        self.action.setVisible(not busy and (self._installs or shown.ready))
        self.later.setText("Close" if not self._installs and not shown.ready else "Later")
        self.later.setVisible(not busy)
        self.cancel.setVisible(busy)
        self.cancel.setEnabled(not shown.stopping)
        if before is not None and (before.bar is None) is busy:
            (self.cancel if busy else self.action).setFocus()
        if before is None or _shape(before) != _shape(shown):
            self.fit_height()

    def _press(self) -> None:
        if self._shown is not None and self._shown.ready:
            self.accept()
            self.restart_asked.emit()
        else:
            self.update_asked.emit()


def _shape(shown: UpdateView) -> tuple[object, ...]:
    """What the height depends on."""
    return shown.title, shown.text, bool(shown.notes), shown.bar is None, shown.problem
