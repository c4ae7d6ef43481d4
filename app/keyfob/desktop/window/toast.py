"""The note at the window's bottom: what a press has brought. It lies over the page and moves nothing. If it
would cover something to press, the page leaves it room at the bottom.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, QSize, Qt, QTimer
from PySide6.QtGui import QEnterEvent, QHideEvent
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import IconButton, Picture, label, restyle

SECONDS, FAILURE_SECONDS = 6, 18
WIDEST = 700  # designed pixels
BELOW, ABOVE = 20, 10  # designed pixels around the note


class Toasted(QWidget):
    """Shows `page`, and below it an empty strip for a note that needs room."""

    def __init__(self, page: QWidget) -> None:
        super().__init__()
        self.setObjectName("detail")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(page, 1)

    def leave(self, height: int) -> None:
        """Leave so many pixels at the bottom. What has the focus stays in view."""
        layout = self.layout()
        assert layout is not None
        if layout.contentsMargins().bottom() == height:
            return
        layout.setContentsMargins(0, 0, 0, height)
        layout.activate()
        focus = self.window().focusWidget()
        if height and focus is not None:
            for area in self.findChildren(QScrollArea):
                if area.isVisible() and area.isAncestorOf(focus):
                    area.ensureWidgetVisible(focus, 0, 0)

    def pressable(self, place: QRect) -> bool:
        """Whether something to press or to scroll to is at `place`, which is in the window."""
        for widget in self.findChildren(QWidget):
            if not widget.isVisible():
                continue
            if isinstance(widget, QAbstractScrollArea) and widget.verticalScrollBar().maximum() > 0:
                return True
            takes_focus = widget.focusPolicy() != Qt.FocusPolicy.NoFocus
            if takes_focus and place.intersects(
                QRect(widget.mapTo(self.window(), QPoint(0, 0)), widget.size())
            ):
                return True
        return False


class Toast(QFrame):
    """Lies over the bottom of `over`, in the middle. It goes after a while, but not while the pointer is on
    it, or when it is dismissed. It never takes the focus.
    """

    def __init__(self, theme: Theme, over: Toasted) -> None:
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
        self._moment = QTimer(self)  # when the page has been laid out
        self._moment.setSingleShot(True)
        self._moment.timeout.connect(self._make_room)
        over.installEventFilter(self)
        self.hide()

    def say(self, text: str, *, good: bool) -> None:
        """Show `text` for a while and have it read; `good`: False for a failure, which stays longer."""
        self._good = good
        self._picture.become("check" if good else "warning", "ok" if good else "bad")
        self.setProperty("note", "info" if good else "bad")
        restyle(self)
        self.text.setText(text)
        self._over.leave(0)
        self._place()
        self.show()
        self.raise_()
        self._make_room()
        self._timer.start((SECONDS if good else FAILURE_SECONDS) * 1000)
        announce(self.window(), text, urgent=not good)

    def unsay(self) -> None:
        """What went wrong is right again: a failure goes. A good note stays its time."""
        if not self._good:
            self._timer.stop()
            self.hide()

    def page_changed(self) -> None:
        """The page shows something else, and may need room for it."""
        if self.isVisible():
            self._moment.start(0)

    def hideEvent(self, event: QHideEvent) -> None:
        """The page gets its room back."""
        super().hideEvent(event)
        if self.isHidden():  # not with its window
            self._over.leave(0)

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
            self._moment.start(0)
        return super().eventFilter(watched, event)

    def _make_room(self) -> None:
        """Once the page has left it room, that stays until the note goes: nothing moves twice."""
        room = self.height() + self._theme.px(BELOW) + self._theme.px(ABOVE)
        if self.isVisible() and self._over.pressable(self.geometry()):
            self._over.leave(room)

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
            corner.y() + over.height() - size.height() - px(BELOW),
        )
