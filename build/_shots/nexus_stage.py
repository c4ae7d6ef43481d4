"""The real services of Nexus Mods for a scene, at a server of ours, at the stage's time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPolygonF
from PySide6.QtWidgets import QApplication

from keyfob.desktop.shared import operation
from keyfob.nexus import api, downloads, queue, service
from keyfob.nexus.service import Nexus, NexusService
from support import nexus_server
from support.fake_ports import NOW
from support.nexus_home import nexus_at
from support.nexus_server import NexusServer
from support.nexus_site import DAILY, HOURLY, File, Member, Mod, Site, pack, sample_site

if TYPE_CHECKING:
    from _shots.stage import Stage
    from keyfob.desktop.controller import AppController
    from keyfob.desktop.nexus.models import TabName
    from keyfob.desktop.nexus.page import Page
    from keyfob.engine import Engine

SKYRIM = "skyrimspecialedition"
ALDIS = "nexusmods/aldis"
INSTALLED = {10: "1.8.0", 11: "2.0.4", 12: "3.2", 13: "2.4.1", 14: "0.9.8", 17: "1.0.3"}
# Ground and drawing of a mod's picture, in turn.
COLORS = (
    ("#c9d6e6", "#5b7797"), ("#2e3150", "#e5b567"), ("#cfe0cd", "#4d8b57"), ("#e9dfc8", "#6b5530"),
    ("#d8d0e3", "#8b7ab0"), ("#d5dde0", "#5d7076"),
)  # fmt: skip


class Then(datetime):
    """The clock of the services: the stage's time."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Any:
        return NOW.astimezone(tz)


def site() -> Site:
    """Mods in every state, all of them tracked by Aldis."""
    made = sample_site()
    made.clock = NOW.timestamp
    skyrim = made.games[SKYRIM]
    bells = Mod(17, "Bells of the North", "t-smithy", "1.0.3", downloads=6_902)
    bells.files = [File(170, "1.0.3", pack("bells", 41_000), "Bells of the North-17-1-0-3-1.zip")]
    skyrim.mods[17] = bells
    skyrim.mods[11].files[1].content = pack("lanterns-2.1.0", 5_120_000)
    for mod, count in zip(skyrim.mods.values(), (12_804, 9_310, 8_127, 7_455, 6_118, 5_900), strict=False):
        mod.downloads = count
    skyrim.mods[14].status = "published"
    member = made.members[1]
    member.tracked = [(SKYRIM, number) for number in (10, 11, 12, 13, 14, 17)]
    member.daily_left, member.hourly_left = 18_440, 500
    return made


def limits(_site: Site, member: Member | None) -> dict[str, str]:
    """The hour begins again soon, the day at midnight."""
    if member is None:
        return {}
    hour = (NOW + timedelta(hours=1)).replace(minute=0)
    day = (NOW + timedelta(days=1)).replace(hour=0, minute=0)
    return {
        "x-rl-hourly-limit": str(HOURLY),
        "x-rl-hourly-remaining": str(member.hourly_left),
        "x-rl-hourly-reset": hour.isoformat(),
        "x-rl-daily-limit": str(DAILY),
        "x-rl-daily-remaining": str(member.daily_left),
        "x-rl-daily-reset": day.isoformat(),
    }


class NexusScene:
    """`app` with the page of Aldis open. Everything ends with the stage."""

    def __init__(
        self,
        stage: Stage,
        of: Site | None = None,
        *,
        installed: dict[int, str] | None = None,
        before: Callable[[NexusScene], object] | None = None,
        account: Callable[[Engine], object] = lambda _: None,
        patches: Sequence[tuple[object, str, object]] = (),
        waits: bool = True,
    ) -> None:
        """`installed`: the versions by the mods' numbers. `before` runs before the window opens, `account`
        before the app has the engine. `waits`: until the site was read.
        """
        self.stage, self.site = stage, of or site()
        self._stack = ExitStack()
        for module in (api, downloads, queue, service):
            self._stack.enter_context(patch.object(module, "datetime", Then))
        self._stack.enter_context(patch.object(NexusService, "picture", self._picture))
        for where, name, other in patches:
            self._stack.enter_context(patch.object(where, name, other))
        self.server = self._stack.enter_context(NexusServer(self.site))
        folder = stage.folder / "nexus"
        folder.mkdir()
        self.nexus: Nexus = self._stack.enter_context(nexus_at(folder, self.server))
        self._stack.enter_context(patch.object(nexus_server, "_limits", limits))
        self.service = self.nexus.service(ALDIS)
        self.service.set_folder(SKYRIM, Path.home() / "Games" / "Mods" / "Skyrim SE")
        for number, version in (INSTALLED if installed is None else installed).items():
            self.service.add_mod(f"{SKYRIM}/{number}", version=version)
        self.site.games[SKYRIM].mods[14].status = "hidden"  # since it was read
        if before is not None:
            before(self)
        engine = stage.engine(stage.views("nexusmods", "bluesky", "github", "openai"))
        account(engine)
        self.app: AppController = stage.app(engine, nexus=lambda _: self.nexus)
        stage.ending.append(self._end)
        self._choose()
        if waits:
            self.settle()

    def _end(self) -> None:
        self.site.cdn_rate = None
        assert self.app.running is not None
        self.app.running.nexus.close()
        self.stage.until(lambda: not operation.running(), seconds=20)
        self._stack.close()

    def _choose(self) -> None:
        """Select the account, with whatever it then waits for still to come."""
        assert self.app.running is not None
        rows = self.app.running.presenter.model.rows
        number = next(n for n, row in enumerate(rows) if row.id == ALDIS)
        self.app.window.sidebar.list.setCurrentRow(number)
        self.stage.until(lambda: self.app.running is not None and self.app.running.nexus.current is not None)

    def settle(self) -> None:
        """Until nothing is asked for any more."""
        presenter = self.presenter
        self.stage.until(lambda: not presenter.known.loading_mods and not presenter.known.loading_popular)
        self.stage.until(lambda: not operation.running())

    @property
    def presenter(self) -> Any:
        assert self.app.running is not None
        (account,) = self.app.running.nexus.accounts.values()
        return account.presenter

    @property
    def page(self) -> Page:
        assert self.app.running is not None
        page = self.app.running.nexus.page
        assert page is not None
        return page

    def tab(self, name: TabName) -> None:
        self.stage.show(self.app.window)
        self.page.tabs.choose(name)
        self.settle()
        self.stage.show(self.app.window)
        self.stage.until(lambda: not operation.running())  # the pictures
        QApplication.processEvents()

    def _picture(self, url: str) -> Path:
        number = int("".join(char for char in url.rpartition("/")[2] if char.isdigit()) or 0)
        path = self.stage.folder / f"picture-{number}.png"
        if not path.exists():
            drawn(number).save(str(path))
        return path


def drawn(number: int) -> QImage:
    """A landscape of a mod's own."""
    ground, color = COLORS[number % len(COLORS)]
    image = QImage(640, 360, QImage.Format.Format_RGB32)
    image.fill(QColor(ground))
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(color))
    if number % 2:
        for x in (150, 300, 450):
            painter.drawEllipse(QRectF(x - 60, 90 + (x % 80), 120, 120))
            painter.drawRect(QRectF(x - 10, 200, 20, 160))
    else:
        points = ((40, 360), (190, 120), (310, 280), (400, 200), (580, 360))
        painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in points]))
        painter.setBrush(QColor(255, 255, 255, 160))
        painter.drawEllipse(QRectF(420, 40, 100, 100))
    painter.end()
    return image
