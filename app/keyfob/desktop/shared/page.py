"""What the window's pages besides an account's have in common: a head, and a centred column that scrolls."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import IconButton, Scroller, label

WIDEST = 880  # designed pixels of the content


class Page(QWidget):
    """Its head has a title, a summary and `buttons`. What is below goes into `inner`. `back` is hidden at
    first; Escape asks for the same.
    """

    back_asked = Signal()

    def __init__(self, theme: Theme, title: str, gap: float) -> None:
        """`gap`: designed pixels between the parts of `inner`."""
        super().__init__()
        px = theme.px
        self.setObjectName("detail")
        self._theme = theme
        self.back = IconButton(theme, "chevron-left", "Back", "quiet")
        self.back.clicked.connect(self.back_asked)
        self.back.hide()
        leaving = QShortcut(QKeySequence("Escape"), self)
        leaving.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        leaving.activated.connect(self.back_asked)
        self.title = label(title, "title")
        self.summary = label("", "secondary", wrap=True)
        self.buttons = QHBoxLayout()
        self.buttons.setSpacing(px(9))
        self.head = self._build_head()
        column = QWidget()
        column.setMaximumWidth(px(WIDEST))
        column.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.inner = QVBoxLayout(column)
        self.inner.setContentsMargins(0, 0, 0, 0)
        self.inner.setSpacing(px(gap))
        self.inner.addLayout(self.head)
        body = QWidget()
        middle = QHBoxLayout(body)
        middle.setContentsMargins(px(30), px(24), px(30), px(24))
        middle.setSpacing(0)
        middle.addStretch(1)
        middle.addWidget(column, 1000)
        middle.addStretch(1)
        self._scroll = Scroller()
        self._scroll.hold(body)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._scroll)

    def _build_head(self) -> QBoxLayout:
        px = self._theme.px
        names = QVBoxLayout()
        names.setSpacing(px(3))
        names.addWidget(self.title)
        names.addWidget(self.summary)
        titled = QHBoxLayout()
        titled.setSpacing(px(8))
        titled.addWidget(self.back, 0, Qt.AlignmentFlag.AlignTop)
        titled.addLayout(names, 1)
        head = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        head.setSpacing(px(12))
        head.addLayout(titled, 1)
        head.addLayout(self.buttons)
        return head

    def add_button(self, widget: QWidget) -> None:
        """One more at the right of the head, or below it if the head is stacked."""
        if self.buttons.count() == 0:
            self.buttons.addStretch(1)
        self.buttons.insertWidget(self.buttons.count() - 1, widget)

    def stack_head(self, narrow: bool) -> None:
        """The buttons below the title if the page is narrow, else beside it."""
        direction = QBoxLayout.Direction
        self.head.setDirection(direction.TopToBottom if narrow else direction.LeftToRight)
