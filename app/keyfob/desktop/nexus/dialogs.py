"""Connects the page's presses to the account that it shows, and asks what has to be asked first.

One QObject on the GUI thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog

from keyfob.desktop.nexus.add_dialog import add_dialog
from keyfob.desktop.nexus.details import DetailsDialog
from keyfob.desktop.nexus.game_dialog import GameDialog
from keyfob.desktop.nexus.models import ListName
from keyfob.desktop.nexus.page import Page
from keyfob.desktop.nexus.pictures import Pictures
from keyfob.desktop.nexus.viewmodel import SIGN_IN
from keyfob.desktop.shared.confirm import Ask, Confirm
from keyfob.desktop.shared.dialog import ModalDialog
from keyfob.desktop.shared.theme import Theme
from keyfob.nexus.models import Game

if TYPE_CHECKING:
    from keyfob.desktop.nexus.actions import NexusActions
    from keyfob.desktop.nexus.presenter import NexusPresenter


class NexusDialogs(QObject):
    """At most one dialog is open."""

    sign_in_asked = Signal()

    def __init__(
        self,
        theme: Theme,
        page: Page,
        pictures: Pictures,
        actions: Callable[[], NexusActions | None],
        parent: QObject,
    ) -> None:
        """`actions`: those of the account that the page shows now."""
        super().__init__(parent)
        self._theme, self._page, self._pictures, self._of_now = theme, page, pictures, actions
        self.dialog: ModalDialog | QFileDialog | None = None
        mods, trending, downloads = page.mods, page.trending, page.downloads
        for part in (mods.list, trending.list, downloads.running, downloads.earlier):
            part.pressed.connect(self._press)
            part.details_asked.connect(self.show_details)
        mods.game.picked.connect(self._pick)
        for choice in (mods.game, trending.game):
            choice.other_asked.connect(self.ask_for_game)
        trending.game.picked.connect(self._pick)
        mods.searched.connect(self._search)
        mods.update_all_asked.connect(self._update_all)
        mods.add_asked.connect(self.ask_for_mod)
        trending.list_picked.connect(self._pick_list)
        trending.adult_turned.connect(self._show_adult)
        downloads.links.turned.connect(self.turn_links)
        page.asked.connect(self._asked)
        page.folder_asked.connect(self.choose_folder)

    @property
    def _actions(self) -> NexusActions | None:
        return self._of_now()

    @property
    def _presenter(self) -> NexusPresenter | None:
        actions = self._actions
        return None if actions is None else actions.presenter

    def close(self) -> None:
        """Close what is open."""
        if self.dialog is not None:
            self.dialog.close()

    def _open(self, dialog: ModalDialog | QFileDialog) -> None:
        self.close()
        self.dialog = dialog
        dialog.finished.connect(self._finished)
        dialog.open()

    def _finished(self) -> None:
        gone, self.dialog = self.dialog, None
        if gone is not None:
            gone.deleteLater()

    # --- presses --------------------------------------------------------------------------------------------

    def _press(self, key: str, action: str) -> None:
        if action == "installed":
            self.ask_for_version(key)
        elif self._actions is not None:
            self._actions.press(key, action)

    def _pick(self, domain: str) -> None:
        if self._actions is not None:
            self._actions.choose_game(domain, trending=self._page.current == "trending")

    def _pick_list(self, which: ListName) -> None:
        if self._actions is not None:
            self._actions.choose_list(which)

    def _search(self, text: str) -> None:
        if self._actions is not None:
            self._actions.search(text)

    def _show_adult(self, on: bool) -> None:
        if self._actions is not None:
            self._actions.show_adult(on)

    def _update_all(self) -> None:
        if self._actions is not None:
            self._actions.update_all()

    def _asked(self, action: str) -> None:
        if action == SIGN_IN:
            self.sign_in_asked.emit()
        elif action == "add":
            self.ask_for_mod()
        elif action == "game":
            self.ask_for_game()
        elif self._actions is not None:
            self._actions.act(action)

    # --- dialogs --------------------------------------------------------------------------------------------

    def show_details(self, key: str) -> None:
        """The details of a mod, or of a download's."""
        details = None if self._actions is None else self._actions.details(key)
        if details is not None:
            dialog = DetailsDialog(self._theme, self._pictures, details, self._page.window())
            dialog.pressed.connect(self._press)
            self._open(dialog)

    def ask_for_mod(self) -> None:
        """Ask which mod to add."""
        presenter, actions = self._presenter, self._actions
        if presenter is None or actions is None:
            return
        known = presenter.known
        game = next((each.name for each in known.games or () if each.domain == known.game), "")
        dialog = add_dialog(self._theme, game, self._page.window())
        dialog.answered.connect(actions.add)
        actions.added.connect(dialog.accept)
        actions.not_added.connect(dialog.complain)
        self._open(dialog)

    def ask_for_game(self) -> None:
        """Ask which game of the site to show."""
        actions = self._actions
        if actions is None:
            return

        def listed(games: Sequence[Game]) -> None:
            dialog = GameDialog(self._theme, games, self._page.window())
            dialog.chosen.connect(self._add_game)
            self._open(dialog)

        actions.all_games(listed)

    def _add_game(self, domain: str) -> None:
        if self._actions is not None:
            self._actions.add_game(domain, trending=self._page.current == "trending")

    def ask_for_version(self, key: str) -> None:
        """Ask which version of a mod is installed."""
        actions = self._actions
        found = None if actions is None else actions.installed(key)
        if actions is None or found is None:
            return
        name, version = found
        text = "Keyfob compares it with the newest file. Files that Keyfob downloads count as installed."
        dialog = Ask(
            self._theme, f"Installed version of {name}", text, version, "Set version", self._page.window()
        )

        def answered(words: str) -> None:
            actions.set_installed(key, words)
            dialog.accept()

        dialog.answered.connect(answered)
        self._open(dialog)

    def choose_folder(self) -> None:
        """Ask where downloads of the chosen game go."""
        presenter = self._presenter
        if presenter is None:
            return
        folder = presenter.known.folder
        dialog = QFileDialog(self._page.window(), "Folder for downloads")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        if folder is not None:
            there = next(each for each in (folder, *folder.parents) if each.is_dir())
            dialog.setDirectory(str(there))
        dialog.fileSelected.connect(self._folder_chosen)
        self._open(dialog)

    def _folder_chosen(self, name: str) -> None:
        if name and self._actions is not None:
            self._actions.set_folder(Path(name))

    def turn_links(self, on: bool) -> None:
        """Have Keyfob open download links. Another program that has them now is not robbed without a yes."""
        presenter, actions = self._presenter, self._actions
        if presenter is None or actions is None:
            return
        program = presenter.known.links.program
        if not on or not program:
            actions.turn_links(on)
            return
        dialog = Confirm(
            self._theme,
            f"Open download links with Keyfob instead of {program}?",
            f"{program} gets them now. When you turn this off again, {program} gets them back.",
            "Open with Keyfob",
            self._page.window(),
            kind="primary",
        )
        dialog.confirmed.connect(lambda: actions.turn_links(True))
        self._open(dialog)
