"""The note at the window's bottom: what a press has brought. It lies over the page and moves nothing."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPoint, QSize, Qt, QTimer
from PySide6.QtGui import QEnterEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import IconButton, Picture, label, restyle

SECONDS, FAILURE_SECONDS = 6, 18
WIDEST = 700  # designed pixels


class Toast(QFrame):
    """Lies over the bottom of `over`, in the middle. It goes after a while, but not while the pointer is on
    it, or when it is dismissed. It never takes the focus.
    """

    def __init__(self, theme: Theme, over: QWidget) -> None:
        """`over` and this have the same window."""
        super().__init__(over.window())
        self._theme, self._over = theme, over
        self._good = True
        self.setObjectName("toast")
        self._picture = Picture(theme, "check", "ok", 18)
        self.text = label("", wrap=True)
        self.dismiss = IconButton(theme, "cross", "Dismiss", "quiet")
        self.dismiss.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.dismiss.clicked.connect(self.hide)
        row = self._row = QHBoxLayout(self)
        row.setContentsMargins(theme.px(14), theme.px(8), theme.px(8), theme.px(8))
        row.setSpacing(theme.px(10))
        row.addWidget(self._picture, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.text, 1)
        row.addWidget(self.dismiss, 0, Qt.AlignmentFlag.AlignVCenter)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.hide)
        over.installEventFilter(self)
        self.hide()

    def say(self, text: str, *, good: bool) -> None:
        """Show `text` for a while and have it read; `good`: False for a failure, which stays longer."""
        self._good = good
        self._picture.become("check" if good else "warning", "ok" if good else "bad")
        self.setProperty("note", "info" if good else "bad")
        restyle(self)
        self.text.setText(text)
        self._place()
        self.show()
        self.raise_()
        self._timer.start((SECONDS if good else FAILURE_SECONDS) * 1000)
        announce(self.window(), text, urgent=not good)

    def unsay(self) -> None:
        """What went wrong is right again: a failure goes. A good note stays its time."""
        if not self._good:
            self._timer.stop()
            self.hide()

    def enterEvent(self, event: QEnterEvent) -> None:
        """It stays while it is read."""
        super().enterEvent(event)
        self._timer.stop()

    def leaveEvent(self, event: QEvent) -> None:
        """It goes after a while."""
        super().leaveEvent(event)
        if self.isVisible():
            self._timer.start(SECONDS * 1000)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay at the bottom of what it lies over."""
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Move) and not self.isHidden():
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        px, over = self._theme.px, self._over
        self.text.ensurePolished()  # its font decides how many lines there are
        whole = self._row.totalSizeHint().width() - self.text.sizeHint().width()
        line = self.text.fontMetrics().horizontalAdvance(self.text.text()) + px(4)
        width = min(whole + line, px(WIDEST), over.width() - 2 * px(24))
        size = QSize(width, self._row.totalHeightForWidth(width))
        corner = over.mapTo(self.window(), QPoint(0, 0))
        self.resize(size)
        self.move(
            corner.x() + (over.width() - size.width()) // 2,
            corner.y() + over.height() - size.height() - px(20),
        )
