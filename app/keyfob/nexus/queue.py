"""The queue of downloads on disk: `nexus-downloads.json` in the state folder. It holds no link and no key.
After a restart, a premium member's download asks for a new link, and a free member presses the button again.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from keyfob.core.error_codes import ErrorCode, code_or_none
from keyfob.core.times import from_rfc3339, to_rfc3339
from keyfob.core.words import known
from keyfob.nexus.addresses import NxmLink, file_page
from keyfob.nexus.models import DownloadItem, DownloadState, Game, Mod
from keyfob.process.home import write_private

STATES: tuple[DownloadState, ...] = get_args(DownloadState)
DONE_KEPT = 50  # finished downloads that stay in the list
UNFINISHED = ".download"  # ends the name of a file until it is checked
NAME_MOST = 180  # bytes of a file's name, so that endings fit
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # names of Windows
Wish = Literal["pause", "cancel", "close"]


@dataclass
class Job:
    """A download, as the threads change it. Guarded by `Downloads`."""

    id: str
    account: str
    game: Game
    mod: Mod
    file_id: int
    file_name: str
    version: str
    folder: Path
    total: int | None
    state: DownloadState = "waiting"
    problem: str | None = None
    code: ErrorCode | None = None
    md5_checked: bool = False
    fetched: bool = False  # all bytes are here, under the unfinished name
    can_keep: bool = False
    path: Path | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    # Of this process alone:
    link: NxmLink | None = None
    received: int = 0
    rate: float | None = None
    seconds_left: float | None = None
    wish: Wish | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def target(self) -> Path:
        """Where it is collected and checked. Two mods may have files of one name."""
        mark = hashlib.sha256(f"{self.game.domain}/{self.file_id}".encode()).hexdigest()[:8]
        return self.folder / f"{self.file_name}.{mark}{UNFINISHED}"

    @property
    def files(self) -> tuple[Path, ...]:
        """What an unfinished download leaves."""
        name = self.target.name
        return (self.target, self.folder / f"{name}.part", self.folder / f"{name}.part.json")

    def shown(self) -> DownloadItem:
        """As the services return it."""
        return DownloadItem(
            id=self.id,
            game=self.game,
            mod=self.mod,
            file_id=self.file_id,
            file_name=self.file_name,
            version=self.version,
            received=self.received,
            total=self.total,
            rate=self.rate if self.state == "running" else None,
            seconds_left=self.seconds_left if self.state == "running" else None,
            state=self.state,
            problem=self.problem,
            md5_checked=self.md5_checked,
            path=self.path,
            at=self.at,
            page=file_page(self.game.domain, self.mod.mod_id, self.file_id),
            code=self.code,
            can_keep=self.can_keep,
        )


def new_id() -> str:
    """A short random name for a download."""
    return secrets.token_hex(4)


class QueueFile:
    """Written by the process that runs the downloads, read by any."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "nexus-downloads.json"

    def read(self) -> list[Job]:
        """The downloads, oldest first; empty if there are none. A file that cannot be read loses no
        download's bytes: they are beside their targets.
        """
        try:
            rows = json.loads(self._path.read_bytes())["downloads"]
        except (OSError, ValueError, KeyError, TypeError):
            return []
        found = []
        for row in rows if isinstance(rows, list) else []:
            with suppress(KeyError, TypeError, ValueError, AttributeError):
                found.append(_job(row))
        return found

    def write(self, jobs: Sequence[Job]) -> None:
        """Replace the file. Raises OSError."""
        done = [job.id for job in jobs if job.state == "done"]
        kept = [job for job in jobs if job.state != "done" or job.id in done[-DONE_KEPT:]]
        document = {"version": 1, "downloads": [_row(job) for job in kept]}
        write_private(self._path, json.dumps(document, indent=1).encode())


def _row(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "account": job.account,
        "game": job.game.to_json(),
        "mod": job.mod.to_json(),
        "file_id": job.file_id,
        "file_name": job.file_name,
        "version": job.version,
        "folder": str(job.folder),
        "total": job.total,
        "state": job.state,
        "problem": job.problem,
        "code": job.code,
        "md5_checked": job.md5_checked,
        "fetched": job.fetched,
        "can_keep": job.can_keep,
        "path": str(job.path) if job.path else None,
        "at": to_rfc3339(job.at),
    }


def _job(row: Mapping[str, Any]) -> Job:
    state = known(STATES, row["state"])
    if state is None:
        raise ValueError("a state of a newer version")
    job = Job(
        id=str(row["id"]),
        account=str(row["account"]),
        game=Game(row["game"]["domain"], row["game"]["name"]),
        mod=Mod.from_json(row["mod"]),
        file_id=int(row["file_id"]),
        file_name=safe_name(str(row["file_name"]), int(row["file_id"])),
        version=str(row["version"]),
        folder=Path(row["folder"]),
        total=row["total"],
        # What ran when the process ended goes on from where it was.
        state="waiting" if state in ("running", "checking") else state,
        problem=row["problem"],
        code=code_or_none(row["code"]),
        md5_checked=row["md5_checked"] is True,
        fetched=row["fetched"] is True,
        can_keep=row["can_keep"] is True,
        path=Path(row["path"]) if row["path"] else None,
        at=from_rfc3339(row["at"]) or datetime.now(UTC),
    )
    job.received = received_of(job)
    return job


def row_of_item(item: DownloadItem) -> dict[str, Any]:
    """A download as one process shows it to another."""
    return {
        **item.to_json(),
        "game": item.game.to_json(),
        "mod": item.mod.to_json(),
    }


def item_from(row: Mapping[str, Any]) -> DownloadItem:
    """The inverse. Raises KeyError, TypeError or ValueError for the row of another version."""
    state = known(STATES, row["state"])
    at = from_rfc3339(row["at"])
    if state is None or at is None:
        raise ValueError("a state of a newer version")
    return DownloadItem(
        **{
            **{name: value for name, value in row.items() if name != "mod_id"},
            "game": Game(row["game"]["domain"], row["game"]["name"]),
            "mod": Mod.from_json(row["mod"]),
            "state": state,
            "code": code_or_none(row["code"]),
            "path": Path(row["path"]) if row["path"] else None,
            "at": at,
        }
    )


def received_of(job: Job) -> int:
    """The bytes that are here."""
    for path in (job.path, *job.files[:2]):
        with suppress(OSError):
            if path is not None:
                return path.stat().st_size
    return 0


def safe_name(text: str, file_id: int) -> str:
    """A file's name as the API says it, as one that every system takes: no folders, no control characters,
    no name that is reserved, at most 180 bytes with its ending.
    """
    name = "".join(char if char.isprintable() and char not in '/\\:*?"<>|' else "_" for char in text)
    name = name.strip(" .")
    if not name or _RESERVED.fullmatch(name):
        name = f"file-{file_id}{name and '-'}{name}"
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > 10:
        stem, ending = name, ""
    room = NAME_MOST - len(f".{ending}".encode())
    while len(stem.encode()) > room:
        stem = stem[:-1]
    return f"{stem}{dot and '.'}{ending}" if ending else stem


def free_name(path: Path) -> Path:
    """`path`, or `NAME (2).zip` and so on if there is such a file already."""
    for number in range(2, 1000):
        if not path.exists():
            return path
        path = path.with_name(f"{_bare(path.stem, number)} ({number}){path.suffix}")
    return path.with_name(f"{path.stem}-{new_id()}{path.suffix}")


def _bare(stem: str, number: int) -> str:
    return stem.removesuffix(f" ({number - 1})") if number > 2 else stem
