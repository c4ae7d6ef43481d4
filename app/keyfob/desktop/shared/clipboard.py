"""The clipboard, for secrets: cleared after a while, and marked so that clipboard histories skip them.

GUI thread only. If the user has copied something else since, it is not touched.
"""

from __future__ import annotations

from PySide6.QtCore import QMimeData, QObject, QTimer
from PySide6.QtGui import QGuiApplication

from keyfob.core.secret import Secret

CLEARED_AFTER = 30  # seconds
# KDE's and most Linux histories; Windows' history and cloud clipboard.
_MARKS = {
    "x-kde-passwordManagerHint": b"secret",
    'application/x-qt-windows-mime;value="ExcludeClipboardContentFromMonitorProcessing"': b"\x01\x00\x00\x00",
}


class SecretClipboard(QObject):
    """Puts secrets on the clipboard and clears them after a while. On the GUI thread."""

    def __init__(self, parent: QObject | None = None, seconds: float = CLEARED_AFTER) -> None:
        super().__init__(parent)
        self._held: Secret | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(round(seconds * 1000))
        self._timer.timeout.connect(self.clear)

    def copy(self, secret: Secret) -> None:
        """Put `secret` there; it is cleared after a while if it is still there then."""
        data = QMimeData()
        data.setText(secret.reveal())
        for name, value in _MARKS.items():
            data.setData(name, value)
        QGuiApplication.clipboard().setMimeData(data)
        self._held = secret
        self._timer.start()

    @staticmethod
    def copy_plain(text: str) -> None:
        """What is not a secret stays until the user copies something else."""
        QGuiApplication.clipboard().setText(text)

    def clear(self) -> None:
        """Empty the clipboard if it still holds what was put there. Also called at the app's end."""
        self._timer.stop()
        held, self._held = self._held, None
        clipboard = QGuiApplication.clipboard()
        if held is not None and Secret(clipboard.text()) == held:
            clipboard.clear()
