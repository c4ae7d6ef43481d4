"""The page of one account: each fact in one place, one primary button, notes that move nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QScrollArea, QWidget
from pytestqt.qtbot import QtBot

from keyfob.core.account import AccountView, ErrorNote
from keyfob.core.error_codes import Advice
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window import history, viewmodel
from keyfob.desktop.window.main_window import MainWindow
from keyfob.desktop.window.models import Banner, Window
from support.announcements import announcements
from support.samples import NOW, sample_events, sample_views

VIEWS = {view.provider: view for view in sample_views()}
LOCKED = Banner("bad", "Your keychain is locked", "Unlock it.", "Unlock…", "keychain", "", None)


def model(views: list[AccountView], chosen: AccountView, now: datetime = NOW, **more: object) -> Window:
    return viewmodel.window(views, chosen.key, (), now, kept_in="Safe", zone=UTC, **more)  # type: ignore[arg-type]


@pytest.fixture
def window(theme: Theme, qtbot: QtBot) -> MainWindow:
    result = MainWindow(theme)
    qtbot.addWidget(result)
    result.show()
    return result


def show(window: MainWindow, views: list[AccountView], chosen: AccountView, **more: object) -> None:
    window.show_model(model(views, chosen, **more), chosen.key)  # type: ignore[arg-type]
    QApplication.processEvents()  # Qt shows what was added to a layout a moment later


def primary(window: MainWindow) -> list[str]:
    return [
        each.accessibleName()
        for each in window.findChildren(QPushButton)
        if each.isVisible() and each.property("kind") == "primary"
    ]


def texts(window: MainWindow) -> str:
    return "\n".join(each.text() for each in window.findChildren(QLabel) if each.isVisible())


def test_what_the_account_on_show_needs_is_said_once(window: MainWindow) -> None:
    google = VIEWS["google"]
    show(window, [VIEWS["nexusmods"], google], google)
    assert window.banners == ()
    assert primary(window) == ["Reconnect"]
    assert texts(window).count("Google ended this sign-in") == 1
    assert "on Tuesday" in texts(window)
    assert not window.account.copy.isVisible(), "the token's card is replaced"
    show(window, [VIEWS["nexusmods"], google], VIEWS["nexusmods"])
    assert primary(window) == ["Sign in: work@example.org needs you"]


def test_a_possible_reason_is_said_as_one(window: MainWindow) -> None:
    google = replace(VIEWS["google"], ended_hint="Google ends some sign-ins after 7 days")
    show(window, [google], google)
    assert "A possible reason: Google ends some sign-ins after 7 days." in texts(window)


def test_a_second_account_that_needs_the_user_gets_a_plain_button(window: MainWindow) -> None:
    google = VIEWS["google"]
    other = replace(google, key="k2", id="google/b", label="b", email=None)
    show(window, [google, other], google)
    assert [banner.key for banner in window.banners] == ["k2"]
    assert primary(window) == ["Reconnect"]


def test_the_keychain_comes_before_the_account(window: MainWindow) -> None:
    """Without the keychain nothing that a sign-in brings can be kept."""
    show(window, [VIEWS["google"]], VIEWS["google"], keychain=LOCKED)
    assert primary(window) == ["Unlock…: Your keychain is locked"]
    assert window.account.reconnect.isVisible()
    show(window, [VIEWS["google"]], VIEWS["google"])
    assert primary(window) == ["Reconnect"]


def test_a_failure_that_passes_asks_for_nothing(window: MainWindow) -> None:
    """Keyfob tries again: nobody is asked to wait and to do it as well."""
    mastodon = replace(VIEWS["mastodon"], renews_at=NOW + timedelta(minutes=3))
    show(window, [mastodon], mastodon)
    said = texts(window)
    assert "Keyfob tries again at 15:03. You are still signed in." in said
    assert "try again" not in said.replace("tries again", "")
    assert primary(window) == []
    named = [each.accessibleName() for each in window.account.findChildren(QPushButton) if each.isVisible()]
    assert named.count("Copy details") == 1


def test_what_only_a_setting_can_mend_has_its_remedy(window: MainWindow) -> None:
    note = ErrorNote("tls_untrusted", "The certificate is not trusted", Advice.FIX_SETTING, NOW)
    account = replace(VIEWS["nexusmods"], last_error=note)
    show(window, [account], account)
    said = texts(window)
    assert said.count("The certificate is not trusted") == 1
    assert "SSL_CERT_FILE" in said
    assert "Since 15:00." in said
    assert primary(window) == []
    assert window.account.copy.isVisible(), "the token still works"


def test_the_server_is_named_if_its_name_says_more_than_the_provider_s(window: MainWindow) -> None:
    gitlab = replace(
        VIEWS["nexusmods"], provider_title="GitLab", hosts=("git.work.example", "api.work.example.org")
    )
    show(window, [gitlab], gitlab)
    assert "GitLab · premium · git.work.example" in window.account.subtitle.full()
    google = replace(VIEWS["google"], issuer="https://accounts.google.com")
    show(window, [google], google)
    assert "google.com" not in window.account.subtitle.full()


def test_a_key_that_is_never_renewed_says_so(window: MainWindow) -> None:
    show(window, [VIEWS["openai"]], VIEWS["openai"])
    assert not window.account.renew.isEnabled()
    assert window.account.renew.toolTip() == "OpenAI does not let Keyfob renew this key"


@pytest.mark.parametrize(
    ("provider", "names"),
    [
        ("nexusmods", ["More", "Copy token", "Show all activity", "Renew now", "Test connection", "Remove"]),
        ("mastodon", ["More", "Copy details", "Show all activity", "Renew now", "Test connection", "Remove"]),
        ("google", ["More", "Reconnect", "Copy details", "Show all activity", "Remove", "Disconnect"]),
    ],
)
def test_tab_follows_the_reading_order(window: MainWindow, provider: str, names: list[str]) -> None:
    view = VIEWS[provider]
    made = viewmodel.window([view], view.key, sample_events(view.key), NOW, kept_in="Safe", zone=UTC)
    window.show_model(made, view.key)
    QApplication.processEvents()
    window.activateWindow()
    window.account.more.setFocus()
    order = []
    for _ in names:
        focused = QApplication.focusWidget()
        assert focused is not None
        order.append(focused.accessibleName())
        QTest.keyClick(focused, Qt.Key.Key_Tab)
    assert order == names


def test_a_disconnected_account_has_one_button(window: MainWindow) -> None:
    show(window, [VIEWS["spotify"]], VIEWS["spotify"])
    assert primary(window) == ["Reconnect"]
    assert not window.account.renew.isVisible()
    assert not window.account.disconnect_button.isVisible()


@pytest.mark.parametrize("size", [(780, 480), (1920, 1040)])
def test_the_content_is_centred_and_no_wider_than_can_be_read(
    window: MainWindow, qtbot: QtBot, size: tuple[int, int]
) -> None:
    window.resize(*size)
    show(window, [VIEWS["nexusmods"]], VIEWS["nexusmods"])
    qtbot.wait(20)
    page = window.account
    left = page.avatar.mapTo(page, QPoint(0, 0)).x()
    right = page.more.mapTo(page, QPoint(page.more.width(), 0)).x()
    assert right - left <= 880
    assert abs(left - (page.width() - right)) <= 12  # the scroll bar's width


def test_a_note_moves_nothing_and_is_read(
    window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = announcements(monkeypatch)
    show(window, [VIEWS["nexusmods"]], VIEWS["nexusmods"])
    qtbot.wait(20)
    before = window.account.mapTo(window, QPoint(0, 0)), window.account.size()
    focus = window.focusWidget()
    window.say("Token copied.", good=True)
    qtbot.wait(20)
    assert (window.account.mapTo(window, QPoint(0, 0)), window.account.size()) == before
    assert window.note.isVisible()
    assert window.rect().contains(window.note.geometry())
    assert window.focusWidget() is focus
    assert spoken == [("Token copied.", "Polite")]
    window.say("Nexus Mods does not answer.", good=False)
    assert spoken[1:] == [("Nexus Mods does not answer.", "Assertive")]
    window.resize(800, 500)
    qtbot.wait(20)
    assert window.rect().contains(window.note.geometry())
    window.note.dismiss.click()
    assert not window.note.isVisible()


def pressables(window: MainWindow) -> list[QWidget]:
    return [
        each
        for each in window.pages.findChildren(QWidget)
        if each.isVisible() and each.focusPolicy() != Qt.FocusPolicy.NoFocus
    ]


def in_window(widget: QWidget) -> QRect:
    """What is seen of it: a page that scrolls cuts it."""
    area = next((a for a in widget.window().findChildren(QScrollArea) if a.isAncestorOf(widget)), None)
    seen = QRect(widget.mapTo(widget.window(), QPoint(0, 0)), widget.size())
    if area is None or not area.isVisible():
        return seen
    return seen & QRect(area.viewport().mapTo(widget.window(), QPoint(0, 0)), area.viewport().size())


@pytest.mark.parametrize("provider", ["nexusmods", "google", "spotify", "openai"])
@pytest.mark.parametrize("height", [480, 560, 620, 680])
def test_a_note_covers_nothing_to_press(window: MainWindow, qtbot: QtBot, provider: str, height: int) -> None:
    window.resize(780, height)
    account = VIEWS[provider]
    show(window, [account], account)
    bar = window.account.findChild(QScrollArea).verticalScrollBar()
    bar.setValue(bar.maximum())
    qtbot.wait(20)
    top, size = bar.value(), window.account.size()
    window.account.remove.setFocus()
    window.say("It works: signed in as Aldis, answered in 120 ms. " * 3, good=True)
    qtbot.wait(20)
    note = window.note.geometry()
    assert window.note.isVisible()
    assert window.rect().contains(note)
    for place in ("as it is", bar.maximum(), bar.maximum() // 2, 0):
        if isinstance(place, int):
            bar.setValue(place)
        else:
            assert in_window(window.account.remove).height() == window.account.remove.height()
        covered = [each for each in pressables(window) if in_window(each).intersects(note)]
        assert covered == [], place
    window.note.dismiss.click()
    qtbot.wait(20)
    bar.setValue(top)
    assert (bar.value(), window.account.size()) == (top, size)


def test_a_note_makes_room_when_the_page_grows_under_it(window: MainWindow, qtbot: QtBot) -> None:
    window.resize(780, 560)
    account = replace(VIEWS["spotify"], status="disconnected")
    show(window, [account], account)
    window.say("Done.")
    window.show_model(model([VIEWS["google"]], VIEWS["google"]), VIEWS["google"].key)
    qtbot.wait(50)
    covered = [each for each in pressables(window) if in_window(each).intersects(window.note.geometry())]
    assert covered == []


def test_a_change_of_the_page_s_state_is_read(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    spoken = announcements(monkeypatch)
    aldis = VIEWS["nexusmods"]
    show(window, [aldis, VIEWS["google"]], aldis)
    show(window, [aldis, VIEWS["google"]], VIEWS["google"])
    assert spoken == [], "another page is no news"
    show(window, [aldis], aldis)
    show(window, [aldis], aldis, now=NOW + timedelta(minutes=1))
    assert spoken == [], "time that passes is no news"
    show(window, [replace(aldis, status="renewing")], replace(aldis, status="renewing"))
    show(window, [aldis], aldis)
    assert spoken == [], "a renewal is no news"
    show(window, [replace(aldis, status="needs_sign_in")], replace(aldis, status="needs_sign_in"))
    assert spoken == [("Aldis: Needs you. The sign-in has ended.", "Polite")]


def test_the_strip_names_its_days() -> None:
    assert [day.name for day in history.days(NOW, UTC)] == ["Wednesday", "Yesterday", "Today"]
    places = [day.place for day in history.days(NOW, UTC)]
    assert places == sorted(places)
    assert places[-1] == pytest.approx(1 - (15 + 12 / 3600) / 72)
