"""What the presses on the page of a Nexus Mods account do. Whatever waits runs off the GUI thread.

One QObject on the GUI thread for each account.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from keyfob.core.errors import KeyfobError
from keyfob.desktop.nexus import mod_rows, viewmodel
from keyfob.desktop.nexus.models import ListName, ModDetails
from keyfob.desktop.nexus.presenter import NexusPresenter, shown_links
from keyfob.desktop.shared import remedies
from keyfob.nexus.link_state import LinkState
from keyfob.nexus.models import DownloadItem, Game, Mod, ModState
from keyfob.nexus.service import NexusService


class NexusActions(QObject):
    """`said(text, good)`: what a press brought."""

    said = Signal(str, bool)
    page_asked = Signal(str)  # an address of the site, for the browser
    folder_shown = Signal(object)  # Path: show it in the file manager
    added = Signal()  # the mod that was asked for is in the list
    not_added = Signal(str)  # why not
    game_chosen = Signal(str)  # its domain, to be remembered

    def __init__(self, presenter: NexusPresenter) -> None:
        super().__init__(presenter)
        self.presenter = self._presenter = presenter

    def _do(self, work: Callable[[NexusService], Any], done: Callable[[Any], None]) -> None:
        service = self._presenter.service
        if service is not None:
            self._presenter.run(lambda: work(service), done, self._failed)

    def _failed(self, error: KeyfobError) -> None:
        self.said.emit(remedies.sentence(error), False)

    # --- rows -----------------------------------------------------------------------------------------------

    def press(self, key: str, action: str) -> None:
        """A button of a row: of a mod, or of a download."""
        mod, item = self._mod(key), self._item(key)
        match action:
            case "update" if mod is not None:
                self._fetch(mod, self._state(key))
            case "browser" if item is not None:
                self.page_asked.emit(item.page)
            case "browser" if mod is not None:
                self._fetch(mod, self._state(key), in_browser=True)
            case "files" if mod is not None:
                self.page_asked.emit(f"{mod.page}?tab=files")
            case "open" if mod is not None:
                self.page_asked.emit(mod.page)
            case "track" if mod is not None:
                self._track(mod)
            case "untrack" if mod is not None:
                self._do(
                    lambda service: service.remove_mod(mod.game, mod.mod_id),
                    lambda _: self._changed(f"{mod.name} is no longer tracked"),
                )
            case "folder" if item is not None and item.path is not None:
                self.folder_shown.emit(item.path.parent)
            case _ if item is not None:
                self._move(item, action)

    def _fetch(self, mod: Mod, state: ModState | None, *, in_browser: bool = False) -> None:
        """Put the mod's file into the queue. A free member's waits there for the site's button."""
        file_id = state.newest_file_id if state is not None else None

        def begun(item: DownloadItem) -> None:
            if in_browser:
                self.page_asked.emit(item.page)
                self.said.emit(f"Press Mod Manager Download on the page of {mod.name} in your browser", True)

        def failed(error: KeyfobError) -> None:
            if error.code == "file_ambiguous":
                self.page_asked.emit(f"{mod.page}?tab=files")
                self.said.emit(f"{mod.name} has several files. Choose one on its page.", True)
            else:
                self._failed(error)

        service = self._presenter.service
        if service is not None:
            self._presenter.run(lambda: service.download(mod.game, mod.mod_id, file_id), begun, failed)

    def _track(self, mod: Mod) -> None:
        def work(service: NexusService) -> None:
            service.add_mod(f"{mod.game}/{mod.mod_id}")
            service.track(mod.game, mod.mod_id, True)

        self._do(work, lambda _: self._changed(f"{mod.name} is tracked"))

    def _changed(self, words: str) -> None:
        self.said.emit(words, True)
        self._presenter.load(again=True)

    def _move(self, item: DownloadItem, action: str) -> None:
        transfers = self._presenter.nexus.transfers
        moves: dict[str, Callable[[str], object]] = {
            "pause": transfers.pause,
            "continue": transfers.resume,
            "cancel": transfers.cancel,
            "forget": transfers.cancel,  # what is complete keeps its file
            "keep": transfers.keep,
        }
        move = moves.get(action)
        if move is not None:
            self._presenter.run(lambda: move(item.id), lambda _: self._presenter.look(), self._failed)

    def update_all(self) -> None:
        """Download the newest file of each mod on the page that has one."""
        states = [state for _, state in viewmodel.updatable(self._presenter.known)]

        def work(service: NexusService) -> list[KeyfobError]:
            failures = []
            for state in states:
                try:
                    service.update(state)
                except KeyfobError as error:
                    failures.append(error)
            return failures

        def done(failures: list[KeyfobError]) -> None:
            if failures:
                few = f"{len(failures)} of {len(states)} updates did not start. "
                self.said.emit(few + remedies.sentence(failures[0]), False)

        self._do(work, done)

    def set_installed(self, key: str, version: str) -> None:
        """Say which version of a mod is installed; empty: none is. Its files are then asked for."""
        mod = self._mod(key)
        if mod is not None:
            self._do(
                lambda service: service.set_installed(mod.game, mod.mod_id, version=version or None),
                lambda _: self._presenter.load(again=True),
            )

    def installed(self, key: str) -> tuple[str, str] | None:
        """The name of a mod of the list, and the version that counts as installed."""
        state = self._state(key)
        return None if state is None else (state.mod.name, state.installed_version or "")

    # --- choices --------------------------------------------------------------------------------------------

    def act(self, action: str) -> None:
        """A button of a note or of an empty list, but for signing in and adding."""
        if action == "again":
            self._presenter.load(again=True)
            if self._presenter.known.popular_problem is not None:
                self._presenter.load_popular(again=True)

    def choose_game(self, domain: str, *, trending: bool) -> None:
        """Show another game's mods."""
        self._presenter.change(game=domain, search="")
        self._presenter.read_folder()
        self.game_chosen.emit(domain)
        if trending:
            self._presenter.load_popular()

    def all_games(self, done: Callable[[Sequence[Game]], None]) -> None:
        """Ask for all games of the site."""
        self._do(lambda service: service.all_games(), done)

    def add_game(self, domain: str, *, trending: bool) -> None:
        """Put a game of the site among the user's, and show it."""

        def work(service: NexusService) -> tuple[Game, ...]:
            service.choose_game(domain)
            return tuple(service.games())

        def done(games: tuple[Game, ...]) -> None:
            self._presenter.change(games=games)
            self.choose_game(domain, trending=trending)

        self._do(work, done)

    def choose_list(self, which: ListName) -> None:
        """Show another of the site's lists."""
        self._presenter.change(list=which)
        self._presenter.load_popular()

    def show_adult(self, on: bool) -> None:
        """Show adult mods, or hide them."""
        self._presenter.change(adult=on)
        self._do(lambda service: service.set_adult(on), lambda _: self._presenter.load_popular(again=on))

    def search(self, text: str) -> None:
        """Show the mods with these words."""
        self._presenter.change(search=text)

    def add(self, text: str) -> None:
        """Add a mod by its address, or by its number in the chosen game."""
        game = self._presenter.known.game
        named = f"{game}/{text.strip()}" if text.strip().isdecimal() and game else text
        service = self._presenter.service
        if service is None:
            return

        def done(state: ModState) -> None:
            self.added.emit()
            self._presenter.change(game=state.mod.game)
            self._changed(f"{state.mod.name} is in your list")

        def failed(error: KeyfobError) -> None:
            self.not_added.emit(remedies.sentence(error))

        self._presenter.run(lambda: service.add_mod(named), done, failed)

    def set_folder(self, folder: Path) -> None:
        """Where downloads of the chosen game go from now on."""
        game = self._presenter.known.game
        self._do(lambda service: service.set_folder(game, folder), lambda _: self._presenter.read_folder())

    # --- links ----------------------------------------------------------------------------------------------

    def turn_links(self, on: bool) -> None:
        """Have the system open nxm links with Keyfob, or give them back. The user has agreed."""
        links = self._presenter.nexus.links

        def work() -> LinkState:
            if on:
                links.turn_on()
            else:
                links.turn_off()
            return links.state()

        self._presenter.run(
            work, lambda state: self._presenter.change(links=shown_links(state)), self._failed
        )

    def open_link(self, link: str) -> None:
        """Download what a link of the site's button names."""
        nexus = self._presenter.nexus
        self._presenter.run(lambda: nexus.open_link(link), lambda _: self._presenter.look(), self._failed)

    # --- details --------------------------------------------------------------------------------------------

    def details(self, key: str) -> ModDetails | None:
        """Of a mod or of a download's mod."""
        item = self._item(key)
        mod = self._mod(key) or (item.mod if item is not None else None)
        if mod is None:
            return None
        page = self._presenter.page()
        rows = (*page.mods.rows, *page.trending.cards, *page.downloads.running, *page.downloads.earlier)
        row = next((each for each in rows if each.key == key), None)
        return mod_rows.details(mod, self._state(mod_rows.key_of(mod)), row, self._presenter.now)

    def _state(self, key: str) -> ModState | None:
        return next(
            (each for each in self._presenter.known.mods or () if mod_rows.key_of(each.mod) == key), None
        )

    def _mod(self, key: str) -> Mod | None:
        state = self._state(key)
        if state is not None:
            return state.mod
        lists = self._presenter.known.popular.values()
        return next((mod for each in lists for mod in each.mods if mod_rows.key_of(mod) == key), None)

    def _item(self, key: str) -> DownloadItem | None:
        """By its own key, or the newest of a mod that is not complete."""
        items = self._presenter.known.downloads
        own = next((each for each in items if each.id == key), None)
        if own is not None:
            return own
        found = mod_rows.latest(items).get(key)
        return found if found is not None and found.state != "done" else None
