"""The page Programs: real grants, and the real gateway on loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QGuiApplication
from PySide6.QtWidgets import QRadioButton
from pytestqt.qtbot import QtBot

from keyfob.core.errors import SettingWrong
from keyfob.desktop.controller import AppController
from keyfob.desktop.programs import give_dialog, viewmodel, words
from keyfob.desktop.programs.controller import Programs as Controller
from keyfob.desktop.programs.details_dialog import DetailsDialog
from keyfob.desktop.programs.give_dialog import GiveDialog
from keyfob.desktop.programs.models import GatewayCard, ProgramRow
from keyfob.desktop.shared.confirm import Ask, Confirm
from keyfob.desktop.shared.widgets import Scroller
from keyfob.desktop.window.viewmodel import window
from keyfob.engine import Engine
from keyfob.gateway import packages
from keyfob.gateway.grants import READING, Grant, Uses
from keyfob.gateway.own_gateway import Standing, serving
from keyfob.gateway.programs import Access, Programs
from keyfob.gateway.rate_limits import RateLimit
from support.announcements import announcements
from support.fake_ports import NOW
from support.samples import D, H, M, sample_views, view

GITHUB = "github/aldis-k"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def port(engine: Engine) -> int:
    """A free one, which the settings name."""
    made, settings = free_port(), engine.settings.load()
    engine.settings.save(replace(settings, gateway_port=made), settings)
    return made


@pytest.fixture
def database(engine: Engine) -> Iterator[Programs]:
    """As another process, such as `keyfob grants`, uses it."""
    made = Programs(engine.home.data)
    yield made
    made.close()


@pytest.fixture
def page(port: int, controller: AppController, qtbot: QtBot) -> Controller:
    """The page, open."""
    assert controller.running is not None
    made = controller.running.programs
    qtbot.waitUntil(lambda: controller.settings_controller.known and made.presenter.loaded)
    made.nav.click()
    return made


def state(page: Controller, wanted: str, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: page.gateway.standing.state == wanted, timeout=15_000)


def names(page: Controller) -> list[str]:
    return [each.row.name for each in page.page.rows if not each.row.ended]


def looked(page: Controller, qtbot: QtBot, *wanted: str) -> None:
    page.presenter.look()
    qtbot.waitUntil(lambda: names(page) == list(wanted), timeout=10_000)


def dialog_of(page: Controller) -> GiveDialog:
    assert isinstance(page.dialog, GiveDialog)
    return page.dialog


def given(page: Controller, qtbot: QtBot, name: str = "release-bot", path: str = "") -> tuple[str, str]:
    """Give access in the dialog; address and key."""
    page.page.give.click()
    dialog = dialog_of(page)
    form = dialog.form
    form.name.edit.setText(name)
    form.account.setCurrentIndex(form.account.findData(GITHUB))
    form.path.edit.setText(path)
    dialog.create_button.click()
    qtbot.waitUntil(lambda: dialog.given is not None, timeout=10_000)
    assert dialog.given is not None
    return dialog.given.address.text.full(), dialog.given.key.text.full()


pytestmark = pytest.mark.network


# --- the gateway --------------------------------------------------------------------------------------------


def test_it_is_off_until_the_first_access_turns_it_on(
    page: Controller, engine: Engine, clock: list[datetime], qtbot: QtBot
) -> None:
    clock.append(datetime.now(UTC))  # as the gateway counts
    assert page.page.gateway.title.text() == "The gateway is off"
    assert not page.page.gateway.switch.isChecked()
    assert page.page.empty.text().startswith("No program acts as you yet.")
    address, key = given(page, qtbot)
    state(page, "on", qtbot)
    qtbot.waitUntil(lambda: engine.settings.load().gateway)
    assert address == f"{page.gateway.standing.address}/{GITHUB}"
    assert page.page.gateway.title.text() == "The gateway is on"
    assert "Other computers cannot." in page.page.gateway.text.text()
    answer = httpx.get(f"{address}/user", headers={"Authorization": f"Bearer {key}"}, trust_env=False)
    assert answer.status_code != 401
    dialog = dialog_of(page)
    assert dialog.given is not None
    shown = dialog.given
    qtbot.waitUntil(lambda: shown.title.text().startswith("It works: first request at "), timeout=10_000)
    dialog.done_button.click()
    qtbot.waitUntil(lambda: names(page) == ["release-bot"])
    assert page.nav.accessibleDescription().endswith("1 program with access.")
    assert page.page.rows[0].row.requests == "1 request"


def test_the_switch_is_kept_and_frees_the_port(
    page: Controller, engine: Engine, port: int, qtbot: QtBot
) -> None:
    page.page.gateway.switch.click()
    state(page, "on", qtbot)
    assert httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).json() == {"status": "ok"}
    page.page.gateway.switch.click()
    state(page, "off", qtbot)
    assert not engine.settings.load().gateway
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_off_and_on_at_once_ends_on(page: Controller, qtbot: QtBot) -> None:
    page.page.gateway.switch.click()
    state(page, "on", qtbot)
    page.page.gateway.switch.click()
    page.page.gateway.switch.click()
    qtbot.wait(50)
    state(page, "on", qtbot)


def test_a_taken_port_is_said_and_another_one_helps(page: Controller, engine: Engine, qtbot: QtBot) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", page.gateway.standing.port))
        taken.listen()
        page.page.gateway.switch.click()
        state(page, "failed", qtbot)
        assert page.page.gateway.title.text() == f"Port {page.gateway.standing.port} is taken"
        page.page.gateway.button.click()
        ask = page.dialog
        assert isinstance(ask, Ask)
        ask.field.setText("99")
        ask.action.click()
        assert "1024 to 65535" in ask.problem.text()
        other = free_port()
        ask.field.setText(str(other))
        ask.action.click()
        state(page, "on", qtbot)
        assert page.gateway.standing.port == other
        assert engine.settings.load().gateway_port == other


def test_a_gateway_of_another_process_is_said(page: Controller, engine: Engine, qtbot: QtBot) -> None:
    port = page.gateway.standing.port
    with serving(engine.locks, port):
        page.presenter.look()
        qtbot.waitUntil(lambda: page.page.gateway.title.text() == f"keyfob serve runs on port {port}")
        page.page.gateway.switch.click()
        state(page, "elsewhere", qtbot)
    page.gateway.try_again()
    state(page, "on", qtbot)


def test_without_the_packages_the_page_says_what_to_install(
    page: Controller, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    page.presenter.look()
    qtbot.waitUntil(lambda: page.page.gateway.title.text() == "The gateway is not installed")
    assert "pip install 'keyfob[gateway]'" in page.page.gateway.text.text()
    assert not page.page.give.isEnabled()
    assert not page.page.gateway.switch.isEnabled()


# --- the programs -------------------------------------------------------------------------------------------


def test_what_a_command_gives_shows_and_ends_by_the_window(
    page: Controller, database: Programs, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    grant = database.give(Access("ci", GITHUB, ("read",)), NOW).grant
    looked(page, qtbot, "ci")
    row = page.page.rows[0]
    assert (row.row.what, row.row.account, row.row.provider) == ("Read only", "aldis-k", "GitHub")
    row.button.click()
    question = page.dialog
    assert isinstance(question, Confirm)
    assert question.accessibleName() == "End the access of ci to aldis-k?"
    question.cancel.click()
    assert database.all(NOW)[0][0].ended_at is None
    said = announcements(monkeypatch)
    row.button.click()
    assert isinstance(page.dialog, Confirm)
    page.dialog.action.click()
    qtbot.waitUntil(lambda: names(page) == [], timeout=10_000)
    assert "ci can no longer act as aldis-k." in [text for text, _ in said]
    assert database.all(NOW)[0][0].grant_id == grant.grant_id
    assert database.all(NOW)[0][0].ended_at is not None
    (ended,) = page.page.rows
    assert ended.button.text() == "Allow…"
    ended.button.click()
    dialog = dialog_of(page)
    assert dialog.form.name.edit.text() == "ci"
    assert dialog.form.wanted().account == GITHUB
    assert dialog.form.reads.isChecked()
    dialog.reject()


def test_what_is_allowed_again_is_what_it_was(page: Controller, database: Programs, qtbot: QtBot) -> None:
    wanted = Access("ci", GITHUB, ("GET", "POST"), ("/repos/acme/**", "/user"), per_hour=100)
    database.end(database.give(wanted, NOW).grant.grant_id)
    page.presenter.look()
    qtbot.waitUntil(lambda: len(page.page.rows) == 1)
    page.page.rows[0].button.click()
    dialog = dialog_of(page)
    assert dialog.form.note.text() == (
        "As before, at most 100 requests an hour. Before, it had the methods GET, POST. Before, it also had "
        "/user."
    )
    dialog.create_button.click()
    qtbot.waitUntil(lambda: dialog.given is not None, timeout=10_000)
    made = next(grant for grant, _ in database.all(NOW) if grant.ended_at is None)
    assert (made.name, made.account, made.paths) == ("ci", GITHUB, ("/repos/acme/**",))
    assert (made.methods, made.per_hour) == (READING, 100), "never more than before"


def test_keys_of_the_rows(page: Controller, database: Programs, qtbot: QtBot) -> None:
    for name in ("one", "two", "three"):
        database.give(Access(name, GITHUB), NOW)
    page.presenter.look()
    qtbot.waitUntil(lambda: len(names(page)) == 3)
    rows = page.page.rows
    assert QAccessible.queryAccessibleInterface(rows[0]).role() is QAccessible.Role.ListItem
    rows[0].setFocus()
    assert [each.focusPolicy() == Qt.FocusPolicy.StrongFocus for each in rows] == [True, False, False]
    qtbot.keyClick(rows[0], Qt.Key.Key_Down)
    qtbot.keyClick(rows[1], Qt.Key.Key_Down)
    qtbot.keyClick(rows[2], Qt.Key.Key_Down)
    assert rows[2].hasFocus()
    assert [each.focusPolicy() == Qt.FocusPolicy.StrongFocus for each in rows] == [False, False, True]
    qtbot.keyClick(rows[2], Qt.Key.Key_Return)
    assert isinstance(page.dialog, DetailsDialog)
    page.dialog.close_button.click()
    qtbot.keyClick(rows[2], Qt.Key.Key_Delete)
    assert isinstance(page.dialog, Confirm)
    gone = rows[2].row.name
    page.dialog.action.click()
    qtbot.waitUntil(lambda: gone not in names(page), timeout=10_000)
    assert page.page.window().focusWidget() is page.page.rows[1], (
        "after a row vanishes, the next has the focus"
    )


def test_many_are_searched_and_sorted(page: Controller, database: Programs, qtbot: QtBot) -> None:
    for number in range(9):
        database.give(Access(f"bot-{number}", GITHUB, until=NOW + (9 - number) * D), NOW)
    page.presenter.look()
    qtbot.waitUntil(lambda: len(names(page)) == 9)
    assert not page.page.search.isVisible()
    database.give(Access("Alpha", GITHUB), NOW)
    page.presenter.look()
    qtbot.waitUntil(lambda: page.page.search.isVisible())
    page.page.sort.setCurrentIndex(1)
    assert names(page)[0] == "Alpha"
    page.page.sort.setCurrentIndex(2)
    assert names(page)[0] == "bot-8"
    assert names(page)[-1] == "Alpha"
    page.page.search.setText("bot-3")
    assert names(page) == ["bot-3"]
    page.page.search.setText("nothing")
    assert page.page.empty.text() == "No program called “nothing”"
    page.page.search.clear()
    assert len(names(page)) == 10


def test_a_database_that_cannot_be_read_is_said(
    page: Controller, database: Programs, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    database.give(Access("ci", GITHUB), NOW)
    looked(page, qtbot, "ci")

    def fails(*_: object) -> None:
        raise SettingWrong("The database is damaged", remedy="Restore it.")

    monkeypatch.setattr(Programs, "all", fails)
    page.presenter.look()
    qtbot.waitUntil(lambda: page.page.problem.text() == "The database is damaged. Restore it.")
    assert names(page) == ["ci"], "what was known stays"


# --- the dialog ---------------------------------------------------------------------------------------------


def test_a_taken_name_and_a_wrong_path_are_said_at_their_fields(
    page: Controller, database: Programs, qtbot: QtBot
) -> None:
    database.give(Access("ci", GITHUB), NOW)
    page.page.give.click()
    dialog = dialog_of(page)
    form = dialog.form
    assert not dialog.create_button.isEnabled(), "there is no name"
    form.name.edit.setText("CI")
    form.path.edit.setText("/repos")
    dialog.create_button.click()
    qtbot.waitUntil(lambda: form.name.problem.text() == "CI has access already. Choose another name.")
    assert form.name.edit.hasFocus()
    assert form.path.edit.text() == "/repos", "nothing is lost"
    form.name.edit.setText("other")
    form.path.edit.setText("https://api.github.com/repos")
    dialog.create_button.click()
    qtbot.waitUntil(lambda: "without the server" in form.path.problem.text())
    assert len(database.all(NOW)) == 1


def test_an_account_whose_terms_forbid_it_is_refused_before_a_key_is_made(
    page: Controller, qtbot: QtBot
) -> None:
    views = [*page.presenter._views, replace(view("openai", "OpenAI", "me"), shareable=False)]  # noqa: SLF001
    page.presenter.show_accounts(tuple(views), {})
    page.page.give.click()
    dialog = dialog_of(page)
    dialog.form.name.edit.setText("bot")
    dialog.form.account.setCurrentIndex(dialog.form.account.findData("openai/me"))
    assert not dialog.create_button.isEnabled()
    assert dialog.form.account.accessibleDescription() == (
        "The terms of Sign in with ChatGPT do not let other tools use the token."
    )
    assert dialog.form.account.count() - 1 == dialog.form.account.currentIndex(), "those come last"


def test_the_key_is_copied_as_a_secret_and_shown_once(
    page: Controller, database: Programs, qtbot: QtBot
) -> None:
    address, key = given(page, qtbot, path="repos/acme")
    dialog = dialog_of(page)
    assert dialog.given is not None
    clipboard = QGuiApplication.clipboard()
    dialog.given.copy_address.click()
    assert clipboard.text() == address
    dialog.given.copy_key.click()
    assert clipboard.text() == key
    assert "x-kde-passwordManagerHint" in clipboard.mimeData().formats()
    dialog.variables.click()
    assert clipboard.text() == f"GITHUB_BASE_URL={address}\nGITHUB_API_KEY={key}\n"
    page.close()
    assert clipboard.text() == "", "nothing secret is left there"
    ((grant, _),) = database.all(NOW)
    assert (grant.methods, grant.paths) == (READING, ("/repos/acme/**",))
    assert key not in str(grant)


def test_escape_loses_neither_what_was_typed_nor_a_key(page: Controller, qtbot: QtBot) -> None:
    page.page.give.click()
    dialog = dialog_of(page)
    dialog.form.name.edit.setText("bot")
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert dialog.question is not None
    assert dialog.question.accessibleName() == "Discard what you typed?"
    dialog.question.cancel.click()
    assert dialog.isVisible()
    dialog.create_button.click()
    qtbot.waitUntil(lambda: dialog.given is not None, timeout=10_000)
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert dialog.question.accessibleName() == "Close without the key?"
    dialog.question.cancel.click()
    assert dialog.given is not None
    dialog.given.copy_key.click()
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert page.dialog is None, "it was copied"


def test_on_a_small_screen_the_form_scrolls_and_the_buttons_stay(
    page: Controller, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    high = QGuiApplication.primaryScreen().availableGeometry().height()
    monkeypatch.setattr(give_dialog, "ROOM", high - 350)
    page.page.give.click()
    dialog = dialog_of(page)
    qtbot.waitUntil(lambda: dialog.height() == 350)
    button = dialog.create_button
    assert dialog.rect().contains(button.geometry())
    bar = dialog.findChild(Scroller).verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 0)


def test_how_long_it_lasts(page: Controller, qtbot: QtBot) -> None:
    page.page.give.click()
    form = dialog_of(page).form
    form.name.edit.setText("bot")
    today = datetime.now().astimezone().date()
    found = []
    for number in range(5):
        form.until.setCurrentIndex(number)
        found.append(form.wanted().until)
    days = [today + timedelta(days=n) for n in (0, 1, 9, 30)]
    assert found == [*(day.isoformat() for day in days), None]
    form.until.setCurrentIndex(5)
    assert form.day.isVisibleTo(form)
    assert form.wanted().until == (today + timedelta(days=14)).isoformat()
    form.findChildren(QRadioButton)[1].click()
    assert not form.wanted().reads


# --- words --------------------------------------------------------------------------------------------------

EAST = timezone(timedelta(hours=3))


@pytest.mark.parametrize(
    ("at", "says"),
    [
        (None, "Not used yet"),
        (NOW - timedelta(seconds=20), "Used just now"),
        (NOW - 2 * M, "Used 2 min ago"),
        (NOW - 9 * H - 50 * M, "Used at 05:10"),
        (NOW - 20 * H, "Used yesterday"),
        (NOW - 3 * D, "Used on Tuesday"),
        (NOW - 30 * D, "Used on 21 Oct"),
    ],
)
def test_used(at: datetime | None, says: str) -> None:
    assert words.used(at, NOW, UTC) == says


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (None, ("No end", "until you end it")),
        (NOW + 3 * H, ("Today, 18:00", "in 3 hours")),
        (NOW + 20 * M, ("Today, 15:20", "in 20 minutes")),
        (NOW + 20 * H, ("Tomorrow", "in 20 hours")),
        (NOW + 9 * D, ("29 November", "in 9 days")),
        (NOW + 60 * D, ("19 Jan 2027", "in 60 days")),
    ],
)
def test_until(end: datetime | None, says: tuple[str, str]) -> None:
    assert words.until(end, NOW, UTC) == says


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("", ()),
        (" /repos/acme ", ("/repos/acme/**",)),
        ("group/keyfob/", ("/group/keyfob/**",)),
        ("/", ("/**",)),
        ("/repos/*/issues", ("/repos/*/issues",)),
        ("/repos/acme/**", ("/repos/acme/**",)),
    ],
)
def test_a_path_means_all_below_it(path: str, pattern: tuple[str, ...]) -> None:
    assert words.pattern_of(path) == pattern


@pytest.mark.parametrize("path", ["https://x.example/a", "/a?b=c", "/a#b", "/a b", "//a", "/a/../b", "/ä"])
def test_a_path_that_is_none(path: str) -> None:
    with pytest.raises(ValueError):
        words.pattern_of(path)


def test_refused_today_ends_at_midnight_of_the_person_s_zone() -> None:
    by_hour = (1,) * 24
    assert words.refused(by_hour, NOW, UTC) == "16 requests refused today"
    assert words.refused(by_hour, NOW, EAST) == "19 requests refused today"
    assert words.refused((0,) * 23 + (1,), NOW, UTC) == "1 request refused today"
    assert words.refused((5,) + (0,) * 23, NOW, UTC) == ""


def test_methods_and_limits() -> None:
    assert words.methods(()) == "Read and write"
    assert words.methods(READING) == "Read only"
    assert words.methods(("GET", "POST")) == "GET, POST"
    assert words.limit(("/repos/acme/**", "/user", "/orgs")) == "Only /repos/acme and 2 more"
    assert words.often(100) == "At most 100 an hour"


def a_grant(account: str = GITHUB, until: datetime | None = None, ended_at: datetime | None = None) -> Grant:
    return Grant("g", account, "key:k", "bot", until=until, ended_at=ended_at)


def shown(grant: Grant) -> ProgramRow:
    page = viewmodel.page([(grant, Uses())], sample_views(), {}, GatewayCard(True, "", ""), NOW, zone=UTC)
    return (page.rows or page.ended)[0]


def test_a_row_says_what_is_wrong_with_its_account() -> None:
    assert shown(a_grant(account="google/work@example.org")).account_note == "signed out"
    assert shown(a_grant(account="spotify/aldis")).account_note == "disconnected"
    gone = shown(a_grant(account="github/gone"))
    assert (gone.account, gone.account_note, gone.face) == ("github/gone", "account removed", None)


def test_how_it_ended() -> None:
    assert shown(a_grant(until=NOW - D)).limit == "Expired"
    assert shown(a_grant(until=NOW + D, ended_at=NOW - H)).limit == "Ended by you"
    assert shown(a_grant(until=NOW - 2 * D, ended_at=NOW - D)).limit == "Expired"
    assert shown(a_grant(until=NOW + H)).soon


def test_a_gateway_that_fails_for_another_reason_offers_to_try_again() -> None:
    failed = Standing("failed", 2026, SettingWrong("The disk is full"))
    card = viewmodel.gateway_card(failed, on=True)
    assert (card.title, card.action) == ("The gateway cannot start", "again")
    assert viewmodel.gateway_card(failed, on=False).title == "The gateway is off"


@pytest.mark.parametrize(
    ("limit", "says"),
    [
        (RateLimit(4831, 5000, NOW + 40 * M, NOW), "4,831 of 5,000, more at 15:40"),
        (RateLimit(7, None, None, NOW), "7"),
        (RateLimit(0, 60, NOW - M, NOW - H), None),
        (None, None),
    ],
)
def test_what_is_left_of_the_provider_s_limit_stands_on_the_account_s_page(
    limit: RateLimit | None, says: str | None
) -> None:
    account = next(each for each in sample_views() if each.id == GITHUB)
    limits = {GITHUB: limit} if limit is not None else {}
    made = window((account,), account.key, (), NOW, kept_in="", limits=limits, zone=UTC)
    assert made.detail is not None
    assert dict(made.detail.facts).get("Requests left") == says
