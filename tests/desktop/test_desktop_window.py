"""The window as a person and a screen reader meet it, on the sample engine."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QAccessible, QAccessibleInterface, QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QApplication, QListWidget, QWidget
from pytestqt.qtbot import QtBot
from shiboken6 import delete

from keyfob.core.account import ErrorNote, NeedsSignIn
from keyfob.core.error_codes import Advice
from keyfob.core.errors import Fault, KeychainError, Transient
from keyfob.core.secret import Secret
from keyfob.desktop.controller import AppController
from keyfob.desktop.shared import clipboard, operation
from keyfob.desktop.shared.clipboard import SecretClipboard
from keyfob.desktop.shared.confirm import Ask, Confirm
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Scroller
from keyfob.desktop.window.account_pictures import Strip
from keyfob.desktop.window.history import Point
from keyfob.desktop.window.main_window import BannerView, MainWindow
from keyfob.engine import Engine
from keyfob.ports import Unread
from support.desktop_app import choose, make_app, quit_app
from support.fake_ports import NOW, FakeVault, ScriptedTransport
from support.sample_engine import ProviderServer, add_accounts, change, sample_engine
from support.samples import sample_views


@pytest.fixture
def vault() -> FakeVault:
    return FakeVault()


@pytest.fixture
def provider() -> ProviderServer:
    return ProviderServer()


@pytest.fixture
def transport(provider: ProviderServer) -> ScriptedTransport:
    return ScriptedTransport(provider)


@pytest.fixture
def engine(tmp_path: Path, vault: FakeVault, transport: ScriptedTransport) -> Engine:
    return sample_engine(tmp_path, vault=vault, transport=transport)


def named(parent: QWidget, name: str) -> QAbstractButton:
    """The button that is on screen under that accessible name."""
    found = [b for b in parent.findChildren(QAbstractButton) if b.accessibleName() == name and b.isVisible()]
    assert len(found) == 1, [b.accessibleName() for b in parent.findChildren(QAbstractButton)]
    return found[0]


def test_names_that_assistive_technology_sees(controller: AppController) -> None:
    window = controller.window
    assert window.accessibleName() == window.windowTitle() == "Keyfob"
    for name in (
        "Connect Account",
        "Settings",
        "Disconnect",
        "Renew now",
        "Test connection",
        "Copy token",
        "Remove",
    ):
        assert named(window, name).isEnabled()
    accounts = window.findChild(QListWidget)
    assert accounts.accessibleName() == "Accounts"
    interface = QAccessible.queryAccessibleInterface(accounts)
    assert interface.childCount() == 8
    rows = [interface.child(n).text(QAccessible.Text.Name) for n in range(8)]
    assert rows[0] == "bluesky/aldis.bsky.social, connected"
    assert "nexusmods/aldis, connected" in rows
    assert "google/work@example.org, needs_sign_in" in rows
    assert "spotify/aldis, disconnected" in rows


def test_every_control_has_a_name_and_a_keyboard_way(controller: AppController) -> None:
    for control in controller.window.findChildren(QAbstractButton):
        assert control.accessibleName() or control.text()
        assert control.focusPolicy() & Qt.FocusPolicy.TabFocus


@pytest.mark.parametrize(
    ("button", "sent", "said"),
    [
        ("Renew now", ["refresh"], "is renewed"),
        ("Test connection", ["whoami"], "It works: signed in as Aldis"),
        ("Copy token", [], "clears it from the clipboard after 30 seconds"),
    ],
)
def test_a_press_asks_the_engine_and_says_what_came(
    controller: AppController, provider: ProviderServer, qtbot: QtBot, button: str, sent: list[str], said: str
) -> None:
    choose(controller, "github", qtbot)
    with qtbot.waitSignal(controller.running.presenter.said) as heard:
        named(controller.window, button).click()
    assert provider.sent == sent, heard.args
    assert said in heard.args[0]


def test_the_window_stays_alive_while_the_keychain_hangs(
    controller: AppController, vault: FakeVault, engine: Engine, qtbot: QtBot
) -> None:
    """S-70."""
    choose(controller, "nexusmods", qtbot)
    vault.gate = threading.Event()
    renew = named(controller.window, "Renew now")
    renew.click()
    qtbot.waitUntil(lambda: not renew.isEnabled(), timeout=1000)
    choose(controller, "github", qtbot)
    assert named(controller.window, "Renew now").isEnabled()
    with qtbot.waitSignal(controller.running.presenter.said):
        vault.gate.set()


def test_a_keychain_that_does_not_answer_is_said_and_tried_again(
    controller: AppController, vault: FakeVault, engine: Engine, qtbot: QtBot
) -> None:
    choose(controller, "nexusmods", qtbot)
    vault.error = KeychainError("The keychain failed", code="keychain_timeout")
    named(controller.window, "Copy token").click()
    title = "Your keychain is not responding"
    qtbot.waitUntil(lambda: controller.running.presenter.model.banners[0].title == title)
    qtbot.waitUntil(lambda: all(b.isVisible() for b in controller.window.findChildren(BannerView)))
    vault.error = None
    named(controller.window, f"Try again: {title}").click()
    qtbot.waitUntil(lambda: not controller.running.presenter.keychain.in_trouble)
    qtbot.waitUntil(lambda: engine.events.keychain_code is None)


def test_s83_an_account_that_cannot_be_read_is_said(
    controller: AppController, engine: Engine, qtbot: QtBot
) -> None:
    fault = Fault("The data of github/aldis is damaged", code="store_damaged")
    engine.store.unreadable.append(Unread("key-1", "github/aldis", fault))
    controller.running.presenter.reload()
    title = "An account cannot be shown"
    qtbot.waitUntil(lambda: title in [each.title for each in controller.running.presenter.model.banners])
    banner = next(each for each in controller.running.presenter.model.banners if each.title == title)
    assert "github/aldis is damaged" in banner.text
    assert "terminal" not in banner.text
    qtbot.wait(20)  # Qt shows what was added to a layout a moment later
    named(controller.window, f"Restore accounts…: {title}").click()
    qtbot.waitUntil(lambda: controller.running.restoring.dialog is not None)
    controller.running.restoring.dialog.action.click()
    qtbot.waitUntil(controller.window.note.isVisible)
    assert controller.window.note.text.text() == "One account cannot be restored. Connect it again."
    engine.store.unreadable.clear()
    controller.running.presenter.reload()
    qtbot.waitUntil(lambda: banner not in controller.running.presenter.model.banners)


def test_the_copied_token_leaves_the_clipboard(qapp: QApplication, qtbot: QtBot) -> None:
    """S-25: and it is marked, so that clipboard histories leave it out."""
    board = QGuiApplication.clipboard()
    ours = SecretClipboard(seconds=0.05)
    ours.copy(Secret("canary-token"))
    assert board.text() == "canary-token"
    assert bytes(board.mimeData().data("x-kde-passwordManagerHint").data()) == b"secret"
    qtbot.waitUntil(lambda: board.text() == "")
    assert clipboard.CLEARED_AFTER == 30


def test_what_the_person_copied_since_stays(qapp: QApplication, qtbot: QtBot) -> None:
    board = QGuiApplication.clipboard()
    ours = SecretClipboard(seconds=0.05)
    ours.copy(Secret("canary-token"))
    board.setText("theirs")
    qtbot.wait(120)
    assert board.text() == "theirs"


@pytest.mark.parametrize("action", ["Disconnect", "Remove"])
def test_ending_is_asked_first_and_told_after(
    controller: AppController, engine: Engine, qtbot: QtBot, action: str
) -> None:
    key = choose(controller, "nexusmods", qtbot)
    named(controller.window.account, action).click()
    question = controller.window.findChild(Confirm)
    assert named(question, "Cancel").hasFocus() or question.cancel.autoDefault()
    assert engine.accounts.view(key).status == "connected"
    with qtbot.waitSignal(controller.running.presenter.said) as heard:
        named(question, action).click()
    kept = {each.key: each.status for each in engine.accounts.views()}
    assert kept.get(key) == ("disconnected" if action == "Disconnect" else None)
    assert "Nexus Mods" in heard.args[0]


def test_escape_ends_nothing(controller: AppController, engine: Engine, qtbot: QtBot) -> None:
    choose(controller, "nexusmods", qtbot)
    named(controller.window.account, "Remove").click()
    question = controller.window.findChild(Confirm)
    qtbot.keyClick(question, Qt.Key.Key_Escape)
    assert not question.isVisible()
    assert engine.accounts.view("nexusmods/aldis").status == "connected"


def test_a_disconnected_account_offers_reconnect_alone(controller: AppController, qtbot: QtBot) -> None:
    choose(controller, "spotify", qtbot)
    page = controller.window.account
    shown = {b.accessibleName() for b in page.findChildren(QAbstractButton) if b.isVisible()}
    assert {"Reconnect", "Remove"} <= shown
    assert not {"Disconnect", "Renew now", "Test connection", "Copy token"} & shown


def test_an_account_that_begins_to_need_the_person_is_notified_once(
    controller: AppController, engine: Engine, qtbot: QtBot
) -> None:
    told: list[str] = []
    controller.running.presenter.attention.connect(lambda need: told.append(need.title))
    error = ErrorNote("grant_ended", "It was revoked", Advice.SIGN_IN_AGAIN, NOW)
    change(engine, "nexusmods/aldis", status=NeedsSignIn(NOW, error), last_error=error)
    qtbot.waitUntil(lambda: told == ["2 accounts need you"])
    for n in range(3):
        later = ErrorNote("grant_ended", "Again", Advice.SIGN_IN_AGAIN, NOW + timedelta(minutes=n))
        change(engine, "nexusmods/aldis", last_error=later)
        qtbot.wait(180)
    assert told == ["2 accounts need you"]
    assert controller.running.presenter.model.tray == "needs_you"


def test_a_banner_leads_to_the_sign_in(
    controller: AppController, transport: ScriptedTransport, qtbot: QtBot
) -> None:
    named(controller.window, "Sign in: work@example.org needs you").click()
    qtbot.waitUntil(
        lambda: "https://accounts.google.com" in " ".join(each.url for each in transport.requests)
    )
    assert controller.running.connect_dialog.isVisible()


def test_later_hides_the_banner(controller: AppController, qtbot: QtBot) -> None:
    named(controller.window, "Later: work@example.org needs you").click()
    qtbot.waitUntil(lambda: not [b for b in controller.window.findChildren(BannerView) if b.isVisible()])


def test_rename_by_f2(controller: AppController, engine: Engine, qtbot: QtBot) -> None:
    choose(controller, "nexusmods", qtbot)
    controller.window.account.rename_action.trigger()
    question = controller.window.findChild(Ask)
    question.field.setText("main")
    with qtbot.waitSignal(controller.running.presenter.changed):
        qtbot.keyClick(question, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: "nexusmods/main" in [each.id for each in controller.running.presenter.model.rows])


def test_what_another_process_did_is_shown(controller: AppController, engine: Engine, qtbot: QtBot) -> None:
    for each in sample_views()[1:]:
        engine.store.remove(each.key)
    engine.store_path.write_bytes(b"changed")
    qtbot.waitUntil(lambda: controller.window.sidebar.list.count() == 1)
    add_accounts(engine, sample_views()[1:2])
    engine.store_path.with_name("accounts.db-wal").write_bytes(b"more")
    qtbot.waitUntil(lambda: controller.window.sidebar.list.count() == 2)


def test_nothing_wakes_up_while_hidden(controller: AppController, qtbot: QtBot) -> None:
    presenter = controller.running.presenter
    qtbot.waitUntil(lambda: presenter.refresh.times.isActive())
    controller.window.hide()
    qtbot.waitUntil(lambda: not presenter.refresh.times.isActive())
    presenter.publish()
    assert not presenter.refresh.times.isActive()
    controller.window.show()
    qtbot.waitUntil(lambda: presenter.refresh.times.isActive())


def test_without_a_tray_the_window_says_so_and_never_hides(controller: AppController) -> None:
    assert not controller.tray.present
    assert controller.window.sidebar.tray_note.isVisible()
    assert not controller.may_hide()


def test_nothing_is_cut_without_an_ellipsis_at_the_least_width(
    controller: AppController, qtbot: QtBot
) -> None:
    choose(controller, "keycloak", qtbot)
    controller.window.resize(controller.window.minimumSize())
    qtbot.wait(30)
    page = controller.window.account
    body = page.findChild(Scroller).widget()
    for button in page.findChildren(QAbstractButton):
        if button.isVisible():
            assert button.width() >= button.minimumSizeHint().width()
            assert body.rect().contains(QRect(button.mapTo(body, QPoint(0, 0)), button.size()))
    assert page.title.text().endswith("…")
    assert page.title.toolTip() == "Alexandra Featherstonehaugh-Cholmondeley"


@pytest.mark.parametrize("visible", [True, False], ids=["on screen", "in the tray"])
def test_a_token_that_expires_is_shown_at_once_though_nothing_happens(
    controller: AppController, clock: list[datetime], qtbot: QtBot, visible: bool
) -> None:
    key = choose(controller, "nexusmods", qtbot)
    if not visible:
        controller.window.hide()
    presenter = controller.running.presenter
    assert presenter.view(key).status == "connected"
    end = presenter.view(key).expires_at
    clock.append(end - timedelta(milliseconds=150))
    presenter.publish()
    assert presenter.model.detail.status == "Connected"
    told: list[object] = []
    presenter.changed.connect(told.append)
    clock.append(end)
    qtbot.waitUntil(lambda: bool(told), timeout=800)
    assert presenter.model.detail.status == "Waiting"
    assert not controller.window.account.copy.isEnabled()
    assert controller.tray.menu.actions()[0].text() != "all fine"
    assert presenter.view(key).status == "stale"


def test_a_key_that_expires_is_notified(
    controller: AppController, engine: Engine, clock: list[datetime], qtbot: QtBot
) -> None:
    told: list[tuple[str, str]] = []
    controller.running.presenter.attention.connect(lambda need: told.append((need.title, need.text)))
    change(engine, "openai/key-f3qa", expires_at=NOW + timedelta(minutes=10))
    qtbot.waitUntil(lambda: controller.running.presenter.view("key-openai-key-f3qa").expires_at is not None)
    clock.append(NOW + timedelta(minutes=10))
    controller.running.presenter.publish()
    controller.running.presenter.publish()
    assert told == [("2 accounts need you", "work@example.org, key …f3Qa")]


def test_a_start_says_nothing_of_accounts_until_it_knows_them(
    qapp: QApplication, theme: Theme, engine: Engine, qtbot: QtBot
) -> None:
    gate = threading.Event()

    def build() -> Engine:
        gate.wait(10)
        return engine

    controller = make_app(theme, build)
    controller.begin()
    qtbot.waitUntil(lambda: bool(operation.running()))
    assert controller.window.sidebar.summary.text() == ""
    assert not controller.window.sidebar.note.isVisible()
    gate.set()
    qtbot.waitUntil(lambda: controller.window.sidebar.summary.text() == "8 accounts")
    quit_app(controller, qtbot)


def test_a_window_that_is_gone_before_its_first_paint_is_reported(theme: Theme, qtbot: QtBot) -> None:
    window = MainWindow(theme)
    window.show()
    window.grab()
    assert window.was_painted
    delete(window)
    with qtbot.captureExceptions() as raised:
        qtbot.wait(20)
    assert raised == []


def test_renew_now_is_sent_and_says_until_when_the_provider_asked_to_wait(
    controller: AppController, provider: ProviderServer, engine: Engine, qtbot: QtBot
) -> None:
    """The failure says when it happened, and leaves the screen with its cause."""
    choose(controller, "github", qtbot)
    note = ErrorNote("provider_unavailable", "GitHub is unavailable", Advice.RETRY, NOW)
    change(engine, "github/aldis-k", last_error=note)
    provider.fault = Transient(
        "GitHub asked to wait",
        code="asked_to_wait",
        until=NOW + timedelta(minutes=3),
        sent=True,
        answered=True,
    )
    until = (NOW + timedelta(minutes=3)).astimezone().strftime("%H:%M:%S")
    with qtbot.waitSignal(controller.running.presenter.said) as heard:
        named(controller.window, "Renew now").click()
    assert provider.sent == ["refresh"]
    assert f"GitHub asked to wait until {until}." in heard.args[0]
    assert heard.args[0].endswith(f"({NOW.astimezone():%H:%M})")
    qtbot.waitUntil(lambda: not controller.running.presenter.loading)
    assert controller.running.presenter.model.detail.details
    assert controller.window.note.isVisible()
    change(engine, "github/aldis-k", last_error=None)
    qtbot.waitUntil(lambda: not controller.window.note.isVisible(), timeout=2000)


def test_a_failure_that_left_no_error_stays_its_time(
    controller: AppController, engine: Engine, qtbot: QtBot
) -> None:
    choose(controller, "github", qtbot)
    with qtbot.waitSignal(controller.running.presenter.said):
        named(controller.window, "Test connection").click()
    qtbot.waitUntil(lambda: not controller.running.presenter.loading)
    account = engine.accounts.resolve("nexusmods/aldis").account
    change(engine, "nexusmods/aldis", account=replace(account, name="Aldis II"))
    qtbot.waitUntil(lambda: "Aldis II" in [each.title for each in controller.running.presenter.model.rows])
    assert controller.window.note.isVisible()


def test_a_banner_says_since_when(controller: AppController, qtbot: QtBot) -> None:
    texts = [banner.text for banner in controller.running.presenter.model.banners]
    at = (NOW - timedelta(days=3)).astimezone()
    assert texts[0].endswith(f"({at:%A %H:%M})")


def select_child(accessible: QAccessibleInterface, number: int) -> None:
    """As assistive technology does: AT-SPI's Selection.selectChild."""
    selection = accessible.selectionInterface()
    assert selection.select(accessible.child(number))


def test_what_assistive_technology_selects_is_shown(
    controller: AppController, engine: Engine, qtbot: QtBot
) -> None:
    """INTERFACE.md's way: the list and the page, with all its buttons, are of one account."""
    choose(controller, "github", qtbot)
    accounts = controller.window.sidebar.list
    select_child(QAccessible.queryAccessibleInterface(accounts), 0)
    qtbot.waitUntil(lambda: controller.running.presenter.selected == "key-bluesky-aldis.bsky.social")
    assert [accounts.row(each) for each in accounts.selectedItems()] == [accounts.currentRow()] == [0]
    assert controller.window.account.title.full() == "aldis.bsky.social"
    accounts.clearSelection()
    qtbot.waitUntil(lambda: [accounts.row(each) for each in accounts.selectedItems()] == [0])


def test_a_name_that_cannot_be_used_stays_to_be_corrected(
    controller: AppController, engine: Engine, qtbot: QtBot
) -> None:
    choose(controller, "nexusmods", qtbot)
    controller.window.account.rename_action.trigger()
    question = controller.window.findChild(Ask)
    assert question.accessibleName() == "Rename Aldis"
    question.field.setText("!!!")
    qtbot.keyClick(question.field, Qt.Key.Key_Return)
    qtbot.waitUntil(question.problem.isVisible)
    assert question.isVisible()
    assert question.field.text() == "!!!"
    assert (
        question.problem.text()
        == "A label cannot be '!!!'. Use a-z, 0-9, '.', '_', '@' and '-', for example my-account."
    )
    assert question.field.accessibleDescription() == question.problem.text()
    assert question.action.isEnabled()
    assert not controller.window.note.isVisible()
    question.field.setText("main")
    assert not question.problem.isVisible()
    qtbot.keyClick(question.field, Qt.Key.Key_Enter)
    qtbot.waitUntil(lambda: not question.isVisible())
    assert engine.accounts.view("key-nexusmods-aldis").label == "main"


def test_the_timeline_is_said_in_words(theme: Theme, qtbot: QtBot) -> None:
    strip = Strip(theme)
    qtbot.addWidget(strip)
    strip.show_points([Point(0.5, "ok")])
    assert strip.accessibleName() == "The last 3 days: 1 event"
    strip.show_points([Point(0.5, "ok"), Point(0.7, "warn")])
    assert strip.accessibleName() == "The last 3 days: 2 events, 1 failed"
