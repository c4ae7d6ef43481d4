"""Nexus Mods for a face: the window or the command line.

    nexus = Nexus(home.state, home.data)
    service = nexus.service(nexus.accounts()[0])
    service.check(report=lambda done, total: ...)
    service.update(state)                      # a ModState with a newer file
    nexus.transfers.items()

All values are frozen (`models.py`). All calls block, most of them on the network, so a window makes them off
its own thread; all are thread-safe. They raise `keyfob.KeyfobError`. Credentials come from `keyfob.Auth` and
`keyfob.accounts`, as in any program that uses Keyfob.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keyfob
from keyfob.core.errors import KeyfobError, NotFound, PeerFault, SettingWrong, Transient, Usage
from keyfob.core.hosts import is_loopback
from keyfob.nexus.addresses import NxmLink, mod_address, nxm_link
from keyfob.nexus.api import PAUSE, Api, ApiRefused
from keyfob.nexus.cache import Cache
from keyfob.nexus.library import GameEntry, LibraryFile
from keyfob.nexus.link_handler import link_handler
from keyfob.nexus.link_state import LinkHandler
from keyfob.nexus.models import DownloadItem, Game, Limits, Mod, ModState, Profile
from keyfob.nexus.mods import Mods, note_downloaded
from keyfob.nexus.pictures import Pictures
from keyfob.nexus.reading import ModFile
from keyfob.nexus.site import DAY, GAMES, List, Site, games_of
from keyfob.nexus.transfers import Transfers
from keyfob.process import paths

PROVIDER = "nexusmods"
Report = Callable[[int, int], None]
_MEMBERSHIPS = {"premium": "Premium", "lifetimepremium": "Premium", "supporter": "Supporter"}


class Nexus:
    """All accounts at Nexus Mods, and the downloads that they share. One a process.

    `state` and `data` are Keyfob's folders. `pause`: seconds between requests.
    """

    def __init__(
        self, state: Path, data: Path, env: Mapping[str, str] = os.environ, *, pause: float = PAUSE
    ) -> None:
        self._state = state
        self.env = env
        self._pause = pause
        self._services: dict[str, NexusService] = {}
        self._guard = threading.Lock()
        self.library = LibraryFile(state)
        self.cache = Cache(state / "nexus-cache")
        self.pictures_folder = state / "nexus-pictures"
        # Pause, resume, cancel, keep, clear, items, observe; `take` runs the queue in this process.
        self.transfers = Transfers(
            state, env, lambda account: self.service(account).site, self._serve, self._done
        )
        self.links: LinkHandler = link_handler(data, env)
        # Called on any thread with an account's id once a link began a download in this process.
        self.link_opened: Callable[[str], None] = lambda _: None

    def accounts(self) -> list[str]:
        """The ids of the accounts at Nexus Mods that are connected or can be reconnected."""
        return [row["id"] for row in keyfob.accounts() if row["provider"] == PROVIDER]

    def service(self, account: str) -> NexusService:
        """The service of one account. Raises NotFound `account_not_found`, SettingWrong."""
        with self._guard:
            found = self._services.get(account)
            if found is None:
                rows = [row for row in keyfob.accounts() if account in (row["id"], row["provider"])]
                if not rows:
                    raise NotFound(f"There is no account {account}", code="account_not_found")
                if len(rows) > 1:
                    names = ", ".join(row["id"] for row in rows)
                    raise Usage(f"{account} has several accounts: {names}", code="account_ambiguous")
                row = rows[0]
                found = self._services.get(row["id"]) or NexusService(self, row, self._pause)
                self._services[account] = self._services[row["id"]] = found
            return found

    def known_games(self) -> list[Game]:
        """The games of the site as they were read last, without asking: for completion."""
        return games_of(self.cache.get(GAMES, 30 * DAY))

    def folder(self, domain: str) -> Path:
        """Where a game's downloads go."""
        chosen = self.library.read().games.get(domain, GameEntry()).folder
        return Path(chosen) if chosen else Path(paths.downloads_folder(self.env)) / "Nexus Mods" / domain

    def set_folder(self, domain: str, folder: Path | None) -> None:
        """Choose it; None: Keyfob's own choice again. Downloads that are in the list keep theirs."""
        text = str(folder.expanduser().absolute()) if folder is not None else None
        self.library.change(lambda before: before.with_game(domain, folder=text))

    def open_link(self, text: str) -> DownloadItem:
        """Download what an `nxm://` link of the site's button names. Raises Usage `nxm_link_wrong`, Transient
        `nxm_link_expired`, SettingWrong `nxm_link_of_another`, and as `NexusService.download`.
        """
        link = nxm_link(text)
        link.refuse_expired(datetime.now(UTC))
        account = self._account_for(link)
        return self.transfers.add(
            {"do": "open", "account": account, "link": text.strip()}, lambda _: self._opened(account, link)
        )

    def _opened(self, account: str, link: NxmLink) -> DownloadItem:
        item = self.service(account).download(link.game, link.mod_id, link.file_id, link=link)
        self.link_opened(account)
        return item

    def _account_for(self, link: NxmLink) -> str:
        """The account whose link it is: the API refuses it to any other."""
        rows = [row for row in keyfob.accounts() if row["provider"] == PROVIDER]
        if not rows:
            raise no_account()
        if link.user_id is None:
            return str(rows[0]["id"])
        for row in rows:
            if str(row.get("subject")) == str(link.user_id):
                return str(row["id"])
        raise SettingWrong("The link is for another member of Nexus Mods", code="nxm_link_of_another")

    def _serve(self, asked: Mapping[str, Any]) -> DownloadItem:
        """Another process's request, here."""
        account = str(asked.get("account", ""))
        if asked.get("do") == "open":
            return self._opened(account, nxm_link(str(asked.get("link", ""))))
        return self.service(account).download(str(asked["game"]), int(asked["mod_id"]), int(asked["file_id"]))

    def _done(self, item: DownloadItem) -> None:
        note_downloaded(self.library, item.mod, item.file_id, item.version)

    def close(self) -> None:
        """Stop the downloads of this process, and end all connections."""
        self.transfers.release()
        for service in set(self._services.values()):
            service.close()


class NexusService:
    """What a face does with one account. See the module."""

    def __init__(self, nexus: Nexus, row: Mapping[str, Any], pause: float) -> None:
        """`row`: of `keyfob.accounts()`. Its first host is that of the API, from the account's preset. Raises
        SettingWrong if the preset names none.
        """
        self.account: str = row["id"]
        self._nexus = nexus
        self._row = row
        hosts = row.get("hosts") or ()
        if not hosts:
            raise SettingWrong("The preset has no API address", code="host_not_allowed")
        scheme = "http" if is_loopback(hosts[0].rpartition(":")[0] or hosts[0]) else "https"
        self.site = Site(Api(self.account, f"{scheme}://{hosts[0]}", pause=pause), nexus.cache)
        self._pictures = Pictures(nexus.pictures_folder, self.site.api.base)
        self._mods = Mods(self.site, nexus.library)

    # --- who it is ------------------------------------------------------------------------------------------

    def profile(self) -> Profile:
        """Name, picture and membership, asked now. A key is asked whose it is; tokens say that themselves, so
        the member is asked for, as the vendor's own programs do.
        """
        known = self.known_profile()
        if self._row.get("method") != "oauth" or not known.member_id:
            return self.site.profile() or known
        try:
            return self.site.member(known.member_id) or known
        except (ApiRefused, PeerFault):  # the v2 API may change without notice
            return known

    def known_profile(self) -> Profile:
        """What Keyfob knows of the account without asking: from when it was signed in or renewed last."""
        subject, plan = str(self._row.get("subject") or ""), str(self._row.get("plan") or "")
        member = int(subject) if subject.isascii() and subject.isdigit() else 0
        membership = _MEMBERSHIPS.get(plan, "Free")
        return Profile(
            name=str(self._row.get("name") or self._row["label"]),
            member_id=member,
            avatar=f"https://avatars.nexusmods.com/{member}/100" if member else None,
            membership=membership,
            is_premium=membership == "Premium",
        )

    @property
    def limits(self) -> Limits:
        """What the last answer said of the requests that are left. Does not ask."""
        return self.site.api.limits

    def read_limits(self) -> Limits:
        """As `limits`, asked for if no answer has said it yet: not every call does."""
        if self.limits == Limits():
            self.site.tracked()
        return self.limits

    # --- games ----------------------------------------------------------------------------------------------

    def games(self) -> list[Game]:
        """The user's games, by name: those of their mods, and those that they chose."""
        library = self._nexus.library.read()
        domains = {key[0] for key in library.mods}
        domains |= {domain for domain, each in library.games.items() if each.chosen}
        if not domains:
            return []
        return [game for game in self.site.games() if game.domain in domains]

    def all_games(self) -> list[Game]:
        """All games of the site, by name. Kept for a day."""
        return self.site.games()

    def choose_game(self, domain: str, on: bool = True) -> None:
        """Add a game to the user's games, or take it out (its mods keep it in). Raises NotFound
        `nexus_not_found`.
        """
        self.game(domain)
        self._nexus.library.change(lambda before: before.with_game(domain, chosen=on))

    def game(self, domain: str) -> Game:
        """A game by its domain. Raises NotFound `nexus_not_found`."""
        found = next((each for each in self.site.games() if each.domain == domain), None)
        if found is None:
            raise NotFound(f"Nexus Mods does not have the game {domain[:64]}", code="nexus_not_found")
        return found

    def folder(self, domain: str) -> Path:
        """Where a game's downloads go."""
        return self._nexus.folder(domain)

    def set_folder(self, domain: str, folder: Path | None) -> None:
        """See `Nexus.set_folder`."""
        self._nexus.set_folder(domain, folder)

    # --- mods -----------------------------------------------------------------------------------------------

    def known_mods(self, game: str | None = None) -> list[ModState]:
        """The user's mods as they were known last, without asking the site."""
        return self._mods.known(game)

    def mods(self, game: str | None = None, *, fresh: bool = False) -> list[ModState]:
        """The user's mods, of one game or all, with what the site says of them now."""
        return self._mods.current(game, fresh=fresh)

    def check(self, game: str | None = None, report: Report = lambda _done, _total: None) -> list[ModState]:
        """Look for newer files. `report` is called with the mods that are checked, and how many there are."""
        return self._mods.check(game, report)

    def add_mod(self, text: str, *, version: str | None = None) -> ModState:
        """Add a mod by the address of its page, or GAME/ID. Raises Usage `nexus_address_wrong`."""
        return self._mods.add(mod_address(text), version=version)

    def remove_mod(self, game: str, mod_id: int) -> None:
        """Take a mod out of the list, and stop tracking it at the site."""
        self._mods.remove(game, mod_id)

    def track(self, game: str, mod_id: int, on: bool) -> None:
        """Track a mod of the list at the site, or end that."""
        self._mods.track(game, mod_id, on)

    def set_installed(
        self, game: str, mod_id: int, *, version: str | None = None, file_id: int | None = None
    ) -> ModState:
        """Say which version or file is installed; neither: none is."""
        return self._mods.set_installed(game, mod_id, version=version, file_id=file_id)

    # --- lists ----------------------------------------------------------------------------------------------

    def browse(self, game: str, which: List, *, adult: bool | None = None, fresh: bool = False) -> list[Mod]:
        """Ten mods of a game: `trending`, `latest_added` or `latest_updated`. Without what is hidden, and
        without adult content unless `adult` or, if that is None, the user's choice says so.
        """
        adult = self.adult if adult is None else adult
        found = self.site.browse(game, which, adult_pictures=adult, fresh=fresh)
        return [each for each in found if each.available and (adult or not each.adult)]

    @property
    def adult(self) -> bool:
        """Whether adult content is shown."""
        return self._nexus.library.read().adult

    def set_adult(self, on: bool) -> None:
        """Show adult content, or hide it."""
        self._nexus.library.change(lambda before: replace(before, adult=on))

    def picture(self, url: str) -> Path | None:
        """The file with a picture of a Mod or a Profile; None if it cannot be had. Kept by its address."""
        return self._pictures.get(url)

    # --- downloads ------------------------------------------------------------------------------------------

    def files(self, game: str, mod_id: int) -> list[ModFile]:
        """The files that a mod offers now, the newest first. Raises NotFound `nexus_not_found`, SettingWrong
        `mod_hidden`.
        """
        try:
            found = self.site.files(game, mod_id)
        except ApiRefused as error:
            raise _no_mod(error, game, mod_id) from None
        return sorted((each for each in found.files if each.active), key=lambda each: -each.uploaded)

    def update(self, state: ModState) -> DownloadItem:
        """Download the newest file of a mod. Raises Usage `file_ambiguous` if there are several."""
        return self.download(state.mod.game, state.mod.mod_id, state.newest_file_id)

    def download(
        self, game: str, mod_id: int, file_id: int | None = None, *, link: NxmLink | None = None
    ) -> DownloadItem:
        """Put a file into the queue; without `file_id` the only file, else the main one. `link`: of the
        site's button. Raises Usage `file_ambiguous`, NotFound `nexus_not_found`, SettingWrong `mod_hidden`.
        """
        if file_id is None:
            file_id = self._only_file(game, mod_id)
        request = {"do": "add", "account": self.account, "game": game, "mod_id": mod_id, "file_id": file_id}
        if link is not None and not self._nexus.transfers.own:
            raise Usage("A link is opened with Nexus.open_link")
        number = file_id

        def here(_: object) -> DownloadItem:
            try:
                file = self.site.file(game, mod_id, number)
            except ApiRefused as error:
                raise _no_mod(error, game, mod_id) from None
            mod = self.site.mod(game, mod_id, adult_pictures=self.adult)
            downloads = self._nexus.transfers.local()
            return downloads.add(self.account, self.game(game), mod, file, self.folder(game), link)

        return self._nexus.transfers.add(request, here)

    def _only_file(self, game: str, mod_id: int) -> int:
        files = self.files(game, mod_id)
        main = [each for each in files if each.category == 1]
        one = files if len(files) == 1 else main
        if len(one) != 1:
            raise Usage(
                f"The mod {game}/{mod_id} has {len(files)} files",
                code="file_ambiguous",
                facts={"offered": ", ".join(f"{file.file_id} ({file.version})" for file in files[:10])},
            )
        return one[0].file_id

    def close(self) -> None:
        """Ends the connections."""
        self.site.api.close()
        self._pictures.close()


def no_account() -> NotFound:
    """The error while no account is connected."""
    return NotFound("No account of Nexus Mods is connected", code="nexus_signed_out")


def link_needed(item: DownloadItem) -> Transient:
    """The error for a command whose download waits for the link of the site's button."""
    return Transient(
        "Nexus Mods gives free members a link only by the button on its page",
        code="nxm_link_needed",
        facts={"page": item.page},
    )


def _no_mod(error: ApiRefused, game: str, mod_id: int) -> KeyfobError:
    if error.status == 404:
        return NotFound(f"Nexus Mods does not have the mod {game}/{mod_id}", code="nexus_not_found")
    if error.status == 403:
        return SettingWrong(f"The mod {game}/{mod_id} is hidden", code="mod_hidden")
    return error
