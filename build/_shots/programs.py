"""The page Programs and its dialogs: real grants in a real database, and the real gateway on a free port."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize

from _shots.registry import scene
from keyfob.core.secret import Secret
from keyfob.desktop.programs.give_dialog import GiveDialog
from keyfob.gateway import packages
from keyfob.gateway.auth.tables import GrantRow, GrantUse, close_database, open_database
from keyfob.gateway.own_gateway import serving
from keyfob.gateway.packages import own_url
from keyfob.gateway.programs import Access, Programs
from support.fake_ports import NOW
from support.samples import D, H, M, view

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from _shots.stage import Stage
    from keyfob.core.account import AccountView
    from keyfob.desktop.controller import AppController
    from keyfob.desktop.programs.controller import Programs as Controller
    from keyfob.engine import Engine

READ = ("read",)
GITLAB, GITHUB, OPENAI, NEXUS = (
    "gitlab/aldis", "github/aldis-k", "openai-api/key-f3qa", "nexusmods/aldis",
)  # fmt: skip


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Office:
    """An engine with programs that have had access for a while."""

    def __init__(
        self,
        stage: Stage,
        *,
        on: bool = True,
        port: int | None = None,
        well: bool = True,
        more: Sequence[AccountView] = (),
    ) -> None:
        """`well`: no account needs its person."""
        self.stage = stage
        gitlab = view("gitlab", "GitLab", "aldis", name="aldis", subject="77", color="#c14a1e",
                      expires_at=NOW + 52 * M, renews_at=NOW + 42 * M)  # fmt: skip
        names = ("nexusmods", "github", "openai-api", "bluesky", *(() if well else ("google",)))
        self.engine: Engine = stage.engine([*stage.views(*names), gitlab, *more])
        self.port = port or free_port()
        settings = self.engine.settings.load()
        self.engine.settings.save(replace(settings, gateway=on, gateway_port=self.port), settings)
        self.programs = Programs(self.engine.home.data)
        stage.ending.append(self.programs.close)

    def give(
        self,
        name: str,
        account: str,
        hours: Sequence[int] = (),
        *,
        methods: Sequence[str] = (),
        path: str = "",
        until: datetime | None = None,
        used: datetime | None = None,
        refused: int = 0,
        per_hour: int | None = None,
        ended: datetime | None = None,
    ) -> str:
        """A program with access. `hours`: its requests in the last hours, the last of them in this one."""
        paths = (path,) if path else ()
        wanted = Access(name, account, tuple(methods), paths, until, per_hour)
        grant_id = self.programs.give(wanted, NOW - 30 * D).grant.grant_id
        sessions = open_database(own_url(self.engine.home.data))
        with sessions.begin() as session:
            row = session.get(GrantRow, grant_id)
            assert row is not None
            row.ended_at = ended
            hour = NOW.replace(minute=0, second=0, microsecond=0)
            counts = list(hours) or ([0] if used is not None else [])
            for ago, count in enumerate(reversed(counts)):
                if count or ago == 0:
                    session.add(
                        GrantUse(
                            grant_id=grant_id,
                            hour=hour - ago * H,
                            allowed=count,
                            refused=refused if ago == 0 else 0,
                            last_at=used if used is not None and ago == 0 else hour - ago * H,
                        )
                    )
        close_database(sessions)
        return grant_id

    def usual(self) -> None:
        """As in a week of work."""
        self.give(
            "release-bot",
            GITLAB,
            (1, 2, 5, 8, 14, 7, 12, 16, 6, 9, 19, 14, 0, 0, 0, 3, 9, 12),
            path="/projects/12/**",
            until=NOW.replace(hour=23, minute=59) + 9 * D,
            used=NOW - 2 * M,
        )
        self.give(
            "Jupyter", OPENAI, (2, 30, 42, 14, 60), until=NOW + 3 * H, used=NOW - 10 * timedelta(seconds=1)
        )
        self.give("Home dashboard", GITHUB, (4,) * 24, methods=READ, used=NOW - 11 * M)
        hours = [0] * 24
        hours[2] = hours[13] = 6
        self.give(
            "mod-backup.sh",
            NEXUS,
            hours,
            methods=READ,
            until=NOW + 41 * D,
            used=NOW - 9 * H - 50 * M,
            refused=3,
        )
        self.give("notes-sync", GITHUB, until=NOW - 2 * D, used=NOW - 9 * D)

    def app(self) -> AppController:
        """The app with the page open, and the gateway as the setting says."""
        app = self.stage.app(self.engine)
        programs = of(app)
        self.stage.until(lambda: app.settings_controller.known and programs.presenter.loaded)
        self.stage.until(lambda: programs.gateway.standing.state in ("off", "on", "failed", "elsewhere"))
        self.stage.until(
            lambda: not app.settings_controller.value.gateway or programs.gateway.standing.state != "off"
        )
        programs.nav.click()
        self.stage.settle()
        return app


def of(app: AppController) -> Controller:
    assert app.running is not None
    return app.running.programs


@scene("programs")
def usual(stage: Stage) -> QWidget:
    office = Office(stage)
    office.usual()
    app = office.app()
    app.window.resize(QSize(stage.theme.px(1200), stage.theme.px(800)))
    return app.window


@scene("programs-medium")
def medium(stage: Stage) -> QWidget:
    """The window as it opens: the account stands under the program."""
    office = Office(stage)
    office.usual()
    return office.app().window


@scene("programs-narrow")
def narrow(stage: Stage) -> QWidget:
    office = Office(stage)
    office.usual()
    app = office.app()
    app.window.resize(app.window.minimumSize())
    return app.window


@scene("programs-none", measured=False)
def none(stage: Stage) -> QWidget:
    return Office(stage, on=False).app().window


@scene("programs-off", measured=False)
def off(stage: Stage) -> QWidget:
    office = Office(stage, on=False)
    office.usual()
    return office.app().window


@scene("programs-port-taken")
def port_taken(stage: Stage) -> QWidget:
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    stage.ending.append(taken.close)
    office = Office(stage, port=taken.getsockname()[1])
    office.usual()
    return office.app().window


@scene("programs-elsewhere", measured=False)
def elsewhere(stage: Stage) -> QWidget:
    """`keyfob serve` runs."""
    office = Office(stage)
    office.usual()
    held = serving(office.engine.locks, office.port)
    held.__enter__()
    stage.ending.append(lambda: held.__exit__(None, None, None))
    return office.app().window


@scene("programs-not-installed")
def not_installed(stage: Stage) -> QWidget:
    office = Office(stage)
    before, packages.NEEDED = packages.NEEDED, ("no_such_package",)
    stage.ending.append(lambda: setattr(packages, "NEEDED", before))
    return office.app().window


@scene("programs-trouble")
def trouble(stage: Stage) -> QWidget:
    """An account that is signed out, one that was removed, an end within a day, limits of all kinds."""
    office = Office(stage, well=False)
    office.give("calendar-export", "google/work@example.org", (3, 0, 2), methods=READ, used=NOW - H)
    office.give("old-script", "github/gone", (1,), until=NOW + 20 * M, used=NOW - 3 * D)
    office.give(
        "ci",
        GITHUB,
        (4, 8),
        methods=("GET", "POST"),
        path="/repos/acme/**",
        per_hour=100,
        refused=12,
        used=NOW - 5 * M,
        until=NOW + 20 * H,
    )
    office.give("A program with a long name, as people give them at times", GITLAB, methods=READ)
    app = office.app()
    app.window.resize(QSize(stage.theme.px(1200), stage.theme.px(800)))
    return app.window


@scene("programs-fifty", measured=False)
def fifty(stage: Stage) -> QWidget:
    office = Office(stage)
    names = ("backup", "bot", "dashboard", "export", "mirror", "notes", "report", "script", "sync", "watcher")
    accounts = (GITLAB, GITHUB, OPENAI, NEXUS)
    for number in range(50):
        office.give(
            f"{names[number % 10]}-{number // 10 + 1}",
            accounts[number % 4],
            [(number * hour) % 7 for hour in range(number % 24)] if number % 5 else (),
            methods=READ if number % 3 else (),
            until=NOW + (number + 1) * D if number % 2 else None,
            used=NOW - (number + 1) * 7 * M if number % 5 else None,
        )
    app = office.app()
    app.window.resize(QSize(stage.theme.px(1200), stage.theme.px(800)))
    return app.window


# --- dialogs ------------------------------------------------------------------------------------------------


def asked(stage: Stage, *, on: bool = True, app: AppController | None = None) -> GiveDialog:
    programs = of(app or Office(stage, on=on).app())
    programs.ask_to_give()
    dialog = programs.dialog
    assert isinstance(dialog, GiveDialog)
    return dialog


def filled(dialog: GiveDialog, name: str = "release-bot", account: str = GITLAB) -> None:
    form = dialog.form
    form.name.edit.setText(name)
    form.account.setCurrentIndex(form.account.findData(account))


@scene("give")
def give(stage: Stage) -> QWidget:
    dialog = asked(stage, on=False)
    filled(dialog)
    dialog.form.path.edit.setText("projects/12")
    return dialog


@scene("give-empty", measured=False)
def give_empty(stage: Stage) -> QWidget:
    return asked(stage)


@scene("give-wrong")
def give_wrong(stage: Stage) -> QWidget:
    """The name is taken."""
    office = Office(stage)
    office.usual()
    dialog = asked(stage, app=office.app())
    filled(dialog)
    dialog.form.until.setCurrentIndex(5)
    dialog.create_button.click()
    stage.until(lambda: dialog.form.name.problem.text())
    return dialog


@scene("give-path-wrong", measured=False)
def give_path_wrong(stage: Stage) -> QWidget:
    dialog = asked(stage)
    filled(dialog)
    dialog.form.path.edit.setText("https://gitlab.com/projects")
    dialog.create_button.click()
    stage.until(lambda: dialog.form.path.problem.text())
    return dialog


@scene("give-refused")
def give_refused(stage: Stage) -> QWidget:
    """The terms of this provider let only Keyfob itself use its tokens."""
    chatgpt = view("openai", "OpenAI", "aldis", name="aldis", color="#1f6f5c")
    dialog = asked(stage, app=Office(stage, more=[chatgpt]).app())
    filled(dialog, account=chatgpt.id)
    return dialog


def given(stage: Stage, *, on: bool = True) -> tuple[Controller, GiveDialog]:
    dialog = asked(stage, on=on)
    filled(dialog)
    dialog.form.path.edit.setText("/projects/12")
    dialog.create_button.click()
    programs = of(stage.apps[-1])
    stage.until(lambda: dialog.given is not None)
    assert dialog.given is not None
    dialog.given.key.text.show_text(
        "sk-7Qm2xVd0Lr9s-0f83be61c07a4d9cb1d5a8e2f4071c36"
    )  # the same in each picture
    dialog.given.copy_key.holds(Secret("sk-"))
    stage.until(lambda: programs.gateway.standing.state == "on")
    stage.until(lambda: dialog.given is not None and dialog.given.title.text().startswith("Waiting"))
    return programs, dialog


@scene("given")
def given_waiting(stage: Stage) -> QWidget:
    return given(stage)[1]


@scene("given-works", measured=False)
def given_works(stage: Stage) -> QWidget:
    """The first request was counted."""
    programs, dialog = given(stage)
    count(stage, programs, dialog, allowed=1)
    return dialog


@scene("given-refused", measured=False)
def given_refused(stage: Stage) -> QWidget:
    """The first request was for another path."""
    programs, dialog = given(stage)
    count(stage, programs, dialog, refused=1)
    return dialog


def count(
    stage: Stage, programs: Controller, dialog: GiveDialog, *, allowed: int = 0, refused: int = 0
) -> None:
    view = dialog.given
    assert view is not None
    (grant, _), *_ = programs.presenter.known
    data = stage.folder / "data"
    sessions = open_database(own_url(next(stage.folder.rglob("gateway.db"), data / "gateway.db").parent))
    with sessions.begin() as session:
        hour = NOW.replace(minute=0, second=0, microsecond=0)
        session.add(
            GrantUse(
                grant_id=grant.grant_id, hour=hour, allowed=allowed, refused=refused, last_at=NOW + 2 * M
            )
        )
    close_database(sessions)
    before = view.title.text()
    programs.presenter.look()
    stage.until(lambda: view.title.text() != before)


@scene("program-details")
def details(stage: Stage) -> QWidget:
    office = Office(stage)
    office.usual()
    programs = of(office.app())
    row = next(each for each in programs.page.rows if each.row.name == "release-bot")
    row.pressed.emit(row.key, "open")
    assert programs.dialog is not None
    return programs.dialog


@scene("program-end", measured=False)
def end(stage: Stage) -> QWidget:
    office = Office(stage)
    office.usual()
    programs = of(office.app())
    row = next(each for each in programs.page.rows if each.row.name == "release-bot")
    row.button.click()
    assert programs.dialog is not None
    return programs.dialog
