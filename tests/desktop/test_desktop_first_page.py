"""The page without accounts: every way to begin, at every size."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from keyfob.core.errors import KeychainError, SettingWrong
from keyfob.desktop.controller import AppController
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.empty_page import EmptyModel, EmptyPage
from keyfob.engine import Engine
from support.desktop_app import is_loaded, make_app, put_away
from support.fake_ports import FakeVault
from support.sample_engine import sample_engine

Make = Callable[..., AppController]


class Demo:
    def stop(self) -> None:
        pass


@pytest.fixture
def make(qapp: QApplication, theme: Theme, tmp_path: Path, qtbot: QtBot) -> Iterator[Make]:
    """The whole app without an account."""
    made: list[AppController] = []

    def make(demo: Callable[[], Any] | None = Demo, **ports: Any) -> AppController:
        engine = sample_engine(tmp_path, [], user_home=tmp_path, **ports)
        controller = make_app(theme, lambda: engine, demo=demo)
        made.append(controller)
        controller.begin()
        qtbot.waitUntil(lambda: is_loaded(controller) and controller.window.empty.isVisible())
        return controller

    yield make
    for controller in made:
        put_away(controller, qtbot)


def test_each_way_to_begin_leads_there(make: Make, qtbot: QtBot) -> None:
    app = make()
    dialog, page = app.running.connect_dialog, app.window.empty
    page.connect_button.click()
    qtbot.waitUntil(dialog.gallery.isVisible)
    dialog.reject()
    page.settings_button.click()
    qtbot.waitUntil(lambda: app.settings_controller.dialog is not None)
    app.settings_controller.dialog.reject()


def test_a_press_before_the_engine_is_there_is_not_lost(
    qapp: QApplication, theme: Theme, tmp_path: Path, qtbot: QtBot
) -> None:
    gate, engine = threading.Event(), sample_engine(tmp_path, [], user_home=tmp_path)

    def build() -> Engine:
        gate.wait(10)
        return engine

    app = make_app(theme, build)
    app.begin()
    qtbot.waitUntil(app.window.sidebar.connect_button.isVisible)
    app.window.sidebar.connect_button.click()
    gate.set()
    qtbot.waitUntil(lambda: app.running is not None and app.running.connect_dialog.isVisible())
    put_away(app, qtbot)


def test_a_tile_opens_connect_account_with_its_provider(make: Make, qtbot: QtBot) -> None:
    app = make()
    page = app.window.empty
    assert not page.tiles_box.isVisible()
    app.window.resize(1200, 940)
    qtbot.waitUntil(page.tiles_box.isVisible)
    shown = app.running.first_page.tiles
    assert shown is not None
    tiles = shown.view
    assert tiles.count() == 8
    assert tiles.verticalScrollBar().maximum() == 0  # all of them are seen
    titles = [tiles.item(row).text() for row in range(tiles.count())]
    assert "GitHub" in titles
    at = tiles.visualItemRect(tiles.item(titles.index("GitHub"))).center()
    qtbot.mouseClick(tiles.viewport(), Qt.MouseButton.LeftButton, pos=at)
    gallery = app.running.connect_dialog.gallery
    qtbot.waitUntil(gallery.isVisible)
    assert gallery.list.currentItem().text() == "GitHub"
    app.running.connect_dialog.reject()
    tiles.setCurrentRow(titles.index("Mastodon"))
    qtbot.keyClick(tiles, Qt.Key.Key_Return)
    qtbot.waitUntil(gallery.isVisible)
    assert gallery.list.currentItem().text() == "Mastodon"


def test_the_demo_shows_that_it_starts_and_opens_its_sign_in(make: Make, qtbot: QtBot) -> None:
    gate = threading.Event()

    def serve() -> Demo:
        gate.wait(10)
        return Demo()

    app = make(serve)
    page = app.window.empty
    page.demo_button.click()
    assert (page.demo_button.text(), page.demo_button.isEnabled()) == ("Starting…", False)
    gate.set()
    qtbot.waitUntil(app.running.connect_dialog.isVisible)
    assert (page.demo_button.text(), page.demo_button.isEnabled()) == ("Try the demo", True)


def test_a_demo_that_does_not_start_says_why_on_the_page(make: Make, qtbot: QtBot) -> None:
    works: list[bool] = []

    def serve() -> Demo:
        if not works:
            raise SettingWrong("Another program uses port 9899", code="port_taken", remedy="Close it.")
        return Demo()

    app = make(serve)
    page = app.window.empty
    page.demo_button.click()
    qtbot.waitUntil(page.problem.isVisible)
    assert page.problem.text() == "Another program uses port 9899. Close it."
    assert page.demo_button.isEnabled()
    assert app.window.focusWidget() is page.demo_button
    assert not app.running.connect_dialog.isVisible()
    works.append(True)
    page.demo_button.click()
    assert not page.problem.isVisible()
    qtbot.waitUntil(app.running.connect_dialog.isVisible)


def test_a_demo_that_starts_while_the_app_ends_begins_no_sign_in(make: Make, qtbot: QtBot) -> None:
    gate = threading.Event()

    def serve() -> Demo:
        gate.wait(10)
        return Demo()

    app = make(serve)
    app.window.empty.demo_button.click()
    app.running.close()
    gate.set()
    qtbot.waitUntil(lambda: app.window.empty.demo_button.isEnabled())
    assert not app.running.connect_dialog.isVisible()


def test_without_the_demo_there_is_no_button_for_it(make: Make) -> None:
    assert not make(None).window.empty.demo_button.isVisible()


def test_keys_in_files_are_looked_for_when_asked(make: Make, tmp_path: Path, qtbot: QtBot) -> None:
    app = make()
    page = app.window.empty
    page.keys_button.click()
    qtbot.waitUntil(lambda: page.keys_button.text() == "Look again")
    assert not app.running.connect_dialog.isVisible()
    hosts = tmp_path / ".config" / "gh" / "hosts.yml"
    hosts.parent.mkdir(parents=True)
    hosts.write_text("github.com:\n    user: aldis\n    oauth_token: gho_" + "a" * 36 + "\n")
    page.keys_button.click()
    qtbot.waitUntil(lambda: app.running.first_start.dialog is not None)
    assert page.keys_button.text() == "Import it"
    app.running.first_start.dialog.later.click()


def test_the_keychains_remedy_is_the_primary_button(make: Make, qtbot: QtBot) -> None:
    vault = FakeVault()
    vault.error = KeychainError("The keychain is locked", code="keychain_locked")
    app = make(vault=vault)
    page = app.window.empty

    def primary() -> list[str]:
        shown = app.window.findChildren(QAbstractButton)
        return [each.text() for each in shown if each.isVisible() and each.property("kind") == "primary"]

    qtbot.waitUntil(lambda: primary() == ["Unlock…"])
    vault.error = None
    app.running.presenter.keychain.probe()
    qtbot.waitUntil(lambda: primary() == ["Connect Account"])
    assert page.connect_button.isVisible()


def test_one_button_of_each_name(make: Make) -> None:
    app = make()
    names = [each.accessibleName() for each in app.window.findChildren(QAbstractButton) if each.isVisible()]
    assert names.count("Connect Account") == 1
    assert names.count("Settings") == 1


@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("size", [(780, 480), (980, 680), (1400, 1000)])
@pytest.mark.parametrize(
    "model", [EmptyModel(), EmptyModel(demo=True, keys=0, problem="It. " * 40, tray_missing=True)]
)
def test_nothing_is_cut(
    theme: Theme, qtbot: QtBot, scale: float, size: tuple[int, int], model: EmptyModel
) -> None:
    before, theme.scale = theme.scale, scale
    theme.apply()
    try:
        page = EmptyPage(theme)
        qtbot.addWidget(page)
        page.show_model(model)
        page.resize(*size)
        page.show()
        qtbot.waitExposed(page)
        QApplication.processEvents()
        body = page.scroller.widget()
        for each in body.findChildren(QLabel):
            if each.isVisible() and each.text():
                room = each.heightForWidth(each.width()) if each.wordWrap() else each.sizeHint().height()
                assert each.height() >= room, each.text()
                assert each.wordWrap() or each.width() >= each.sizeHint().width(), each.text()
        if scale == 1 and model == EmptyModel():
            assert page.scroller.verticalScrollBar().maximum() == 0
        for each in (page.connect_button, page.keys_button):
            _inside(each, body)
    finally:
        theme.scale = before
        theme.apply()


def _inside(widget: QWidget, body: QWidget) -> None:
    left = widget.mapTo(body, QPoint(0, 0)).x()
    assert left >= 0
    assert left + widget.width() <= body.width()
    assert widget.width() >= widget.minimumSizeHint().width()
