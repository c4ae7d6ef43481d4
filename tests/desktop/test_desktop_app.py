"""The app's life: beginning, one instance, the renewer's beat, and an end that cuts nothing."""

from __future__ import annotations

import json
import socket
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QEvent, QEventLoop, QTimer, QUrl
from PySide6.QtGui import QFileOpenEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from keyfob.adapters.store.sqlite import SqliteAccountStore
from keyfob.cli.window import PLACES
from keyfob.core.errors import Fault, SettingWrong, Transient
from keyfob.demo.server import DemoServer
from keyfob.desktop.app import saved_theme
from keyfob.desktop.controller import AppController
from keyfob.desktop.links import Links
from keyfob.desktop.renewal_timer import RenewalTimer
from keyfob.desktop.shared.activation import ACTIONS, Activation, of_desktop, own_start
from keyfob.desktop.shared.single_instance import Instance
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.viewmodel import window
from keyfob.engine import Engine
from keyfob.service.accounts.recovery import Recovered
from keyfob.service.sign_in.attempt import Attempt
from support.desktop_app import make_app, quit_app
from support.fake_ports import NOW, FakeVault
from support.sample_engine import sample_engine
from support.scripted_provider import ScriptedBrowser, ScriptedProvider


def test_the_engine_is_built_after_the_first_paint(
    qapp: QApplication,
    theme: Theme,
    engine: Engine,
    provider: ScriptedProvider,
    vault: FakeVault,
    qtbot: QtBot,
) -> None:
    order: list[str] = []

    def build() -> Engine:
        order.append("built")
        assert threading.current_thread() is not threading.main_thread()
        return engine

    controller = make_app(theme, build)
    controller.window.painted.connect(lambda: order.append("painted"))
    controller.begin()
    assert order == []
    qtbot.waitUntil(lambda: order == ["painted", "built"])
    qtbot.waitUntil(lambda: bool(provider.sent("refresh")))  # the renewer has looked what is due
    quit_app(controller, qtbot)
    assert vault.closed


def test_data_that_cannot_be_opened_is_said_and_tried_again(
    qapp: QApplication, theme: Theme, engine: Engine, tmp_path: Path, qtbot: QtBot
) -> None:
    damaged = tmp_path / "accounts.db"
    damaged.write_bytes(b"not a database" * 100)
    faults: list[Fault] = []

    def build() -> Engine:
        if not faults:
            try:
                SqliteAccountStore(damaged)
            except Fault as fault:
                faults.append(fault)
                raise
        return engine

    controller = make_app(theme, build)
    controller.begin()
    qtbot.waitUntil(lambda: bool(controller.window.banners))
    assert controller.window.banners[0].title == faults[0].message
    assert faults[0].code == "store_damaged"
    controller.window.banner_pressed.emit("build", "")
    qtbot.waitUntil(lambda: controller.window.sidebar.list.count() == 8)
    quit_app(controller, qtbot)


def test_a_damaged_store_is_restored_from_the_window(
    qapp: QApplication, theme: Theme, engine: Engine, qtbot: QtBot
) -> None:
    """S-83"""
    done: list[str] = []

    def build() -> Engine:
        if not done:
            raise Fault("accounts.db is damaged", code="store_damaged")
        return engine

    def restore() -> Recovered:
        done.append("restored")
        return Recovered(("github/aldis-k", "nexusmods/aldis"), lost=1)

    controller = make_app(theme, build, restore=restore)
    controller.begin()
    qtbot.waitUntil(lambda: bool(controller.window.banners))
    (banner,) = controller.window.banners
    assert (banner.button, "terminal" in banner.text) == ("Restore accounts…", False)
    controller.window.banner_pressed.emit(banner.action, banner.key)
    assert controller.restoring.dialog.isVisible()
    controller.restoring.dialog.cancel.click()
    assert done == []
    controller.window.banner_pressed.emit(banner.action, banner.key)
    controller.restoring.dialog.action.click()
    qtbot.waitUntil(lambda: controller.window.sidebar.list.count() == 8)
    said = "Restored 2 accounts. One account cannot be restored. Connect it again."
    assert controller.window.note.text.text() == said
    quit_app(controller, qtbot)


def test_a_store_that_cannot_be_restored_says_why(
    qapp: QApplication, theme: Theme, engine: Engine, qtbot: QtBot
) -> None:
    def build() -> Engine:
        raise Fault("accounts.db is damaged", code="store_damaged")

    def restore() -> Recovered:
        raise Transient("Keyfob is running", code="keyfob_running")

    controller = make_app(theme, build, restore=restore)
    controller.begin()
    qtbot.waitUntil(lambda: bool(controller.window.banners))
    controller.window.banner_pressed.emit("restore", "")
    controller.restoring.dialog.action.click()
    qtbot.waitUntil(controller.window.note.isVisible)
    assert controller.window.note.text.text() == "Keyfob is running. Stop Keyfob's agent, then try again."
    qtbot.waitUntil(lambda: [each.action for each in controller.window.banners] == ["restore"])
    quit_app(controller, qtbot)


def test_a_renewal_under_way_is_finished_before_the_end(
    qapp: QApplication,
    theme: Theme,
    engine: Engine,
    provider: ScriptedProvider,
    vault: FakeVault,
    qtbot: QtBot,
) -> None:
    controller = make_app(theme, lambda: engine)
    controller.begin()
    qtbot.waitUntil(lambda: controller.window.sidebar.list.count() == 8)
    provider.hold("refresh")
    controller.running.ask("renew", "key-nexusmods-aldis")
    qtbot.waitUntil(lambda: any(b"key-nexusmods-aldis" in r.body for r in provider.sent("refresh")))
    codes: list[int] = []
    controller.ended.connect(codes.append)
    controller.quit()
    qtbot.wait(150)
    assert not controller.window.isVisible()
    assert not vault.closed
    assert codes == []
    provider.let_go()
    qtbot.waitUntil(lambda: codes == [0], timeout=3000)
    assert vault.closed
    assert engine.accounts.view("nexusmods/aldis").expires_at == NOW + timedelta(seconds=provider.lifetime)


def test_a_sign_in_under_way_is_cancelled_at_the_end(
    qapp: QApplication,
    theme: Theme,
    engine: Engine,
    attempts: list[Attempt],
    browser: ScriptedBrowser,
    qtbot: QtBot,
) -> None:
    controller = make_app(theme, lambda: engine)
    controller.begin()
    qtbot.waitUntil(lambda: controller.window.sidebar.list.count() == 8)
    controller.running.ask("reconnect", "key-google-work-example.org")
    qtbot.waitUntil(lambda: bool(browser.opened) and controller.threads.alive() == 1)
    quit_app(controller, qtbot)
    assert attempts[0].progress.stage == "cancelled"
    assert controller.threads.alive() == 0


def test_the_first_start_shows_the_way_once(
    qapp: QApplication, theme: Theme, tmp_path: Path, world: dict[str, Any], qtbot: QtBot
) -> None:
    engine = sample_engine(tmp_path, [], first_start=True, **world)
    controller = make_app(theme, lambda: engine)
    controller.begin()
    qtbot.waitUntil(lambda: controller.running is not None and controller.running.connect_dialog.isVisible())
    controller.running.connect_dialog.reject()
    qtbot.waitUntil(lambda: engine.settings.load().first_start_done)
    assert controller.window.empty.isVisible()
    quit_app(controller, qtbot)

    again = make_app(theme, lambda: engine)
    again.begin()
    qtbot.waitUntil(lambda: again.running is not None and again.running.greeted)
    assert not again.running.connect_dialog.isVisible()
    quit_app(again, qtbot)


def test_the_demo_provider_is_tried_from_the_empty_window(
    qapp: QApplication,
    theme: Theme,
    tmp_path: Path,
    world: dict[str, Any],
    browser: ScriptedBrowser,
    qtbot: QtBot,
) -> None:
    class Demo:
        stopped = False

        def stop(self) -> None:
            self.stopped = True

    engine, demo = sample_engine(tmp_path, [], **world), Demo()
    controller = make_app(theme, lambda: engine, demo=lambda: demo)
    controller.begin()
    qtbot.waitUntil(lambda: controller.window.empty.demo_button.isVisible())
    controller.window.empty.demo_button.click()
    qtbot.waitUntil(lambda: bool(browser.opened))
    assert browser.opened[0].startswith("http://127.0.0.1:9899/")
    quit_app(controller, qtbot)
    assert demo.stopped


def test_a_second_start_raises_the_first_window(engine: Engine, qapp: QApplication, qtbot: QtBot) -> None:
    first, raised = Instance(engine.home), list[Activation]()
    first.raised.connect(raised.append)
    assert first.first()
    second = Instance(engine.home)
    answers: list[bool] = []
    wanted = Activation("connect", "made-up token")
    # The first must be able to answer while the second asks, as two processes can.
    asker = threading.Thread(target=lambda: answers.append(second.raise_first(wanted)))
    asker.start()
    qtbot.waitUntil(lambda: raised == [wanted])
    asker.join(5)
    assert answers == [True]
    first.close()
    third = Instance(engine.home)
    assert third.first()
    third.close()


@pytest.mark.parametrize("said", [b"", b"{", b"[]\n", b'{"action": "kitchen", "token": 1}\n', b"x" * 4096])
def test_a_visitor_who_says_nothing_known_raises_the_window(
    engine: Engine, qapp: QApplication, qtbot: QtBot, said: bytes
) -> None:
    """S-107: an earlier version of Keyfob says nothing, and another program may say anything."""
    first, raised = Instance(engine.home), list[Activation]()
    first.raised.connect(raised.append)
    assert first.first()
    with socket.socket(socket.AF_UNIX) as visitor:
        visitor.connect(str(engine.home.run / "window.sock"))
        visitor.sendall(said)
        qtbot.waitUntil(lambda: bool(raised))
    assert raised == [Activation()]
    first.close()


def test_what_the_desktop_hands_over_is_looked_at() -> None:
    """S-107."""
    assert of_desktop({"activation-token": "a", "desktop-startup-id": "b"}, "check") == Activation(
        "check", "a"
    )
    assert of_desktop({"desktop-startup-id": "b"}) == Activation("", "b")
    for token in ("two\nlines", "ü", "x" * 600, 7, None, ["a"]):
        assert of_desktop({"activation-token": token}, "quit") == Activation()
    assert own_start("settings", {"XDG_ACTIVATION_TOKEN": "a"}) == Activation("settings", "a")
    assert own_start("", {"DESKTOP_STARTUP_ID": "b"}) == Activation("", "b")
    assert ACTIONS == PLACES


def test_what_was_asked_before_the_engine_is_there_is_done_then(
    theme: Theme, engine: Engine, qtbot: QtBot
) -> None:
    controller, opened = make_app(theme, lambda: engine), list[str]()
    controller.links.opened.connect(opened.append)
    controller.begin()
    controller.activate(Activation("settings"))
    controller.activate(Activation())
    for link in ("nxm://a", "nxm://b"):
        controller.links.arrived(link)
    assert (controller.settings_controller.dialog, opened) == (None, [])
    qtbot.waitUntil(lambda: controller.settings_controller.dialog is not None)
    controller.links.arrived("nxm://c")
    assert opened == ["nxm://a", "nxm://b", "nxm://c"]
    controller.settings_controller.close()
    controller.activate(Activation("check"))
    assert controller.window.pages.currentWidget() is controller.running.check.page
    quit_app(controller, qtbot)
    controller.activate(Activation("connect"))
    assert not controller.window.isVisible()


def test_a_link_that_macos_hands_over_is_opened(qapp: QApplication, qtbot: QtBot) -> None:
    links, opened, asked = Links(qapp), list[str](), list[int]()
    links.opened.connect(opened.append)
    links.asked.connect(lambda: asked.append(1))
    links.begin()
    link = "nxm://skyrim/mods/1/files/2?key=a%2Fb&expires=3&user_id=4"
    assert links.eventFilter(qapp, QFileOpenEvent(QUrl(link)))
    assert not links.eventFilter(qapp, QFileOpenEvent(QUrl("https://example.com/")))
    assert not links.eventFilter(qapp, QEvent(QEvent.Type.Show))
    assert (opened, asked) == ([link], [1])
    links.deleteLater()


def test_what_a_crash_left_behind_does_not_lock_us_out(engine: Engine, qapp: QApplication) -> None:
    (engine.home.run / "window.sock").write_bytes(b"")
    instance = Instance(engine.home)
    assert instance.first()
    instance.close()


def test_the_beat_goes_on_after_what_the_renewer_said(qapp: QApplication, qtbot: QtBot) -> None:
    waits = [timedelta(milliseconds=30), timedelta(hours=5)]
    calls: list[int] = []

    def tick() -> timedelta:
        calls.append(1)
        return waits[min(len(calls), 2) - 1]

    renewal_timer = RenewalTimer(tick)
    renewal_timer.tick_now()
    qtbot.waitUntil(lambda: len(calls) == 2)
    qtbot.waitUntil(renewal_timer.timer.isActive)
    assert renewal_timer.timer.interval() == 37_000  # never longer: monotonic clocks stop in suspend
    renewal_timer.stop()
    assert not renewal_timer.timer.isActive()


def test_a_wake_during_a_look_is_not_lost(qapp: QApplication, qtbot: QtBot) -> None:
    gate, calls = threading.Event(), []

    def tick() -> timedelta:
        calls.append(1)
        gate.wait(5)
        return timedelta(seconds=30)

    renewal_timer = RenewalTimer(tick)
    renewal_timer.tick_now()
    renewal_timer.tick_now()
    renewal_timer.tick_now()
    gate.set()
    qtbot.waitUntil(lambda: len(calls) == 2)
    qtbot.waitUntil(renewal_timer.timer.isActive)
    assert len(calls) == 2
    renewal_timer.stop()


def test_a_look_that_failed_is_repeated(qapp: QApplication, qtbot: QtBot) -> None:
    def tick() -> timedelta:
        raise Fault("The store is busy", code="store_busy")

    renewal_timer = RenewalTimer(tick)
    renewal_timer.tick_now()
    qtbot.waitUntil(renewal_timer.timer.isActive)
    assert renewal_timer.timer.interval() == 37_000
    renewal_timer.stop()


def test_the_theme_is_known_before_the_first_paint(engine: Engine) -> None:
    file = engine.home.config / "settings.json"
    assert saved_theme(engine.home) == "system"
    for content, expected in (
        (json.dumps({"theme": "dark"}), "dark"),
        (json.dumps({"theme": "pink"}), "system"),
        ("[]", "system"),
        ("{", "system"),
    ):
        file.write_text(content)
        assert saved_theme(engine.home) == expected


def test_the_tray_icon_and_menu_follow(controller: AppController, qtbot: QtBot) -> None:
    texts = [a.text() for a in controller.tray.menu.actions() if not a.isSeparator()]
    assert texts[-4:] == ["Open Keyfob", "Connect Account…", "Settings…", "Quit"]
    assert texts[1] == "work@example.org · Google — needs sign-in"
    assert "Aldis · Nexus Mods — connected, 42 min" in [t.replace("41 min", "42 min") for t in texts] or any(
        t.startswith("Aldis · Nexus Mods — connected") for t in texts
    )
    assert controller.tray.state == "needs_you"
    controller.tray.show_model(window((), None, (), NOW, kept_in=""))
    assert [a.text() for a in controller.tray.menu.actions() if not a.isSeparator()][1] == "Open Keyfob"


def test_the_vault_in_use_is_named(controller: AppController, vault: FakeVault, qtbot: QtBot) -> None:
    vault.name = "KWallet"
    controller.running.presenter.keychain.probe()
    qtbot.waitUntil(lambda: ("Kept in", "KWallet") in controller.running.presenter.model.detail.facts)


@pytest.mark.parametrize("hidden", [True, False])
def test_hidden_at_login_only_where_a_tray_is(
    qapp: QApplication, theme: Theme, engine: Engine, qtbot: QtBot, hidden: bool
) -> None:
    controller = make_app(theme, lambda: engine)
    controller.begin(hidden=hidden)
    assert controller.window.isVisible()  # there is no tray here
    loop = QEventLoop()
    QTimer.singleShot(50, loop.quit)
    loop.exec()
    qtbot.waitUntil(lambda: controller.window.sidebar.list.count() == 8)
    quit_app(controller, qtbot)


@pytest.mark.network
@pytest.mark.parametrize("fails", [True, False])
def test_a_demo_that_cannot_serve_says_so_in_the_gallery(
    qapp: QApplication, theme: Theme, tmp_path: Path, qtbot: QtBot, fails: bool
) -> None:
    """`keyfob demo` on a first start: the dialog covers the window's own note."""

    class Demo:
        def stop(self) -> None:
            pass

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(SettingWrong) as caught:
            DemoServer(tmp_path / "demo", port=taken.getsockname()[1]).start()
    fault = caught.value

    def serve() -> Demo:
        if fails:
            raise fault
        return Demo()

    engine = sample_engine(tmp_path, [], first_start=True)
    controller = make_app(theme, lambda: engine, demo=serve, with_demo=True)
    controller.begin()
    qtbot.waitUntil(
        lambda: controller.running is not None and controller.running.connect_dialog.gallery.isVisible()
    )
    gallery = controller.running.connect_dialog.gallery
    sentence = f"{fault.message}. Close the program that uses the port, then try again."
    assert gallery.note.isVisible() is fails
    assert gallery.note.text() == (sentence if fails else "")
    assert ("Demo Provider" in [card.title for card in gallery.cards]) is not fails
    quit_app(controller, qtbot)
