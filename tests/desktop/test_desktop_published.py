"""A build with its publisher's client ids: the gallery and the form ask for no app registration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from keyfob.core.resources import resources
from keyfob.desktop.connect import cards
from keyfob.desktop.connect.dialog import ConnectDialog
from keyfob.desktop.connect.form_cards import KnownApp
from keyfob.desktop.connect.form_parts import Numbered
from keyfob.desktop.connect.listener_thread import Threads
from keyfob.desktop.connect.presenter import SignInPresenter
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.presenter import Presenter
from keyfob.engine import Engine
from keyfob.providers.catalogue import Catalogue
from support.fake_ports import NOW
from support.sample_engine import sample_engine
from support.scripted_provider import ScriptedBrowser

PUBLISHED = '[spotify.oauth]\nclient_id = "publishers-id"\n[github]\nclient_id = "Ov23device"\n'


@pytest.fixture
def engine(tmp_path: Path, world: dict[str, Any]) -> Engine:
    file = tmp_path / "clients.toml"
    file.write_text(PUBLISHED)
    ours = resources()
    user = tmp_path / "home" / "config" / "providers"
    found = Catalogue(ours / "providers", user, more=(ours / "demo",), clients=file)
    return sample_engine(tmp_path, presets=found, **world)


@pytest.fixture
def dialog(theme: Theme, engine: Engine, presenter: Presenter, threads: Threads) -> Iterator[ConnectDialog]:
    result = ConnectDialog(theme, SignInPresenter(engine, presenter, threads, clock=lambda: NOW))
    yield result
    result.end()


def open_form(dialog: ConnectDialog, qtbot: QtBot, provider: str, method: str) -> None:
    dialog.connect_to(provider, method)
    qtbot.waitUntil(lambda: dialog.pages.currentWidget() is dialog.form)


def test_the_tile_says_browser(engine: Engine) -> None:
    made = {card.id: card for card in cards.cards(engine.providers.all(), demo=False)}
    assert (made["spotify"].group, made["spotify"].subtitle) == ("at_once", "Browser sign-in")
    assert [way.action for way in made["github"].ways if way.method == "oauth"] == [
        "sign in with your own app"
    ]
    assert made["github"].group == "at_once"
    assert made["dropbox"].subtitle == "Needs your own app"


def test_the_form_has_no_steps_and_the_sign_in_uses_the_publishers_id(
    dialog: ConnectDialog, browser: ScriptedBrowser, qtbot: QtBot
) -> None:
    open_form(dialog, qtbot, "spotify", "oauth")
    assert dialog.form.findChildren(Numbered) == []
    assert dialog.form.findChildren(KnownApp) == []
    assert "client_id" not in dialog.form.fields
    assert dialog.form.go.isEnabled()
    qtbot.mouseClick(dialog.form.go, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(browser.opened))
    assert "client_id=publishers-id" in browser.opened[0]


def test_a_method_without_an_id_still_has_its_steps(dialog: ConnectDialog, qtbot: QtBot) -> None:
    open_form(dialog, qtbot, "github", "device")
    assert dialog.form.findChildren(Numbered) == []
    open_form(dialog, qtbot, "github", "oauth")
    assert len(dialog.form.findChildren(Numbered)) == 3


def test_a_persons_own_app_is_used_and_shown(dialog: ConnectDialog, engine: Engine, qtbot: QtBot) -> None:
    engine.clients.keep(engine.providers.get("spotify"), {}, "my-own-app", None)
    open_form(dialog, qtbot, "spotify", "oauth")
    (known,) = dialog.form.findChildren(KnownApp)
    texts = [text.text() for text in known.findChildren(QLabel)]
    assert [text for text in texts if text] == ["Use your app my-own-app", "You registered it before."]
