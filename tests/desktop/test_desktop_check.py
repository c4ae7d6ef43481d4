"""Check everything: the doctor's checks one after the other, the button of each problem, and the report."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QAccessible, QFocusEvent, QGuiApplication
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from keyfob.core.account import AccountView
from keyfob.core.errors import KeychainError, Transient
from keyfob.core.finding import Finding
from keyfob.core.http import Request, Response
from keyfob.desktop.check import models, words
from keyfob.desktop.check.hop_row import MARKS, HopRow, Mark
from keyfob.desktop.check.models import STATE_WORDS, Result, State
from keyfob.desktop.controller import AppController
from keyfob.desktop.shared import operation
from keyfob.desktop.shared.theme import Theme
from keyfob.engine import Engine
from keyfob.ports import VaultHealth
from keyfob.service.doctor import ORDER, Step
from keyfob.tools.tool_setup import Asked
from support.announcements import announcements
from support.desktop_app import choose, is_loaded, make_app, put_away
from support.fake_ports import NOW, FakeVault, ScriptedTransport
from support.memory_store import MemoryAccountStore
from support.sample_engine import sample_engine
from support.samples import sample_views

PORT = Finding(
    "callback_port", False, "Port 9876 is in use by node", "fail", "port_taken", public="port 9876"
)
WELL = Finding("browser", True, "A default browser is set")

Open = Callable[..., AppController]


def answers(request: Request) -> Response:
    return Response(200, {}, b"", NOW, request.url)


@pytest.fixture
def opened(qapp: QApplication, theme: Theme, tmp_path: Path, qtbot: QtBot) -> Iterator[Open]:
    """The app with these checks and accounts, its window shown."""
    apps: list[AppController] = []

    def make(
        *checks: Any,
        providers: tuple[str, ...] = ("github",),
        views: Sequence[AccountView] | None = None,
        **ports: Any,
    ) -> AppController:
        steps = [
            (each.name, partial(lambda found: found, each)) if isinstance(each, Finding) else each
            for each in checks
        ]
        views = views or [view for view in sample_views() if view.provider in providers]
        ports = {"check_transport": ScriptedTransport(answers), **ports}
        engine = sample_engine(tmp_path, views, checks=steps, **ports)
        app = make_app(theme, lambda: engine)
        apps.append(app)
        app.begin()
        qtbot.waitUntil(lambda: is_loaded(app), timeout=5000)
        return app

    yield make
    for app in apps:
        put_away(app, qtbot)


def run(app: AppController, qtbot: QtBot) -> Any:
    """The page, once its first run has ended."""
    check = app.running.check
    check.nav.click()
    qtbot.waitUntil(lambda: bool(check.presenter.report))
    return check.page


def test_without_accounts_the_page_is_reached_from_the_first_page_and_by_a_key(
    opened: Open, qtbot: QtBot
) -> None:
    app = opened(WELL, providers=())
    window, check = app.window, app.running.check
    assert window.pages.currentWidget() is window.empty
    window.empty.check_button.click()
    assert window.pages.currentWidget() is check.page
    assert not window.sidebar.isVisible()
    assert window.focusWidget() is check.page.again
    qtbot.waitUntil(lambda: bool(check.presenter.report))
    assert check.page.back.isVisible()
    check.page.back.click()
    assert window.pages.currentWidget() is window.empty
    qtbot.keyClick(window, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    assert window.pages.currentWidget() is check.page
    qtbot.keyClick(check.page.again, Qt.Key.Key_Escape)
    assert window.pages.currentWidget() is window.empty


def test_with_accounts_the_list_is_the_way_back(opened: Open, qtbot: QtBot) -> None:
    app = opened(WELL)
    qtbot.keyClick(app.window, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    assert app.window.pages.currentWidget() is app.running.check.page
    assert app.window.sidebar.isVisible()
    assert not app.running.check.page.back.isVisible()
    qtbot.waitUntil(lambda: bool(app.running.check.presenter.report))
    qtbot.keyClick(app.running.check.page.again, Qt.Key.Key_Escape)
    assert app.window.pages.currentWidget() is app.window.account


@pytest.fixture
def git(tmp_path: Path, opened: Open) -> tuple[AppController, Engine, Path]:
    """git was set up for one account; its file."""
    store = MemoryAccountStore()
    views = [view for view in sample_views() if view.provider == "github"]
    engine = sample_engine(tmp_path, views, store=store)
    asked = Asked(tmp_path, ("github",))
    engine.tool_setup.make("git", asked, engine.tool_setup.plan("git", asked))
    notes = engine.wiring.notes("git")
    assert notes is not None
    (name,) = notes["files"]
    return opened(store=store), engine, Path(name)


def test_a_changed_tool_is_set_up_again_from_the_page(
    git: tuple[AppController, Engine, Path], qtbot: QtBot
) -> None:
    """S-79"""
    app, _, file = git
    wanted = file.read_text()
    file.write_text("[user]\n\tname = A\n\ttoken = not-to-be-shown\n")
    page = run(app, qtbot)
    row = rows(page)["Tools"]
    assert row.effect.text() == words.CHANGED
    assert row.button.accessibleName() == "Repair: Tools"
    row.button.click()
    repair = app.running.tool_repair
    qtbot.waitUntil(lambda: repair.dialog is not None)
    dialog = repair.dialog
    shown = dialog.change.toPlainText()
    assert f"+++ {file}" in shown
    assert "keyfob" in shown
    assert "not-to-be-shown" not in shown
    assert dialog.focusWidget() is dialog.cancel
    dialog.cancel.click()
    assert "keyfob" not in file.read_text()

    qtbot.waitUntil(lambda: rows(page)["Tools"].button is not None)
    rows(page)["Tools"].button.click()
    qtbot.waitUntil(lambda: repair.dialog is not None)
    repair.dialog.action.click()
    qtbot.waitUntil(lambda: rows(page)["Tools"].text.text() == "git is ready.")
    assert file.read_text() == f"[user]\n\tname = A\n\ttoken = not-to-be-shown\n{wanted}"
    assert app.window.note.text.text().startswith("git is set up again.")


def test_a_tool_that_lacks_access_leads_to_asking_for_it(tmp_path: Path, opened: Open, qtbot: QtBot) -> None:
    (github,) = (view for view in sample_views() if view.provider == "github")
    narrow = replace(github, scopes=("user:email",))
    store = MemoryAccountStore()
    engine = sample_engine(tmp_path, [narrow], store=store)
    asked = Asked(tmp_path, ("github",))
    engine.tool_setup.make("git", asked, engine.tool_setup.plan("git", asked))
    environment = {"PATH": str(tmp_path)}
    (tmp_path / "git-credential-keyfob").write_text("#!/bin/sh\n")
    (tmp_path / "git-credential-keyfob").chmod(0o755)
    app = opened(views=[narrow], store=store, environment=environment)
    row = rows(run(app, qtbot))["Tools"]
    assert row.text.text() == "github/aldis-k does not have the access that git needs (repo)."
    assert row.effect.text() == words.LACKING
    assert row.button.accessibleName() == "Ask for more: Tools"
    row.button.click()
    form = app.running.connect_dialog.form
    qtbot.waitUntil(lambda: form.access is not None)
    assert form.title.text() == "Ask for more: aldis-k"
    assert [r.choice.id for r in form.access.rows if r.check.isChecked() and not r.choice.fixed] == ["repo"]
    assert form.go.isEnabled(), "what is lacking is chosen: only Continue is left to press"


def test_a_tool_whose_account_is_gone_is_not_set_up_again(
    git: tuple[AppController, Engine, Path], qtbot: QtBot
) -> None:
    app, engine, file = git
    file.unlink()
    page = run(app, qtbot)
    engine.accounts.remove("github")
    rows(page)["Tools"].button.click()
    qtbot.waitUntil(app.window.note.isVisible)
    assert "github" in app.window.note.text.text()
    assert app.running.tool_repair.dialog is None
    assert not file.exists()


def rows(page: Any) -> dict[str, HopRow]:
    return {row.title.text(): row for row in page.findChildren(HopRow) if not row.isHidden()}


def primaries(page: Any) -> list[str]:
    buttons = [each for each in page.findChildren(QPushButton) if not each.isHidden()]
    return [each.text() for each in buttons if each.property("kind") == "primary"]


# --- words --------------------------------------------------------------------------------------------------


def test_every_check_and_state_has_its_words() -> None:
    listed = [name for _, names in words.GROUPS for name in names]
    assert sorted(listed) == sorted(ORDER) == sorted(words.TITLES) == sorted(words.EFFECTS)
    assert set(STATE_WORDS) == set(MARKS)


@pytest.mark.parametrize(
    ("problems", "warnings", "text"),
    [
        (0, 0, "Everything works."),
        (1, 0, "1 problem."),
        (0, 2, "2 warnings."),
        (1, 2, "1 problem and 2 warnings."),
    ],
)
def test_the_outcome_in_a_sentence(problems: int, warnings: int, text: str) -> None:
    assert models.outcome(problems, warnings) == text


def steps(count: int) -> list[Step]:
    return [Step("provider", lambda: WELL, f"P{number}") for number in range(count)]


def results(*states: State) -> list[Result]:
    """A provider's result for each."""
    made = {
        "ok": Finding("provider", True, "Answers"),
        "fail": Finding("provider", False, "P cannot be reached", "fail", "network_unreachable"),
        "timeout": Finding("provider", False, "P did not answer", "fail", "network_timeout"),
        "warn": Finding("provider", True, "Answers with error 503", "warn", "provider_unavailable"),
    }
    return [Result(made[state], 0.1) for state in states]


def test_many_providers_share_a_row_and_problems_stand_first() -> None:
    found = results(*["ok"] * 6, "fail", "warn", "ok")
    (group,) = models.ended(steps(9), found, "15:01", 2.3).groups
    assert [hop.title for hop in group.hops] == ["P6", "P7", "P0", "P1", "P2", "4 more"]
    assert group.hops[-1].text == "P3, P4 and 2 others answer."
    (few,) = models.ended(steps(6), results(*["ok"] * 6), "15:01", 2.3).groups
    assert [hop.title for hop in few.hops] == [f"P{number}" for number in range(6)]


def test_what_is_to_come_waits_and_the_shared_row_too() -> None:
    (group,) = models.progress(steps(9), results("ok")).groups
    assert [hop.state for hop in group.hops] == ["ok", "running", *["waiting"] * 4]
    assert (group.hops[-1].title, group.hops[-1].text) == ("4 more", "Waiting")


def test_a_check_that_timed_out_is_a_problem_that_can_be_tried_again() -> None:
    check = models.ended(steps(1), results("timeout"), "15:01", 2.3)
    hop = check.groups[0].hops[0]
    assert (hop.state, hop.action, check.problems) == (
        "timeout", models.Action("again", "Try again"), 1
    )  # fmt: skip


def test_only_the_first_problem_leads() -> None:
    (group,) = models.ended(steps(3), results("ok", "fail", "fail"), "15:01", 2.3).groups
    assert [hop.leads for hop in group.hops] == [False, True, False]
    (quiet,) = models.ended(steps(2), results("ok", "warn"), "15:01", 2.3).groups
    assert not any(hop.leads for hop in quiet.hops)


# --- the page -----------------------------------------------------------------------------------------------


def test_all_well(opened: Open, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    spoken = announcements(monkeypatch)
    app = opened(WELL)
    page = run(app, qtbot)
    assert page.summary.text().startswith("Everything works. Checked at ")
    assert ("Check everything: Everything works.", "Polite") in spoken
    assert primaries(page) == []
    assert app.running.check.nav.accessibleDescription() == "This page is open."
    assert rows(page)["Browser"].accessibleDescription().startswith("works. A default browser is set")


def test_rows_appear_as_they_end(opened: Open, qtbot: QtBot) -> None:
    gate = threading.Event()

    def waits() -> Finding:
        gate.wait(20)
        return PORT

    app = opened(WELL, ("callback_port", waits))
    check = app.running.check
    try:
        check.nav.click()
        qtbot.waitUntil(lambda: len(rows(check.page)) > 3)
        found = rows(check.page)
        assert found["Callback port"].text.text() == "Checking…"
        assert found["Browser"].text.text() == found["GitHub"].text.text() == "Waiting"
        assert not check.page.copy.isEnabled()
    finally:
        gate.set()
    qtbot.waitUntil(lambda: bool(check.presenter.report))
    assert found["Callback port"].text.text() == "Port 9876 is in use by node."  # the same widget
    assert check.page.copy.isEnabled()


def test_a_problem_holds_its_remedy(opened: Open, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    spoken = announcements(monkeypatch)
    app = opened(PORT, WELL)
    page = run(app, qtbot)
    row = rows(page)["Callback port"]
    assert page.summary.text().startswith("1 problem. Checked at ")
    assert ("Check everything: 1 problem.", "Polite") in spoken
    assert app.running.check.nav.accessibleDescription() == "This page is open. 1 problem."
    assert row.effect.text().startswith(words.EFFECTS["callback_port"])
    assert primaries(page) == ["Change port…"]
    row.button.click()
    dialog: Any = app.settings_controller.dialog
    assert dialog is not None
    assert dialog.port.selectedText() == "9876"
    dialog.close()


def test_without_a_keychain_the_choice_of_a_place_opens(opened: Open, qtbot: QtBot) -> None:
    absent = Finding("keychain", False, "No keychain was found", "fail", "keychain_absent")
    app = opened(absent, WELL)
    page = run(app, qtbot)
    rows(page)["Keychain"].button.click()
    dialog: Any = app.settings_controller.dialog
    assert dialog.focusWidget() is dialog.vault
    dialog.close()


def test_unlock_opens_the_systems_prompt_and_checks_again(opened: Open, qtbot: QtBot) -> None:
    vault = FakeVault()

    def keychain() -> Finding:
        health: VaultHealth = vault.probe()
        code, ok = health.code, health.ok
        return Finding("keychain", ok, "It works" if ok else health.message, "ok" if ok else "fail", code)

    app = opened(("keychain", keychain), vault=vault)
    vault.error = KeychainError("The keychain is locked", code="keychain_locked")
    page = run(app, qtbot)
    app.running.presenter.keychain.probe()
    qtbot.waitUntil(lambda: primaries(page) == [])  # the banner above has the window's primary button now
    rows(page)["Keychain"].button.click()
    qtbot.waitUntil(lambda: vault.prompts == 1)
    vault.error = None
    vault.answered.set()
    qtbot.waitUntil(lambda: rows(page)["Keychain"].text.text() == "It works.", timeout=10_000)


def test_sign_in_opens_the_reconnection_of_that_account(opened: Open, qtbot: QtBot) -> None:
    app = opened(WELL, providers=("nexusmods", "google"))
    asked: list[tuple[str, str]] = []
    app.running.ask = lambda action, key: asked.append((action, key))
    page = run(app, qtbot)
    row = rows(page)["Google"]
    assert row.button.accessibleName() == "Sign in: Google"
    row.button.click()
    assert asked == [("reconnect", "key-google-work-example.org")]


def test_try_again_runs_again(opened: Open, qtbot: QtBot) -> None:
    transport = ScriptedTransport(None)
    app = opened(WELL, check_transport=transport)
    page = run(app, qtbot)
    assert rows(page)["Network"].button.text() == "Try again"
    assert rows(page)["GitHub"].text.text() == "Not checked, because this computer is offline."
    assert rows(page)["GitHub"].took.text() == ""
    transport.answer = answers
    button = rows(page)["Network"].button
    button.setFocus()
    assert page.window().focusWidget() is button
    button.click()
    qtbot.waitUntil(lambda: page.summary.text().startswith("Everything works."))
    assert page.window().focusWidget() is page.again  # the button that was pressed is gone


def test_f5_checks_again_and_renews_nothing(opened: Open, qtbot: QtBot) -> None:
    transport = ScriptedTransport(answers)
    app = opened(WELL, check_transport=transport)
    run(app, qtbot)
    before = len(transport.requests)
    qtbot.keyClick(app.window, Qt.Key.Key_F5)
    qtbot.waitUntil(lambda: len(transport.requests) > before)
    assert all(request.purpose == "discovery" for request in transport.requests)


# --- the report ---------------------------------------------------------------------------------------------

SECRETS = ("aldis", "work@example.org", "canary", "/home", "company-proxy", "f3Qa", "key-", "node")


def test_the_report_has_no_token_no_name_and_no_path(opened: Open, qtbot: QtBot, tmp_path: Path) -> None:
    def breaks() -> Finding:
        raise Transient("aldis: /home/aldis/x cannot be read", code="network_timeout")

    app = opened(
        PORT,
        Finding("proxy", True, "Requests go through company-proxy.example"),
        Finding("ca", False, "SSL_CERT_FILE is /home/aldis/ca.pem", "fail", "ca_file_faulty"),
        Finding("store", False, "key-google of work@example.org is damaged", "fail", "store_damaged"),
        ("clock", breaks),
        providers=("nexusmods", "google", "github", "openai"),
    )
    page = run(app, qtbot)
    page.copy.click()
    text = QGuiApplication.clipboard().text()
    for secret in (*SECRETS, str(tmp_path)):
        assert secret not in text
    assert "Callback port: problem, code port_taken, port 9876" in text
    assert "Clock: timed out, code network_timeout" in text
    assert "Provider google: warning, code grant_ended" in text
    assert "Provider github: works" in text
    assert page.copy.text() == "Copied"


# --- in the window ------------------------------------------------------------------------------------------


def test_choosing_an_account_leaves_the_page(opened: Open, qtbot: QtBot) -> None:
    app = opened(WELL, providers=("nexusmods", "github"))
    choose(app, "nexusmods", qtbot)
    window, nav = app.window, app.running.check.nav
    page = run(app, qtbot)
    assert window.pages.currentWidget() is page
    assert nav.chosen
    assert window.sidebar.list.currentRow() == -1
    app.running.presenter.publish()
    assert window.pages.currentWidget() is page
    row = next(n for n, row in enumerate(app.running.presenter.model.rows) if row.id.startswith("nexus"))
    window.sidebar.list.setCurrentRow(row)  # the account that was selected all the time
    assert window.pages.currentWidget() is window.account
    assert not nav.chosen
    assert window.sidebar.list.currentRow() == row


def test_the_lists_focus_chooses_nothing_while_the_page_is_open(opened: Open, qtbot: QtBot) -> None:
    app = opened(WELL, providers=("nexusmods", "github"))
    page = run(app, qtbot)
    accounts = app.window.sidebar.list
    QApplication.sendEvent(accounts, QFocusEvent(QEvent.Type.FocusIn, Qt.FocusReason.TabFocusReason))
    assert app.window.pages.currentWidget() is page
    qtbot.keyClick(accounts, Qt.Key.Key_Down)
    assert app.window.pages.currentWidget() is app.window.account


class Gate:
    """A check that waits until the test lets it end, and counts how often it begins and runs at once."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.begun = self._inside = self.most = 0

    def __call__(self) -> Finding:
        self.begun += 1
        self._inside += 1
        self.most = max(self.most, self._inside)
        self.open.wait(20)
        self._inside -= 1
        return WELL


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open.set()


def leave(app: AppController) -> None:
    """To an account."""
    app.window.close_page()
    assert app.window.pages.currentWidget() is app.window.account


def test_leaving_the_page_stops_the_run_and_the_next_visit_begins_another(
    opened: Open, qtbot: QtBot, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = announcements(monkeypatch)
    transport = ScriptedTransport(answers)
    app = opened(("browser", gate), check_transport=transport)
    choose(app, "github", qtbot)
    check = app.running.check
    check.nav.click()
    qtbot.waitUntil(lambda: gate.begun == 1)
    leave(app)
    gate.open.set()
    qtbot.waitUntil(lambda: not operation.running())
    assert transport.requests == []  # no further check has begun
    assert check.presenter.report == ""
    assert not [text for text, _ in spoken if text.startswith("Check everything")]
    page = run(app, qtbot)
    assert gate.begun == 2
    assert page.summary.text().startswith("Everything works.")


def test_who_comes_back_while_a_stopped_run_ends_gets_a_whole_one(
    opened: Open, qtbot: QtBot, gate: Gate
) -> None:
    app = opened(("browser", gate))
    choose(app, "github", qtbot)
    check = app.running.check
    check.nav.click()
    qtbot.waitUntil(lambda: gate.begun == 1)
    leave(app)
    check.nav.click()
    gate.open.set()
    qtbot.waitUntil(lambda: bool(check.presenter.report))
    assert (gate.begun, gate.most) == (2, 1)  # one after the other
    assert rows(check.page)["GitHub"].text.text().startswith("Answers")


def test_who_leaves_after_the_run_finds_its_result_again(opened: Open, qtbot: QtBot) -> None:
    transport = ScriptedTransport(answers)
    app = opened(WELL, check_transport=transport)
    choose(app, "github", qtbot)
    page = run(app, qtbot)
    before, asked = page.summary.text(), len(transport.requests)
    leave(app)
    app.running.check.nav.click()
    assert page.summary.text() == before
    assert len(transport.requests) == asked


def test_a_press_on_the_open_pages_button_keeps_it_open(opened: Open, qtbot: QtBot) -> None:
    app = opened(WELL)
    run(app, qtbot)
    nav = app.running.check.nav
    nav.click()
    assert nav.chosen
    spoken = QAccessible.queryAccessibleInterface(nav)
    assert spoken.role() == QAccessible.Role.Button
    assert "This page is open." in spoken.text(QAccessible.Text.Description)
    assert app.window.pages.currentWidget() is app.running.check.page


def test_everything_fits_at_the_smallest_size(opened: Open, qtbot: QtBot) -> None:
    app = opened(PORT, WELL, providers=tuple({view.provider for view in sample_views()}))
    page = run(app, qtbot)
    app.window.resize(app.window.minimumSize())

    def cut() -> list[str]:
        shown = [each for row in rows(page).values() for each in (row.title, row.text, row.effect)]
        return [
            f"{each.text()}: {each.width()} x {each.height()} of {each.heightForWidth(each.width())}"
            for each in shown
            if not each.isHidden() and each.height() < each.heightForWidth(each.width())
        ]

    def fits() -> bool:
        return all(row.width() <= page.width() for row in rows(page).values())

    qtbot.waitUntil(lambda: fits() and cut() == [])


def test_a_row_that_works_again_stands_in_line_with_the_others(opened: Open, qtbot: QtBot) -> None:
    found = [PORT]
    app = opened(Finding("keychain", True, "It works"), ("callback_port", lambda: found[-1]), WELL)
    page = run(app, qtbot)

    def left(title: str) -> int:
        mark = rows(page)[title].findChild(Mark)
        return mark.mapTo(page, mark.rect().topLeft()).x()

    def height(title: str) -> int:
        return rows(page)[title].findChild(Mark).height()

    app.window.grab()  # lays out what is not yet
    assert left("Callback port") == left("Browser")
    found.append(replace(PORT, ok=True, text="127.0.0.1:9876 is free", level="ok", code=None))
    page.again.click()
    qtbot.waitUntil(lambda: page.summary.text().startswith("Everything works."))
    app.window.grab()
    assert left("Callback port") == left("Browser")
    assert height("Callback port") == rows(page)["Callback port"].height()  # the line leads through
