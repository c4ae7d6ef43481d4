"""Notifications over D-Bus, at a recording service on a bus of our own; without one, the tray's message."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from keyfob.desktop.controller import AppController
from keyfob.desktop.shared.notification_service import Notification, NotificationService
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.notices import Attention, Need
from keyfob.desktop.window.notifications import Notifications
from keyfob.desktop.window.tray import Tray
from support.notification_daemon import NotificationDaemon
from support.samples import NOW, view
from support.session import DesktopSession

IMAGE = "<img src='http://127.0.0.1/x'>AT&T"
ONE = Need(("key-a",), "Alice needs you", "Google signed this account out.", "Sign in", True)
TWO = Need(("key-a", "key-b"), "2 accounts need you", "Alice, Bob", "Open Keyfob", True)


@pytest.fixture(scope="module")
def bus() -> Iterator[str]:
    with DesktopSession(keyring=False, activatable=()) as session:
        yield session.bus_address


@pytest.fixture
def daemon(bus: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[NotificationDaemon]:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus)
    with NotificationDaemon(bus) as daemon:
        yield daemon


class RecordingTray(Tray):
    def __init__(self, theme: Theme) -> None:
        super().__init__(theme)
        self.said: list[tuple[str, str]] = []

    def notify(self, title: str, text: str) -> None:
        self.said.append((title, text))


@pytest.fixture
def tray(theme: Theme, qtbot: QtBot) -> Iterator[RecordingTray]:
    tray = RecordingTray(theme)
    yield tray
    tray.menu.deleteLater()


@pytest.fixture
def notifications(tray: RecordingTray) -> Iterator[Notifications]:
    notifications = Notifications(tray, tray)
    yield notifications
    notifications.close()


def only(daemon: NotificationDaemon, title: str) -> bool:
    return [each["title"] for each in daemon.shown.values()] == [title]


def test_one_notification_for_all_accounts_with_its_button(
    notifications: Notifications, daemon: NotificationDaemon, tray: RecordingTray, qtbot: QtBot
) -> None:
    asked: list[str] = []
    notifications.sign_in_asked.connect(asked.append)
    notifications.opened.connect(lambda: asked.append("open"))
    notifications.need(ONE)
    qtbot.waitUntil(lambda: only(daemon, "Alice needs you"))
    (number,) = daemon.shown
    shown = daemon.shown[number]
    assert shown["text"] == "Google signed this account out."
    assert shown["buttons"] == {"default": "Open Keyfob", "button": "Sign in"}
    assert shown["hints"]["desktop-entry"] == ("s", "org.keyfob.Keyfob")
    width, height, stride, _, bits, channels, data = shown["hints"]["image-data"][1]
    assert (width, height, bits, channels, len(data)) == (64, 64, 8, 4, stride * height)

    notifications.need(TWO)  # in the same place
    qtbot.waitUntil(lambda: only(daemon, "2 accounts need you"))
    assert list(daemon.shown) == [number]
    daemon.press(number, "button")
    qtbot.waitUntil(lambda: asked == ["open"])
    assert os.environ.pop("XDG_ACTIVATION_TOKEN") == "token-7"

    notifications.need(ONE)
    qtbot.waitUntil(lambda: only(daemon, "Alice needs you"))
    daemon.press(next(iter(daemon.shown)), "button")
    qtbot.waitUntil(lambda: asked == ["open", "key-a"])
    notifications.need(ONE)
    qtbot.waitUntil(lambda: only(daemon, "Alice needs you"))
    daemon.press(next(iter(daemon.shown)), "default")
    qtbot.waitUntil(lambda: asked == ["open", "key-a", "open"])
    os.environ.pop("XDG_ACTIVATION_TOKEN")
    assert tray.said == []


def test_it_goes_with_its_cause(
    notifications: Notifications, daemon: NotificationDaemon, qtbot: QtBot
) -> None:
    notifications.need(TWO)
    notifications.need(ONE)  # before the first one's number is known
    qtbot.waitUntil(lambda: only(daemon, "Alice needs you"))
    notifications.need(Need())
    qtbot.waitUntil(lambda: daemon.shown == {})
    notifications.need(ONE)
    notifications.need(Need())
    qtbot.waitUntil(lambda: [name for name, _ in daemon.calls].count("CloseNotification") == 2)
    assert daemon.shown == {}


def test_what_the_user_closed_does_not_come_back_without_news(
    notifications: Notifications, daemon: NotificationDaemon, qtbot: QtBot
) -> None:
    notifications.need(TWO)
    qtbot.waitUntil(lambda: only(daemon, "2 accounts need you"))
    daemon.dismiss(next(iter(daemon.shown)))
    qtbot.wait(100)
    before = len(daemon.calls)
    notifications.need(Need(("key-a",), "Alice needs you", "", "Sign in", fresh=False))
    qtbot.wait(100)
    assert len(daemon.calls) == before


@pytest.mark.parametrize("markup", [True, False])
def test_s80_a_providers_words_are_text(
    bus: str, markup: bool, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus)
    service = NotificationService()
    with NotificationDaemon(bus, ("body", "body-markup") if markup else ("body",)) as daemon:
        service.show("need", Notification(IMAGE, IMAGE, "Sign in"))
        qtbot.waitUntil(lambda: bool(daemon.shown))
        (shown,) = daemon.shown.values()
        assert shown["title"] == IMAGE  # a title takes no markup
        assert shown["text"] == ("&lt;img src='http://127.0.0.1/x'&gt;AT&amp;T" if markup else IMAGE)
        assert shown["buttons"] == {}  # it said that it shows none
        service.close()


def test_another_program_cannot_press_our_button(
    notifications: Notifications, daemon: NotificationDaemon, bus: str, qtbot: QtBot
) -> None:
    import jeepney
    from jeepney.io.blocking import open_dbus_connection

    asked: list[str] = []
    notifications.sign_in_asked.connect(asked.append)
    notifications.need(ONE)
    qtbot.waitUntil(lambda: bool(daemon.shown))
    emitter = jeepney.DBusAddress("/org/freedesktop/Notifications", interface="org.freedesktop.Notifications")
    with open_dbus_connection(bus) as stranger:
        number = next(iter(daemon.shown))
        stranger.send(jeepney.new_signal(emitter, "ActionInvoked", "us", (number, "button")))
        qtbot.wait(200)
    assert asked == []


def test_without_a_service_the_tray_says_it(
    notifications: Notifications, tray: RecordingTray, bus: str, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus)  # a bus on which nobody has the name
    notifications.need(ONE)
    qtbot.waitUntil(lambda: tray.said == [("Alice needs you", "Google signed this account out.")])
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    notifications.need(TWO)
    qtbot.waitUntil(lambda: tray.said[1:] == [("2 accounts need you", "Alice, Bob")])


def test_a_service_that_goes_away_and_comes_back(
    notifications: Notifications, tray: RecordingTray, bus: str, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus)
    with NotificationDaemon(bus) as daemon:
        notifications.need(ONE)
        qtbot.waitUntil(lambda: only(daemon, "Alice needs you"))
    notifications.need(TWO)
    qtbot.waitUntil(lambda: [title for title, _ in tray.said] == ["2 accounts need you"])
    with NotificationDaemon(bus) as daemon:
        notifications.need(ONE)
        qtbot.waitUntil(lambda: only(daemon, "Alice needs you"))


def test_a_bus_that_hangs_never_holds_up_the_window(
    notifications: Notifications, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    path = str(tmp_path / "bus")
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(path)
        hung.listen()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={path}")
        began = time.monotonic()
        notifications.need(ONE)
        notifications.need(TWO)
        notifications.need(Need())
        assert time.monotonic() - began < 0.1


def test_a_service_that_never_answers_is_asked_once(
    notifications: Notifications, daemon: NotificationDaemon, qtbot: QtBot
) -> None:
    daemon.silent = True
    for _ in range(50):
        notifications.need(TWO)
        notifications.need(ONE)
    qtbot.waitUntil(lambda: [name for name, _ in daemon.calls].count("Notify") == 1)
    qtbot.wait(100)
    assert [name for name, _ in daemon.calls].count("Notify") == 1


def test_who_needs_the_user_in_words() -> None:
    fine, alice, bob = (view("google", "Google", label) for label in ("me", "alice", "bob"))
    needy_alice = view("google", "Google", "alice", status="needs_sign_in")
    needy_bob = view("google", "Google", "bob", status="needs_sign_in")
    attention = Attention()
    assert attention.news([fine, needy_alice], NOW) is None  # what is found at first is not news
    both = attention.news([fine, needy_alice, needy_bob], NOW)
    assert both is not None
    assert (both.title, both.text) == ("2 accounts need you", "alice, bob")
    assert (both.button, both.fresh) == ("Open Keyfob", True)
    assert attention.news([fine, needy_alice, needy_bob], NOW) is None
    one = attention.news([fine, alice, needy_bob], NOW)
    assert one is not None
    assert (one.title, one.button, one.keys, one.fresh) == ("bob needs you", "Sign in", (bob.key,), False)
    assert attention.news([fine, alice, bob], NOW) == Need()


def test_the_first_close_to_the_tray_says_so_once(
    controller: AppController, daemon: NotificationDaemon, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    controller.window.may_hide = lambda: True
    controller.window.close()
    qtbot.waitUntil(lambda: only(daemon, "Keyfob keeps running in the tray"))
    daemon.press(next(iter(daemon.shown)), "default")
    qtbot.waitUntil(controller.window.isVisible)
    os.environ.pop("XDG_ACTIVATION_TOKEN")
    controller.window.close()
    qtbot.wait(200)
    assert daemon.shown == {}


def test_the_button_begins_the_sign_in(
    controller: AppController, daemon: NotificationDaemon, qtbot: QtBot
) -> None:
    controller.window.hide()
    needy = next(each for each in controller.running.presenter.views() if each.status == "needs_sign_in")
    controller.notifications.need(Need((needy.key,), "It needs you", "", "Sign in", True))
    qtbot.waitUntil(lambda: bool(daemon.shown))
    daemon.press(next(iter(daemon.shown)), "button")
    qtbot.waitUntil(controller.running.connect_dialog.isVisible)
    os.environ.pop("XDG_ACTIVATION_TOKEN")
    assert controller.window.isVisible()
    assert controller.running.presenter.selected == needy.key
