"""The page of a Nexus Mods account."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING
from unittest.mock import patch

from _shots.nexus_stage import ALDIS, SKYRIM, NexusScene, site
from _shots.registry import scene
from _shots.stage import NEXUS
from keyfob.core.errors import SettingWrong
from keyfob.desktop.nexus.game_dialog import GameDialog
from keyfob.desktop.nexus.presenter import shown_links
from keyfob.desktop.shared import operation
from keyfob.desktop.shared.confirm import Ask
from keyfob.nexus import downloads as nexus_downloads
from keyfob.nexus.link_state import LinkState
from keyfob.nexus.service import NexusService
from support.nexus_site import Mod, pack
from support.sample_engine import change, status_of
from support.samples import sample_views

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from _shots.stage import Stage
    from keyfob.desktop.nexus.dialogs import NexusDialogs
    from keyfob.engine import Engine
    from keyfob.nexus.models import DownloadItem, Profile


def running(made: NexusScene, number: int = 11, rate: float = 400_000) -> None:
    """A download that is under way."""
    made.site.cdn_rate = rate
    made.nexus.transfers.take()
    item = made.service.download(SKYRIM, number)
    made.stage.until(lambda: item_of(made, item.id).received > 300_000, seconds=20)


def item_of(made: NexusScene, key: str) -> DownloadItem:
    return next(each for each in made.nexus.transfers.items() if each.id == key)


def ended(made: NexusScene, key: str) -> None:
    made.stage.until(lambda: item_of(made, key).state in ("done", "stopped", "link"), seconds=20)


@scene("nexus-mods")
def mods(stage: Stage) -> QWidget:
    made = NexusScene(stage, before=running)
    made.tab("mods")
    return made.app.window


@scene("nexus-mods-free")
def free(stage: Stage) -> QWidget:
    of = site()
    of.members[1].roles = ("member",)
    made = NexusScene(stage, of)
    made.tab("mods")
    return made.app.window


@scene("nexus-mods-many")
def many(stage: Stage) -> QWidget:
    of = site()
    for number in range(1000, 1294):
        of.games[SKYRIM].mods[number] = Mod(number, f"Texture pack {number}", "mirelle", "1.0")
        of.members[1].tracked.append((SKYRIM, number))
    made = NexusScene(stage, of)
    made.tab("mods")
    return made.app.window


@scene("nexus-mods-search")
def search(stage: Stage) -> QWidget:
    made = NexusScene(stage)
    made.tab("mods")
    made.page.mods.search.setText("harbour")
    return made.app.window


@scene("nexus-mods-none")
def none(stage: Stage) -> QWidget:
    of = site()
    of.members[1].tracked = []
    made = NexusScene(stage, of, installed={})
    made.tab("mods")
    return made.app.window


@scene("nexus-mods-loading")
def loading(stage: Stage) -> QWidget:
    gate = Event()
    stage.ending.append(gate.set)
    profile = NexusService.profile

    def late(service: NexusService) -> Profile:
        gate.wait(20)
        return profile(service)

    made = NexusScene(stage, installed={}, patches=((NexusService, "profile", late),), waits=False)
    stage.show(made.app.window)
    stage.until(lambda: made.page.mods.grey.shows)
    return made.app.window


@scene("nexus-mods-offline")
def offline(stage: Stage) -> QWidget:
    """What was known stays."""
    made = NexusScene(stage)
    made.tab("mods")
    made.service.close()  # its connections
    made.server.__exit__()
    made.presenter.load(again=True)
    made.settle()
    return made.app.window


@scene("nexus-limit-low")
def low(stage: Stage) -> QWidget:
    of = site()
    of.members[1].daily_left, of.members[1].hourly_left = 1_480, 500
    made = NexusScene(stage, of)
    made.tab("mods")
    return made.app.window


@scene("nexus-limit-used")
def used(stage: Stage) -> QWidget:
    made = NexusScene(stage)
    made.tab("mods")
    made.site.members[1].daily_left = made.site.members[1].hourly_left = 0
    made.presenter.load(again=True)
    made.settle()
    return made.app.window


@scene("nexus-signed-out")
def signed_out(stage: Stage) -> QWidget:
    made = NexusScene(stage, installed={}, account=ended_sign_in, waits=False)
    made.tab("mods")
    return made.app.window


@scene("nexus-signed-out-known")
def signed_out_known(stage: Stage) -> QWidget:
    """The mods that were known stay, without buttons."""
    made = NexusScene(stage, account=ended_sign_in, waits=False)
    made.tab("mods")
    return made.app.window


def ended_sign_in(engine: Engine) -> None:
    """Nexus Mods has ended it."""
    ended = next(each for each in sample_views() if each.status == "needs_sign_in")
    assert ended.last_error is not None
    # As the renewal words it for this provider.
    error = replace(ended.last_error, message="Nexus Mods ended this sign-in")
    change(engine, ALDIS, status=status_of(ended), last_error=error)


@scene("nexus-disconnected")
def disconnected(stage: Stage) -> QWidget:
    def off(engine: Engine) -> None:
        engine.accounts.disconnect(NEXUS)

    made = NexusScene(stage, installed={}, account=off, waits=False)
    made.tab("mods")
    return made.app.window


@scene("nexus-trending")
def trending(stage: Stage) -> QWidget:
    made = NexusScene(stage)
    made.tab("trending")
    return made.app.window


@scene("nexus-trending-adult")
def adult(stage: Stage) -> QWidget:
    made = NexusScene(stage, before=lambda made: made.service.set_adult(True))
    made.tab("trending")
    return made.app.window


@scene("nexus-trending-free")
def trending_free(stage: Stage) -> QWidget:
    of = site()
    of.members[1].roles = ("member",)
    made = NexusScene(stage, of)
    made.tab("trending")
    return made.app.window


def several(made: NexusScene) -> None:
    """One that runs, one that waits, and what came before."""
    for number in (13, 17):
        ended(made, made.service.download(SKYRIM, number).id)
    made.site.cdn_cut = 30_000
    made.site.games[SKYRIM].mods[10].files[2].content = pack("roads-1.9.2", 900_000)
    made.site.cdn_rate = 2_000_000
    roads = made.service.download(SKYRIM, 10, 103)
    made.stage.until(lambda: item_of(made, roads.id).received > 0)
    made.nexus.transfers.pause(roads.id)
    made.stage.until(lambda: item_of(made, roads.id).state == "paused", seconds=20)
    flora = made.service.download(SKYRIM, 12, 121)
    ended(made, flora.id)
    running(made)


@scene("nexus-downloads")
def downloads(stage: Stage) -> QWidget:
    made = NexusScene(stage, before=several)
    made.tab("downloads")
    return made.app.window


@scene("nexus-downloads-stopped")
def stopped(stage: Stage) -> QWidget:
    """Another file than the one that was asked for, and a disk that is full."""

    def before(made: NexusScene) -> None:
        made.nexus.transfers.take()
        made.site.cdn_spoilt = True
        ended(made, made.service.download(SKYRIM, 13).id)
        made.site.cdn_spoilt = False

        def full(*_: object, **__: object) -> Path:
            raise SettingWrong("The disk is full", code="file_unwritable")

        with patch.object(nexus_downloads, "download", full):
            ended(made, made.service.download(SKYRIM, 17).id)

    made = NexusScene(stage, before=before)
    made.tab("downloads")
    return made.app.window


@scene("nexus-downloads-link")
def link(stage: Stage) -> QWidget:
    """A free member's wait for the button of the site."""
    of = site()
    of.members[1].roles = ("member",)

    def before(made: NexusScene) -> None:
        made.nexus.transfers.take()
        ended(made, made.service.download(SKYRIM, 11).id)

    made = NexusScene(stage, of, before=before)
    made.tab("downloads")
    return made.app.window


@scene("nexus-downloads-none")
def no_downloads(stage: Stage) -> QWidget:
    made = NexusScene(stage)
    made.tab("downloads")
    return made.app.window


@scene("nexus-account")
def account(stage: Stage) -> QWidget:
    made = NexusScene(stage)
    made.tab("account")
    return made.app.window


def dialogs(made: NexusScene) -> NexusDialogs:
    assert made.app.running is not None
    found = made.app.running.nexus.dialogs
    assert found is not None
    return found


@scene("nexus-details")
def details(stage: Stage) -> QWidget:
    made = NexusScene(stage)
    made.tab("mods")
    dialogs(made).show_details(f"{SKYRIM}/10")
    dialog = dialogs(made).dialog
    assert dialog is not None
    stage.show(dialog)
    stage.until(lambda: not operation.running())
    return dialog


@scene("nexus-add")
def add(stage: Stage) -> QWidget:
    """An address that is none of a mod."""
    made = NexusScene(stage)
    made.tab("mods")
    dialogs(made).ask_for_mod()
    dialog = dialogs(made).dialog
    assert isinstance(dialog, Ask)
    dialog.field.setText("https://example.org/mods/1")
    dialog.action.click()
    stage.until(lambda: not dialog.problem.isHidden())
    return dialog


@scene("nexus-game")
def game(stage: Stage) -> QWidget:
    made = NexusScene(stage)
    made.tab("trending")
    dialogs(made).ask_for_game()
    stage.until(lambda: isinstance(dialogs(made).dialog, GameDialog))
    dialog = dialogs(made).dialog
    assert isinstance(dialog, GameDialog)
    dialog.search.setText("e")
    return dialog


@scene("nexus-links")
def links(stage: Stage) -> QWidget:
    """Another program has the links now."""
    made = NexusScene(stage)
    made.tab("downloads")
    made.presenter.change(links=shown_links(LinkState(on=False, program="Vortex")))
    dialogs(made).turn_links(True)
    dialog = dialogs(made).dialog
    assert dialog is not None
    return dialog


def narrow(made: NexusScene) -> QWidget:
    theme = made.stage.theme
    made.app.window.resize(theme.px(780), theme.px(480))
    made.stage.show(made.app.window)
    made.stage.until(lambda: not operation.running())
    return made.app.window


@scene("nexus-narrow-mods")
def narrow_mods(stage: Stage) -> QWidget:
    made = NexusScene(stage, before=running)
    made.tab("mods")
    return narrow(made)


@scene("nexus-narrow-trending")
def narrow_trending(stage: Stage) -> QWidget:
    made = NexusScene(stage)
    made.tab("trending")
    return narrow(made)


@scene("nexus-narrow-downloads")
def narrow_downloads(stage: Stage) -> QWidget:
    made = NexusScene(stage, before=several)
    made.tab("downloads")
    return narrow(made)


@scene("nexus-narrow-account")
def narrow_account(stage: Stage) -> QWidget:
    made = NexusScene(stage)
    made.tab("account")
    return narrow(made)


def wide(made: NexusScene) -> QWidget:
    theme = made.stage.theme
    made.app.window.resize(theme.px(1200), theme.px(800))
    made.stage.show(made.app.window)
    made.stage.until(lambda: not operation.running())
    return made.app.window


@scene("nexus-wide-mods")
def wide_mods(stage: Stage) -> QWidget:
    made = NexusScene(stage, before=running)
    made.tab("mods")
    return wide(made)


@scene("nexus-wide-trending")
def wide_trending(stage: Stage) -> QWidget:
    made = NexusScene(stage)
    made.tab("trending")
    return wide(made)
