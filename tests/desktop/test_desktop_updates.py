"""The page Tools and updates: real programs, and a server like GitHub on loopback."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from keyfob.core.errors import PeerFault, SettingWrong, SignInEnded, Transient
from keyfob.desktop.controller import AppController
from keyfob.desktop.updates import models
from keyfob.desktop.updates.controller import ToolsAndUpdates
from keyfob.desktop.updates.models import Work, failed_text
from keyfob.desktop.updates.progress_bar import ThinBar
from keyfob.desktop.updates.tool_row import ToolRowView
from keyfob.desktop.updates.uses import uses_of
from keyfob.engine import Engine
from keyfob.tools.tool_setup import Asked
from keyfob.updates.companion_files import CompanionFiles
from keyfob.updates.companions import Companion, Installed, Newest, Owner, Standing, VersionSource
from keyfob.updates.download import Progress
from support.announcements import announcements
from support.fake_ports import NOW, ScriptedTransport
from support.release_server import ReleaseServer, Routed, install, noise, program, tar_of
from support.sample_engine import sample_engine
from support.scripted_provider import ScriptedProvider

FILE = """
id = "NAME"
title = "The NAME"
description = "Does what I need"
program = "NAME"

[version]
pattern = 'NAME (?P<version>\\S+)'

[releases]
github = "me/NAME"

[install]
how = "program"
hosts = ["HOST"]
"""
DOWNLOADS = "".join(
    f'\n[[downloads]]\nsystem = "{system}"\nmachine = "{machine}"\nname = "NAME.tar.gz"\nprogram = "NAME"\n'
    for system in ("linux", "macos")
    for machine in ("x86_64", "arm64")
)


@dataclass
class Shop:
    """The server, and the programs of this computer."""

    server: ReleaseServer
    home: Path
    files: Path

    def offer(self, name: str, *versions: str, **more: Any) -> None:
        """A tool that Keyfob knows, with these releases."""
        text = (FILE + DOWNLOADS).replace("NAME", name).replace("HOST", self.server.host)
        (self.files / f"{name}.toml").write_text(text)
        for version in versions:
            data = tar_of(name, program(f"{name} {version}"), LICENSE=noise(100_000))
            self.server.publish(f"me/{name}", f"v{version}", {f"{name}.tar.gz": data}, **more)

    def have(self, name: str, version: str) -> Path:
        return install(self.home / ".local" / "bin", name, f"{name} {version}")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with ReleaseServer() as server:
        files = tmp_path / "files"
        files.mkdir()
        yield Shop(server, tmp_path, files)


@pytest.fixture
def engine(tmp_path: Path, world: dict[str, Any], shop: Shop, provider: ScriptedProvider) -> Engine:
    more = {
        "transport": Routed(ScriptedTransport(provider), lambda: NOW),
        "companion_files": CompanionFiles(shop.files, tmp_path / "own"),
        "github": shop.server.base,
        "user_home": tmp_path,
    }
    return sample_engine(tmp_path, **(world | more))


@pytest.fixture
def updates(controller: AppController, qtbot: QtBot) -> ToolsAndUpdates:
    assert controller.running is not None
    settings = controller.settings_controller
    qtbot.waitUntil(lambda: settings.known)
    return controller.running.updates


def opened(updates: ToolsAndUpdates, qtbot: QtBot) -> None:
    updates.nav.click()
    qtbot.waitUntil(lambda: updates.presenter.loaded and not updates.presenter.busy, timeout=10_000)


def row_of(updates: ToolsAndUpdates, tool: str) -> ToolRowView:
    return next(each for each in updates.page.findChildren(ToolRowView) if each.key == tool)


def button(updates: ToolsAndUpdates, tool: str) -> QPushButton:
    return row_of(updates, tool).right.button


def idle(updates: ToolsAndUpdates, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: not updates.presenter.busy, timeout=10_000)


posix = pytest.mark.skipif(os.name == "nt", reason="the programs are shell scripts")
pytestmark = [pytest.mark.network, posix]


def test_the_first_visit_checks_and_a_second_one_within_a_day_does_not(
    updates: ToolsAndUpdates, shop: Shop, qtbot: QtBot
) -> None:
    shop.offer("one", "1.4.0")
    shop.have("one", "1.3.2")
    opened(updates, qtbot)
    assert button(updates, "one").text() == "Update to v1.4.0"
    assert updates.nav.accessibleDescription().endswith("1 update available.")
    assert updates.page.summary.text().startswith("Checked today at ")
    asked = len(shop.server.asked)
    assert asked == 1  # and not twice
    opened(updates, qtbot)
    assert len(shop.server.asked) == asked
    updates.page.check_button.click()
    idle(updates, qtbot)
    assert len(shop.server.asked) > asked


def test_with_the_switch_off_nothing_is_asked_until_the_user_does(
    updates: ToolsAndUpdates, shop: Shop, engine: Engine, qtbot: QtBot
) -> None:
    shop.offer("one", "1.4.0")
    shop.have("one", "1.3.2")
    updates.page.switch.setEnabled(True)
    updates.page.switch.setChecked(True)
    updates.page.switch.click()
    qtbot.waitUntil(lambda: not engine.settings.load().updates)
    opened(updates, qtbot)
    assert shop.server.asked == []
    row = row_of(updates, "one")
    assert row.accessibleDescription() == "installed 1.3.2, Not checked yet, Does what I need"
    updates.page.check_button.click()
    idle(updates, qtbot)
    assert button(updates, "one").text() == "Update to v1.4.0"


def test_nothing_is_asked_for_what_is_not_installed(
    updates: ToolsAndUpdates, shop: Shop, qtbot: QtBot
) -> None:
    shop.offer("one", "1.4.0")
    opened(updates, qtbot)
    assert shop.server.asked == []
    assert updates.page.empty.text() == "None of the tools that Keyfob knows is installed on this computer."
    assert updates.page.others.text() == "Keyfob knows The one."


def test_an_update_shows_its_progress_and_ends_up_to_date(
    updates: ToolsAndUpdates, shop: Shop, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.offer("one", "1.4.0")
    path = shop.have("one", "1.3.2")
    spoken = announcements(monkeypatch)
    opened(updates, qtbot)
    shop.server.gate = threading.Event()
    press = button(updates, "one")
    press.setFocus()
    press.click()
    qtbot.waitUntil(lambda: row_of(updates, "one").bar.value() > 0)
    assert press.text() == "Cancel"
    row = row_of(updates, "one")
    shop.server.gate.set()
    idle(updates, qtbot)
    assert "one 1.4.0" in path.read_text()
    assert row.accessibleDescription().startswith("installed 1.4.0, newest 1.4.0, Up to date")
    assert not press.isVisibleTo(updates.page)
    assert updates.nav.accessibleDescription() == "This page is open."
    said = [text for text, _ in spoken]
    assert "Downloading The one" in said
    assert "100 %. The one 1.4.0 is installed" in said
    assert updates.page.check_button.hasFocus()


def test_a_cancelled_download_changes_nothing_and_can_go_on(
    updates: ToolsAndUpdates, shop: Shop, qtbot: QtBot
) -> None:
    shop.offer("one", "1.4.0")
    path = shop.have("one", "1.3.2")
    opened(updates, qtbot)
    shop.server.gate = threading.Event()
    button(updates, "one").click()
    qtbot.waitUntil(lambda: row_of(updates, "one").bar.value() > 0)
    button(updates, "one").click()
    idle(updates, qtbot)
    assert button(updates, "one").text() == "Update to v1.4.0"
    assert "one 1.3.2" in path.read_text()
    shop.server.gate.set()
    button(updates, "one").click()
    idle(updates, qtbot)
    assert "one 1.4.0" in path.read_text()


def test_a_tampered_download_says_that_nothing_was_installed(
    updates: ToolsAndUpdates, shop: Shop, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.offer("one", "1.4.0")
    path = shop.have("one", "1.3.2")
    spoken = announcements(monkeypatch)
    opened(updates, qtbot)
    (file,) = shop.server.files
    good = shop.server.files[file]
    shop.server.files[file] = good[:-4] + b"XXXX"
    button(updates, "one").click()
    idle(updates, qtbot)
    row = row_of(updates, "one")
    assert row.accessibleDescription().endswith(
        "The download is not what was announced. Nothing was installed"
    )
    assert "The one: The download is not what was announced. Nothing was installed." in [
        text for text, _ in spoken
    ]
    assert "one 1.3.2" in path.read_text()
    shop.server.files[file] = good
    assert button(updates, "one").text() == "Try again"
    button(updates, "one").click()
    idle(updates, qtbot)
    assert "one 1.4.0" in path.read_text()


@pytest.mark.parametrize("agrees", [True, False])
def test_without_a_checksum_the_user_decides(
    updates: ToolsAndUpdates, shop: Shop, qtbot: QtBot, agrees: bool
) -> None:
    shop.offer("one", "1.4.0", digests=False)
    path = shop.have("one", "1.3.2")
    opened(updates, qtbot)
    button(updates, "one").click()
    qtbot.waitUntil(lambda: updates.question is not None)
    assert updates.question is not None
    (updates.question.action if agrees else updates.question.cancel).click()
    qtbot.waitUntil(lambda: updates.question is None)
    idle(updates, qtbot)
    assert ("one 1.4.0" if agrees else "one 1.3.2") in path.read_text()


def test_without_a_network_the_page_says_when_it_checked_last(
    updates: ToolsAndUpdates, shop: Shop, qtbot: QtBot, clock: list[datetime]
) -> None:
    shop.offer("one", "1.4.0")
    shop.have("one", "1.3.2")
    opened(updates, qtbot)
    shop.server.close()
    clock.append(NOW + timedelta(days=3))
    updates.page.check_button.click()
    idle(updates, qtbot)
    assert updates.page.summary.text().startswith("You are offline. Last checked on Friday.")
    row = row_of(updates, "one")
    assert row.accessibleDescription().endswith("Does what I need")


def test_an_update_during_a_check_is_not_forgotten(
    updates: ToolsAndUpdates, shop: Shop, qtbot: QtBot
) -> None:
    shop.offer("one", "1.4.0")
    shop.offer("two", "1.4.0")
    shop.have("one", "1.3.2")
    shop.have("two", "1.3.2")
    opened(updates, qtbot)
    shop.server.hold = threading.Event()  # the check saw the old copy, and waits for the second list
    updates.page.check_button.click()
    qtbot.waitUntil(lambda: shop.server.holding)
    button(updates, "one").click()
    qtbot.waitUntil(lambda: row_of(updates, "one").accessibleDescription().startswith("installed 1.4.0"))
    shop.server.hold.set()
    idle(updates, qtbot)
    assert row_of(updates, "one").accessibleDescription().startswith("installed 1.4.0")
    assert button(updates, "two").text() == "Update to v1.4.0"


def test_a_source_that_fails_is_not_asked_again_for_a_day(
    updates: ToolsAndUpdates, shop: Shop, qtbot: QtBot
) -> None:
    shop.offer("one", "1.4.0")
    shop.have("one", "1.3.2")
    shop.server.failing["/repos/"] = 503
    opened(updates, qtbot)
    asked = len(shop.server.asked)
    assert asked
    opened(updates, qtbot)
    assert len(shop.server.asked) == asked


def test_settings_have_the_switch_and_check_now(
    updates: ToolsAndUpdates, controller: AppController, engine: Engine, shop: Shop, qtbot: QtBot
) -> None:
    shop.offer("one", "1.4.0")
    shop.have("one", "1.3.2")
    assert controller.running is not None
    controller.running.open_settings()
    dialog = controller.settings_controller.dialog
    assert dialog is not None
    assert dialog.updates.isChecked()
    dialog.updates.click()
    qtbot.waitUntil(lambda: not engine.settings.load().updates)
    assert not updates.page.switch.isChecked()
    dialog.check_button.click()
    qtbot.waitUntil(lambda: controller.window.pages.currentWidget() is updates.page)
    idle(updates, qtbot)
    assert button(updates, "one").text() == "Update to v1.4.0"


def test_the_page_opens_by_its_keys_and_closes_by_escape(
    updates: ToolsAndUpdates, controller: AppController, qtbot: QtBot
) -> None:
    qtbot.keyClick(controller.window, Qt.Key.Key_U, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: controller.window.pages.currentWidget() is updates.page)
    idle(updates, qtbot)
    qtbot.keyClick(updates.page, Qt.Key.Key_Escape)
    assert controller.window.pages.currentWidget() is not updates.page


def test_what_a_tool_is_wired_to_stands_in_its_row(engine: Engine, tmp_path: Path, shop: Shop) -> None:
    shop.offer("one")
    path = shop.files / "one.toml"
    path.write_text(path.read_text().replace('id = "one"', 'id = "one"\nwire = "git"'))
    asked = Asked(tmp_path, ("github",))
    engine.tool_setup.make("git", asked, engine.tool_setup.plan("git", asked))
    found = uses_of(engine.companions.files.all(), engine.accounts, engine.wiring, engine.tool_setup)
    assert found == {"one": "uses aldis-k"}


# --- the words ----------------------------------------------------------------------------------------------

TOOL = Companion("one", "The one", "Does what I need", "one", VersionSource("one (?P<version>.+)"))


def standing(owner: Owner, *, state: models.Standing | None = None, **more: Any) -> Standing:
    return Standing(
        TOOL, "update", Installed(Path("/x"), owner, "1.3.2"), Newest("1.4.0", "v1.4.0", **more), NOW
    )


@pytest.mark.parametrize(
    ("owner", "page", "state", "text", "press"),
    [
        (Owner("manager", "apt", "sudo x"), "", "Managed by apt", "To update it, run: sudo x", ""),
        (Owner("manager", "nvm"), "", "Managed by nvm", "Does what I need", ""),
        (Owner("everyone"), "", "Managed by your system", "Does what I need", ""),
        (Owner("person"), "https://example.org/", "", "Does what I need", "See release"),
        (Owner("person"), "", "Newer version available", "Does what I need", ""),
    ],
)  # fmt: skip
def test_a_tool_that_keyfob_does_not_update_has_no_button_for_it(
    owner: Owner, page: str, state: str, text: str, press: str
) -> None:
    row = models.row(standing(owner, page=page))
    assert (row.state, row.text, row.button) == (state, text, press)


@pytest.mark.parametrize(
    ("work", "part", "amount", "left"),
    [
        (Work(), None, "Starting the download…", ""),
        (
            Work(progress=Progress(7_900_000, 21_400_000, 2_600_000, 5.2)),
            0.369, "7.9 of 21.4 MB · 2.6 MB/s", "5 seconds left",
        ),
        (Work(progress=Progress(900_000, 21_400_000, 0, None)), 0.042, "900 kB of 21.4 MB", ""),
        (Work(progress=Progress(7_900_000, None, 2_600_000, None)), None, "7.9 MB · 2.6 MB/s", ""),
        (Work("checking"), None, "Checking the download…", ""),
        (Work("installing"), None, "Installing…", ""),
        (Work(stopping=True), None, "Cancelling…", ""),
    ],
)  # fmt: skip
def test_progress_has_bytes_rate_and_time_left(
    work: Work, part: float | None, amount: str, left: str
) -> None:
    row = models.row(standing(Owner("person")), work=work)
    assert row.bar is not None
    assert row.text == "1.3.2 → 1.4.0"
    assert row.bar.part == (None if part is None else pytest.approx(part, abs=0.001))
    assert (row.bar.amount, row.bar.left) == (amount, left)
    assert row.button == ("" if work.stopping or work.step == "installing" else "Cancel")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            PeerFault("x", code="download_wrong"),
            "The download is not what was announced. Nothing was installed.",
        ),
        (SignInEnded("The download was cancelled"), "The download was cancelled. Nothing was installed."),
        (
            SettingWrong("The disk with /home is full", code="disk_full", facts={"path": "/home"}),
            "The disk is full. Nothing was installed. Free some disk space on the disk with /home, then "
            "try again.",
        ),
        (Transient("x", code="network_timeout"), "The server did not answer in time. Nothing was installed."),
    ],
)
def test_a_failure_says_what_did_not_happen(error: Any, text: str) -> None:
    assert failed_text(error) == text


def test_the_bar_never_goes_back(qtbot: QtBot, theme: Any) -> None:
    bar = ThinBar(theme)
    qtbot.addWidget(bar)
    bar.show_part(0.5)
    bar.show_part(0.2)
    assert bar.value() == 500
    bar.begin()
    bar.show_part(0.1)
    assert bar.value() == 100
