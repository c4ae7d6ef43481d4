"""What our Nexus Mods server knows: members, games, mods and files, and the objects that the API makes.

The shapes rest on public sources, named here and used in `nexus_server.py` too:

- NNA: Nexus-Mods/node-nexus-api (src/types.ts, parameters.ts, Nexus.ts), the vendor's client.
- VTX: Nexus-Mods/Vortex (nexus_integration, UIDs.ts, checkModsVersion.ts), the vendor's older manager.
- NMA: Nexus-Mods/NexusMods.App (NexusWebApi/DTOs, schema.graphql), the vendor's newer manager.
- MO2: ModOrganizer2/modorganizer (nexusinterface.cpp and .h).
- MFG: Modding-Forge/nexus-mods-api-py.
- JD: JDownloader's nexusmods plugin, which quotes error bodies.

Not known, and so ours: how long a link of the site's button lives, and the words of a 403 for a hidden mod's
files.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

MAIN, UPDATE, OPTIONAL, OLD, MISCELLANEOUS, REMOVED, ARCHIVED = range(1, 8)
# MO2 nexusinterface.h; NMA's GraphQL enum. ARCHIVED is left out of v1's lists.
CATEGORIES = {
    1: "MAIN",
    2: "UPDATE",
    3: "OPTIONAL",
    4: "OLD_VERSION",
    5: "MISCELLANEOUS",
    6: None,
    7: "ARCHIVED",
}
DAILY, HOURLY = 20_000, 500


@dataclass
class Member:
    """`roles` as the access token has them: member, supporter, premium, lifetimepremium (NMA)."""

    id: int
    name: str
    key: str
    roles: tuple[str, ...] = ("member",)
    tracked: list[tuple[str, int]] = field(default_factory=list)
    daily_left: int = DAILY
    hourly_left: int = HOURLY

    @property
    def is_premium(self) -> bool:
        return bool({"premium", "lifetimepremium"} & set(self.roles))


@dataclass
class File:
    file_id: int
    version: str
    content: bytes
    file_name: str
    category: int = MAIN
    uploaded: int = 1_790_000_000
    size_known: bool = True  # size_in_bytes may be null

    @property
    def md5(self) -> str:
        return hashlib.md5(self.content, usedforsecurity=False).hexdigest()


@dataclass
class Mod:
    mod_id: int
    name: str
    author: str
    version: str
    files: list[File] = field(default_factory=list)
    updates: list[tuple[int, int]] = field(default_factory=list)  # old file, new file
    adult: bool = False
    status: str = "published"
    updated: int = 1_790_000_000
    activity: int = 0  # descriptions and pictures move it too
    endorsed: bool = False
    downloads: int = 12_804

    @property
    def available(self) -> bool:
        return self.status == "published"


@dataclass
class Game:
    id: int
    domain: str
    name: str
    mods: dict[int, Mod] = field(default_factory=dict)


@dataclass
class Asked:
    """A request that came. `host` is `api` or `cdn`."""

    host: str
    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Site:
    """Thread-safe enough for tests: they change it between requests. `faults` are taken one a request to the
    API, by the first whose text is in the path: cloudflare, 202, null, 521, too_fast, 500, wait_long, moved …
    """

    clock: Callable[[], float] = time.time
    members: dict[int, Member] = field(default_factory=dict)
    games: dict[str, Game] = field(default_factory=dict)
    faults: list[tuple[str, str]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    offences: list[str] = field(default_factory=list)  # what no client may do
    limits_shown: bool = True
    token_life: float = 21_600  # seconds; about six hours (a public client's notes)
    link_life: float = 48 * 3600  # of the site's button; two public examples lie about 48 h apart
    cdn_life: float = 1800  # stated as 30 minutes in 2017 (VTX)
    cdn_rate: float | None = None  # bytes a second
    cdn_cut: int | None = None  # bytes after which the connection breaks, once
    cdn_spoilt: bool = False  # other bytes than the API described
    cdn_instead: bytes | None = None  # another file
    base: str = ""
    cdn: str = ""
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    tokens: dict[str, tuple[int, float]] = field(default_factory=dict)  # access token: member, end
    refresh: dict[str, int] = field(default_factory=dict)
    codes: dict[str, tuple[int, str]] = field(default_factory=dict)  # code: member, PKCE challenge
    signing_in: int = 1  # the member whom a browser at the sign-in page is
    guard: threading.Lock = field(default_factory=threading.Lock)

    def paths(self, host: str = "api") -> list[str]:
        return [f"{each.method} {each.path}" for each in self.asked if each.host == host]

    def mod(self, domain: str, mod_id: int) -> Mod:
        return self.games[domain].mods[mod_id]

    def find(self, file_id: int) -> tuple[Game, Mod, File]:
        return next((g, m, f) for g, m, f in self.all_files() if f.file_id == file_id)

    def all_files(self) -> Iterator[tuple[Game, Mod, File]]:
        for game in self.games.values():
            for mod in game.mods.values():
                for file in mod.files:
                    yield game, mod, file

    # --- links ----------------------------------------------------------------------------------------------

    def sign(self, *parts: object) -> str:
        text = "\0".join(map(str, parts)).encode()
        return hmac.new(self.secret, text, "sha256").hexdigest()[:32]

    def nxm(self, member: int, domain: str, mod_id: int, file_id: int, *, life: float | None = None) -> str:
        """What the site's button "Mod Manager Download" gives this member (VTX NXMUrl.ts)."""
        expires = int(self.clock() + (self.link_life if life is None else life))
        key = self.sign("nxm", member, file_id, expires)
        return f"nxm://{domain}/mods/{mod_id}/files/{file_id}?key={key}&expires={expires}&user_id={member}"

    def cdn_links(self, member: Member, game: Game, mod: Mod, file: File) -> list[dict[str, str]]:
        """The member's preferred server first; free members get one (JD, NNA). Spaces stay as they are."""
        expires = int(self.clock() + self.cdn_life)
        path = f"/cdn/{game.id}/{mod.mod_id}/{file.file_name}"
        query = f"md5={self.sign('cdn', path, expires, member.id)}&expires={expires}&user_id={member.id}"
        free = {
            "name": "Nexus Global Content Delivery Network",
            "short_name": "Nexus CDN",
            "URI": f"{self.cdn}{path}?{query}",
        }
        premium = {
            "name": "Amsterdam (Premium)",
            "short_name": "Amsterdam",
            "URI": f"{self.cdn}{path}?{query}",
        }
        return [premium, free] if member.is_premium else [free]

    # --- objects --------------------------------------------------------------------------------------------

    def game_json(self, game: Game) -> dict[str, Any]:
        """NNA types.ts IGameListEntry."""
        return {
            "id": game.id,
            "name": game.name,
            "forum_url": f"https://forums.nexusmods.com/games/{game.id}",
            "nexusmods_url": f"https://www.nexusmods.com/{game.domain}",
            "genre": "RPG",
            "file_count": sum(len(mod.files) for mod in game.mods.values()),
            "downloads": 1_000_000,
            "domain_name": game.domain,
            "approved_date": 1_400_000_000,
            "mods": len(game.mods),
        }

    def mod_json(self, game: Game, mod: Mod) -> dict[str, Any]:
        """NNA types.ts IModInfo. A mod that is not available has no name and no texts (MFG: optional)."""
        found: dict[str, Any] = {
            "uid": game.id << 32 | mod.mod_id,
            "mod_id": mod.mod_id,
            "game_id": game.id,
            "domain_name": game.domain,
            "category_id": 1,
            "contains_adult_content": mod.adult,
            "version": mod.version,
            "author": mod.author,
            "uploaded_by": mod.author,
            "status": mod.status,
            "available": mod.available,
            "created_timestamp": mod.updated - 86_400,
            "created_time": _iso(mod.updated - 86_400),
            "updated_timestamp": mod.updated,
            "updated_time": _iso(mod.updated),
            "allow_rating": True,
            "endorsement_count": 12,
            "user": {"member_id": 9001, "member_group_id": 27, "name": mod.author},
            "endorsement": {
                "endorse_status": "Endorsed" if mod.endorsed else "Undecided",
                "timestamp": None,
                "version": None,
            },
        }
        if mod.available:
            found |= {
                "name": mod.name,
                "summary": f"{mod.name} for everybody.<br />Second line",
                "description": f"[b]{mod.name}[/b]",
                "picture_url": f"{self.cdn}/pictures/{mod.mod_id}.png",
                "mod_downloads": mod.downloads,
                "mod_unique_downloads": mod.downloads // 2,
            }
        return found

    def file_json(self, game: Game, mod: Mod, file: File) -> dict[str, Any]:
        """NMA ModFile.cs."""
        kibibytes = (len(file.content) + 1023) // 1024
        return {
            "id": [file.file_id, game.id],
            "uid": game.id << 32 | file.file_id,
            "file_id": file.file_id,
            "name": mod.name,
            "version": file.version,
            "category_id": file.category,
            "category_name": CATEGORIES[file.category],
            "is_primary": file.category == MAIN,
            "size": kibibytes,
            "size_kb": kibibytes,
            "size_in_bytes": len(file.content) if file.size_known else None,
            "file_name": file.file_name,
            "uploaded_timestamp": file.uploaded,
            "uploaded_time": _iso(file.uploaded),
            "mod_version": mod.version,
            "external_virus_scan_url": None,
            "description": "",
            "changelog_html": None,
            "content_preview_link": f"{self.cdn}/previews/{file.file_id}.json",
        }

    def files_json(self, game: Game, mod: Mod) -> dict[str, Any]:
        """Archived files may be left out of `files` and still be in `file_updates` (MO2)."""
        names = {file.file_id: file for file in mod.files}
        return {
            "files": [self.file_json(game, mod, each) for each in mod.files if each.category != ARCHIVED],
            "file_updates": [
                {
                    "old_file_id": old,
                    "new_file_id": new,
                    "old_file_name": names[old].file_name if old in names else "gone.zip",
                    "new_file_name": names[new].file_name if new in names else "gone.zip",
                    "uploaded_timestamp": names[new].uploaded if new in names else mod.updated,
                    "uploaded_time": _iso(names[new].uploaded if new in names else mod.updated),
                }
                for old, new in mod.updates
            ],
        }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def pack(name: str, size: int) -> bytes:
    """Bytes that differ from name to name, as an archive's."""
    block = hashlib.sha256(name.encode()).digest()
    return (block * (size // len(block) + 1))[:size]


def sample_site() -> Site:
    """Aldis (premium, 1) and Brea (free, 2); two games with mods in every state."""
    site = Site()
    site.members = {
        1: Member(
            1,
            "Aldis",
            "key-of-aldis",
            ("member", "premium"),
            [("skyrimspecialedition", 10), ("skyrimspecialedition", 16)],
        ),
        2: Member(2, "Brea", "key-of-brea"),
    }
    # Names used to carry the mod's id, the version and the time; since 2026 they have blanks.
    roads = Mod(10, "Quiet Roads", "halvard", "1.9.2", endorsed=True)
    roads.files = [
        File(
            101,
            "1.8.0",
            pack("roads-1.8.0", 30_000),
            "Quiet Roads-10-1-8-0-1780000000.zip",
            OLD,
            1_780_000_000,
        ),
        File(
            102,
            "1.9.0",
            pack("roads-1.9.0", 31_000),
            "Quiet Roads-10-1-9-0-1785000000.zip",
            REMOVED,
            1_785_000_000,
        ),
        File(103, "v1.9.2", pack("roads-1.9.2", 2_000_000), "Quiet Roads 10 1.9.2 2026-09-21T14-13Z 103.zip"),
    ]
    roads.updates = [(101, 102), (102, 103)]
    lanterns = Mod(11, "Better Lanterns", "vesper", "2.1.0")
    lanterns.files = [
        File(
            110,
            "2.0.4",
            pack("lanterns-2.0.4", 9_000),
            "Better Lanterns-11-2-0-4-1.zip",
            ARCHIVED,
            1_700_000_000,
        ),
        File(111, "2.1.0", pack("lanterns-2.1.0", 9_100), "Better Lanterns-11-2-1-0-2.zip", size_known=False),
    ]
    flora = Mod(12, "Northern Flora", "mirelle", "4.0")
    flora.files = [
        File(120, "3.2", pack("flora-3.2", 700), "Northern Flora-12-3-2-1.zip", OLD, 1_700_000_000),
        File(121, "4.0", pack("flora-4.0", 800), "Northern Flora-12-4-0-2.zip"),
        File(122, "4.0-lite", pack("flora-lite", 500), "Northern Flora lite-12-4-0-3.zip", OPTIONAL),
    ]
    maps = Mod(13, "Clear Maps", "odd-atlas", "2.5", endorsed=True)  # the page is ahead of its files
    maps.files = [File(130, "2.4.1", pack("maps", 600), "Clear Maps-13-2-4-1-1.zip")]
    skyrim = Game(1704, "skyrimspecialedition", "Skyrim Special Edition")
    weather = Mod(14, "Steady Weather", "sorrel", "0.9.8", status="hidden")
    weather.files = [File(140, "0.9.8", pack("weather", 400), "Steady Weather-14-0-9-8-1.zip")]
    gone = Mod(15, "Gone", "nobody", "1.0", status="removed")
    night = Mod(16, "Night Life", "vesper", "1.0", adult=True)
    night.files = [File(160, "1.0", pack("night", 300), "Night Life-16-1-0-1.zip")]
    skyrim.mods = {each.mod_id: each for each in (roads, lanterns, flora, maps, weather, gone, night)}
    ring = Game(4333, "eldenring", "Elden Ring")
    ring.mods = {
        20: Mod(20, "Grace Map", "tarn", "1", [File(200, "1", pack("grace", 900), "Grace Map-20-1-1.zip")])
    }
    site.games = {game.domain: game for game in (skyrim, ring)}
    return site
