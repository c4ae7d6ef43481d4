"""Keyfob's own update: the card on top of the page, and the version at the sidebar's foot."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QVBoxLayout, QWidget

from keyfob.desktop.shared import icons
from keyfob.desktop.shared.copy_button import CopyButton
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Label, Picture, button, card, label, restyle
from keyfob.desktop.updates.own_models import OwnUpdate

ICON = 36  # designed pixels
ROLES = {"": "secondary", "bad": "problem", "warn": "warn"}


class OwnCard(QWidget):
    """`pressed`: the action of its button. `notes_asked`: What's new. `put_off`: Later."""

    pressed = Signal(str)
    notes_asked = Signal()
    put_off = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        px = theme.px
        self._theme = theme
        self._own: OwnUpdate | None = None
        self._leads = True
        frame, inner = card(theme)
        self._icon = Label()
        self._icon.setFixedSize(px(ICON), px(ICON))
        self.title = label("", "part", wrap=True)
        self._check = Picture(theme, "check", "ok", 16)
        self.text = label("", "secondary", wrap=True)
        self.command = label("", "mono")
        self.command.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.copy = CopyButton(theme, "Copy command", "Copy command")
        self.notes = button("What’s new", "link")
        self.notes.setProperty("flush", True)
        self.notes.clicked.connect(self.notes_asked)
        self.later = button("Later", name="Later: Keyfob’s update")
        self.later.clicked.connect(self.put_off)
        self.button = button("")
        self.button.clicked.connect(self._press)
        head = QHBoxLayout()
        head.setSpacing(px(7))
        head.addWidget(self.title, 1)
        head.addWidget(self._check)
        typed = QHBoxLayout()
        typed.setContentsMargins(0, px(4), 0, 0)
        typed.setSpacing(px(9))
        typed.addWidget(self.command)
        typed.addWidget(self.copy)
        typed.addStretch(1)
        texts = QVBoxLayout()
        texts.setSpacing(px(3))
        texts.addLayout(head)
        texts.addWidget(self.text)
        texts.addLayout(typed)
        texts.addWidget(self.notes, 0, Qt.AlignmentFlag.AlignLeft)
        buttons = QHBoxLayout()
        buttons.setSpacing(px(9))
        buttons.addStretch(1)
        buttons.addWidget(self.later)
        buttons.addWidget(self.button)
        named = QHBoxLayout()
        named.setSpacing(px(14))
        named.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignVCenter)
        named.addLayout(texts, 1)
        self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._row.setSpacing(px(14))
        self._row.addLayout(named, 1)
        self._row.addLayout(buttons)
        inner.addLayout(self._row)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(frame)
        theme.changed.connect(self._draw)
        self._draw()

    def show_own(self, own: OwnUpdate) -> None:
        """Show how this copy stands."""
        self._own = own
        self.title.setText(own.title)
        self._check.setVisible(own.fine)
        self.text.setText(own.text)
        self.text.setVisible(bool(own.text))
        self._role(self.text, ROLES[own.tone])
        self.command.setText(own.command)
        self.command.setVisible(bool(own.command))
        self.copy.holds(own.command)
        self.copy.setVisible(bool(own.command))
        self.notes.setVisible(own.notes)
        self.later.setVisible(own.later)
        self.button.setText(own.button)
        self.button.setAccessibleName(own.button if own.action == "restart" else f"{own.button}: Keyfob")
        self.button.setVisible(bool(own.button))
        self._dress()
        self.setAccessibleName(own.title)
        self.setAccessibleDescription(own.text)

    def lead(self, leads: bool) -> None:
        """`leads`: no banner above has the window's primary button."""
        self._leads = leads
        self._dress()

    def stack(self, narrow: bool) -> None:
        """The buttons under the texts if the page is narrow."""
        direction = QBoxLayout.Direction
        self._row.setDirection(direction.TopToBottom if narrow else direction.LeftToRight)

    def _dress(self) -> None:
        leads = self._own is not None and self._own.leads and self._leads
        kind = "primary" if leads else ""
        if self.button.property("kind") != kind:
            self.button.setProperty("kind", kind)
            restyle(self.button)

    def _role(self, widget: Label, role: str) -> None:
        if widget.property("role") != role:
            widget.setProperty("role", role)
            restyle(widget)

    def _press(self) -> None:
        if self._own is not None:
            self.pressed.emit(self._own.action)

    def _draw(self) -> None:
        side = self._theme.px(ICON)
        self._icon.setPixmap(icons.app_icon().pixmap(side, side))


class FootVersion(QWidget):
    """The version at the sidebar's foot, green with a check if it is the newest; or a button if it is not."""

    pressed = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        px = theme.px
        self._check = Picture(theme, "check", "ok", 13)
        self._words = label("", "small")
        self.button = button("", "link")
        self.button.clicked.connect(self.pressed)
        self.button.hide()
        self._check.hide()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(px(8), px(8), px(8), 0)
        layout.setSpacing(px(6))
        layout.addStretch(1)
        layout.addWidget(self._check)
        layout.addWidget(self._words)
        layout.addWidget(self.button)
        layout.addStretch(1)

    def show_own(self, own: OwnUpdate) -> None:
        """Show the version."""
        self._words.setText(own.foot)
        self._words.setVisible(not own.foot_button)
        self._check.setVisible(own.fine and not own.foot_button)
        role = "fine" if own.fine else "small"
        if self._words.property("role") != role:
            self._words.setProperty("role", role)
            restyle(self._words)
        self._words.setAccessibleName(f"{own.foot}, up to date" if own.fine else own.foot)
        self.button.setText(own.foot_button)
        self.button.setAccessibleName(f"{own.foot_button}: {own.foot}")
        self.button.setVisible(bool(own.foot_button))
