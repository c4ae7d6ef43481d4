"""The list of accounts: order, search, width and place of the window."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QSplitter
from pytestqt.qtbot import QtBot

from keyfob.core.account import AccountView
from keyfob.desktop.shared import operation
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import Elided, button
from keyfob.desktop.window import place as place_file
from keyfob.desktop.window import viewmodel
from keyfob.desktop.window.main_window import MainWindow
from keyfob.desktop.window.models import Window
from keyfob.desktop.window.names import listed
from keyfob.desktop.window.place import FILE, WindowPlace
from keyfob.process.home import write_private
from support.announcements import announcements
from support.samples import NOW, view

NAMES = ("Zoe", "Bo", "Ada", "Kim", "Lee", "Max", "Pat", "Sam", "Tim", "Uma", "Ömer", "דנה")


def many(count: int) -> list[AccountView]:
    return [
        view(
            "gitlab" if number % 2 else "github",
            "GitLab" if number % 2 else "GitHub",
            f"a{number}",
            name=name,
        )
        for number, name in enumerate(NAMES[:count])
    ]


def model(views: list[AccountView], selected: str | None = None) -> Window:
    return viewmodel.window(views, selected, (), NOW, kept_in="GNOME Keyring")


def titles(window: MainWindow) -> list[str]:
    rows = window.sidebar.list
    return [
        rows.item(number).data(Qt.ItemDataRole.UserRole).title
        for number in range(rows.count())
        if not rows.item(number).isHidden()
    ]


@pytest.fixture
def open_window(theme: Theme, qtbot: QtBot) -> Callable[..., MainWindow]:
    """Makes windows and holds them: one that nobody holds may be gone while an event is on its way to it."""
    made: list[MainWindow] = []

    def another(with_theme: Theme = theme) -> MainWindow:
        made.append(MainWindow(with_theme))
        qtbot.addWidget(made[-1])
        return made[-1]

    return another


@pytest.fixture
def window(open_window: Callable[..., MainWindow]) -> MainWindow:
    made = open_window()
    made.show()
    return made


def test_nine_accounts_stay_in_the_order_in_which_they_were_connected(window: MainWindow) -> None:
    window.show_model(model(many(9)), None)
    assert titles(window) == list(NAMES[:9])
    assert not window.sidebar.search.isVisible()


def test_from_ten_on_those_that_need_the_user_come_first(window: MainWindow) -> None:
    views = many(12)
    views[4] = replace(views[4], status="needs_sign_in")
    views[7] = replace(views[7], status="stale")
    window.show_model(model(views, views[0].key), views[0].key)
    assert titles(window)[:3] == ["Lee", "Sam", "Ada"]
    assert "need you come first" in window.sidebar.list.accessibleDescription()
    assert window.sidebar.summary.toolTip().split() == window.sidebar.list.accessibleDescription().split()
    assert window.sidebar.list.currentItem().data(Qt.ItemDataRole.UserRole).title == "Zoe"


def test_the_search_finds_by_name_provider_and_id(window: MainWindow) -> None:
    views = many(12)
    window.show_model(model(views, views[0].key), views[0].key)
    search = window.sidebar.search
    window.sidebar.go_to_search()
    assert search.hasFocus()
    QTest.keyClicks(search, "gitlab a1")
    assert titles(window) == ["Bo", "דנה"]
    QTest.keyClick(search, Qt.Key.Key_Return)
    assert window.sidebar.list.currentItem().data(Qt.ItemDataRole.UserRole).title == "Bo"
    window.show_model(model(views, views[1].key), views[1].key)  # what comes in keeps the search
    assert titles(window) == ["Bo", "דנה"]
    search.setText("nobody")
    assert titles(window) == []
    assert window.sidebar.none_found.text() == "No account called “nobody”"
    QTest.keyClick(search, Qt.Key.Key_Escape)
    assert len(titles(window)) == 12
    assert not window.sidebar.none_found.isVisible()
    QTest.keyClick(search, Qt.Key.Key_Escape)
    assert window.sidebar.list.hasFocus()


def test_with_few_accounts_the_keys_for_search_lead_to_the_list(window: MainWindow) -> None:
    window.show_model(model(many(3)), None)
    window.sidebar.go_to_search()
    assert window.sidebar.list.hasFocus()


def test_a_search_that_began_stays_when_accounts_become_few(window: MainWindow) -> None:
    window.show_model(model(many(12)), None)
    window.sidebar.search.setText("ada")
    window.show_model(model(many(5)), None)
    assert window.sidebar.search.isVisible()
    window.sidebar.search.clear()
    window.show_model(model(many(5)), None)
    assert not window.sidebar.search.isVisible()


def test_place_and_widths_are_remembered(
    open_window: Callable[..., MainWindow], tmp_path: Path, qtbot: QtBot
) -> None:
    first = open_window()
    place = WindowPlace(first, tmp_path)
    first.show()
    first.resize(785, 650)  # less than the screen, which limits it
    first.choose_sidebar_width(250)
    first.hide()
    qtbot.waitUntil((tmp_path / FILE).exists)
    qtbot.waitUntil(lambda: not operation.running())
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    second = open_window()
    WindowPlace(second, tmp_path)
    second.show()
    assert (second.width(), second.height()) == (first.width(), first.height())
    assert second.sidebar_width == first.sidebar_width == second.sidebar.width() == 250
    place.note()  # nothing has changed
    assert not operation.running()


def test_the_place_is_written_off_the_window_s_thread_and_the_last_one_stays(
    open_window: Callable[..., MainWindow], tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, written = threading.Event(), []

    def slow(path: Path, data: bytes) -> None:
        written.append((threading.current_thread() is threading.main_thread(), json.loads(data)["sidebar"]))
        assert gate.wait(10)
        write_private(path, data)

    monkeypatch.setattr(place_file, "write_private", slow)
    window = open_window()
    place = WindowPlace(window, tmp_path)
    window.show()
    for width in (250, 260, 270):
        window.choose_sidebar_width(width)
        window.hide()  # returns at once, whatever the disk does
        window.show()
    gate.set()
    qtbot.waitUntil(lambda: not operation.running())
    assert written == [(False, 250), (False, 270)]

    gate.clear()
    window.choose_sidebar_width(280)
    place.note()
    window.choose_sidebar_width(255)
    threading.Timer(0.05, gate.set).start()
    place.finish()  # the app ends: the place is in the file
    assert json.loads((tmp_path / FILE).read_bytes())["sidebar"] == 255


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"geometry": "?", "sidebar": 1}', '{"geometry": 5}', "\x00"]
)
def test_a_damaged_place_is_passed_over(
    open_window: Callable[..., MainWindow], tmp_path: Path, text: str
) -> None:
    (tmp_path / FILE).write_text(text)
    window = open_window()
    room = window.screen().availableSize()
    usual = window.size()
    WindowPlace(window, tmp_path)
    assert (window.width(), window.height()) == (min(usual.width(), room.width() - 8), usual.height())


def test_the_list_has_a_least_and_a_greatest_width(window: MainWindow) -> None:
    window.choose_sidebar_width(10)
    assert window.sidebar.width() == window.sidebar.minimumWidth()
    window.choose_sidebar_width(5000)
    assert window.sidebar.width() == window.sidebar.maximumWidth()


def test_the_list_has_its_share_of_a_wide_window_until_its_edge_is_moved(
    window: MainWindow, qtbot: QtBot
) -> None:
    window.show_model(model(many(3)), None)
    window.resize(980, 680)
    assert window.sidebar.width() == 290
    window.resize(1600, 680)
    assert window.sidebar.width() == 320
    window.resize(2600, 680)
    assert window.sidebar.width() == 380
    splitter = window.findChild(QSplitter)
    splitter.moveSplitter(300, 1)
    assert window.sidebar_width == window.sidebar.width() == 300
    window.resize(1600, 680)
    assert window.sidebar.width() == 300
    assert splitter.handle(1).focusPolicy() == Qt.FocusPolicy.NoFocus


def test_a_window_that_lay_on_a_screen_that_is_gone_comes_back_onto_one(
    open_window: Callable[..., MainWindow], tmp_path: Path
) -> None:
    first = open_window()
    first.show()
    first.move(7000, 4000)
    WindowPlace(first, tmp_path).finish()
    second = open_window()
    WindowPlace(second, tmp_path)
    second.show()
    assert second.screen().availableGeometry().contains(second.geometry().topLeft())


def test_with_large_text_the_window_is_no_larger_than_the_screen(
    qapp: QApplication, theme: Theme, open_window: Callable[..., MainWindow], tmp_path: Path
) -> None:
    large = Theme(qapp, "light")
    large.scale = 2.0
    large.apply()
    window = open_window(large)
    WindowPlace(window, tmp_path)
    window.show_model(model(many(3)), None)
    window.show()
    room = window.screen().availableSize()
    theme.apply()
    assert window.width() <= room.width()
    assert window.height() <= room.height()


def test_a_width_that_nobody_chose_is_not_kept(
    open_window: Callable[..., MainWindow], tmp_path: Path
) -> None:
    first = open_window()
    first.sidebar.hide()  # as without accounts
    WindowPlace(first, tmp_path).finish()
    second = open_window()
    WindowPlace(second, tmp_path)
    second.show()
    assert second.sidebar_width is None
    assert second.sidebar.width() == 290


def test_a_folder_that_cannot_be_written_costs_the_place_alone(
    open_window: Callable[..., MainWindow], tmp_path: Path
) -> None:
    window = open_window()
    WindowPlace(window, tmp_path / "missing").finish()
    assert not (tmp_path / "missing").exists()


def test_only_what_has_changed_is_touched(window: MainWindow) -> None:
    views = many(12)
    window.show_model(model(views, views[5].key), views[5].key)
    rows = window.sidebar.list
    touched: list[int] = []
    moves: list[int] = []
    chosen: list[str] = []
    rows.model().dataChanged.connect(lambda first, last: touched.append(first.row()))
    rows.model().rowsInserted.connect(lambda parent, first, last: moves.append(first))
    rows.chosen.connect(chosen.append)
    window.show_model(model(views, views[5].key), views[5].key)
    assert touched == moves == []
    views[8] = replace(views[8], plan="premium")
    window.show_model(model(views, views[5].key), views[5].key)
    assert set(touched) == {titles(window).index("Tim")}
    assert moves == chosen == []


@pytest.mark.parametrize("number", [0, 5, 11])
def test_an_account_that_moves_is_the_only_one_that_does(window: MainWindow, number: int) -> None:
    views = sorted(many(12), key=lambda each: each.name.casefold())
    rows = window.sidebar.list
    window.show_model(model(views, views[5].key), views[5].key)
    before = titles(window)
    moves: list[int] = []
    chosen: list[str] = []
    rows.model().rowsInserted.connect(lambda parent, first, last: moves.append(first))
    rows.chosen.connect(chosen.append)
    for status in ("needs_sign_in", "connected"):  # to the top, and back to its place
        views[number] = replace(views[number], status=status)
        window.show_model(model(views, views[5].key), views[5].key)
        assert rows.currentItem().data(Qt.ItemDataRole.UserRole).title == before[5]
        assert [rows.row(each) for each in rows.selectedItems()] == [rows.currentRow()]
    assert titles(window) == before
    assert len(moves) <= 2
    assert chosen == []


def test_an_account_that_moves_or_comes_is_still_searched(window: MainWindow) -> None:
    views = many(12)
    window.show_model(model(views[:11], None), None)
    window.sidebar.search.setText("ö")
    views[10] = replace(views[10], status="needs_sign_in")
    views[3] = replace(views[3], status="needs_sign_in")
    window.show_model(model(views, None), None)
    assert titles(window) == ["Ömer"]


def test_accounts_go_and_come_in_any_order(window: MainWindow) -> None:
    views = many(12)
    for some in (views, views[3:], views[::-1], views[:4] + views[6:], [], views[5:6], views):
        window.show_model(model(list(some)), None)
        assert titles(window) == [row.title for row in model(list(some)).rows]


def test_the_list_stays_where_it_was_scrolled_to(window: MainWindow) -> None:
    views = many(12)
    window.resize(window.minimumSize())
    window.show_model(model(views, views[2].key), views[2].key)  # Ada, the first by name
    bar = window.sidebar.list.verticalScrollBar()
    bar.setValue(bar.maximum())
    assert bar.value() > 0
    for status in ("needs_sign_in", "connected"):
        for number in (2, 6):
            views[number] = replace(views[number], status=status)
            window.show_model(model(views, views[2].key), views[2].key)
            assert bar.value() == bar.maximum()


def test_a_name_from_right_to_left_begins_at_the_left(theme: Theme, qtbot: QtBot) -> None:
    name = Elided("שלום", "title")
    qtbot.addWidget(name)
    name.resize(400, 40)
    image = name.grab().toImage()
    ground = image.pixelColor(399, 0)
    drawn = [x for x in range(400) for y in range(40) if image.pixelColor(x, y) != ground]
    assert min(drawn) < 10
    assert max(drawn) < 200


def test_what_a_search_finds_is_counted_for_screen_readers(
    window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.show_model(model(many(12)), None)
    spoken = announcements(monkeypatch)
    window.sidebar.search.setText("gitlab a1")
    window.sidebar.search.setText("bo")
    window.sidebar.search.setText("nobody")
    window.show_model(model(many(11)), None)
    assert [text for text, _ in spoken] == ["2 accounts", "1 account", "No account called “nobody”"]


def test_down_goes_to_an_account_that_the_search_shows(window: MainWindow) -> None:
    views = many(12)
    window.show_model(model(views, views[0].key), views[0].key)
    chosen: list[str] = []
    window.sidebar.list.chosen.connect(chosen.append)
    window.sidebar.go_to_search()
    QTest.keyClicks(window.sidebar.search, "kim")
    QTest.keyClick(window.sidebar.search, Qt.Key.Key_Down)
    assert window.sidebar.list.hasFocus()
    assert chosen == [views[3].key]


def test_the_keys_for_search_do_nothing_without_a_list(window: MainWindow) -> None:
    window.sidebar.hide()
    focused = window.focusWidget()
    window.sidebar.go_to_search()
    window.sidebar.show()
    assert window.focusWidget() is focused


def test_many_names_are_counted() -> None:
    assert listed(["Ada", "Bo", "Kim"]) == "Ada, Bo, Kim"
    assert listed(["Ada", "Bo", "Kim", "Lee"]) == "Ada, Bo and 2 more"
    views = [replace(each, status="needs_sign_in") for each in many(12)]
    (banner,) = model(views).banners
    assert banner.text == "Signed out: Zoe, Bo, Ada, Kim, Lee and 7 more."


def test_tab_goes_down_the_sidebar(window: MainWindow) -> None:
    for name in ("Programs", "Check everything"):
        window.sidebar.add_entry(button(name))
    window.show_model(model(many(12)), None)
    QApplication.processEvents()  # a widget that is added is shown by an event
    window.sidebar.search.setFocus()
    order = []
    for _ in range(6):
        order.append(window.focusWidget().accessibleName())
        window.focusNextChild()
    assert order == [
        "Search accounts", "Accounts", "Programs", "Check everything", "Connect Account", "Settings",
    ]  # fmt: skip
