"""Mods and downloads of Nexus Mods as its services return them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from keyfob.nexus.models import DownloadItem, Game, Mod, ModState
from support.fake_ports import NOW

SKYRIM = Game("skyrimspecialedition", "Skyrim Special Edition")
MORROWIND = Game("morrowind", "Morrowind")
MB = 1_000_000


def mod(number: int, name: str = "Quiet Roads", **more: Any) -> Mod:
    """A mod's page, changed by `more`."""
    values: dict[str, Any] = {
        "game": SKYRIM.domain,
        "mod_id": number,
        "name": name,
        "author": "halvard",
        "summary": "Roads without ruts.",
        "picture": f"https://pictures.example/{number}.png",
        "version": "1.9.2",
        "adult": False,
        "available": True,
        "status": "published",
        "updated_at": NOW - timedelta(days=2),
        "endorsed": False,
        "page": f"https://www.nexusmods.com/{SKYRIM.domain}/mods/{number}",
        "downloads": 12_804,
    }
    return Mod(**(values | more))


def state(number: int, kind: str = "update", name: str = "Quiet Roads", **more: Any) -> ModState:
    """A mod of the person's list; `more` is of the mod, but for its versions."""
    installed = more.pop("installed", "1.8.0")
    newest = more.pop("newest", "1.9.2" if kind == "update" else installed)
    return ModState(
        mod(number, name, **more), installed, None if installed is None else 100 + number, newest, kind,  # type: ignore[arg-type]
        200 + number,
    )  # fmt: skip


def item(number: int, kind: str = "running", name: str = "Quiet Roads", **more: Any) -> DownloadItem:
    """A file of the queue, changed by `more`."""
    values: dict[str, Any] = {
        "id": f"item-{number}",
        "game": SKYRIM,
        "mod": mod(number, name),
        "file_id": 200 + number,
        "file_name": f"{name}.7z",
        "version": "1.9.2",
        "received": 184 * MB,
        "total": 512 * MB,
        "rate": 11.3 * MB if kind == "running" else None,
        "seconds_left": 29.0 if kind == "running" else None,
        "state": kind,
        "problem": None,
        "md5_checked": False,
        "path": None,
        "at": NOW - timedelta(hours=1),
        "page": f"https://www.nexusmods.com/{SKYRIM.domain}/mods/{number}?tab=files",
    }
    return DownloadItem(**(values | more))
