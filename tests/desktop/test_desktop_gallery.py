"""The gallery of Connect Account: sections, categories, search, keys, and where things stand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from keyfob.core.provider import Provider
from keyfob.desktop.connect import cards
from keyfob.desktop.connect.gallery_page import GalleryPage
from keyfob.desktop.shared.theme import Theme
from keyfob.providers.catalogue import standard
from support.announcements import announcements


@pytest.fixture
def presets(tmp_path: Path) -> list[Provider]:
    return list(standard(tmp_path).all())


@pytest.fixture
def page(theme: Theme, presets: list[Provider], qtbot: QtBot) -> GalleryPage:
    result = GalleryPage(theme)
    result.setMinimumSize(480, 480)  # as the dialog has it
    result.resize(960, 680)
    result.show_cards(cards.cards(presets, demo=False))
    result.show()
    result.activateWindow()
    qtbot.waitUntil(result.isActiveWindow)
    result.search.setFocus()
    return result


def shown(page: GalleryPage) -> list[str]:
    return [page.list.card_at(row).id for row in page.list.shown()]


def entries(page: GalleryPage) -> dict[str, int]:
    rows = [page.categories.list.item(n) for n in range(page.categories.list.count())]
    return {
        row.data(Qt.ItemDataRole.UserRole).title: row.data(Qt.ItemDataRole.UserRole).count for row in rows
    }


def test_each_provider_stands_in_one_section(page: GalleryPage) -> None:
    titles = [(heading.title, int(heading.count)) for heading in page.list.headings]
    assert [title for title, _ in titles] == ["Works at once", "Needs an app of your own"]
    assert sum(count for _, count in titles) == len(page.cards)
    groups = [card.group for card in page.cards]
    assert groups.index("own_app") == titles[0][1]
    for card in page.cards:
        assert (card.subtitle == "Needs your own app") == (card.group == "own_app")


@pytest.mark.parametrize("width", [480, 600, 640, 800, 960, 1300])
def test_the_tiles_end_where_the_search_field_and_its_bar_end(page: GalleryPage, width: int) -> None:
    page.resize(width, 680)
    QApplication.processEvents()
    rects = [page.list.visualRect(page.list.model().index(row, 0)) for row in page.list.shown()]
    left = page.list.viewport().mapTo(page, QPoint(min(r.left() for r in rects), 0)).x()
    right = page.list.viewport().mapTo(page, QPoint(max(r.right() for r in rects), 0)).x()
    assert left == page.search.mapTo(page, QPoint(0, 0)).x()
    assert abs(right - (width - 28 - 1)) <= 1
    assert not any(a.intersects(b) for n, a in enumerate(rects) for b in rects[n + 1 :])


def test_a_narrow_dialog_has_a_drop_down_in_place_of_the_list(page: GalleryPage) -> None:
    page.resize(620, 680)
    QApplication.processEvents()
    assert not page.categories.isVisible()
    assert page.categories.choice.isVisible()
    page.categories.choice.setCurrentIndex(page.categories.choice.findData("games"))
    assert {card.id for card in page.cards if card.category == "games"} == set(shown(page))
    page.resize(960, 680)
    QApplication.processEvents()
    assert page.categories.isVisible()
    assert not page.categories.choice.isVisible()
    assert page.categories.current() == "games"


def test_a_category_shows_its_providers_and_says_how_many(page: GalleryPage) -> None:
    counts = entries(page)
    assert counts.pop("All") == len(page.cards) == sum(counts.values())
    page.categories.choose("ai")
    assert len(shown(page)) == counts["AI"]
    assert {card.category for card in page.cards if card.id in shown(page)} == {"ai"}
    assert page.current() is not None
    assert page.current().id == shown(page)[0]
    first = page.categories.list.item(1).data(Qt.ItemDataRole.AccessibleTextRole)
    assert first == f"AI, {counts['AI']} providers"


def test_only_what_works_at_once(page: GalleryPage, qtbot: QtBot) -> None:
    qtbot.mouseClick(page.only, Qt.MouseButton.LeftButton)
    assert [heading.title for heading in page.list.headings] == ["Works at once"]
    assert "google" not in shown(page)
    assert entries(page)["All"] == len(shown(page))
    page.categories.choose("code")
    page.only.setChecked(False)
    assert page.categories.current() == "code"
    assert "bitbucket" in shown(page)


def test_without_a_match_a_server_can_be_added(page: GalleryPage, qtbot: QtBot) -> None:
    page.search.setText("zzz")
    assert page.nothing_title.text() == "No provider called “zzz”"
    assert not page.list.isVisible()
    assert not page.go.isEnabled()
    assert not page.show_all.isVisible()
    qtbot.mouseClick(page.add_server, Qt.MouseButton.LeftButton)
    assert sorted(shown(page)) == sorted(cards.ANY_SERVER)
    assert page.list.hasFocus()


def test_a_screen_reader_hears_how_many_providers_are_left(
    page: GalleryPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = announcements(monkeypatch)
    page.search.setText("bluesky")
    page.search.setText("zzz")
    page.categories.choose("games")
    page.search.clear()
    games = f"{len(shown(page))} providers"
    assert [text for text, _ in spoken] == ["1 provider", "No provider called “zzz”", games]


def test_a_match_that_the_filters_hide_is_one_press_away(page: GalleryPage, qtbot: QtBot) -> None:
    page.only.setChecked(True)
    page.search.setText("google")
    assert page.nothing_title.text() == "“google” is not in this view"
    assert page.nothing_text.text() == "The filters hide 1 provider that matches."
    qtbot.mouseClick(page.show_all, Qt.MouseButton.LeftButton)
    assert shown(page) == ["google"]
    assert page.search.text() == "google"


@pytest.mark.parametrize(
    ("query", "first"), [("git", "github"), ("x", "x"), ("open", "openai"), ("CHATGPT", "openai")]
)
def test_return_in_the_search_field_goes_on_with_the_first_match(
    page: GalleryPage, qtbot: QtBot, query: str, first: str
) -> None:
    """A title that is the query comes first, then one that begins with it, then one that contains it."""
    qtbot.keyClicks(page.search, query)
    assert page.current() is not None
    assert page.current().id == first


def test_the_arrow_keys_walk_through_the_tiles_and_back(page: GalleryPage, qtbot: QtBot) -> None:
    qtbot.keyClick(page.search, Qt.Key.Key_Down)
    assert page.list.hasFocus()
    flat = page.list.shown()
    assert page.list.currentRow() == flat[0]
    for key, row in (
        (Qt.Key.Key_Right, 1), (Qt.Key.Key_Down, 4), (Qt.Key.Key_Left, 3), (Qt.Key.Key_Up, 0),
        (Qt.Key.Key_Left, 0), (Qt.Key.Key_End, len(flat) - 1), (Qt.Key.Key_Right, len(flat) - 1),
        (Qt.Key.Key_Home, 0),
    ):  # fmt: skip
        qtbot.keyClick(page.list, key)
        assert page.list.currentRow() == flat[row]
    qtbot.keyClick(page.list, Qt.Key.Key_Up)
    assert page.search.hasFocus()


def test_down_crosses_from_one_section_to_the_next(page: GalleryPage, qtbot: QtBot) -> None:
    page.list.setFocus()
    last = max(row for row in page.list.shown() if page.list.card_at(row).group == "at_once")
    page.list.setCurrentRow(last)
    qtbot.keyClick(page.list, Qt.Key.Key_Down)
    assert page.current() is not None
    assert page.current().group == "own_app"
    tile = page.list.visualRect(page.list.currentIndex())
    assert page.list.viewport().rect().contains(tile)


def test_lists_are_one_stop_of_the_tab_key_each(page: GalleryPage, qtbot: QtBot) -> None:
    order = [
        page.only,
        page.categories.list,
        page.categories.own_server,
        page.list,
        page.method,
        page.cancel,
        page.go,
    ]
    for widget in order:
        focused = QApplication.focusWidget()
        assert focused is not None
        qtbot.keyClick(focused, Qt.Key.Key_Tab)
        assert widget.hasFocus()


def test_the_chosen_tile_has_a_ring_only_with_the_keyboard_focus(page: GalleryPage, theme: Theme) -> None:
    ring = theme.color("focus").name()

    def rings() -> bool:
        tile = page.list.visualRect(page.list.currentIndex())
        image = page.list.viewport().grab(tile).toImage()
        return image.pixelColor(image.width() // 2, 0).name() == ring

    assert page.search.hasFocus()
    assert not rings()
    page.list.setFocus()
    assert rings()


def test_a_choice_of_one_is_not_shown(page: GalleryPage) -> None:
    page.search.setText("bluesky")
    assert not page.method.isVisible()
    assert page.foot.what.text() == "Bluesky: sign in with your handle"
    page.search.setText("github")
    assert page.method.isVisible()
    assert page.method.currentText() == "Token"
    assert page.foot.what.text() == "GitHub: paste a token"


def test_the_footer_speaks_of_the_chosen_method(page: GalleryPage) -> None:
    page.search.setText("github")
    page.method.setCurrentIndex(page.method.findData("device"))
    assert page.foot.what.text() == "GitHub: sign in with your own app"
    page.search.setText("gitlab")
    assert page.method.currentData() == "api_key"  # not what was chosen for another provider
    page.search.setText("claude")
    page.method.setCurrentIndex(page.method.findData("oauth"))
    assert page.foot.lead.text().startswith("Anthropic does not let other apps")


def test_with_an_app_of_before_a_provider_works_at_once(presets: list[Provider]) -> None:
    google = next(p for p in presets if p.id == "google")
    made = cards.card(google, has_app=True)
    assert (made.group, made.subtitle) == ("at_once", "Browser sign-in")
    assert made.ways[0].lead == "You sign in with the app that you registered before."


def test_rows_tell_assistive_technology_their_method_and_what_is_blocked(
    page: GalleryPage, presets: list[Provider]
) -> None:
    claude = next(p for p in presets if p.policy.blocked)
    barred = replace(claude, id="barred", title="Barred", methods=("oauth",))
    page.show_cards(cards.cards([*presets, barred], demo=False))
    told = QAccessible.queryAccessibleInterface(page.list)
    assert told.role() == QAccessible.Role.List
    rows = [told.child(n) for n in range(told.childCount())]
    texts = {r.text(QAccessible.Text.Name): r.text(QAccessible.Text.Description) for r in rows}
    assert texts["Bluesky"] == "Your handle"
    assert texts["Google"] == "Needs your own app"
    assert texts[barred.title] == f"Not allowed. {barred.policy.blocked}"


def test_the_search_stays_in_place_with_200_providers(page: GalleryPage, presets: list[Provider]) -> None:
    many = [replace(p, id=f"{p.id}-{n}", title=f"{p.title} {n}") for n in range(4) for p in presets]
    page.show_cards(cards.cards(many, demo=False))
    QApplication.processEvents()
    before = page.search.mapTo(page, QPoint(0, 0))
    page.list.setCurrentRow(page.list.count() - 1)
    page.list.scrollTo(page.list.currentIndex())
    bar = page.list.verticalScrollBar()
    assert bar.value() > 0
    assert page.list.viewport().rect().contains(page.list.visualRect(page.list.currentIndex()))
    assert page.search.mapTo(page, QPoint(0, 0)) == before
    assert page.size() == QSize(960, 680)


def test_a_press_chooses_the_tile_under_it(page: GalleryPage, qtbot: QtBot) -> None:
    row = next(row for row in page.list.shown() if page.list.card_at(row).id == "gitlab")
    at = page.list.visualRect(page.list.model().index(row, 0)).center()
    qtbot.mouseClick(page.list.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert page.current() is not None
    assert page.current().id == "gitlab"
    chosen: list[tuple[str, str]] = []
    page.chosen.connect(lambda *choice: chosen.append(choice))
    qtbot.mouseDClick(page.list.viewport(), Qt.MouseButton.LeftButton, pos=at)
    # The library's double click holds the button down, and the next test would drag.
    qtbot.mouseRelease(page.list.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert chosen == [("gitlab", "api_key")]


def test_the_tile_under_the_mouse_shows_it(page: GalleryPage, theme: Theme, qtbot: QtBot) -> None:
    view, tile = page.list.viewport(), page.list.visualRect(page.list.model().index(4, 0))
    painted: list[QRect] = []
    paint = page.list.paintEvent
    page.list.paintEvent = lambda event: (painted.append(event.rect()), paint(event))  # type: ignore[method-assign]
    qtbot.mouseMove(view, QPoint(1, 1))
    QApplication.processEvents()
    painted.clear()
    qtbot.mouseMove(view, tile.center())
    qtbot.waitUntil(lambda: any(rect.contains(tile) for rect in painted))
    image = view.grab(tile).toImage()
    assert image.pixelColor(image.width() // 2, image.height() - 6).name() == theme.color("hover").name()
