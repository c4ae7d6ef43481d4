"""Keyfob's own update in the window: a bundle with the real start script, and a signed repository."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt, QUrl
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from keyfob.desktop.controller import AppController
from keyfob.desktop.shared.remedies import REMEDIES
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.updates.controller import ToolsAndUpdates
from keyfob.desktop.updates.dialog import Notes, UpdateDialog
from keyfob.desktop.updates.own_models import Change, OwnUpdate, own, view
from keyfob.engine import Engine
from keyfob.updates.companion_files import CompanionFiles
from keyfob.updates.download import Progress
from keyfob.updates.installation import Installation
from keyfob.updates.service import Updates, UpdateStatus
from keyfob.updates.source import Source
from support.announcements import announcements
from support.bundles import WELL, new_bundle, packed
from support.desktop_app import make_app, put_away
from support.fake_ports import NOW
from support.release_server import noise
from support.sample_engine import sample_engine
from support.tuf_repository import Published, served, slowly

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(os.name == "nt", reason="the bundle's start script is a shell script"),
]
NOTES = (
    "## New\n\n- A **page**. [More](https://example.org/more)\n- ![a picture](https://example.org/x.png)\n"
    "- <b>x</b>"
)


@dataclass
class Bundle:
    root: Path
    published: Published
    source: Source

    @property
    def used(self) -> str:
        return str((self.root / "current").readlink())


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Bundle]:
    """Version 1.0.0, and 1.1.0 in the repository."""
    root = new_bundle(tmp_path / "keyfob", "1.0.0")
    with served(tmp_path / "published") as published:
        archive = packed(tmp_path, "1.1.0", f"{WELL}# {noise(200_000).hex()}\n")
        published.add("1.1.0", archive, notes=NOTES, machine=platform.machine().lower())
        yield Bundle(root, published, published.source)


@pytest.fixture
def engine(tmp_path: Path, world: dict[str, Any]) -> Engine:
    files = tmp_path / "files"
    files.mkdir()
    return sample_engine(tmp_path, **(world | {"companion_files": CompanionFiles(files, tmp_path / "own")}))


@pytest.fixture
def succeeded() -> list[bool]:
    """Whether the app has ended to become the new version."""
    return []


@pytest.fixture
def controller(
    qapp: QApplication, theme: Theme, engine: Engine, bundle: Bundle, qtbot: QtBot, succeeded: list[bool]
) -> Iterator[AppController]:
    def updates(_: Engine) -> Updates:
        installation = Installation("bundle", "1.0.0", root=bundle.root)
        return Updates(installation, bundle.source, engine.home.state / "updates", remedies=REMEDIES)

    result = make_app(theme, lambda: engine, updates=updates, succeed=lambda: succeeded.append(True))
    result.begin()
    qtbot.waitUntil(lambda: bool(result.window.sidebar.list.count()), timeout=5000)
    yield result
    put_away(result, qtbot)


@pytest.fixture
def updates(controller: AppController, qtbot: QtBot) -> ToolsAndUpdates:
    assert controller.running is not None
    found = controller.running.updates
    qtbot.waitUntil(lambda: found.own.status is not None and found.own.status.checked_at is not None)
    qtbot.waitUntil(lambda: not found.own.busy)
    found.nav.click()
    return found


def dialog_of(updates: ToolsAndUpdates) -> UpdateDialog:
    updates.foot.button.click()
    assert updates.dialog is not None
    return updates.dialog


def test_the_start_finds_the_newer_version_and_the_foot_says_so(updates: ToolsAndUpdates) -> None:
    card = updates.page.own
    assert card.title.text() == "Keyfob 1.1.0 is available"
    assert updates.foot.button.text() == "Update to v1.1.0"
    assert card.button.property("kind") == ""  # a banner has the window's primary button
    card.lead(True)
    assert card.button.property("kind") == "primary"
    assert updates.nav.accessibleDescription().endswith("1 update available.")


def test_it_is_installed_with_progress_and_then_restarted(
    updates: ToolsAndUpdates,
    controller: AppController,
    bundle: Bundle,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    succeeded: list[bool],
) -> None:
    spoken = announcements(monkeypatch)
    gate = threading.Event()
    bundle.published.before = slowly(bundle.published.folder / "repository", gate)
    dialog = dialog_of(updates)
    assert "A page. More" in dialog.notes.toPlainText()
    dialog.action.click()
    qtbot.waitUntil(lambda: dialog.bar.value() > 0, timeout=10_000)
    assert dialog.cancel.hasFocus()
    gate.set()
    qtbot.waitUntil(lambda: not updates.own.busy, timeout=20_000)
    assert bundle.used == "versions/1.1.0"
    assert dialog.action.text() == "Restart and update"
    assert "100 %. Keyfob 1.1.0 is ready. Restart to use it." in [text for text, _ in spoken]
    with qtbot.waitSignal(controller.ended, timeout=10_000):
        dialog.action.click()
    assert succeeded == [True]


def test_it_can_be_cancelled_and_nothing_has_changed(
    updates: ToolsAndUpdates, bundle: Bundle, qtbot: QtBot
) -> None:
    gate = threading.Event()
    bundle.published.before = slowly(bundle.published.folder / "repository", gate)
    dialog = dialog_of(updates)
    dialog.action.click()
    qtbot.waitUntil(lambda: dialog.bar.value() > 0, timeout=10_000)
    dialog.cancel.click()
    qtbot.waitUntil(lambda: not updates.own.busy, timeout=10_000)
    gate.set()
    assert bundle.used == "versions/1.0.0"
    assert dialog.action.text() == "Update"
    assert dialog.problem.text() == ""


def test_a_closed_dialog_leaves_the_update_going_and_the_card_follows_it(
    updates: ToolsAndUpdates, bundle: Bundle, qtbot: QtBot
) -> None:
    gate = threading.Event()
    bundle.published.before = slowly(bundle.published.folder / "repository", gate)
    dialog = dialog_of(updates)
    dialog.action.click()
    qtbot.waitUntil(lambda: dialog.bar.value() > 0, timeout=10_000)
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert updates.dialog is None
    assert updates.page.own.title.text() == "Updating Keyfob to 1.1.0"
    gate.set()
    qtbot.waitUntil(lambda: not updates.own.busy, timeout=20_000)
    assert updates.page.own.button.text() == "Restart and update"
    updates.page.own.later.click()
    assert not updates.page.own.isVisibleTo(updates.page)
    assert updates.foot.button.text() == "Restart to v1.1.0"


def test_a_tampered_archive_says_that_nothing_was_installed(
    updates: ToolsAndUpdates, bundle: Bundle, qtbot: QtBot
) -> None:
    for path in (bundle.published.folder / "repository" / "targets").iterdir():
        path.write_bytes(path.read_bytes()[:-4] + b"XXXX")
    dialog = dialog_of(updates)
    dialog.action.click()
    qtbot.waitUntil(lambda: bool(dialog.problem.text()) and not updates.own.busy, timeout=10_000)
    assert "Nothing was installed." in dialog.problem.text()
    assert dialog.action.text() == "Try again"
    assert bundle.used == "versions/1.0.0"


def test_notes_load_nothing_and_open_only_https(theme: Theme, qtbot: QtBot) -> None:
    notes = Notes(theme)
    qtbot.addWidget(notes)
    notes.show_notes(NOTES + "\n\n![x]( file:///etc/passwd )\n\n\x1b[31mred")
    block, pictures = notes.document().begin(), 0
    while block.isValid():
        at = block.begin()
        while not at.atEnd():
            pictures += at.fragment().charFormat().isImageFormat()
            at += 1
        block = block.next()
    assert pictures == 0
    assert "a picture" in notes.toPlainText()
    assert "\x1b" not in notes.toPlainText()
    assert notes.loadResource(2, QUrl("https://example.org/x.png")) is None
    pressed: list[str] = []
    notes.link_pressed.connect(pressed.append)
    for address in ("https://example.org/more", "file:///etc/passwd", "javascript:alert(1)"):
        notes.anchorClicked.emit(QUrl(address))
    assert pressed == ["https://example.org/more"]


def test_a_copy_that_cannot_restart_says_what_to_do(
    updates: ToolsAndUpdates, controller: AppController, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "_succeed", None)
    updates.restart_asked.emit()
    assert (
        controller.window.note.text.text()
        == "Quit Keyfob and start it again, so that it uses the new version."
    )


# --- the words ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "title", "text", "foot"),
    [
        (UpdateStatus("unknown", "1.0.0"), "Keyfob 1.0.0", "Not checked yet.", "Keyfob 1.0.0"),
        (
            UpdateStatus("current", "1.0.0", checked_at=NOW),
            "Keyfob 1.0.0 is up to date", "Checked today at ", "Keyfob 1.0.0",
        ),
        (
            UpdateStatus("no_source", "1.0.0"),
            "Keyfob 1.0.0", "This build has no update source.", "Keyfob 1.0.0",
        ),
        (
            UpdateStatus("managed", "1.0.0", command="git pull"),
            "Keyfob 1.0.0", "To update this copy, run:", "Keyfob 1.0.0",
        ),
        (
            UpdateStatus("managed", "1.0.0", "1.1.0", command="sudo apt install keyfob"),
            "Keyfob 1.1.0 is available", "You have 1.0.0.", "Version 1.1.0 is available",
        ),
        (
            UpdateStatus("managed", "1.0.0", "1.1.0"),
            "Keyfob 1.1.0 is available", "You have 1.0.0. Get it from", "Version 1.1.0 is available",
        ),
        (
            UpdateStatus("current", "1.0.0", problem="x cannot be reached", remedy="Try again."),
            "Keyfob 1.0.0", "x cannot be reached. Try again.", "Keyfob 1.0.0",
        ),
        (
            UpdateStatus("newer", "1.0.0", "1.1.0", next_start="1.1.0"),
            "Keyfob 1.1.0 is ready", "You have 1.0.0. Its signature is valid", "Restart to v1.1.0",
        ),
    ],
)  # fmt: skip
def test_each_state_has_its_words(status: UpdateStatus, title: str, text: str, foot: str) -> None:
    card = own(status, NOW)
    assert card.title == title
    assert card.text.startswith(text)
    assert (card.foot_button or card.foot) == foot
    assert card.fine == (status.state == "current" and not status.problem)


def test_only_a_copy_that_updates_itself_has_the_button() -> None:
    newer = UpdateStatus("newer", "1.0.0", "1.1.0")
    assert own(newer, NOW).button == "Update to v1.1.0"
    managed = own(UpdateStatus("managed", "1.0.0", "1.1.0", command="x"), NOW)
    assert (managed.button, managed.leads, managed.command) == ("", False, "x")
    assert isinstance(own(newer, NOW, change=Change()), OwnUpdate)


def test_the_dialog_has_bytes_rate_and_time_left() -> None:
    status = UpdateStatus("newer", "1.0.0", "1.1.0")
    bar = view(status, Change(progress=Progress(7_900_000, 21_400_000, 2_600_000, 5.2)), "").bar
    assert bar is not None
    assert (bar.amount, bar.left) == ("7.9 of 21.4 MB · 2.6 MB/s", "5 seconds left")
    unpacking = view(status, Change("unpacking"), "").bar
    assert unpacking is not None
    assert (unpacking.part, unpacking.amount) == (1.0, "Unpacking…")
