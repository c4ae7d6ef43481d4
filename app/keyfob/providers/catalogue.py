"""The catalogue: all presets that come with Keyfob, and the user's own.

A user's file replaces a preset of Keyfob with the same id, and appears at once: each call looks at names,
sizes and times, and there is no watcher. `faults()` reports a file with errors, which never affects another
provider. If a user's file with errors would replace a preset of Keyfob, that id is refused until the file is
corrected. `get` reads only the files that the one id needs. Called by the engine and the faces. Thread-safe.
Must never write.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from keyfob.core.errors import NotFound, SettingWrong
from keyfob.core.provider import Provider
from keyfob.core.resources import resources
from keyfob.core.text import plain
from keyfob.core.words import Origin
from keyfob.providers.checks import check, judge
from keyfob.providers.inheritance import MAX_BYTES, FaultyPresetError, Lookup, Table, merged, parse
from keyfob.providers.published_clients import FILE as CLIENTS_FILE
from keyfob.providers.published_clients import PublishedClient, published, read_clients
from keyfob.providers.schema_check import PresetFault

SUFFIX = ".toml"
ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
ID_MOST = 40


class Stamp(NamedTuple):
    """What says that a file has changed."""

    path: Path
    modified: int  # nanoseconds
    size: int
    inode: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """A checked preset, and the files it was made of as they then were."""

    made_of: tuple[tuple[Path, Stamp | None], ...]
    provider: Provider | None
    faults: tuple[PresetFault, ...]


class Catalogue:
    """`own`: the folder of presets that come with Keyfob; `user`: the user's, which need not exist;
    `more`: more folders of Keyfob, such as the demo's; `clients`: the file with the publisher's client ids,
    which is read once.
    """

    def __init__(
        self,
        own: Path,
        user: Path | None = None,
        *,
        more: tuple[Path, ...] = (),
        clients: Path | None = None,
    ) -> None:
        self._own = own
        self._user = user
        self._more = more
        self._clients = clients
        self._lock = threading.Lock()
        self._entries: dict[Path, _Entry] = {}
        self._tables: dict[Path, tuple[Stamp, Table | FaultyPresetError]] = {}

    def get(self, provider_id: str) -> Provider:
        """The provider. Raises NotFound `provider_not_found`, SettingWrong `preset_faulty`."""
        path = self._path(provider_id)
        if path is None:
            raise NotFound(f"There is no provider called {plain(provider_id, 60)}", code="provider_not_found")
        entry = self._entry(path)
        if entry.provider is None:
            raise SettingWrong(
                f"The preset {path.name} has an error: {entry.faults[0].sentence()}", code="preset_faulty"
            )
        return entry.provider

    def all(self) -> list[Provider]:
        """Every provider without faults, by title."""
        entries = [self._entry(path) for path in self._winners().values()]
        found = [entry.provider for entry in entries if entry.provider is not None]
        return sorted(found, key=lambda provider: (provider.title.casefold(), provider.id))

    def ids(self) -> list[str]:
        """The ids of all files, faulty ones too, without reading any."""
        return sorted(self._winners())

    def faults(self) -> list[PresetFault]:
        """The faults of all files, each naming its file."""
        found = [fault for path in self._winners().values() for fault in self._entry(path).faults]
        return found + list(self._published[1])

    @cached_property
    def _published(self) -> tuple[Mapping[str, PublishedClient], tuple[PresetFault, ...]]:
        """The publisher's clients, and the faults of their file, which affect no provider but those they are
        of.
        """
        try:
            data = self._clients.read_bytes() if self._clients else b""
        except OSError:
            data = b""
        if not re.search(rb"^\s*[^#\s]", data, re.MULTILINE):
            return {}, ()  # the empty file of a checkout: no preset has to be read for it
        ours = Catalogue(self._own)
        return read_clients(data, {provider.id: provider for provider in ours.all()})

    def made_of(self, provider_id: str) -> list[tuple[Path, Stamp | None]]:
        """Every file that decides what `get` answers for this id, those that would if they were there too, as
        they are now: while none of it changes, the answer does not.
        """
        places = [(path, _stamp(path)) for path in self._places(provider_id)]
        path = self._path(provider_id)
        return places if path is None else [*places, *self._entry(path).made_of]

    def check(self, data: bytes, *, ours: bool = False) -> tuple[PresetFault, ...]:
        """The faults of a preset that is not in the catalogue (yet); empty if it is right."""
        return check(data, self._lookup([], None), ours=ours)

    def read(self, data: bytes) -> Provider:
        """A preset that is not in the catalogue (yet), as a value. Raises SettingWrong `preset_faulty`."""
        try:
            provider, faults = judge(merged(parse(data), self._lookup([], None)), ours=False)
        except FaultyPresetError as found:
            provider, faults = None, found.faults
        except RecursionError:
            provider, faults = (
                None,
                (PresetFault("", "is nested too deeply", "a preset has at most two levels of tables"),),
            )
        if provider is None:
            raise SettingWrong(f"The preset has an error: {faults[0].sentence()}", code="preset_faulty")
        return _owned(provider, "user")

    # --- files ----------------------------------------------------------------------------------------------

    def _path(self, provider_id: str) -> Path | None:
        """The file of an id, found without listing a folder. What is not an id (a path, say) has none."""
        return next((path for path in self._places(provider_id) if path.is_file()), None)

    def _places(self, provider_id: str) -> list[Path]:
        """Where a preset of this id may be, the place that wins first."""
        if len(provider_id) > ID_MOST or not ID.fullmatch(provider_id):
            return []
        folders = (self._user, *self._more, self._own)
        return [folder / f"{provider_id}{SUFFIX}" for folder in folders if folder is not None]

    def _winners(self) -> dict[str, Path]:
        """Path by id: the user's files over ours."""
        out: dict[str, Path] = {}
        for folder in (self._own, *self._more, self._user):
            if folder is not None:
                out |= {path.stem: path for path in _files(folder)}
        return out

    def _ours(self, path: Path) -> bool:
        return path.parent == self._own or path.parent in self._more

    def _entry(self, path: Path) -> _Entry:
        with self._lock:
            entry = self._entries.get(path)
            if entry is None or any(_stamp(part) != stamp for part, stamp in entry.made_of):
                entry = self._judge(path)
                self._entries[path] = entry
            return entry

    def _judge(self, path: Path) -> _Entry:
        made_of: list[tuple[Path, Stamp | None]] = [(path, _stamp(path))]
        provider: Provider | None = None
        faults: tuple[PresetFault, ...]
        try:
            table = merged(self._table(path), self._lookup(made_of, path))
            provider, faults = judge(table, ours=self._ours(path))
            if provider is not None and provider.id != path.stem:
                faults = (
                    PresetFault(
                        "id", f'is "{provider.id}"', f'the id must be "{path.stem}", like the file name'
                    ),
                )
        except FaultyPresetError as found:
            faults = found.faults
        except RecursionError:
            faults = (PresetFault("", "is nested too deeply", "a preset has at most two levels of tables"),)
        if provider is not None:
            provider = None if faults else _owned(provider, "keyfob" if self._ours(path) else "user")
        if provider is not None and path.parent == self._own:
            provider = published(provider, self._published[0].get(provider.id))
        return _Entry(tuple(made_of), provider, tuple(fault.within(path.name) for fault in faults))

    def _lookup(self, made_of: list[tuple[Path, Stamp | None]], child: Path | None) -> Lookup:
        def find(provider_id: str, ours_only: bool) -> Table | None:
            # Ours build on ours: a file of the user's changes its own id alone.
            closed = ours_only or (child is not None and self._ours(child))
            for path in self._places(provider_id):
                if closed and not self._ours(path):
                    continue
                made_of.append((path, _stamp(path)))  # absent ones too: a file that comes changes the answer
                if path.is_file():
                    return self._table(path)
            return None

        return find

    def _table(self, path: Path) -> Table:
        """The parsed file. Raises FaultyPresetError."""
        stamp = _stamp(path)
        kept = self._tables.get(path)
        if kept is None or kept[0] != stamp or stamp is None:
            try:
                made: Table | FaultyPresetError = parse(path.read_bytes())
            except FaultyPresetError as found:
                made = found
            except OSError as error:
                made = FaultyPresetError(
                    PresetFault("", f"cannot be read ({error.strerror})", "correct its permissions")
                )
            if stamp is not None:
                self._tables[path] = (stamp, made)
        else:
            made = kept[1]
        if isinstance(made, FaultyPresetError):
            raise FaultyPresetError(*made.faults)
        return made


def _owned(provider: Provider, origin: Origin) -> Provider:
    """The provider, with whose file it is."""
    if origin == "user" and provider.client.client_id is not None:
        # Who brings a registered client in its own file answers for its terms themselves.
        provider = replace(provider, policy=replace(provider.policy, blocked=None))
    return replace(provider, origin=origin)


def read_bounded(path: Path) -> bytes:
    """A preset's bytes, and no more of a file without end than says that it is too long. Raises OSError."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def standard(config: Path) -> Catalogue:
    """The presets that come with Keyfob and those in the `providers/` of a home's `config` folder. The demo's
    preset is always known, so that its accounts work from every command; galleries show it while it runs.
    """
    ours = resources()
    return Catalogue(
        ours / "providers", config / "providers", more=(ours / "demo",), clients=ours / CLIENTS_FILE
    )


def _files(folder: Path) -> Iterator[Path]:
    """The presets of a folder; none if it does not exist."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(SUFFIX) and entry.is_file()]
    except OSError:
        return
    for name in sorted(names):
        if not name.startswith("."):
            yield folder / name


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return Stamp(path, found.st_mtime_ns, found.st_size, found.st_ino)
