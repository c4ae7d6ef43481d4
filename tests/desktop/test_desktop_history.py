"""The whole history of an account: filter, export, and what is said when a file cannot be written."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest
from PySide6.QtWidgets import QFileDialog, QPushButton
from pytestqt.qtbot import QtBot

from keyfob.core.account import LoggedEvent
from keyfob.core.errors import Usage
from keyfob.core.words import LoggedKind
from keyfob.desktop.controller import AppController
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window import history_export
from keyfob.desktop.window.account_history import AccountHistory
from keyfob.desktop.window.history_dialog import FILTERS, HistoryDialog
from keyfob.engine import Engine
from support.announcements import announcements
from support.desktop_app import choose
from support.sample_engine import sample_engine
from support.samples import NOW, H, sample_events, view


def many(count: int) -> list[LoggedEvent]:
    """Renewals, and a failure at each tenth."""
    events = []
    for n in range(count):
        failed = n % 10 == 9
        kind, text = ("renewal_failed", "Provider busy") if failed else ("renewed", "Renewed")
        events.append(LoggedEvent(NOW - (count - n) * H, "a/b", "k", kind, text, "x" if failed else None, n))
    return events


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return sample_engine(tmp_path)


@pytest.fixture
def dialog(theme: Theme, qtbot: QtBot) -> HistoryDialog:
    result = HistoryDialog(theme, "Aldis", "a-b-activity", None)
    qtbot.addWidget(result)
    result.show()
    return result


def rows(dialog: HistoryDialog) -> list[str]:
    model = dialog.model
    return [str(model.data(model.index(row, 1))) for row in range(model.rowCount())]


def test_all_events_are_there_newest_first(dialog: HistoryDialog) -> None:
    dialog.show_events(
        [*many(300), LoggedEvent(NOW, "a/b", "k", "connected", "Connected as Aldis")], NOW, 10_000
    )
    assert len(rows(dialog)) == 301
    assert rows(dialog)[0] == "Connected as Aldis"
    assert dialog.lead.text().startswith("301 events since 8 November")
    assert "10,000 events of all accounts" in dialog.lead.text()
    assert dialog.table.isVisible()


def test_the_filter_takes_kind_and_text_together(dialog: HistoryDialog) -> None:
    dialog.show_events(many(40), NOW, 10_000)
    dialog.kind.setCurrentText("Problems")
    assert set(rows(dialog)) == {"Provider busy"}
    assert dialog.note.text() == "4 events of 40"
    dialog.search.setText("RENEWED")
    assert rows(dialog) == []
    assert dialog.nothing.text() == "No event matches."
    assert dialog.nothing.isVisible()
    assert not dialog.export.isEnabled()
    dialog.kind.setCurrentText("Everything")
    assert len(rows(dialog)) == 36


def test_every_kind_of_event_is_in_one_filter() -> None:
    named = [kind for kinds in FILTERS.values() if kinds is not None for kind in kinds]
    assert sorted(named) == sorted(get_args(LoggedKind))


def test_new_events_keep_the_filter(dialog: HistoryDialog) -> None:
    dialog.show_events(many(10), NOW, 10_000)
    dialog.kind.setCurrentText("Problems")
    dialog.show_events(many(20), NOW, 10_000)
    assert len(rows(dialog)) == 2


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_what_is_shown_is_exported(
    controller: AppController,
    engine: Engine,
    qtbot: QtBot,
    tmp_path: Path,
    ending: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoken = announcements(monkeypatch)
    key = choose(controller, "nexusmods", qtbot)
    for number in range(3):
        engine.store.log(LoggedEvent(NOW, "nexusmods/aldis", key, "renewed", f"Renewed {number}"))
    controller.running.presenter.reload()
    buttons = controller.window.account.findChildren(QPushButton)
    (show_all,) = [each for each in buttons if each.accessibleName() == "Show all activity"]
    qtbot.waitUntil(show_all.isVisible)
    show_all.click()
    dialog = controller.running.history.dialog
    assert dialog is not None
    qtbot.waitUntil(lambda: bool(rows(dialog)))
    kept = list(engine.accounts.history(key, limit=10_000))
    assert len(kept) >= 3
    path = tmp_path / f"out.{ending}"
    dialog.export_to(str(path))
    qtbot.waitUntil(lambda: dialog.note.text() != "")
    assert dialog.note.text() == f"Exported {len(kept)} events to out.{ending}."
    assert (dialog.note.text(), "Polite") in spoken
    text = path.read_text(encoding="utf-8")
    if ending == "json":
        assert json.loads(text) == {"events": [event.to_json() for event in kept]}
    else:
        assert [row["message"] for row in csv.DictReader(text.splitlines())] == [e.message for e in kept]


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_the_chosen_kind_of_file_adds_its_ending(
    dialog: HistoryDialog, qtbot: QtBot, tmp_path: Path, ending: str
) -> None:
    dialog.show_events(many(3), NOW, 10_000)
    (action,) = [each for each in dialog.formats.actions() if ending in each.text().lower()]
    action.trigger()
    chooser = dialog.findChild(QFileDialog)
    assert chooser is not None
    assert chooser.acceptMode() is QFileDialog.AcceptMode.AcceptSave
    chooser.setDirectory(str(tmp_path))
    with qtbot.waitSignal(dialog.export_asked) as asked:
        chooser.accept()
    assert asked.args[0] == tmp_path / f"a-b-activity.{ending}"
    assert len(asked.args[1]) == 3


def test_a_file_that_cannot_be_written_is_said(dialog: HistoryDialog, tmp_path: Path) -> None:
    path = tmp_path / "gone" / "out.csv"
    with pytest.raises(Usage) as refused:
        history_export.export(path, many(3))
    assert str(path) in refused.value.sentence()
    assert "Choose another folder." in refused.value.sentence()
    there = tmp_path / "out.csv"
    there.mkdir()
    with pytest.raises(Usage):
        history_export.export(there, many(3))
    assert [each.name for each in tmp_path.iterdir()] == ["out.csv"], "no half-written file stays"


def test_a_failed_export_is_shown_and_may_be_repeated(
    theme: Theme, qtbot: QtBot, tmp_path: Path, dialog: HistoryDialog
) -> None:
    def read(_key: str) -> Sequence[LoggedEvent]:
        return sample_events("k")

    history = AccountHistory(theme, dialog, read, lambda: NOW)
    history.open(view("a", "A", "b"))
    shown = history.dialog
    assert shown is not None
    qtbot.waitUntil(lambda: bool(rows(shown)))
    shown.export_to(str(tmp_path / "gone" / "out.csv"))
    qtbot.waitUntil(lambda: "could not be written" in shown.note.text())
    assert shown.note.property("role") == "problem"
    assert shown.export.isEnabled()
    shown.close_button.click()
    assert history.dialog is None


def test_no_cell_of_a_spreadsheet_is_a_formula() -> None:
    """A provider's words can stand in a message."""
    event = LoggedEvent(NOW, "a/b", "k", "renewal_failed", '=HYPERLINK("http://x")', None)
    row = next(csv.DictReader(history_export.csv_text([event]).splitlines()))
    assert row["message"].startswith("'=")
