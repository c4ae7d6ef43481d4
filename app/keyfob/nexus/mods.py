"""The user's mods: those that they track at the site, and those that they added here by address; what is
installed of each, and whether there is a newer file.

A check asks for the list of changes of each game, then for the files of the mods that changed. Blocks;
thread-safe.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from keyfob.core.errors import NotFound, PeerFault
from keyfob.nexus.addresses import ModAddress, mod_page
from keyfob.nexus.api import ApiRefused
from keyfob.nexus.library import Entry, Key, Library, LibraryFile
from keyfob.nexus.models import Mod, ModState
from keyfob.nexus.newer import SPARE, Found, find, period_for
from keyfob.nexus.reading import version as version_of
from keyfob.nexus.site import FIVE_MINUTES, Period, Site

SAVED_AT = 20  # mods that are asked for between two writes of the library
HIDDEN = (403, 404)  # the answer for a mod that is hidden, removed or under moderation
Report = Callable[[int, int], None]  # mods that are checked, of how many


class Mods:
    """`site` is the account's; the library is this computer's, for all accounts."""

    def __init__(self, site: Site, library: LibraryFile) -> None:
        self._site = site
        self._library = library

    def known(self, game: str | None = None) -> list[ModState]:
        """What is known without asking the site, by name."""
        return _shown(self._library.read(), game)

    def current(self, game: str | None = None, *, fresh: bool = False) -> list[ModState]:
        """The user's mods, by name, with what the site says of them now. The states are those of the last
        check. `fresh`: ask again, also within five minutes.
        """
        tracked = self._site.tracked()
        library = self._library.change(lambda before: _with_tracked(before, tracked))
        now = time.time()
        stale = [
            key
            for key, entry in library.mods.items()
            if (game is None or key[0] == game) and (fresh or not 0 <= now - entry.read_at < FIVE_MINUTES)
        ]
        if stale:
            read = self._read(stale, library.adult)
            library = self._library.change(lambda before: _with_read(before, stale, read, now))
        return _shown(library, game)

    def _read(self, keys: Sequence[Key], adult: bool) -> Mapping[Key, Mod]:
        """Many mods in one request; by the older API if the newer one has changed, one request a mod."""
        try:
            found = self._site.mods(keys, adult_pictures=adult)
        except (PeerFault, ApiRefused):
            found = []
            for domain, mod_id in keys:
                try:
                    found.append(self._site.mod(domain, mod_id, adult_pictures=adult))
                except NotFound:
                    continue
                except ApiRefused as error:
                    if error.status not in HIDDEN:
                        raise
        return {(each.game, each.mod_id): each for each in found}

    # --- the list -------------------------------------------------------------------------------------------

    def add(self, address: ModAddress, *, version: str | None = None) -> ModState:
        """Put a mod into the list. `version`: which is installed. Raises NotFound `nexus_not_found`."""
        adult = self._library.read().adult
        mod = self._site.mod(address.game, address.mod_id, adult_pictures=adult)
        key, now = (mod.game, mod.mod_id), time.time()

        def step(before: Library) -> Library:
            entry = before.mods.get(key, Entry(mod, seen_at=now))
            entry = replace(entry, mod=_named(mod, entry.mod), added=True, read_at=now)
            if version is not None:
                entry = replace(entry, version=version_of(version), file_id=None, asked_at=None)
            if address.file_id is not None:
                entry = replace(entry, file_id=address.file_id, asked_at=None)
            return before.with_mod(entry)

        return self._library.change(step).mods[key].shown()

    def remove(self, game: str, mod_id: int) -> None:
        """Take a mod out of the list, and stop tracking it at the site. Raises NotFound
        `nexus_not_found` if it is not in the list.
        """
        key = (game, mod_id)
        entry = self._entry(key)
        if entry.tracked:
            self._site.track(game, mod_id, on=False)
        self._library.change(
            lambda before: replace(before, mods={k: v for k, v in before.mods.items() if k != key})
        )

    def track(self, game: str, mod_id: int, on: bool) -> None:
        """Track a mod of the list at the site, or stop that. Raises NotFound `nexus_not_found`."""
        key = (game, mod_id)
        self._entry(key)
        self._site.track(game, mod_id, on)
        self._library.change(
            lambda before: (
                before.with_mod(replace(before.mods[key], tracked=on, added=True))
                if key in before.mods
                else before
            )
        )

    def set_installed(
        self, game: str, mod_id: int, *, version: str | None = None, file_id: int | None = None
    ) -> ModState:
        """Say what is installed; neither: nothing is. The next check asks for the mod's files. Raises
        NotFound `nexus_not_found` if the mod is not in the list.
        """
        key = (game, mod_id)
        self._entry(key)
        text = version_of(version) if version is not None else None
        after = self._library.change(
            lambda before: before.with_mod(
                replace(
                    before.mods[key],
                    version=text,
                    file_id=file_id,
                    asked_at=None,
                    state="unknown",
                    newest=None,
                    newest_file_id=None,
                )
            )
        )
        return after.mods[key].shown()

    def _entry(self, key: Key) -> Entry:
        entry = self._library.read().mods.get(key)
        if entry is None:
            raise NotFound(f"The mod {key[0]}/{key[1]} is not in your list", code="nexus_not_found")
        return entry

    # --- updates --------------------------------------------------------------------------------------------

    def check(self, game: str | None = None, report: Report = lambda _done, _total: None) -> list[ModState]:
        """Look for newer files of the mods in the list. What was found before an error is kept."""
        self.current(game)
        library = self._library.read()
        domains = sorted({key[0] for key in library.mods if game is None or key[0] == game})
        total = sum(1 for key in library.mods if key[0] in domains)
        done = 0
        for domain in domains:
            done = self._check_game(domain, library, done, total, report)
        return self.known(game)

    def _check_game(self, domain: str, library: Library, done: int, total: int, report: Report) -> int:
        now = time.time()
        checked = library.games[domain].checked_at if domain in library.games else None
        period = period_for(timedelta(seconds=max(0.0, now - checked)) if checked is not None else None)
        changes = {each.mod_id: each.files_at for each in self._site.updated(domain, period or "1m")}
        found: dict[Key, tuple[Found, Entry]] = {}
        try:
            for key, entry in library.mods.items():
                if key[0] != domain:
                    continue
                report(done, total)
                if _is_due(entry, changes.get(key[1]), period):
                    found[key] = self._ask(key, entry), entry
                    if len(found) >= SAVED_AT:
                        self._save(found, now)
                elif not entry.mod.available:
                    found[key] = Found("hidden"), entry
                done += 1
        finally:
            self._save(found, now)
        report(done, total)
        # The server's list may be five minutes old.
        self._library.change(lambda before: before.with_game(domain, checked_at=now - SPARE.total_seconds()))
        return done

    def _ask(self, key: Key, entry: Entry) -> Found:
        try:
            files = self._site.files(*key, fresh=True)
        except ApiRefused as error:
            if error.status not in HIDDEN:
                raise
            return Found("hidden")
        found = find(files, entry.file_id, entry.version)
        if entry.installed:
            return found
        # A tracked mod with newer files than when it came into the list.
        return Found("update" if found.file else "choose", found.file)

    def _save(self, found: dict[Key, tuple[Found, Entry]], now: float) -> None:
        """Write down what was found for each entry, and empty `found`."""
        kept = dict(found)
        found.clear()
        if kept:
            self._library.change(
                lambda before: replace(
                    before,
                    mods={
                        key: _after(entry, *kept[key], now) if key in kept else entry
                        for key, entry in before.mods.items()
                    },
                )
            )


def _is_due(entry: Entry, changed_at: int | None, period: Period | None) -> bool:
    """Whether a mod's files have to be asked for. `changed_at`: when they changed, if the list of `period`
    has the mod; None for a period that no list covers.
    """
    since = entry.asked_at if entry.installed else entry.seen_at
    if entry.installed and (since is None or period is None):
        return True
    return changed_at is not None and changed_at > (since or 0.0) - SPARE.total_seconds()


def _after(entry: Entry, found: Found, asked: Entry, now: float) -> Entry:
    """`asked`: as the entry was when the site was asked. A file that was installed since is newer than what
    was found.
    """
    if (entry.file_id, entry.version) != (asked.file_id, asked.version):
        return replace(entry, asked_at=None)
    installed = found.installed
    return replace(
        entry,
        asked_at=now,
        state=found.state,
        newest=found.file.version if found.file else None,
        newest_file_id=found.file.file_id if found.file else None,
        file_id=installed.file_id if installed else entry.file_id,
        version=(installed.version or entry.version) if installed else entry.version,
    )


def note_downloaded(library: LibraryFile, mod: Mod, file_id: int, version: str) -> None:
    """A file was downloaded: it counts as the installed one from now on."""
    key = (mod.game, mod.mod_id)

    def step(before: Library) -> Library:
        entry = before.mods.get(key, Entry(mod, added=True, seen_at=time.time()))
        newest = entry.newest_file_id in (None, file_id)
        return before.with_mod(
            replace(
                entry,
                file_id=file_id,
                version=version,
                asked_at=entry.asked_at if newest else None,
                state="current" if newest else "unknown",
                newest=version if newest else None,
                newest_file_id=file_id if newest else None,
            )
        )

    library.change(step)


def _shown(library: Library, game: str | None) -> list[ModState]:
    found = [entry.shown() for key, entry in library.mods.items() if game is None or key[0] == game]
    return sorted(found, key=lambda each: (each.mod.name.casefold(), each.mod.game, each.mod.mod_id))


def _with_tracked(before: Library, tracked: Sequence[Key]) -> Library:
    """The library, with the mods that are tracked now; those that are tracked no more go, unless they were
    added here or a file is installed.
    """
    wanted, now = set(tracked), time.time()
    kept = {
        key: replace(entry, tracked=key in wanted)
        for key, entry in before.mods.items()
        if key in wanted or entry.added or entry.installed
    }
    for key in tracked:
        kept.setdefault(key, Entry(_unread(key), tracked=True, seen_at=now))
    return replace(before, mods=kept)


def _with_read(before: Library, keys: Sequence[Key], read: Mapping[Key, Mod], now: float) -> Library:
    """The library, with what the site said of these mods. What it does not have was removed."""
    mods = dict(before.mods)
    for key in keys:
        entry = mods.get(key)
        if entry is None:
            continue
        mod = read.get(key) or replace(entry.mod, available=False, status="removed")
        entry = replace(entry, mod=_named(mod, entry.mod), read_at=now)
        if not mod.available:
            entry = replace(entry, state="hidden")
        elif entry.state == "hidden":
            entry = replace(entry, state="unknown", asked_at=None)  # it is back
        mods[key] = entry
    return replace(before, mods=mods)


def _named(mod: Mod, before: Mod) -> Mod:
    """A hidden mod comes without its name: it keeps the one that was known."""
    if mod.name == f"Mod {mod.mod_id}" and (before.game, before.mod_id) == (mod.game, mod.mod_id):
        return replace(mod, name=before.name, author=mod.author or before.author)
    return mod


def _unread(key: Key) -> Mod:
    """A tracked mod of which only the number is known."""
    domain, mod_id = key
    return Mod(
        game=domain,
        mod_id=mod_id,
        name=f"Mod {mod_id}",
        author="",
        summary="",
        picture=None,
        version="",
        adult=False,
        available=True,
        status="published",
        updated_at=None,
        endorsed=False,
        page=mod_page(domain, mod_id),
    )
