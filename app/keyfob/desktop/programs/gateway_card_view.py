"""The card with the gateway's switch and its address."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from keyfob.desktop.programs.models import GatewayAction, GatewayCard
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.copy_button import CopyButton
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Picture, Switch, button, label, restyle


class AddressField(QFrame):
    """An address in a frame, with a button that copies it."""

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__()
        px = theme.px
        self.setProperty("code", True)
        self.text = label("", "monoLine")
        self.copy = CopyButton(theme, name, "", "quiet")
        row = QHBoxLayout(self)
        row.setContentsMargins(px(12), px(2), px(4), px(2))
        row.setSpacing(px(8))
        row.addWidget(self.text, 1)
        row.addWidget(self.copy)

    def show_address(self, address: str) -> None:
        """Show it, and what the button copies."""
        if address != self.text.text():
            self.text.setText(address)
            self.copy.holds(address)


class GatewayCardView(QWidget):
    """`switched` when the person does; `pressed` with the action of the button."""

    switched = Signal(bool)
    pressed = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        px = theme.px
        self._action: GatewayAction = ""
        self._shown: GatewayCard | None = None
        frame = QFrame()
        frame.setProperty("card", True)
        self.switch = Switch(theme, "The gateway")
        self.switch.clicked.connect(lambda: self.switched.emit(self.switch.isChecked()))
        self._sign = Picture(theme, "warning", "warn", 18)
        self.title, self.text = label("", "strong", wrap=True), label("", "small", wrap=True)
        self.address = AddressField(theme, "Copy address")
        self.button = button("Try again")
        self.button.clicked.connect(lambda: self.pressed.emit(self._action))
        texts = QVBoxLayout()
        texts.setSpacing(px(1))
        texts.addWidget(self.title)
        texts.addWidget(self.text)
        left = QHBoxLayout()
        left.setSpacing(px(12))
        left.addWidget(self.switch, 0, Qt.AlignmentFlag.AlignVCenter)
        left.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignVCenter)
        left.addLayout(texts, 1)
        ends = QHBoxLayout()
        ends.addWidget(self.address)
        ends.addWidget(self.button)
        ends.addStretch(1)
        self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight, frame)
        self._row.setContentsMargins(theme.margins(15, 13, 15, 13))
        self._row.setSpacing(px(14))
        self._row.addLayout(left, 1)
        self._row.addLayout(ends)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(frame)

    def show_card(self, card: GatewayCard) -> None:
        """Show how it stands, and say so if that has changed."""
        if card == self._shown:
            return
        before, self._shown = self._shown, card
        self._action = card.action
        self.switch.setChecked(card.on)
        self.switch.setEnabled(card.usable)
        self.switch.setAccessibleDescription(f"{card.title}. {card.text}")
        self._sign.setVisible(bool(card.tone))
        self.title.setText(card.title)
        self.text.setText(card.text)
        self.address.show_address(card.address)
        self.address.setVisible(bool(card.address))
        if card.button:
            self.button.setText(card.button)
            self.button.setAccessibleName(card.button)
        self.button.setVisible(bool(card.button))
        restyle(self)
        if before is not None and before.title != card.title and self.isVisible():
            announce(self, card.title)

    def stack(self, narrow: bool) -> None:
        """The address below the words if the page is narrow."""
        direction = QBoxLayout.Direction
        self._row.setDirection(direction.TopToBottom if narrow else direction.LeftToRight)
