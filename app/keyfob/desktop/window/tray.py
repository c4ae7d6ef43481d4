"""The tray's icon and menu: a summary, a line for each account, and the actions."""

from __future__ import annotations

from PySide6.QtCore import QObject, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from keyfob.desktop.shared import icons
from keyfob.desktop.shared.icons import SCALES
from keyfob.desktop.shared.outside_text import notification, set_tooltip
from keyfob.desktop.shared.status_widgets import paint_status
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.models import Window

LOOKS_FOR = 60_000  # milliseconds: a tray host that comes up at login may be later than we are
LOOK_EVERY = 2_000


class Tray(QObject):
    """`present` is True once there is a tray to be seen in; `appeared` says when that comes later."""

    opened = Signal()
    connect_asked = Signal()
    settings_asked = Signal()
    quit_asked = Signal()
    account_chosen = Signal(str)
    refresh_asked = Signal()  # the menu opens: its times are refreshed
    appeared = Signal()

    def __init__(self, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._state = ""
        self._lines: tuple[tuple[str, str, str, str], ...] = ()
        self.menu = QMenu()
        self.icon = QSystemTrayIcon(self)
        self.icon.setContextMenu(self.menu)
        self.icon.activated.connect(self._activated)
        self.icon.messageClicked.connect(self.opened)
        self.menu.aboutToShow.connect(self.refresh_asked)
        self._summary = QAction("Keyfob", self.menu)
        self._summary.setEnabled(False)
        self._accounts: list[QAction] = []
        self.menu.addAction(self._summary)
        self.menu.addSeparator()
        self.menu.addSeparator()
        for text, signal in (
            ("Open Keyfob", self.opened),
            ("Connect Account…", self.connect_asked),
            ("Settings…", self.settings_asked),
        ):
            self._add(text, signal)
        self.menu.addSeparator()
        self._add("Quit", self.quit_asked)
        self._rest = self.menu.actions()[2]
        self._looks = 0
        self._look = QTimer(self)
        self._look.setInterval(LOOK_EVERY)
        self._look.timeout.connect(self._look_again)

    @property
    def present(self) -> bool:
        """Whether the icon is in a tray. Some desktops have none."""
        return self.icon.isVisible()

    @property
    def state(self) -> str:
        """What the icon shows, as `models.Window.tray` has it; empty before it shows anything."""
        return self._state

    def begin(self) -> bool:
        """Show the icon if there is a tray; else look again for a minute. True if it is there."""
        if QSystemTrayIcon.isSystemTrayAvailable():
            self._show()
            return True
        self._look.start()
        return False

    def _show(self) -> None:
        self._look.stop()
        if not self._state:
            self._state = "fine"
            self.icon.setIcon(icons.tray_icon("fine"))
        self.icon.show()

    def _look_again(self) -> None:
        self._looks += 1
        if QSystemTrayIcon.isSystemTrayAvailable():
            self._show()
            self.appeared.emit()
        elif self._looks * LOOK_EVERY >= LOOKS_FOR:
            self._look.stop()

    def show_model(self, model: Window) -> None:
        """Show the state, the tooltip and the accounts in the menu."""
        if model.tray != self._state:
            self._state = model.tray
            self.icon.setIcon(icons.tray_icon(model.tray))
        if self.icon.toolTip() != model.tray_text:
            set_tooltip(self.icon, model.tray_text)
        self._summary.setText(model.tray_text.removeprefix("Keyfob: ") or "Keyfob")
        lines = model.tray_lines
        if lines != self._lines:
            self._lines = lines
            self._fill(lines)

    def notify(self, title: str, text: str) -> None:
        """One notification; nothing if there is no tray to show it."""
        if self.present:
            self.icon.showMessage(notification(title), notification(text), icons.app_icon(), 10_000)

    def close(self) -> None:
        """Take the icon away."""
        self._look.stop()
        self.icon.hide()

    def _add(self, text: str, signal: object) -> None:
        action = QAction(text, self.menu)
        action.triggered.connect(signal)
        self.menu.addAction(action)

    def _fill(self, lines: tuple[tuple[str, str, str, str], ...]) -> None:
        while len(self._accounts) > len(lines):
            self.menu.removeAction(self._accounts.pop())
        while len(self._accounts) < len(lines):
            action = QAction(self.menu)
            action.triggered.connect(self._chosen)
            self.menu.insertAction(self._rest, action)
            self._accounts.append(action)
        for action, (key, text, tone, shape) in zip(self._accounts, lines, strict=True):
            action.setText(text.replace("&", "&&"))
            action.setData(key)
            action.setIcon(self._dot(tone, shape))

    def _dot(self, tone: str, shape: str) -> QIcon:
        result = QIcon()
        for ratio in SCALES:
            pixmap = QPixmap(round(16 * ratio), round(16 * ratio))
            pixmap.fill(Qt.GlobalColor.transparent)
            pixmap.setDevicePixelRatio(ratio)
            painter = QPainter(pixmap)
            paint_status(painter, QRectF(4, 4, 8, 8), shape, self._theme.color(tone))
            painter.end()
            result.addPixmap(pixmap)
        return result

    def _chosen(self) -> None:
        action = self.sender()
        if isinstance(action, QAction):
            self.account_chosen.emit(str(action.data()))

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in (QSystemTrayIcon.ActivationReason.Trigger, QSystemTrayIcon.ActivationReason.DoubleClick):
            self.opened.emit()
