"""What the Nexus Mods services return: frozen values without secrets. Times are in UTC; sizes are bytes.

Names, summaries and versions are free text of other people. They are plain (`core.text.plain`) and short when
they get here, but a window still shows them as text, never as markup.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from keyfob.core.error_codes import ErrorCode
from keyfob.core.times import from_rfc3339, to_rfc3339

UpdateState = Literal["current", "update", "unknown", "hidden", "choose"]
DownloadState = Literal["waiting", "link", "running", "paused", "stopped", "checking", "done"]


@dataclass(frozen=True, slots=True)
class Profile:
    """Who the account is at Nexus Mods."""

    name: str
    member_id: int
    avatar: str | None  # an https address
    membership: str  # "Premium", "Supporter" or "Free"
    is_premium: bool

    def to_json(self) -> dict[str, Any]:
        """As `keyfob nexus whoami --json` shows it."""
        return {
            "name": self.name,
            "member_id": self.member_id,
            "avatar": self.avatar,
            "membership": self.membership,
            "is_premium": self.is_premium,
        }


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests that are left, from the last answer. None: the answer did not say, which is not zero."""

    hourly_left: int | None = None
    hourly_limit: int | None = None
    hourly_resets_at: datetime | None = None
    daily_left: int | None = None
    daily_limit: int | None = None
    daily_resets_at: datetime | None = None

    @property
    def used_up(self) -> bool:
        """Whether the next request would be refused. The hourly requests are a reserve: they count once the
        daily ones are spent.
        """
        return self.hourly_left == 0 and self.daily_left == 0

    @property
    def low(self) -> bool:
        """Whether less than a tenth of the day's requests is left: of the hour's, if none is left today."""
        left, limit = (
            (self.hourly_left, self.hourly_limit)
            if self.daily_left == 0
            else (self.daily_left, self.daily_limit)
        )
        return left is not None and limit is not None and left * 10 < limit

    def to_json(self) -> dict[str, Any]:
        """As `keyfob nexus whoami --json` shows it."""
        return {
            "hourly_left": self.hourly_left,
            "hourly_limit": self.hourly_limit,
            "hourly_resets_at": to_rfc3339(self.hourly_resets_at),
            "daily_left": self.daily_left,
            "daily_limit": self.daily_limit,
            "daily_resets_at": to_rfc3339(self.daily_resets_at),
        }


@dataclass(frozen=True, slots=True)
class Game:
    """A game of the site. `domain` is its name in addresses, such as `skyrimspecialedition`."""

    domain: str
    name: str

    def to_json(self) -> dict[str, Any]:
        """As `keyfob nexus games --json` shows it."""
        return {"domain": self.domain, "name": self.name}


@dataclass(frozen=True, slots=True)
class Mod:
    """A mod's page. `status` is the site's word: published, hidden, removed, under_moderation …"""

    game: str  # the game's domain
    mod_id: int
    name: str  # "Mod 123" if the site does not say
    author: str
    summary: str
    picture: str | None  # an https address
    version: str  # of the page, which may be ahead of the files
    adult: bool
    available: bool
    status: str
    updated_at: datetime | None
    endorsed: bool
    page: str  # the mod's address at the site
    downloads: int | None = None

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Mod:
        """The inverse of `to_json`. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(**{**row, "mod_id": int(row["mod_id"]), "updated_at": from_rfc3339(row["updated_at"])})

    def to_json(self) -> dict[str, Any]:
        """As the lists of `keyfob nexus --json` show it."""
        return {
            "game": self.game,
            "mod_id": self.mod_id,
            "name": self.name,
            "author": self.author,
            "summary": self.summary,
            "picture": self.picture,
            "version": self.version,
            "adult": self.adult,
            "available": self.available,
            "status": self.status,
            "updated_at": to_rfc3339(self.updated_at),
            "endorsed": self.endorsed,
            "page": self.page,
            "downloads": self.downloads,
        }


@dataclass(frozen=True, slots=True)
class ModState:
    """A mod of the person's list, and whether there is a newer file.

    `unknown`: nothing is known of what is installed, or of newer files. `hidden`: the page is hidden, removed
    or under moderation. `choose`: there are several newer files, so the person chooses on the page.
    """

    mod: Mod
    installed_version: str | None
    installed_file_id: int | None
    newest: str | None  # version of the newest file; None if it is not known
    state: UpdateState
    newest_file_id: int | None = None  # what `update` downloads

    def to_json(self) -> dict[str, Any]:
        """As `keyfob nexus mods --json` shows it."""
        return {
            **self.mod.to_json(),
            "installed_version": self.installed_version,
            "installed_file_id": self.installed_file_id,
            "newest": self.newest,
            "newest_file_id": self.newest_file_id,
            "state": self.state,
        }


@dataclass(frozen=True, slots=True)
class DownloadItem:
    """A file of the queue.

    States: `waiting` for its turn; `link`: a free member has to press the site's button on `page`; `running`;
    `paused` by the person; `stopped` by `problem`, and can be continued; `checking`: size and MD5; `done`.
    """

    id: str
    game: Game
    mod: Mod
    file_id: int
    file_name: str
    version: str
    received: int
    total: int | None
    rate: float | None  # bytes a second, while it runs
    seconds_left: float | None
    state: DownloadState
    problem: str | None  # what happened, in one sentence
    md5_checked: bool
    path: Path | None  # the file, once it is complete
    at: datetime  # of the last change of state
    page: str  # the file's page at the site, with the button for mod managers
    code: ErrorCode | None = None  # of `problem`, for what to do about it
    # The file is here, but Nexus Mods does not list its MD5: the user may keep it (`NexusService.keep`).
    can_keep: bool = False

    def to_json(self) -> Mapping[str, Any]:
        """As `keyfob nexus downloads --json` shows it."""
        return {
            "id": self.id,
            "game": self.game.domain,
            "mod_id": self.mod.mod_id,
            "mod": self.mod.name,
            "file_id": self.file_id,
            "file_name": self.file_name,
            "version": self.version,
            "received": self.received,
            "total": self.total,
            "rate": self.rate,
            "seconds_left": self.seconds_left,
            "state": self.state,
            "problem": self.problem,
            "md5_checked": self.md5_checked,
            "path": str(self.path) if self.path else None,
            "at": to_rfc3339(self.at),
            "page": self.page,
            "code": self.code,
            "can_keep": self.can_keep,
        }
