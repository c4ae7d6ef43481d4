"""The page of a Nexus Mods account in the whole app, with the real services at a server of ours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QFileDialog
from pytestqt.qtbot import QtBot

from keyfob.desktop.controller import AppController
from keyfob.desktop.nexus.controller import OneAccount
from keyfob.desktop.nexus.game_dialog import GameDialog
from keyfob.desktop.nexus.models import Row
from keyfob.desktop.nexus.page import Page
from keyfob.desktop.shared import operation
from keyfob.desktop.shared.confirm import Ask, Confirm
from keyfob.desktop.shared.theme import Theme
from keyfob.nexus.link_state import LinkState
from keyfob.nexus.owner import ask
from keyfob.nexus.service import Nexus, NexusService
from support.announcements import announcements
from support.desktop_app import choose, is_loaded, make_app, put_away, quit_app
from support.nexus_home import nexus_at
from support.nexus_server import NexusServer
from support.nexus_site import Site, pack
from support.sample_engine import sample_engine
from support.samples import sample_views

pytestmark = pytest.mark.network

SKYRIM = "skyrimspecialedition"
ROADS, LANTERNS, MAPS = f"{SKYRIM}/10", f"{SKYRIM}/11", f"{SKYRIM}/13"


class World:
    """The app with Aldis' account, and everything around it."""

    def __init__(self, theme: Theme, folder: Path, server: NexusServer, nexus: Nexus, qtbot: QtBot) -> None:
        self.theme, self.folder, self.server, self.nexus, self.qtbot = theme, folder, server, nexus, qtbot
        self.browsed: list[str] = []
        self.opened: list[str] = []
        self.service: NexusService = nexus.service("nexusmods/aldis")
        self.service.set_folder(SKYRIM, folder / "mods")
        self.app: AppController = None  # type: ignore[assignment]  # by `start`
        self.apps: list[AppController] = []
        self.starts = 0

    @property
    def site(self) -> Site:
        return self.server.site

    def has(self, *mods: tuple[int, str]) -> None:
        """Aldis has these mods installed, and no other in the list."""
        self.site.members[1].tracked = []
        for number, version in mods:
            self.service.add_mod(f"{SKYRIM}/{number}", version=version)

    def start(self, nexus: Nexus | None = None) -> Page:
        """The app, once the page shows what the site says."""
        views = [each for each in sample_views() if each.provider in ("nexusmods", "github")]
        place = self.folder / f"home-{self.starts}"
        place.mkdir()
        self.starts += 1
        engine = sample_engine(place, views, browser=lambda url, *_: self.browsed.append(url))
        used = nexus or self.nexus
        self.app = make_app(self.theme, lambda: engine, nexus=lambda _: used, clock=lambda: datetime.now(UTC))
        self.apps.append(self.app)
        self.app.begin()
        self.wait(lambda: is_loaded(self.app))
        choose(self.app, "nexusmods", self.qtbot)
        assert self.app.running is not None
        self.app.running.nexus.show_folder = lambda url: bool(self.opened.append(url.toLocalFile())) or True
        self.settle()
        return self.page

    def ended(self) -> None:
        """The app was quit."""
        self.apps.clear()

    @property
    def page(self) -> Page:
        assert self.app.running is not None
        assert self.app.running.nexus.page is not None
        return self.app.running.nexus.page

    @property
    def account(self) -> OneAccount:
        assert self.app.running is not None
        found = self.app.running.nexus.current
        assert found is not None
        return found

    @property
    def dialog(self) -> Any:
        assert self.app.running is not None
        assert self.app.running.nexus.dialogs is not None
        return self.app.running.nexus.dialogs.dialog

    def wait(self, holds: Callable[[], object], milliseconds: int = 15_000) -> None:
        self.qtbot.waitUntil(lambda: bool(holds()), timeout=milliseconds)

    def settle(self) -> None:
        known = self.account.presenter
        self.wait(lambda: not known.known.loading_mods and not known.known.loading_popular)
        self.wait(lambda: not operation.running())

    def row(self, key: str) -> Row:
        return next(each for each in self.page.mods.list.rows if each.key == key)

    def download(self, number: int = 0) -> Row:
        rows = (*self.page.downloads.running.rows, *self.page.downloads.earlier.rows)
        return rows[number]

    def note(self) -> str:
        return str(self.app.window.note.text.text())


@pytest.fixture
def server() -> Iterator[NexusServer]:
    with NexusServer() as made:
        yield made
        assert made.site.offences == []


@pytest.fixture
def world(
    qapp: QApplication, theme: Theme, tmp_path: Path, server: NexusServer, qtbot: QtBot
) -> Iterator[World]:
    folder = tmp_path / "nexus"
    folder.mkdir()
    with nexus_at(folder, server) as nexus:
        made = World(theme, tmp_path, server, nexus, qtbot)
        yield made
        server.site.cdn_rate = None
        for app in made.apps:
            if app.running is not None:
                put_away(app, qtbot)


def test_an_update_is_seen_downloaded_and_then_current(
    world: World, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.has((10, "1.8.0"), (13, "2.4.1"))
    page = world.start()
    assert page.isVisible()
    assert world.row(ROADS).after == "1.9.2"
    assert world.row(MAPS).mark is not None
    assert page.mods.update_all.property("kind") == "primary"
    assert page.header.badge.accessibleName() == "Membership: Premium"
    heard = announcements(monkeypatch)
    page.mods.list.setFocus(Qt.FocusReason.TabFocusReason)
    page.mods.list.setCurrentIndex(page.mods.list.model().index(1, 0))
    qtbot.keyClick(page.mods.list, Qt.Key.Key_Return)
    world.wait(lambda: page.downloads.earlier.rows)
    world.wait(lambda: world.row(ROADS).mark is not None)
    mark = world.row(ROADS).mark
    assert mark is not None
    assert mark.text == "Up to date"
    (file,) = (world.folder / "mods").glob("*.zip")
    assert file.read_bytes() == pack("roads-1.9.2", 2_000_000)
    spoken = [text for text, _ in heard]
    assert "Quiet Roads 1.9.2 is downloaded" in spoken
    page.tabs.choose("downloads")
    assert world.download().mark is not None
    page.downloads.earlier.pressed.emit(world.download().key, "folder")
    assert world.opened == [str(world.folder / "mods")]


def test_progress_pause_continue_and_cancel(world: World) -> None:
    world.has((10, "1.8.0"))
    world.site.cdn_rate = 400_000
    page = world.start()
    page.mods.update_all.click()
    world.wait(lambda: page.downloads.running.rows and world.download().progress.left.count("/s"))
    assert page.tabs.accessibleTabName(2) == "Downloads, 1"
    page.downloads.running.pressed.emit(world.download().key, "pause")
    world.wait(lambda: world.download().progress.left.startswith("Paused at "))
    page.downloads.running.pressed.emit(world.download().key, "continue")
    world.wait(lambda: "/s" in world.download().progress.left)
    page.downloads.running.pressed.emit(world.download().key, "cancel")
    world.wait(lambda: not page.downloads.running.rows)
    assert list((world.folder / "mods").iterdir()) == []


def test_quitting_keeps_a_download_that_the_next_start_finishes(world: World, qtbot: QtBot) -> None:
    world.has((10, "1.8.0"))
    world.site.cdn_rate = 400_000
    page = world.start()
    page.mods.update_all.click()
    world.wait(lambda: page.downloads.running.rows and world.download().progress.share > 0.1)
    quit_app(world.app, qtbot)
    world.ended()
    world.site.cdn_rate = None
    seen = len([each for each in world.site.asked if each.host == "cdn" and "range" in each.headers])
    with nexus_at(world.folder / "nexus", world.server) as again:
        page = world.start(again)
        world.wait(lambda: page.downloads.earlier.rows and not page.downloads.running.rows)
        assert world.download().mark is not None
        assert world.download().mark.text == "Checked"
        ranged = [each for each in world.site.asked if each.host == "cdn" and "range" in each.headers]
        assert len(ranged) > seen  # it went on from where it was
        put_away(world.app, qtbot)
        world.ended()


def test_a_free_member_is_sent_to_the_site_and_its_link_begins_the_download(world: World) -> None:
    world.site.members[1].roles = ("member",)
    world.has((10, "1.8.0"))
    page = world.start()
    assert not page.mods.update_all.isVisible()
    page.mods.list.pressed.emit(ROADS, "browser")
    world.wait(lambda: world.browsed)
    assert world.browsed == [f"https://www.nexusmods.com/{SKYRIM}/mods/10?tab=files&file_id=103&nmm=1"]
    world.wait(lambda: page.downloads.running.rows and "Mod Manager" in world.download().progress.left)
    assert page.current == "mods"
    world.app.links.arrived(world.site.nxm(1, SKYRIM, 10, 103))
    world.wait(lambda: page.downloads.earlier.rows)
    assert page.current == "downloads"
    assert world.download().mark is not None


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("expired", "The download link has expired"),
        ("other", "The link is for another member of Nexus Mods"),
        ("broken", "The link is incomplete"),
    ],
)
def test_a_link_that_does_not_do_is_said_in_words(world: World, link: str, words: str) -> None:
    world.has((10, "1.8.0"))
    links = {
        "expired": world.site.nxm(1, SKYRIM, 10, 103, life=-60),
        "other": world.site.nxm(77, SKYRIM, 10, 103),
        "broken": f"nxm://{SKYRIM}/mods/10/files/103?key=abc",
    }
    page = world.start()
    world.app.links.arrived(links[link])
    world.wait(lambda: words in world.note())
    assert page.downloads.running.rows == ()
    assert "abc" not in world.note()


def test_a_link_without_an_account_says_to_connect_one(
    world: World, qtbot: QtBot, tmp_path: Path, theme: Theme
) -> None:
    (tmp_path / "bare").mkdir()
    views = [each for each in sample_views() if each.provider == "github"]
    engine = sample_engine(tmp_path / "bare", views)
    world.app = make_app(theme, lambda: engine, nexus=lambda _: world.nexus)
    world.apps.append(world.app)
    world.app.links.arrived(world.site.nxm(1, SKYRIM, 10, 103))  # before anything is read
    world.app.begin()
    world.wait(lambda: is_loaded(world.app))
    world.wait(lambda: "connect your account of Nexus Mods" in world.note())


def test_trending_hides_adult_mods_tracks_and_opens_pages(world: World) -> None:
    world.has((10, "1.8.0"))
    page = world.start()
    page.tabs.choose("trending")
    world.wait(lambda: page.trending.list.rows)
    titles = [each.title for each in page.trending.list.rows]
    assert "Better Lanterns" in titles
    assert "Night Life" not in titles
    assert "1 adult mod is hidden." in page.trending.hidden.text()
    page.trending.adult.click()
    world.wait(lambda: "Night Life" in [each.title for each in page.trending.list.rows])
    page.trending.list.pressed.emit(LANTERNS, "track")
    world.wait(lambda: (SKYRIM, 11) in world.site.members[1].tracked)
    world.wait(lambda: any(each.key == LANTERNS for each in page.mods.list.rows))
    page.trending.list.pressed.emit(LANTERNS, "open")
    world.wait(lambda: world.browsed)
    assert world.browsed[-1].endswith("/mods/11")
    page.trending.list_picked.emit("latest_added")
    world.settle()
    assert page.trending.list.rows
    world.settle()
    page.mods.list.pressed.emit(LANTERNS, "untrack")
    world.wait(lambda: (SKYRIM, 11) not in world.site.members[1].tracked)


def test_a_mod_is_added_by_its_number_or_address(world: World) -> None:
    world.has((10, "1.8.0"))
    page = world.start()
    page.mods.add.click()
    dialog = world.dialog
    assert isinstance(dialog, Ask)
    dialog.field.setText("https://example.org/mods/1")
    dialog.action.click()
    world.wait(lambda: not dialog.problem.isHidden())
    assert "not the address of a mod" in dialog.problem.text()
    dialog.field.setText("13")
    dialog.action.click()
    world.wait(lambda: any(each.key == MAPS for each in page.mods.list.rows))
    assert world.dialog is None


def test_several_files_are_chosen_on_the_page(world: World) -> None:
    world.has((12, "3.2"))
    page = world.start()
    page.mods.list.pressed.emit(f"{SKYRIM}/12", "files")
    world.wait(lambda: world.browsed)
    assert world.browsed == [f"https://www.nexusmods.com/{SKYRIM}/mods/12?tab=files"]


def test_details_have_the_rows_buttons(world: World) -> None:
    world.has((10, "1.8.0"))
    page = world.start()
    page.mods.list.details_asked.emit(ROADS)
    assert world.dialog.accessibleName() == "Quiet Roads"
    world.dialog.close_button.click()
    assert world.dialog is None


def test_the_installed_version_is_said_by_the_user(world: World) -> None:
    world.site.members[1].tracked = [(SKYRIM, 13)]
    page = world.start()
    assert world.row(MAPS).before != "2.4.1"
    page.mods.list.pressed.emit(MAPS, "installed")
    dialog = world.dialog
    assert isinstance(dialog, Ask)
    dialog.field.setText("2.4.1")
    dialog.action.click()
    world.wait(lambda: (mark := world.row(MAPS).mark) is not None and mark.text == "Up to date")


def test_the_site_is_asked_only_when_the_page_is_seen(world: World, theme: Theme, qtbot: QtBot) -> None:
    world.has((10, "1.8.0"))
    views = sorted(sample_views(), key=lambda view: view.provider != "github")
    (world.folder / "other").mkdir()
    engine = sample_engine(
        world.folder / "other", [v for v in views if v.provider in ("github", "nexusmods")]
    )
    world.app = make_app(theme, lambda: engine, nexus=lambda _: world.nexus)
    world.apps.append(world.app)
    asked = len(world.site.paths())
    world.app.begin()
    world.wait(lambda: is_loaded(world.app))
    assert world.app.running is not None
    assert world.app.running.presenter.model.rows[0].id.startswith("github/")  # is selected
    (account,) = world.app.running.nexus.accounts.values()
    world.wait(lambda: account.presenter.service is not None and not operation.running())
    assert len(world.site.paths()) == asked
    choose(world.app, "nexusmods", qtbot)
    world.wait(lambda: len(world.site.paths()) > asked)
    world.settle()


def test_f5_asks_again(world: World, qtbot: QtBot) -> None:
    world.has((10, "1.8.0"))
    page = world.start()
    asked = len(world.site.paths())
    qtbot.keyClick(page.mods.list, Qt.Key.Key_F5)
    world.wait(lambda: len(world.site.paths()) > asked)
    world.settle()


@pytest.mark.parametrize(("do", "tab"), [("add", "mods"), ("open", "downloads")])
def test_of_what_other_processes_ask_for_only_links_come_to_the_front(
    world: World, do: str, tab: str
) -> None:
    world.has((10, "1.8.0"))
    page = world.start()
    link = world.site.nxm(1, SKYRIM, 10, 103)
    asked = {"game": SKYRIM, "mod_id": 10, "file_id": 103} if do == "add" else {"link": link}
    request = {"do": do, "account": "nexusmods/aldis", **asked}
    other = threading.Thread(target=lambda: ask(world.nexus.env, request))
    other.start()
    world.wait(lambda: page.downloads.earlier.rows)
    other.join(10)
    assert page.current == tab


def test_search_and_games(world: World) -> None:
    world.has((10, "1.8.0"), (13, "2.4.1"))
    world.service.add_mod("eldenring/20", version="1")
    page = world.start()
    assert page.mods.game.currentText() == "Elden Ring"
    page.mods.game.picked.emit(SKYRIM)
    assert [each.title for each in page.mods.list.rows] == ["Clear Maps", "Quiet Roads"]
    page.mods.search.setText("roads")
    assert [each.title for each in page.mods.list.rows] == ["Quiet Roads"]
    page.mods.search.setText("harbour")
    assert page.mods.empty.isVisible()
    world.wait(lambda: str(world.folder / "mods") in page.folder.full())


def test_a_game_without_mods_is_chosen_for_what_is_popular_there(world: World, qtbot: QtBot) -> None:
    world.has()
    page = world.start()
    page.tabs.choose("trending")
    assert page.trending.empty.isVisible()
    page.trending.empty.button.click()
    world.wait(lambda: isinstance(world.dialog, GameDialog))
    dialog = world.dialog
    assert not dialog.choose.isEnabled()
    dialog.search.setText("elden")
    qtbot.keyClick(dialog.search, Qt.Key.Key_Return)
    world.wait(lambda: [each.title for each in page.trending.list.rows] == ["Grace Map"])
    assert page.trending.game.currentText() == "Elden Ring"
    page.trending.game.activated.emit(page.trending.game.count() - 1)  # Another game…
    world.wait(lambda: isinstance(world.dialog, GameDialog))
    assert page.trending.game.currentText() == "Elden Ring"
    world.dialog.reject()


def test_the_folder_is_chosen(world: World) -> None:
    world.has((10, "1.8.0"))
    page = world.start()
    page.change.click()
    dialog = world.dialog
    assert isinstance(dialog, QFileDialog)
    (world.folder / "elsewhere").mkdir()
    dialog.fileSelected.emit(str(world.folder / "elsewhere"))
    dialog.reject()
    world.wait(lambda: "elsewhere" in page.folder.full())
    assert world.service.folder(SKYRIM) == world.folder / "elsewhere"


class Links:
    """The system's registration."""

    def __init__(self, program: str | None) -> None:
        self.on, self.program = False, program

    def state(self) -> LinkState:
        return LinkState(self.on, None if self.on else self.program)

    def turn_on(self) -> None:
        self.on = True

    def turn_off(self) -> None:
        self.on = False


def test_links_of_another_program_are_taken_only_after_a_yes(world: World) -> None:
    world.has((10, "1.8.0"))
    world.nexus.links = links = Links("Vortex")
    page = world.start()
    page.tabs.choose("downloads")
    card = page.downloads.links
    assert card.text.text() == "Vortex opens them now."
    card.switch.click()
    dialog = world.dialog
    assert isinstance(dialog, Confirm)
    dialog.cancel.click()
    assert not links.on
    assert not card.switch.isChecked()
    card.switch.click()
    world.dialog.action.click()
    world.wait(card.switch.isChecked)
    assert links.on
    card.switch.click()
    world.wait(lambda: not card.switch.isChecked())
    assert not links.on


def test_the_tab_account_is_the_accounts_own_page(world: World, qtbot: QtBot) -> None:
    world.has((10, "1.8.0"))
    page = world.start()
    account = world.app.window.account
    assert not account.renew.isVisible()
    page.tabs.choose("account")
    assert account.renew.isVisible()
    assert not account.title.isVisible()  # the page's head has the name
    assert not page.body.isVisible()
    choose(world.app, "github", qtbot)
    assert not page.isVisible()
    assert account.title.isVisible()
    choose(world.app, "nexusmods", qtbot)
    assert page.isVisible()
    assert page.current == "account"


def test_without_an_answer_the_last_content_stays_and_is_tried_again(world: World) -> None:
    world.has((10, "1.8.0"))
    page = world.start()
    world.site.faults.append(("users/validate", "cloudflare"))
    world.account.presenter.load(again=True)
    world.settle()
    assert page.mods.note.isVisible()
    assert "Cloudflare" in page.mods.note.title.text()
    assert "You see what was loaded at" in page.mods.note.text.text()
    assert page.mods.list.rows
    page.mods.note.button.click()
    world.settle()
    assert not page.mods.note.isVisible()


def test_an_account_that_goes_while_it_is_read_harms_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    world.has((10, "1.8.0"))
    page = world.start()
    gate, asked = threading.Event(), threading.Event()
    profile = NexusService.profile

    def late(service: NexusService) -> Any:
        asked.set()
        gate.wait(10)
        return profile(service)

    monkeypatch.setattr(NexusService, "profile", late)
    world.account.presenter.load(again=True)
    world.wait(asked.is_set)
    assert world.app.running is not None
    world.app.running.presenter.act("remove", world.account.key)
    world.wait(lambda: not world.app.running.nexus.accounts)  # type: ignore[union-attr]
    gate.set()
    world.wait(lambda: not operation.running())
    assert not page.isVisible()


def test_quitting_while_the_site_is_asked_ends_well(
    world: World, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    world.has((10, "1.8.0"))
    world.start()
    gate, asked = threading.Event(), threading.Event()
    profile = NexusService.profile

    def late(service: NexusService) -> Any:
        asked.set()
        gate.wait(10)
        return profile(service)

    monkeypatch.setattr(NexusService, "profile", late)
    world.account.presenter.load(again=True)
    world.wait(asked.is_set)
    threading.Timer(0.3, gate.set).start()
    quit_app(world.app, qtbot)
    world.ended()


def test_signed_out_the_note_signs_in(world: World) -> None:
    world.has((10, "1.8.0"))
    page = world.start()
    assert world.app.running is not None
    asked: list[tuple[str, str]] = []
    world.app.running.nexus.asked.connect(lambda action, key: asked.append((action, key)))
    page.asked.emit("sign_in")
    assert asked == [("reconnect", world.account.key)]
