"""What a screen reader says with the button that gets the focus, also one that knows no announcements."""

from __future__ import annotations

from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from keyfob.desktop.connect.models import Failure, Success
from keyfob.desktop.connect.outcome_pages import FailurePage, SuccessPage
from keyfob.desktop.shared.avatar import Face
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window import viewmodel
from keyfob.desktop.window.main_window import MainWindow
from support.samples import NOW, view


def spoken(widget: QWidget) -> str:
    found = QAccessible.queryAccessibleInterface(widget)
    return f"{found.text(QAccessible.Text.Name)}: {found.text(QAccessible.Text.Description)}"


def test_the_success_is_read_with_done(theme: Theme, qtbot: QtBot) -> None:
    page = SuccessPage(theme)
    qtbot.addWidget(page)
    page.show()
    face = Face("A", "#8a5a2b", "D", "#2f7a80")
    page.show_model(
        Success(
            title="Connected as Alice",
            text="Demo Provider",
            face=face,
            not_you="Not you?",
            undo="Revoke and remove",
            id="demo/alice",
            command="keyfob token demo/alice",
            next_step="Your tools can use this account now.",
        )
    )
    assert spoken(page.focusWidget()) == "Done: Connected as Alice. Demo Provider"


def test_the_failure_is_read_with_its_first_button(theme: Theme, qtbot: QtBot) -> None:
    page = FailurePage(theme)
    qtbot.addWidget(page)
    page.show()
    page.show_model(
        Failure("Acme was not connected", "You declined access.", "Start again.", "details", "Try again")
    )
    assert (
        spoken(page.focusWidget()) == "Try again: Acme was not connected. You declined access. Start again."
    )


def test_after_the_first_account_the_list_has_the_focus(theme: Theme, qtbot: QtBot) -> None:
    window = MainWindow(theme)
    qtbot.addWidget(window)
    window.show()
    window.show_model(viewmodel.window((), None, (), NOW, kept_in="GNOME Keyring"), None)
    assert window.pages.currentWidget() is window.empty
    views = [view("demo", "Demo Provider", "alice")]
    window.show_model(viewmodel.window(views, views[0].key, (), NOW, kept_in="GNOME Keyring"), views[0].key)
    assert window.focusWidget() is window.sidebar.list
