"""What this computer knows of the user's mods: which file is installed, where a game's downloads go, what the
last check found. One small file, `nexus.json` in the state folder, without secrets. Safe with several
processes: each change reads the file again, under a lock.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

from keyfob.core.errors import SettingWrong, Transient
from keyfob.core.words import known
from keyfob.nexus.models import Mod, ModState, UpdateState
from keyfob.process.home import write_private

T = TypeVar("T")
LOCK_SECONDS = 10.0
STATES: tuple[UpdateState, ...] = get_args(UpdateState)
Key = tuple[str, int]  # a game's domain, a mod's number


@dataclass(frozen=True, slots=True)
class Entry:
    """A mod of the user. `added`: by address; `tracked`: at the site. Times in seconds since the epoch."""

    mod: Mod
    added: bool = False
    tracked: bool = False
    file_id: int | None = None  # installed
    version: str | None = None  # installed
    seen_at: float = 0.0  # since when it is in the list
    read_at: float = 0.0  # when `mod` was read
    asked_at: float | None = None  # when its files were asked for; None: they are to be asked for
    state: UpdateState = "unknown"
    newest: str | None = None
    newest_file_id: int | None = None

    @property
    def installed(self) -> bool:
        """Whether anything is known of an installed file."""
        return self.file_id is not None or self.version is not None

    def shown(self) -> ModState:
        """As the services return it."""
        return ModState(self.mod, self.version, self.file_id, self.newest, self.state, self.newest_file_id)


@dataclass(frozen=True, slots=True)
class GameEntry:
    """What is set for a game. `chosen`: the user added it to the list of games."""

    folder: str | None = None
    chosen: bool = False
    checked_at: float | None = None


@dataclass(frozen=True, slots=True)
class Library:
    """The whole file. `adult`: whether adult content is shown."""

    mods: Mapping[Key, Entry] = field(default_factory=dict)
    games: Mapping[str, GameEntry] = field(default_factory=dict)
    adult: bool = False

    def with_mod(self, entry: Entry) -> Library:
        """This, with one entry added or replaced."""
        return replace(self, mods={**self.mods, (entry.mod.game, entry.mod.mod_id): entry})

    def with_game(self, domain: str, **changes: Any) -> Library:  # noqa: ANN401  (a GameEntry's)
        """This, with a game's entry changed."""
        return replace(
            self, games={**self.games, domain: replace(self.games.get(domain, GameEntry()), **changes)}
        )


class LibraryFile:
    """Thread-safe. `folder` exists."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "nexus.json"
        self._guard = threading.Lock()

    def read(self) -> Library:
        """The file's content; empty if there is none yet. Raises SettingWrong if it cannot be read."""
        try:
            return _library(json.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return Library()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SettingWrong(
                f"{self._path.name} cannot be read: {type(error).__name__}",
                code="settings_file_faulty",
                facts={"path": str(self._path)},
            ) from error

    def change(self, step: Callable[[Library], Library]) -> Library:
        """Replace the content by what `step` makes of it. Raises as `read`, SettingWrong `file_unwritable`,
        Transient `busy`.
        """
        from filelock import FileLock, Timeout

        with self._guard:
            try:
                with FileLock(f"{self._path}.lock", timeout=LOCK_SECONDS, mode=0o600):
                    before = self.read()
                    after = step(before)
                    if after != before:
                        write_private(self._path, json.dumps(_json(after), indent=1).encode())
                    return after
            except Timeout:
                raise Transient(f"{self._path.name} is in use by another process", code="busy") from None
            except OSError as error:
                raise SettingWrong(
                    f"{self._path.name} cannot be saved: {error.strerror}",
                    code="file_unwritable",
                    facts={"path": str(self._path)},
                ) from error


def _library(data: Mapping[str, Any]) -> Library:
    mods: dict[Key, Entry] = {}
    for row in data["mods"]:
        with suppress(KeyError, TypeError, ValueError):  # a row of a newer version is left out
            entry = Entry(**{**row, "mod": Mod.from_json(row["mod"])})
            state = known(STATES, entry.state)
            mods[(entry.mod.game, entry.mod.mod_id)] = replace(entry, state=state or "unknown")
    games = {domain: GameEntry(**row) for domain, row in data["games"].items()}
    return Library(mods, games, data["adult"] is True)


def _json(library: Library) -> dict[str, Any]:
    return {
        "version": 1,
        "adult": library.adult,
        "games": {
            domain: {"folder": each.folder, "chosen": each.chosen, "checked_at": each.checked_at}
            for domain, each in library.games.items()
        },
        "mods": [
            {
                "mod": each.mod.to_json(),
                "added": each.added,
                "tracked": each.tracked,
                "file_id": each.file_id,
                "version": each.version,
                "seen_at": each.seen_at,
                "read_at": each.read_at,
                "asked_at": each.asked_at,
                "state": each.state,
                "newest": each.newest,
                "newest_file_id": each.newest_file_id,
            }
            for each in library.mods.values()
        ],
    }
