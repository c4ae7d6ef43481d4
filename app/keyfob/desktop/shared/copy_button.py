"""A button that copies a text and says so itself: no note is needed elsewhere."""

from __future__ import annotations

from PySide6.QtCore import QTimer

from keyfob.core.secret import Secret
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.clipboard import SecretClipboard
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import IconButton

SHOWN = 2000  # milliseconds


class CopyButton(IconButton):
    """`name`: what assistive technology reads. It keeps its width while it says "Copied". With `secrets`,
    what it copies is a secret, and leaves the clipboard again.
    """

    def __init__(
        self,
        theme: Theme,
        name: str,
        words: str = "Copy",
        kind: str = "",
        secrets: SecretClipboard | None = None,
    ) -> None:
        super().__init__(theme, "copy", name, kind, words)
        self._words, self._text, self._secrets = words, Secret(""), secrets
        self._back = QTimer(self)
        self._back.setSingleShot(True)
        self._back.setInterval(SHOWN)
        self._back.timeout.connect(self._restore)
        self.clicked.connect(self._copy)

    def say(self, words: str) -> None:
        """What it says, and what assistive technology reads."""
        self._words = words
        self.setAccessibleName(words)
        self._restore()

    def holds(self, text: str | Secret) -> None:
        """What a press copies."""
        self._text = text if isinstance(text, Secret) else Secret(text)
        self._restore()

    def _copy(self) -> None:
        if self._secrets is not None:
            self._secrets.copy(self._text)
        else:
            SecretClipboard.copy_plain(self._text.reveal())
        self.setMinimumWidth(self.width())
        self._drawing = "check"
        self.redraw()
        if self._words:  # else the drawing alone says it
            self.setText("Copied")
        announce(self, "Copied")
        self._back.start()

    def _restore(self) -> None:
        self._back.stop()
        self.setMinimumWidth(0)
        self._drawing = "copy"
        self.redraw()
        self.setText(self._words)
