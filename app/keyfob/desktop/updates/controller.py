"""Puts Tools and updates into the window: its navigation button, its page and its presenter.

One QObject on the GUI thread, made once the engine is there.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QKeySequence, QShortcut

from keyfob.core.errors import KeyfobError
from keyfob.desktop.settings.controller import SettingsController
from keyfob.desktop.shared import remedies
from keyfob.desktop.shared.announce import announce
from keyfob.desktop.shared.confirm import Confirm
from keyfob.desktop.shared.nav_button import NavButton
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.shared.outside_text import set_tooltip
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.updates.dialog import UpdateDialog
from keyfob.desktop.updates.models import ToolsPage
from keyfob.desktop.updates.own_card import FootVersion
from keyfob.desktop.updates.own_models import OwnUpdate, UpdateView
from keyfob.desktop.updates.own_presenter import OwnPresenter
from keyfob.desktop.updates.page import UpdatesPage
from keyfob.desktop.updates.presenter import ToolsPresenter
from keyfob.desktop.updates.uses import uses_of
from keyfob.desktop.window.main_window import MainWindow
from keyfob.desktop.window.models import Window
from keyfob.engine import Engine
from keyfob.updates.github_account import github_token
from keyfob.updates.service import Updates

EVERY = timedelta(days=1)  # between two checks that nobody asked for
FIRST_LOOK = 60_000  # milliseconds after the start: what the user waits for comes first
SPREAD = 600_000  # milliseconds at most that are added by chance, so that not all ask at once
LOOK_AGAIN = 3_600_000  # milliseconds


def updates_of(engine: Engine) -> Updates:
    """The updates of this copy of Keyfob."""
    return Updates.of_this_copy(
        engine.home, remedies=remedies.REMEDIES, token=lambda: github_token(engine.accounts)
    )


class ToolsAndUpdates(QObject):
    """The first visit looks which tools are installed, and checks if that was not done for a day."""

    restart_asked = Signal()  # as the version that is installed now

    def __init__(
        self,
        theme: Theme,
        engine: Engine,
        updates: Callable[[], Updates],
        window: MainWindow,
        settings: SettingsController,
        clock: Callable[[], datetime],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._theme, self._engine, self._window = theme, engine, window
        self._settings, self._clock = settings, clock
        self.question: Confirm | None = None
        self._tools_count = self._own_count = 0
        self._due = False  # a check is due as soon as it is known when the last one was
        self.nav = NavButton(theme, "download", "Tools and updates")
        self.page = UpdatesPage(theme)
        self.presenter = ToolsPresenter(
            engine.companions,
            lambda: uses_of(engine.companions.files.all(), engine.accounts, engine.wiring, engine.tool_setup),
            clock,
            self,
        )
        self.presenter.changed.connect(self._show)
        self.presenter.said.connect(lambda text: announce(self.page, text))
        self.presenter.unverified.connect(self._ask)
        self._build_own(updates)
        self.page.check_asked.connect(self.check)
        self.page.pressed.connect(self._pressed)
        self.page.switched.connect(self._switched)
        self.page.back_asked.connect(window.close_page)
        settings.changed.connect(self._settings_changed)
        settings.read.connect(self._settings_changed)
        settings.check_asked.connect(self.check_from_settings)
        self.nav.clicked.connect(self._opened)
        set_tooltip(self.nav, "Ctrl+U")
        self._keys = QShortcut(QKeySequence("Ctrl+U"), window)
        self._keys.activated.connect(self.open)
        window.add_page(self.nav, self.page, self.check)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.VeryCoarseTimer)
        self._timer.timeout.connect(self._look_if_due)
        self._timer.start(FIRST_LOOK + random.randrange(SPREAD))  # noqa: S311  (no secret)

    def _build_own(self, updates: Callable[[], Updates]) -> None:
        self.own = OwnPresenter(updates, self._clock, self)
        self.own.changed.connect(self._show_own)
        self.own.said.connect(lambda text: announce(self.page, text))
        self.foot = FootVersion(self._theme)
        self.foot.pressed.connect(self.open_dialog)
        self._window.sidebar.add_foot(self.foot)
        self.dialog: UpdateDialog | None = None
        self._view: UpdateView | None = None
        self._put_off = ""  # the version that was put off until the next start
        card = self.page.own
        card.pressed.connect(self._own_pressed)
        card.notes_asked.connect(self.open_dialog)
        card.put_off.connect(self._later)

    def begin(self) -> None:
        """Say which version this is, and look for a newer one if that is due."""
        self.own.look()
        self._settings.read.connect(lambda: self.own.look(wanted=self._settings.value.updates))

    def show_model(self, model: Window) -> None:
        """Without accounts the page has a way back. A banner that leads takes the primary button."""
        self.page.own.lead(model.lead is None)
        self.page.back.setVisible(not model.rows and not model.loading)

    def open(self) -> None:
        """Show the page."""
        self.nav.click()
        self.page.check_button.setFocus()

    def check(self) -> None:
        """Ask for newer versions of Keyfob and of the tools."""
        self._put_off = ""
        self.own.check()
        self.presenter.check()

    def check_from_settings(self) -> None:
        """Show the page, and check."""
        self.open()
        self.check()

    def close(self) -> None:
        """No further check begins; what runs is asked to end."""
        self._timer.stop()
        for dialog in (self.question, self.dialog):
            if dialog is not None:
                dialog.reject()
        self.own.close()
        self.presenter.close()

    # --- Keyfob's own update -----------------------------------------------------------------------------

    def _show_own(self, own: OwnUpdate, view: UpdateView) -> None:
        self._view = view
        self.page.own.show_own(own)
        self.page.own.setVisible(own.title != self._put_off)
        self.foot.show_own(own)
        self._own_count = int(bool(own.foot_button))
        self._count()
        if self.dialog is not None:
            self.dialog.show_view(view)

    def open_dialog(self) -> None:
        """What is new in the newer version, and its update."""
        if self._view is None:
            return
        if self.dialog is not None:
            self.dialog.raise_()
            return
        installs = self.own.status is not None and self.own.status.state == "newer"
        dialog = self.dialog = UpdateDialog(self._theme, self._view, installs=installs, parent=self._window)
        dialog.update_asked.connect(self.own.install)
        dialog.cancel_asked.connect(self.own.cancel)
        dialog.restart_asked.connect(self.restart_asked)
        dialog.link_pressed.connect(self._browse)
        dialog.finished.connect(self._dialog_closed)
        dialog.open()

    def _dialog_closed(self, _result: int) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None

    def _own_pressed(self, action: str) -> None:
        match action:
            case "open":
                self.open_dialog()
            case "restart":
                self.restart_asked.emit()
            case "check":
                self.own.check()

    def _later(self) -> None:
        """The card comes back with the next check or start."""
        self._put_off = self.page.own.title.text()
        self.page.own.hide()
        self.page.check_button.setFocus()

    # --- looking --------------------------------------------------------------------------------------------

    def _opened(self) -> None:
        self._settings_changed()
        self._due = self._wanted()
        self.presenter.look()

    def _look_if_due(self) -> None:
        self._timer.start(LOOK_AGAIN)
        if self._wanted():
            self._due = True
            self.presenter.look()

    def _wanted(self) -> bool:
        return self._settings.known and self._settings.value.updates

    def _show(self, page: ToolsPage) -> None:
        self.page.show_page(page)
        self._tools_count = page.updates
        self._count()
        if self._due and not page.loading and not page.checking:
            self._due = False
            if self._is_old():
                self.presenter.check()

    def _count(self) -> None:
        count = self._tools_count + self._own_count
        meaning = f"{count} update{'' if count == 1 else 's'} available." if count else ""
        self.nav.show_note(str(count) if count else "", meaning=meaning)

    def _is_old(self) -> bool:
        """Whether some installed tool was not checked for a day."""
        limit = self._clock() - EVERY
        asked = [each for each in self.presenter.standings if each.installed is not None]
        return any(each.tried_at is None or each.tried_at < limit for each in asked)

    # --- what the user asks ---------------------------------------------------------------------------------

    def _pressed(self, tool_id: str, action: str) -> None:
        match action:
            case "update":
                self.presenter.update(tool_id)
            case "cancel":
                self.presenter.cancel(tool_id)
            case "open":
                self._open_page(tool_id)

    def _open_page(self, tool_id: str) -> None:
        standing = next((each for each in self.presenter.standings if each.companion.id == tool_id), None)
        if standing is None or standing.newest is None:
            return
        self._browse(standing.newest.page)

    def _browse(self, address: str) -> None:
        def failed(_: KeyfobError) -> None:
            self._window.say(f"Keyfob could not open a browser. Open {address} yourself.", good=False)

        Operation(self, partial(self._engine.browser, address), lambda _: None).failing(failed).start()

    def _ask(self, tool_id: str, title: str) -> None:
        """Nobody says the checksum: the user decides."""
        text = (
            "No checksum is published for this version, so Keyfob cannot check whether the download is the "
            "one that was announced. If you install it and it does not start, the old copy comes back."
        )
        question = self.question = Confirm(
            self._theme, f"Install {title} without a check?", text, "Install", self._window, kind=""
        )
        question.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        question.confirmed.connect(lambda: self.presenter.update(tool_id, unverified=True))
        question.finished.connect(self._answered)
        question.open()

    def _answered(self, _result: int) -> None:
        self.question = None

    def _switched(self, on: bool) -> None:
        self._settings.save(replace(self._settings.value, updates=on))

    def _settings_changed(self) -> None:
        self.page.switch.setChecked(self._settings.value.updates)
        self.page.switch.setEnabled(self._settings.known)
