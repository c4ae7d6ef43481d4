"""What tools may do with an account: the check boxes of the form, the account's page, and asking for more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from keyfob.core.access import GrantedAccess
from keyfob.core.account import AccountView
from keyfob.desktop.connect import sign_in_text
from keyfob.desktop.connect.access_panel import AccessPanel
from keyfob.desktop.connect.dialog import ConnectDialog
from keyfob.desktop.connect.listener_thread import Threads
from keyfob.desktop.connect.presenter import SignInPresenter
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Check
from keyfob.desktop.window import viewmodel
from keyfob.desktop.window.main_window import MainWindow
from keyfob.desktop.window.presenter import Presenter
from keyfob.engine import Engine
from keyfob.service.accounts.views import Progress, SignInRequest
from support.fake_ports import NOW
from support.samples import sample_views

VIEWS = {view.provider: view for view in sample_views()}


@pytest.fixture
def dialog(theme: Theme, engine: Engine, presenter: Presenter, threads: Threads) -> Iterator[ConnectDialog]:
    result = ConnectDialog(theme, SignInPresenter(engine, presenter, threads, clock=lambda: NOW))
    yield result
    result.end()


@pytest.fixture
def asked(dialog: ConnectDialog) -> list[SignInRequest]:
    """What the form asks for; no sign-in begins."""
    found: list[SignInRequest] = []
    dialog.form.submitted.disconnect()
    dialog.form.submitted.connect(found.append)
    return found


def panel(dialog: ConnectDialog) -> AccessPanel:
    assert dialog.form.access is not None
    return dialog.form.access


def check(dialog: ConnectDialog, id: str) -> Check:
    return next(row.check for row in panel(dialog).rows if row.choice.id == id)


def open_github(dialog: ConnectDialog, qtbot: QtBot) -> None:
    dialog.connect_to("github", "device")
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.form)
    dialog.activateWindow()
    qtbot.waitUntil(dialog.isActiveWindow)
    dialog.form.fields["client_id"].setText("Ov23liXk0a7Qd9TnB2mE")


def test_the_form_asks_what_tools_may_do(
    dialog: ConnectDialog, asked: list[SignInRequest], qtbot: QtBot
) -> None:
    open_github(dialog, qtbot)
    rows = {row.choice.id: row for row in panel(dialog).rows}
    assert [id for id, row in rows.items() if row.check.isChecked()] == ["", "repo"]
    assert not rows[""].check.isEnabled(), "who you are is always asked for"
    words = [label.text() for label in rows["delete-repos"].findChildren(QLabel)]
    assert "Cannot be undone" in words
    described = rows["repo"].check.accessibleDescription()
    assert described == "git clone, fetch and push, issues and pull requests. repo"
    qtbot.mouseClick(rows["packages"], Qt.MouseButton.LeftButton, pos=QPoint(100, 10))
    check(dialog, "repo").setFocus()
    qtbot.keyClick(check(dialog, "repo"), Qt.Key.Key_Return)
    assert not asked, "Return switches the box that has the focus"
    qtbot.keyClick(check(dialog, "gists"), Qt.Key.Key_Space)
    dialog.form.go.click()
    (request,) = asked
    assert (request.access, request.scopes) == (("packages", "gists"), ())


def test_nothing_ticked_is_a_choice_too(
    dialog: ConnectDialog, asked: list[SignInRequest], qtbot: QtBot
) -> None:
    open_github(dialog, qtbot)
    check(dialog, "repo").click()
    dialog.form.go.click()
    assert asked[0].access == ()


def test_further_scopes_by_name(dialog: ConnectDialog, asked: list[SignInRequest], qtbot: QtBot) -> None:
    open_github(dialog, qtbot)
    panel(dialog).add.click()
    further = panel(dialog).further
    assert further.edit.hasFocus()
    qtbot.keyClicks(further.edit, 'read:org  "quoted" read:org')
    dialog.form.go.click()
    assert not asked
    assert further.problem.text() == '"quoted" is not a scope.'
    assert further.edit.hasFocus()
    further.edit.setText("read:org user:follow read:org")
    assert further.problem.isHidden()
    dialog.form.go.click()
    assert asked[0].scopes == ("read:org", "user:follow")


def test_what_was_chosen_stays_with_another_method(dialog: ConnectDialog, qtbot: QtBot) -> None:
    open_github(dialog, qtbot)
    check(dialog, "repo").click()
    check(dialog, "gists").click()
    before = dialog.form.access
    dialog.form.other_method.emit("github", "oauth")
    qtbot.waitUntil(lambda: dialog.form.access is not before)
    assert panel(dialog).chosen == ("gists",)


def test_another_provider_begins_with_its_own_choice(dialog: ConnectDialog, qtbot: QtBot) -> None:
    open_github(dialog, qtbot)
    check(dialog, "gists").click()
    dialog.connect_to("google", "oauth")
    qtbot.waitUntil(lambda: dialog.form.title.text() == "Connect Google")
    assert panel(dialog).chosen == ()


def test_a_key_has_the_rights_that_were_chosen_where_it_was_made(dialog: ConnectDialog, qtbot: QtBot) -> None:
    dialog.connect_to("github", "api_key")
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.form)
    assert dialog.form.access is None


def github(engine: Engine) -> AccountView:
    return next(view for view in engine.accounts.views() if view.provider == "github")


def test_ask_for_more_keeps_what_the_account_has(
    dialog: ConnectDialog, asked: list[SignInRequest], engine: Engine, qtbot: QtBot
) -> None:
    view = github(engine)
    assert view.access is not None
    dialog.ask_for_more(view)
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.form)
    assert dialog.form.fields == {}, "nothing else is asked"
    has = {row.choice.id for row in panel(dialog).rows if row.choice.fixed and row.choice.id}
    assert has == {each.id for each in view.access}
    assert "delete-repos" not in has
    assert not dialog.form.go.isEnabled(), "nothing new is chosen"
    assert check(dialog, "publish-packages").hasFocus()
    check(dialog, "publish-packages").click()
    assert dialog.form.go.isEnabled()
    dialog.form.go.click()
    (request,) = asked
    assert set(request.access or ()) == {*has, "publish-packages"}
    assert (request.provider, request.method) == ("github", view.method)


def test_below_each_other_in_a_narrow_window(dialog: ConnectDialog, qtbot: QtBot, theme: Theme) -> None:
    open_github(dialog, qtbot)

    def beside() -> bool:
        return panel(dialog).x() > dialog.form.fields["client_id"].width()

    dialog.resize(theme.px(1000), theme.px(700))
    qtbot.waitUntil(beside)
    dialog.resize(theme.px(560), theme.px(700))
    qtbot.waitUntil(lambda: not beside())


# --- the account's page -------------------------------------------------------------------------------------


@pytest.fixture
def window(theme: Theme, qtbot: QtBot) -> MainWindow:
    result = MainWindow(theme)
    qtbot.addWidget(result)
    result.show()
    return result


def shown(window: MainWindow, view: AccountView) -> list[str]:
    window.show_model(viewmodel.window([view], view.key, (), NOW, kept_in="Safe"), view.key)
    return [label.text() for label in window.account.findChildren(QLabel) if label.isVisible()]


def more(window: MainWindow) -> QPushButton:
    return next(b for b in window.account.findChildren(QPushButton) if b.text() == "Ask for more…")


def test_the_page_says_what_an_account_may_do(window: MainWindow, qtbot: QtBot) -> None:
    view = replace(
        VIEWS["github"],
        scopes=("read:user", "repo", "admin:public_key"),
        narrower_scopes=("delete_repo", "gist"),
        refused_access=(GrantedAccess("delete-repos", "Delete repositories", ("delete_repo",)),),
        base_scopes=("read:user",),
        access=(GrantedAccess("repo", "Read and write your repositories", ("repo",)),),
        more_access=True,
    )
    words = shown(window, view)
    at = words.index("What it may do")
    assert words[at + 1 : at + 11] == [
        "", "See who you are", "read:user",
        "", "Read and write your repositories", "repo",
        "", "Other scopes", "admin:public_key",
        "GitHub did not allow: Delete repositories, gist",
    ]  # fmt: skip
    asked: list[tuple[str, str]] = []
    window.account.asked.connect(lambda *what: asked.append(what))
    more(window).click()
    assert asked == [("more_access", view.key)]
    shown(window, replace(view, more_access=False))
    assert not more(window).isVisible()


def test_a_sign_in_that_brought_less_says_so_in_words() -> None:
    account = replace(
        VIEWS["github"],
        narrower_scopes=("delete_repo",),
        refused_access=(GrantedAccess("delete-repos", "Delete repositories", ("delete_repo",)),),
    )
    text = sign_in_text.success(Progress("done", "github", "GitHub", "device", account=account)).text
    assert text == "GitHub · not allowed: Delete repositories"


def test_without_words_of_the_preset_the_page_shows_scopes(window: MainWindow) -> None:
    words = shown(window, VIEWS["nexusmods"])
    assert "Permissions" in words
    assert "What it may do" not in words
    assert not more(window).isVisible()
