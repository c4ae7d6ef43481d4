"""Faces: letters in colours that tell people apart, and pictures where the provider has them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QObject
from PySide6.QtGui import QColor, QImage
from pytestqt.qtbot import QtBot

from keyfob.demo.users import PEOPLE, portrait
from keyfob.desktop.controller import AppController
from keyfob.desktop.shared.avatar import Avatar, avatar_color, picture
from keyfob.desktop.shared.palette import AVATARS
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.account_page import AccountPage
from keyfob.desktop.window.detail import detail
from keyfob.desktop.window.names import face_of
from keyfob.desktop.window.pictures import AGAIN, Pictures
from keyfob.engine import Engine
from support.sample_engine import change
from support.samples import NOW, view
from support.scripted_provider import ALICE, ScriptedBrowser

URL = "http://127.0.0.1:9899/portraits/alice.png"


def test_the_demos_people_are_told_apart() -> None:
    faces = [face_of(view("demo", "Demo", each.id, subject=each.sub)) for each in PEOPLE.values()]
    assert len({face.color for face in faces}) == len(PEOPLE)


def test_a_person_keeps_the_color_when_connected_again() -> None:
    first = view("demo", "Demo", "alice", subject="1", key="a")
    assert face_of(first).color == face_of(replace(first, key="b", label="me")).color


def test_letters_use_every_color() -> None:
    used = [avatar_color(f"demo/{number}") for number in range(1000)]
    assert set(used) == set(AVATARS)
    assert max(used.count(color) for color in AVATARS) < 150


@pytest.fixture
def back_to_light(theme: Theme) -> Iterator[None]:
    yield
    theme.choose("light")


@pytest.mark.usefixtures("back_to_light")
def test_the_ring_of_the_badge_follows_the_theme(theme: Theme, qtbot: QtBot) -> None:
    avatar = Avatar(theme, 66, "bg")
    qtbot.addWidget(avatar)
    avatar.show_face(face_of(view("gitlab", "GitLab", "aldis")))

    def colors() -> set[str]:
        image = avatar.grab().toImage()
        return {
            image.pixelColor(x, y).name()
            for x in range(image.width() // 4, image.width() * 3 // 4)
            for y in range(image.height() // 4, image.height() * 3 // 4)
        }

    light = theme.palette.bg
    assert light in colors()
    theme.choose("dark")
    assert theme.palette.bg in colors()
    assert light not in colors()


class Shelf:
    """Pictures that arrive when the test lets them."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.path: Path | None = None
        self.gate = threading.Event()

    def cached(self, url: str | None) -> Path | None:
        return None

    def fetch(self, url: str | None) -> Path | None:
        self.asked.append(str(url))
        self.gate.wait(10)
        return self.path


@pytest.fixture
def alice(tmp_path: Path) -> Path:
    path = tmp_path / "alice"
    path.write_bytes(portrait(PEOPLE["alice"]))
    return path


def test_pictures_are_fetched_off_the_gui_thread_once(alice: Path, qtbot: QtBot) -> None:
    shelf, owner = Shelf(), QObject()
    pictures = Pictures(shelf, owner)
    account = view("demo", "Demo", "alice", avatar_url=URL)
    twin = replace(account, key="twin")
    shelf.path = alice
    pictures.fetch([account, twin])  # returns although nothing came yet
    pictures.fetch([account, twin])
    assert pictures.files == {}
    with qtbot.waitSignal(pictures.arrived):
        shelf.gate.set()
    pictures.fetch([account, twin])
    assert shelf.asked == [URL]
    assert pictures.files == {account.key: str(alice), "twin": str(alice)}


def test_a_picture_that_could_not_be_had_is_asked_for_again_later(alice: Path, qtbot: QtBot) -> None:
    """The demo starts after the window: its portraits are not there at first."""
    shelf, owner, now = Shelf(), QObject(), [0.0]
    shelf.gate.set()
    pictures = Pictures(shelf, owner, lambda: now[0])
    account = view("demo", "Demo", "alice", avatar_url=URL)

    def again() -> bool:
        pictures.fetch([account])
        return len(shelf.asked) == 2

    pictures.fetch([account])
    qtbot.waitUntil(lambda: shelf.asked == [URL])
    qtbot.wait(50)
    pictures.fetch([account])
    assert shelf.asked == [URL]
    shelf.path = alice
    now[0] = AGAIN
    with qtbot.waitSignal(pictures.arrived):
        qtbot.waitUntil(again)
    assert pictures.files == {account.key: str(alice)}


def test_the_page_draws_the_picture(alice: Path, theme: Theme, qtbot: QtBot) -> None:
    page = AccountPage(theme)
    qtbot.addWidget(page)
    account = view("demo", "Demo", "alice", name="Alice")
    page.show_model(detail(account, (), NOW, kept_in="Safe", pictures={account.key: str(alice)}))
    page.resize(700, 600)
    page.show()
    drawn = page.avatar.grab().toImage()
    letter = QColor(face_of(account).color)
    assert not any(
        drawn.pixelColor(x, y) == letter for x in range(drawn.width()) for y in range(drawn.height())
    )


@pytest.fixture
def shelf(alice: Path) -> Shelf:
    made = Shelf()
    made.path = alice
    made.gate.set()
    return made


@pytest.fixture
def world(world: dict[str, Any], shelf: Shelf) -> dict[str, Any]:
    return world | {"avatars": shelf}


def test_a_picture_that_arrives_later_is_drawn_on_the_last_page(
    controller: AppController, browser: ScriptedBrowser, engine: Engine, qtbot: QtBot
) -> None:
    """A sign-in ends before its picture is fetched."""
    dialog = controller.running.connect_dialog
    controller.running.connect_account()
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.gallery)
    dialog.gallery.search.setText("openai")
    dialog.gallery.go.click()
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.waiting)
    qtbot.waitUntil(dialog.waiting.copy_link.isEnabled)
    browser.allow(ALICE)
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.success)
    letter = dialog.success.avatar.grab().toImage()
    account = engine.accounts.resolve("openai/alice@example.org").account
    change(engine, "openai/alice@example.org", account=replace(account, avatar_url=URL))
    controller.running.presenter.reload()
    qtbot.waitUntil(lambda: dialog.success.avatar.grab().toImage() != letter)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n but no picture", b"<svg/>"])
def test_what_is_no_picture_leaves_the_letter(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    assert picture(str(path)) is None


def test_a_picture_that_is_too_large_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    image = QImage(2049, 1, QImage.Format.Format_RGB32)
    assert image.save(str(path))
    assert picture(str(path)) is None
