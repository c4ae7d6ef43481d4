"""Return and the keypad's Enter press what has the focus ring, in every
dialog and in the window; the safe choice has it at first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDialog, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from keyfob.adapters.loopback.listener import timed_out
from keyfob.core.consent import Program, Question, Reply
from keyfob.core.settings import Settings
from keyfob.desktop.connect import cards, forms, sign_in_text
from keyfob.desktop.connect.dialog import ConnectDialog
from keyfob.desktop.connect.listener_thread import Threads
from keyfob.desktop.connect.presenter import SignInPresenter
from keyfob.desktop.controller import AppController
from keyfob.desktop.imports.dialog import ImportDialog
from keyfob.desktop.imports.presenter import item
from keyfob.desktop.settings.dialog import SettingsDialog
from keyfob.desktop.shared.confirm import Ask, Confirm
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Choice, Switch
from keyfob.desktop.window.consent_dialog import ConsentDialog
from keyfob.desktop.window.presenter import Presenter
from keyfob.engine import Engine
from keyfob.service.accounts.views import Progress
from keyfob.service.sign_in.attempt import Attempt
from support import samples
from support.scripted_provider import ScriptedBrowser, ScriptedProvider

RETURN, ENTER = Qt.Key.Key_Return, Qt.Key.Key_Enter
KEYS = pytest.mark.parametrize("key", [RETURN, ENTER], ids=["return", "enter"])
QUESTION = Question("github/aldis-k", Program("/usr/bin/python3", "/home/me/x.py", "/home/me", ()))
Make = Callable[[], QDialog]


@pytest.fixture
def connect(theme: Theme, engine: Engine, presenter: Presenter, threads: Threads) -> ConnectDialog:
    return ConnectDialog(theme, SignInPresenter(engine, presenter, threads, clock=lambda: samples.NOW))


@pytest.fixture
def dialogs(theme: Theme, engine: Engine, connect: ConnectDialog, tmp_path: Path) -> dict[str, Make]:
    samples.write_tool_files(tmp_path)
    progress = Progress(
        "waiting", "nexusmods", "Nexus Mods", "oauth", deadline=samples.NOW + timedelta(minutes=5)
    )

    def page(show: Callable[[], None]) -> Make:
        def make() -> QDialog:
            connect.show()
            show()
            return connect

        return make

    def form(provider: str, method: str) -> Make:
        preset = engine.providers.get(provider)
        return page(lambda: connect.show_form(forms.form(preset, method, known=None, setting_port=9876)))

    failed = Progress("failed", "demo", "Demo", "oauth", error=timed_out())
    done = Progress("done", "demo", "Demo", "oauth", account=samples.sample_views()[0])
    return {
        "consent": lambda: ConsentDialog(theme, QUESTION),
        "confirm": lambda: Confirm(theme, "Disconnect?", "It ends.", "Disconnect"),
        "rename": lambda: Ask(theme, "Rename Aldis", "Tools use it.", "aldis", "Rename"),
        "settings": lambda: SettingsDialog(theme, Settings(), tray=True),
        "moving": lambda: ImportDialog(
            theme, tuple(item(found, tmp_path) for found in engine.imports.find())
        ),
        "gallery": page(lambda: connect.show_cards(cards.cards(engine.providers.all(), demo=True))),
        "form": form("google", "oauth"),
        "blocked": form("claude", "oauth"),
        "waiting": page(lambda: connect.show_waiting(sign_in_text.waiting(progress, samples.NOW))),
        "success": page(lambda: connect.show_success(sign_in_text.success(done))),
        "failure": page(lambda: connect.show_failure(sign_in_text.failure(failed))),
    }


NAMES = [
    *(
        "consent",
        "confirm",
        "rename",
        "settings",
        "moving",
        "gallery",
        "form",
        "blocked",
        "waiting",
        "success",
    ),
    "failure",
]


def up(dialog: QDialog, qtbot: QtBot) -> list[QPushButton]:
    """Shown and active; the buttons that the Tab key reaches."""
    dialog.show()
    dialog.activateWindow()
    qtbot.waitUntil(dialog.isActiveWindow)
    return [b for b in dialog.findChildren(QPushButton) if b.isVisible() and b.isEnabled()]


def tab_to(button: QWidget, qtbot: QtBot) -> None:
    """By the Tab key alone, as a person does."""
    for _ in range(80):
        if button.hasFocus():
            return
        focused = QApplication.focusWidget()
        assert focused is not None
        qtbot.keyClick(focused, Qt.Key.Key_Tab)
    raise AssertionError(f"Tab does not reach {button.text() or button.accessibleName()}")


@KEYS
@pytest.mark.parametrize("name", NAMES)
def test_return_presses_the_button_with_the_focus_ring_and_no_other(
    dialogs: dict[str, Make], qtbot: QtBot, name: str, key: Qt.Key
) -> None:
    count = len(up(dialogs[name](), qtbot))
    assert count
    for number in range(count):
        dialog = dialogs[name]()
        buttons = up(dialog, qtbot)
        pressed: list[object] = []
        for each in buttons:
            each.clicked.disconnect()
            each.clicked.connect(partial(pressed.append, each.text()))
        tab_to(buttons[number], qtbot)
        qtbot.keyClick(buttons[number], key)
        assert pressed == [buttons[number].text()]
        if not isinstance(dialog, ConnectDialog):
            dialog.deleteLater()
        else:
            rewire(dialog)


def rewire(dialog: ConnectDialog) -> None:
    """A page's buttons are disconnected by the test; each round only looks at what is pressed."""
    for each in dialog.findChildren(QPushButton):
        each.clicked.connect(lambda: None)


@KEYS
@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("consent", "Don’t allow"),
        ("confirm", "Cancel"),
        ("moving", "Not now"),
        ("settings", "Done"),
        ("waiting", "Cancel"),
        ("success", "Done"),
        ("failure", "Try again"),
    ],
)
def test_the_safe_choice_has_the_focus_at_first(
    dialogs: dict[str, Make], qtbot: QtBot, name: str, first: str, key: Qt.Key
) -> None:
    dialog = dialogs[name]()
    up(dialog, qtbot)
    focused = QApplication.focusWidget()
    assert isinstance(focused, QPushButton)
    assert focused.text() == first


@KEYS
def test_tab_to_allow_once_and_return_allows(theme: Theme, qtbot: QtBot, key: Qt.Key) -> None:
    dialog = ConsentDialog(theme, QUESTION)
    replies: list[Reply] = []
    dialog.answered.connect(replies.append)
    up(dialog, qtbot)
    tab_to(dialog.once, qtbot)
    qtbot.keyClick(dialog.once, key)
    assert replies == [Reply.ONCE]


@KEYS
@pytest.mark.parametrize("action", [True, False], ids=["disconnect", "cancel"])
def test_disconnect_is_confirmed_by_its_own_button_alone(
    theme: Theme, qtbot: QtBot, key: Qt.Key, action: bool
) -> None:
    dialog = Confirm(theme, "Disconnect Alice?", "It ends.", "Disconnect")
    done: list[bool] = []
    dialog.confirmed.connect(lambda: done.append(True))
    up(dialog, qtbot)
    if action:
        tab_to(dialog.action, qtbot)
    qtbot.keyClick(QApplication.focusWidget(), key)
    assert done == ([True] if action else [])
    assert not dialog.isVisible()


@KEYS
def test_cancel_in_the_gallery_opens_no_browser(
    dialogs: dict[str, Make],
    connect: ConnectDialog,
    attempts: list[Attempt],
    browser: ScriptedBrowser,
    qtbot: QtBot,
    key: Qt.Key,
) -> None:
    up(dialogs["gallery"](), qtbot)
    chosen: list[tuple[str, str]] = []
    connect.gallery.chosen.connect(lambda *choice: chosen.append(choice))
    tab_to(connect.gallery.cancel, qtbot)
    qtbot.keyClick(connect.gallery.cancel, key)
    assert chosen == []
    assert not connect.isVisible()
    assert attempts == []
    assert browser.opened == []


@KEYS
@pytest.mark.parametrize("where", ["search", "list"])
def test_return_in_the_gallery_goes_on_once(
    dialogs: dict[str, Make], connect: ConnectDialog, qtbot: QtBot, key: Qt.Key, where: str
) -> None:
    up(dialogs["gallery"](), qtbot)
    chosen: list[tuple[str, str]] = []
    connect.gallery.chosen.disconnect()
    connect.gallery.chosen.connect(lambda *choice: chosen.append(choice))
    widget = getattr(connect.gallery, where)
    widget.setFocus()
    qtbot.keyClick(widget, key)
    assert chosen == [("demo", "oauth")]


@KEYS
def test_return_on_a_switch_or_a_list_closes_nothing(theme: Theme, qtbot: QtBot, key: Qt.Key) -> None:
    dialog = SettingsDialog(theme, Settings(), tray=True)
    up(dialog, qtbot)
    changed: list[Settings] = []
    dialog.changed.connect(changed.append)
    dialog.login.setFocus()
    qtbot.keyClick(dialog.login, key)
    assert [each.start_at_login for each in changed] == [not Settings().start_at_login]
    dialog.theme.setFocus()
    qtbot.keyClick(dialog.theme, key)
    assert dialog.theme.view().isVisible()
    dialog.theme.hidePopup()
    assert dialog.isVisible()
    assert all(each.focusPolicy() & Qt.FocusPolicy.TabFocus for each in dialog.findChildren(Switch))


@KEYS
def test_a_wrong_number_is_not_lost_by_done(theme: Theme, qtbot: QtBot, key: Qt.Key) -> None:
    dialog = SettingsDialog(theme, Settings(), tray=True)
    up(dialog, qtbot)
    dialog.port.setFocus()
    dialog.port.selectAll()
    qtbot.keyClicks(dialog.port, "80")
    qtbot.keyClick(dialog.port, key)
    assert dialog.isVisible()
    assert (dialog.port.text(), dialog.port.hasFocus()) == ("80", True)
    assert dialog.port_problem.isVisible()


@KEYS
def test_return_works_in_the_main_window(
    controller: AppController, provider: ScriptedProvider, qtbot: QtBot, key: Qt.Key
) -> None:
    controller.window.activateWindow()
    qtbot.waitUntil(controller.window.isActiveWindow)
    qtbot.waitUntil(lambda: controller.running.presenter.model.detail is not None)
    tab_to(controller.window.account.renew, qtbot)
    qtbot.keyClick(controller.window.account.renew, key)
    account = controller.running.presenter.selected.encode()
    qtbot.waitUntil(lambda: [account in r.body for r in provider.sent("refresh")].count(True) == 1)
    qtbot.waitUntil(lambda: controller.window.account.renew.isEnabled())
    tab_to(controller.window.sidebar.settings_button, qtbot)
    qtbot.keyClick(controller.window.sidebar.settings_button, key)
    assert controller.settings_controller.dialog is not None
    assert controller.settings_controller.dialog.isVisible()


@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("texts", [("System", "Light", "Dark"), ("API key", "Browser sign-in")])
@pytest.mark.usefixtures("back_to_usual")
def test_the_list_of_a_combo_box_shows_all_it_has(
    qapp: QApplication, qtbot: QtBot, texts: tuple[str, ...], scale: float
) -> None:
    """Qt's own list would cut the last row, as it does not count the style sheet's margins."""
    theme = Theme(qapp, "light")
    theme.scale = scale
    theme.apply()
    box = Choice(theme, "Theme")
    box.addItems(texts)
    qtbot.addWidget(box)
    box.show()
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Return)
    view = box.view()
    qtbot.waitUntil(view.isVisible)
    assert view.verticalScrollBar().maximum() == 0
    for row in range(len(texts)):
        rect = view.visualRect(view.model().index(row, 0))
        assert view.viewport().rect().contains(rect)
        assert rect.height() >= view.fontMetrics().height()
    box.hidePopup()
