"""The head of the page: who it is, premium or free, when the token renews, and what is left of the limits."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QMenu, QSizePolicy, QVBoxLayout, QWidget

from keyfob.desktop.nexus.models import Head, Limit, Progress
from keyfob.desktop.nexus.painting import paint_progress, paint_sign
from keyfob.desktop.shared.avatar import Avatar
from keyfob.desktop.shared.outside_text import set_tooltip
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import LEFT, Elided, IconButton

NARROWEST = 340  # designed pixels
BAR = 108  # designed pixels of a limit's bar


class Badge(QWidget):
    """Premium, Supporter or Free, on a tinted ground."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme, self._text = theme, ""
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.hide()

    def show_text(self, text: str) -> None:
        """Empty: the badge is not there."""
        self.setVisible(bool(text))
        if text != self._text:
            self._text = text
            self.setAccessibleName(f"Membership: {text}" if text else "")
            self.updateGeometry()
            self.update()

    @property
    def _star(self) -> bool:
        return self._text == "Premium"

    def sizeHint(self) -> QSize:
        """Room for the word, and a star for Premium."""
        px = self._theme.px
        words = QFontMetrics(self._theme.font(12.5, 600)).horizontalAdvance(self._text)
        return QSize(words + px(11) * 2 + (px(20) if self._star else 0), px(24))

    def paintEvent(self, _event: object) -> None:
        """Draw the word."""
        px, theme = self._theme.px, self._theme
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("chip"))
        box = QRectF(self.rect())
        painter.drawRoundedRect(box, box.height() / 2, box.height() / 2)
        left = px(11)
        if self._star:
            at = QRectF(px(10), box.center().y() - px(8), px(16), px(16)).topLeft()
            paint_sign(painter, theme, at, "star", "chip_ink", px(16))
            left += px(20)
        painter.setFont(theme.font(12.5, 600))
        painter.setPen(theme.color("chip_ink"))
        painter.drawText(box.adjusted(left, 0, 0, 0), LEFT, self._text)
        painter.end()


class LimitBar(QWidget):
    """What is left of one limit, as words and as a bar."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._limit = Limit("", "", 0.0, "ok")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_limit(self, limit: Limit) -> None:
        """Show other numbers."""
        if limit != self._limit:
            self._limit = limit
            spoken = f"{limit.under}: {limit.text}"
            self.setAccessibleName(spoken)
            set_tooltip(self, spoken)
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        """Room for the bar and its two lines."""
        theme, px = self._theme, self._theme.px
        wide = QFontMetrics(theme.font(12.5, 500)).horizontalAdvance(self._limit.text)
        under = QFontMetrics(theme.font(12)).horizontalAdvance(self._limit.under)
        lines = QFontMetrics(theme.font(12.5, 500)).height() + QFontMetrics(theme.font(12)).height()
        return QSize(max(px(BAR), wide + 2, under + 2), lines + px(6) * 2 + px(4))

    def paintEvent(self, _event: object) -> None:
        """Draw numbers, bar and what they are about."""
        theme, px, limit = self._theme, self._theme.px, self._limit
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        upper, lower = theme.font(12.5, 500), theme.font(12)
        high = QFontMetrics(upper).height()
        painter.setFont(upper)
        painter.setPen(theme.color("ink"))
        painter.drawText(QRectF(0, 0, self.width(), high), LEFT, limit.text)
        bar = QRectF(0, high + px(4), self.width(), px(6))
        paint_progress(painter, theme, bar, Progress(limit.share, "", "", limit.tone))
        painter.setFont(lower)
        painter.setPen(theme.color("warn" if limit.tone == "warn" else "ink2"))
        top = bar.bottom() + px(4)
        painter.drawText(QRectF(0, top, self.width(), self.height() - top), LEFT, limit.under)
        painter.end()


class Header(QWidget):
    """The head. `more` opens the account's menu."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        px = theme.px
        self._theme = theme
        self.avatar = Avatar(theme, 58, "bg")
        self.title = Elided("", "title")
        self.subtitle = Elided("", "secondary")
        self.badge = Badge(theme)
        self.more = IconButton(theme, "more", "More", "quiet")
        self.bars = (LimitBar(theme), LimitBar(theme))
        first = QHBoxLayout()
        first.setSpacing(px(12))
        self.title.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        first.addWidget(self.title)
        first.addWidget(self.badge)
        first.addStretch(1)
        names = QVBoxLayout()
        names.setSpacing(px(3))
        names.addStretch(1)
        names.addLayout(first)
        names.addWidget(self.subtitle)
        names.addStretch(1)
        who = QHBoxLayout()
        who.setSpacing(px(14))
        who.addWidget(self.avatar)
        who.addLayout(names, 1)
        self._limits = QWidget()
        limits = QHBoxLayout(self._limits)
        limits.setContentsMargins(0, 0, 0, 0)
        limits.setSpacing(px(18))
        for bar in self.bars:
            limits.addWidget(bar)
        limits.addStretch(1)
        self._both = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._both.setSpacing(px(12))
        self._both.addLayout(who, 1)
        self._both.addWidget(self._limits)
        whole = QHBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(px(16))
        whole.addLayout(self._both, 1)
        whole.addWidget(self.more, 0, Qt.AlignmentFlag.AlignTop)
        self._limits.hide()

    def use_menu(self, menu: QMenu) -> None:
        """The menu that `more` opens."""
        self.more.setMenu(menu)

    def show_head(self, head: Head) -> None:
        """Show whose account it is."""
        self.avatar.show_face(head.face)
        self.title.show_text(head.title)
        self.subtitle.show_text(head.subtitle)
        self.badge.show_text(head.badge)
        for bar, limit in zip(self.bars, head.limits, strict=False):
            bar.show_limit(limit)
        for number, bar in enumerate(self.bars):
            bar.setVisible(number < len(head.limits))
        self._limits.setVisible(bool(head.limits))
        self._arrange()

    def minimumSizeHint(self) -> QSize:
        """Of the narrow form: the wide one must not keep it from getting narrower."""
        return QSize(self._theme.px(NARROWEST), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The limits go under the name if there is not room beside it."""
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        px, direction = self._theme.px, QBoxLayout.Direction
        names = max(
            self.title.sizeHint().width() + px(12) + self.badge.sizeHint().width(),
            self.subtitle.sizeHint().width(),
        )
        who = self.avatar.width() + px(14) + names
        room = self.width() - self.more.sizeHint().width() - px(16)
        beside = who + px(12) + self._limits.sizeHint().width() <= room
        self._both.setDirection(direction.LeftToRight if beside else direction.TopToBottom)
