"""Puts Check everything into the window: its navigation button, its page and its presenter.

One QObject on the GUI thread, made once the engine is there.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QKeySequence, QShortcut

from keyfob.desktop.check.models import Action, Check, outcome
from keyfob.desktop.check.page import CheckPage
from keyfob.desktop.check.presenter import CheckPresenter
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.nav_button import NavButton
from keyfob.desktop.shared.outside_text import set_tooltip
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.main_window import MainWindow
from keyfob.desktop.window.models import Window
from keyfob.service.doctor import Doctor


class CheckEverything(QObject):
    """The first visit checks at once; later ones show what was found, until Check again. Leaving the page
    stops a run, and the next visit begins another.
    """

    unlock_asked = Signal()
    port_asked = Signal()
    vault_asked = Signal()  # where tokens are kept
    reconnect_asked = Signal(str)  # an account's key
    more_access_asked = Signal(str, str)  # an account's key, and the bundle to ask for
    repair_asked = Signal(str)  # a tool's name
    restore_asked = Signal()

    def __init__(
        self,
        theme: Theme,
        doctor: Doctor,
        window: MainWindow,
        tray: Callable[[], bool],
        clock: Callable[[], datetime],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._window = window
        self.nav = NavButton(theme, "test", "Check everything")
        self.page = CheckPage(theme)
        self.presenter = CheckPresenter(doctor, tray, clock, self)
        self.presenter.changed.connect(self._show)
        self.presenter.finished.connect(self._finished)
        self.presenter.failed.connect(self._failed)
        self.page.again_asked.connect(self.presenter.run)
        self.page.asked.connect(self._pressed)
        self.page.back_asked.connect(window.close_page)
        self.nav.clicked.connect(self._opened)
        set_tooltip(self.nav, "Ctrl+E")
        self._keys = QShortcut(QKeySequence("Ctrl+E"), window)
        self._keys.activated.connect(self.open)
        window.empty.check_asked.connect(self.open)
        window.add_page(self.nav, self.page, self.presenter.run)
        window.pages.currentChanged.connect(self._left)

    def show_model(self, model: Window) -> None:
        """A banner with the primary button takes it from the page."""
        self.page.lead(model.lead is None)
        self.page.back.setVisible(not model.rows and not model.loading)

    def open(self) -> None:
        """Show the page, and check if that was not done yet."""
        self.nav.click()
        self.page.again.setFocus()

    def something_changed(self) -> None:
        """A problem may be solved: check again if the user looks."""
        if self._window.pages.currentWidget() is self.page and self.presenter.ran:
            self.presenter.run()

    def close(self) -> None:
        """No further check begins."""
        self.presenter.close()

    def _opened(self) -> None:
        if not self.presenter.ran:
            self.presenter.run()

    def _left(self, _number: int) -> None:
        if self._window.pages.currentWidget() is not self.page:
            self.presenter.stop()

    def _show(self, check: Check) -> None:
        self.page.show_check(check, self.presenter.report)

    def _finished(self, check: Check) -> None:
        trouble = check.problems or check.warnings
        found = outcome(check.problems, check.warnings)
        self.nav.show_note(mark="warning" if trouble else "", meaning=found if trouble else "")
        announce(self.page, f"Check everything: {found}")

    def _failed(self, sentence: str) -> None:
        announce(self.page, sentence, urgent=True)

    def _pressed(self, action: Action) -> None:
        match action.kind:
            case "unlock":
                self.unlock_asked.emit()
            case "vault":
                self.vault_asked.emit()
            case "port":
                self.port_asked.emit()
            case "reconnect":
                self.reconnect_asked.emit(action.key)
            case "more_access":
                self.more_access_asked.emit(action.key, action.access)
            case "repair":
                self.repair_asked.emit(action.key)
            case "restore":
                self.restore_asked.emit()
            case "again":
                self.presenter.run()
