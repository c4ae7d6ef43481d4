"""The window: banners on top, the list at the left, the selected account at the right.

It shows a `models.Window` and emits what the user asks for, and the presenter answers. If the app says that
the user can open the window again (`may_hide`), closing hides it. Otherwise closing quits the app.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QHideEvent,
    QKeySequence,
    QPaintEvent,
    QResizeEvent,
    QShortcut,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QMainWindow,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from keyfob.core.text import plain
from keyfob.desktop.shared import icons
from keyfob.desktop.shared.activation import bring_up
from keyfob.desktop.shared.outside_text import SENTENCE
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Picture, button, label
from keyfob.desktop.window.sidebar import Sidebar
from keyfob.desktop.window.toast import Toast, Toasted

if TYPE_CHECKING:
    from keyfob.desktop.shared.nav_button import NavButton
    from keyfob.desktop.window.account_page import AccountPage
    from keyfob.desktop.window.empty_page import EmptyPage
    from keyfob.desktop.window.models import Banner, Window

# Until the user moves the list's edge, the list has a share of the window, between these designed pixels.
SIDEBAR, SIDEBAR_WIDE, SIDEBAR_SHARE = 290, 380, 0.2
PAGE = 490  # designed pixels of the page that the list leaves, unless it is as narrow as it can be
BANNER = 1160  # designed pixels: how far from its text a banner's button may be on a wide window


def _never() -> bool:
    return False


class BannerView(QFrame):
    """One banner: what needs the user, why, and the one button for it."""

    pressed = Signal(str, str)  # action, key
    put_off = Signal(str, str)

    def __init__(self, theme: Theme, banner: Banner, *, leads: bool) -> None:
        """`leads`: its button is the page's primary one."""
        super().__init__()
        self._banner = banner
        self.setProperty("tone", banner.tone)
        self.setAccessibleName(plain(f"{banner.title}. {banner.text}", SENTENCE))
        px = theme.px
        whole = QWidget()
        whole.setMaximumWidth(px(BANNER))
        outer = QHBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(whole, 1000)
        outer.addStretch(1)
        row = QHBoxLayout(whole)
        row.setContentsMargins(theme.margins(18, 11, 16, 11))
        row.setSpacing(px(12))
        drawing, color = ("info", "accent") if banner.tone == "info" else ("warning", banner.tone)
        row.addWidget(Picture(theme, drawing, color, 20), 0, Qt.AlignmentFlag.AlignVCenter)
        texts = QVBoxLayout()
        texts.setSpacing(px(2))
        texts.addWidget(label(banner.title, "strong", wrap=True))
        texts.addWidget(label(banner.text, "secondary", wrap=True))
        row.addLayout(texts, 1)
        if banner.later:
            later = button(banner.later, name=f"{banner.later}: {banner.title}")
            later.clicked.connect(self._put_off)
            row.addWidget(later)
        if banner.button:
            mend = button(banner.button, "primary" if leads else "", name=f"{banner.button}: {banner.title}")
            mend.clicked.connect(self._press)
            row.addWidget(mend)

    def _press(self) -> None:
        self.pressed.emit(self._banner.action, self._banner.key)

    def _put_off(self) -> None:
        self.put_off.emit(self._banner.action, self._banner.key)


class MainWindow(QMainWindow):
    """Named `Keyfob` for assistive technology."""

    banner_pressed = Signal(str, str)
    banner_put_off = Signal(str, str)
    closing = Signal()
    shown = Signal()
    hidden = Signal()
    put_away = Signal()  # closed by the user while the app goes on in the tray
    quit_asked = Signal()
    painted = Signal()  # once: what is slow may begin

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._banners: tuple[Banner, ...] = ()
        self._lead: Banner | None = None
        self.may_hide: Callable[[], bool] = _never
        self._painted = False
        self.sidebar_width: int | None = None  # pixels, as the user chose it
        self._shown: tuple[Window, str | None] | None = None
        self._opened: NavButton | None = None  # of the page that is open instead of an account's
        self._navigation: dict[NavButton, tuple[QWidget, Callable[[], None]]] = {}
        # A timer of the window's own: nothing is emitted for a window that is gone before it fires.
        self._paint_timer = QTimer(self)
        self._paint_timer.setSingleShot(True)
        self._paint_timer.timeout.connect(self.painted)
        self.setWindowTitle("Keyfob")
        self.setAccessibleName("Keyfob")
        self.setWindowIcon(icons.app_icon())
        self.sidebar = Sidebar(theme)
        self.pages = QStackedWidget()
        self._blank = QWidget()
        self._blank.setObjectName("detail")
        self.pages.addWidget(self._blank)
        self._banner_box = QVBoxLayout()
        self._banner_box.setSpacing(0)
        self._middle = QSplitter(Qt.Orientation.Horizontal)
        self._middle.setHandleWidth(1)
        self._middle.setChildrenCollapsible(False)
        self._middle.addWidget(self.sidebar)
        self._toasted = Toasted(self.pages)
        self._middle.addWidget(self._toasted)
        self._middle.setStretchFactor(1, 1)
        self._middle.splitterMoved.connect(self._sidebar_moved)
        centre = QWidget()
        layout = QVBoxLayout(centre)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(self._banner_box)
        layout.addWidget(self._middle, 1)
        self.setCentralWidget(centre)
        self._shortcut("Ctrl+F", self.sidebar.go_to_search)
        self._shortcut("Ctrl+N", self.sidebar.connect_asked)
        self._shortcut("Ctrl+,", self.sidebar.settings_asked)
        ending = self._shortcut("Ctrl+Q", self.quit_asked)
        ending.setContext(Qt.ShortcutContext.ApplicationShortcut)  # in a dialog too
        self.sidebar.list.chosen.connect(self.close_page)
        self._shortcut("F5", self._refresh)
        self.resize(QSize(theme.px(980), theme.px(680)))
        self.setMinimumSize(QSize(theme.px(780), theme.px(480)))

    # Made when they are first needed, which is after the first paint, and loaded with them.

    @cached_property
    def empty(self) -> EmptyPage:
        """What is shown while there is no account."""
        from keyfob.desktop.window.empty_page import EmptyPage

        page = EmptyPage(self._theme)
        page.connect_asked.connect(self.sidebar.connect_asked)
        page.settings_asked.connect(self.sidebar.settings_asked)
        self.pages.addWidget(page)
        return page

    @cached_property
    def account(self) -> AccountPage:
        """The selected account."""
        from keyfob.desktop.window.account_page import AccountPage

        page = AccountPage(self._theme)
        self.sidebar.list.menu_asked.connect(page.menu.popup)
        self.pages.addWidget(page)
        return page

    @cached_property
    def note(self) -> Toast:
        """What a press has brought."""
        _ = self.empty, self.account  # they come before it in the order of Tab
        return Toast(self._theme, self._toasted)

    def _shortcut(self, keys: str, target: object) -> QShortcut:
        shortcut = QShortcut(QKeySequence(keys), self)
        shortcut.activated.connect(target)
        return shortcut

    def choose_sidebar_width(self, width: int) -> None:
        """In pixels; kept within its limits."""
        self.sidebar_width = min(max(width, self.sidebar.minimumWidth()), self.sidebar.maximumWidth())
        self._fit_sidebar()

    def _sidebar_moved(self, width: int) -> None:
        self.sidebar_width = width

    def _fit_sidebar(self) -> None:
        px, share = self._theme.px, round(self.width() * SIDEBAR_SHARE)
        width = self.sidebar_width or min(max(share, px(SIDEBAR)), px(SIDEBAR_WIDE))
        # With large text on a small screen, the page needs the room more than the list.
        width = max(min(width, self.width() - px(PAGE)), self.sidebar.minimumWidth())
        self._middle.setSizes([width, max(self.width() - width, 1)])

    @property
    def was_painted(self) -> bool:
        """Whether the user has seen something yet."""
        return self._painted

    @property
    def banners(self) -> tuple[Banner, ...]:
        """The banners on screen, the top one first."""
        return self._banners

    # --- pages besides an account's -------------------------------------------------------------------------

    def add_page(self, nav: NavButton, page: QWidget, refresh: Callable[[], None]) -> None:
        """A page that `nav` opens, below the accounts. `refresh` is what F5 does while it is open."""
        self._navigation[nav] = (page, refresh)
        self.pages.addWidget(page)
        self.sidebar.add_entry(nav)
        nav.clicked.connect(lambda: self.open_page(nav))

    def open_page(self, nav: NavButton) -> None:
        """Show the page of `nav` until the user chooses an account or another page."""
        self._opened = nav
        self._show_page()

    def close_page(self) -> None:
        """Show the selected account again."""
        if self._opened is not None:
            self._opened = None
            self._show_page()

    def _show_page(self) -> None:
        for nav in self._navigation:
            nav.choose(nav is self._opened)
        if self._shown is not None:
            self.show_model(*self._shown)

    def _refresh(self) -> None:
        if self._opened is not None:
            self._navigation[self._opened][1]()
        else:
            self.account.refresh()

    def show_model(self, model: Window, selected: str | None) -> None:
        """Show this. Cheap where little has changed."""
        first = self.pages.currentWidget() is self.empty and bool(model.rows)
        if self._shown is not None and self._shown[1] not in (None, selected):
            self._opened = None  # the app chose another account
            for nav in self._navigation:
                nav.choose(False)
        self._shown = model, selected
        self.sidebar.show_model(model, selected if self._opened is None else None)
        if (model.banners, model.lead) != (self._banners, self._lead):
            self.show_banners(model.banners, model.lead)
        if self._opened is not None:
            self.pages.setCurrentWidget(self._navigation[self._opened][0])
        elif model.detail is not None:
            self.account.show_model(model.detail, leads=model.lead is None)
            self.pages.setCurrentWidget(self.account)
        else:
            self.pages.setCurrentWidget(self._blank if model.loading or model.rows else self.empty)
        # Without accounts there is nothing to list: a page that is open has a way back.
        listed = model.rows or model.loading or self._opened is None
        self.sidebar.setVisible(bool(listed) and self.pages.currentWidget() is not self.empty)
        if "note" in self.__dict__:
            self.note.page_changed()
        if first:  # what had the focus is gone with the page
            self.sidebar.list.setFocus(Qt.FocusReason.OtherFocusReason)

    def say(self, text: str, *, good: bool = True) -> None:
        """A note that disappears after a while: what a press has brought."""
        self.note.say(text, good=good)

    def unsay(self) -> None:
        """What went wrong is right again: its note goes. A good note stays its time."""
        self.note.unsay()

    def bring_up(self) -> None:
        """Show, restore and raise."""
        bring_up(self)

    def show_banners(self, banners: tuple[Banner, ...], lead: Banner | None = None) -> None:
        """Show these banners instead of the ones on screen. `lead`: the one whose button is primary."""
        self._banners, self._lead = banners, lead
        while (item := self._banner_box.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        for banner in banners:
            view = BannerView(self._theme, banner, leads=banner is lead)
            # Queued: what a press brings replaces the banners, and none
            # may go while its own click is on the way.
            view.pressed.connect(self.banner_pressed, Qt.ConnectionType.QueuedConnection)
            view.put_off.connect(self.banner_put_off, Qt.ConnectionType.QueuedConnection)
            self._banner_box.addWidget(view)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Hide to the tray, or ask the app to end."""
        if self.may_hide():
            event.accept()
            self.put_away.emit()
        else:
            event.ignore()  # the app takes its time to quit: a renewal in progress is finished first
            self.closing.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give the list its share."""
        super().resizeEvent(event)
        self._fit_sidebar()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Emit `painted` after the first paint."""
        super().paintEvent(event)
        if not self._painted:
            self._painted = True
            self._paint_timer.start(0)

    def showEvent(self, event: QShowEvent) -> None:
        """Emit `shown`."""
        super().showEvent(event)
        self.shown.emit()

    def hideEvent(self, event: QHideEvent) -> None:
        """Emit `hidden`."""
        super().hideEvent(event)
        self.hidden.emit()
