"""Fetches the accounts' pictures off the GUI thread, and asks again for those that could not be had."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from keyfob.core.account import AccountView
from keyfob.desktop.shared.operation import Operation
from keyfob.ports import Avatars

AGAIN = 60.0  # seconds after which a picture that could not be had is asked for again


class Pictures(QObject):
    """Fetches account pictures off the GUI thread, one request at a time for each address."""

    arrived = Signal()

    def __init__(
        self, avatars: Avatars, parent: QObject, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(parent)
        self._avatars, self._clock = avatars, clock
        self._not_before: dict[
            str, float
        ] = {}  # when an address may be asked for; never again once it is had
        self._paths: dict[str, str] = {}  # the file of each address
        self._urls: dict[str, str] = {}  # the address of each account's picture, by the account's key

    @property
    def files(self) -> dict[str, str]:
        """The file of each account's picture, by the account's key."""
        return {key: self._paths[url] for key, url in self._urls.items() if url in self._paths}

    def fetch(self, views: Iterable[AccountView]) -> None:
        """Fetch those that there are no files of; `arrived` follows for each that there is."""
        self._urls = {view.key: view.avatar_url for view in views if view.avatar_url}
        for url in set(self._urls.values()):
            if self._not_before.get(url, 0.0) <= self._clock():
                self._not_before[url] = math.inf
                Operation(self, self._work(url), self._got).start()

    def _work(self, url: str) -> Callable[[], tuple[str, Path | None]]:
        return lambda: (url, self._avatars.fetch(url))

    def _got(self, got: tuple[str, Path | None]) -> None:
        url, path = got
        if path is None:
            self._not_before[url] = self._clock() + AGAIN  # a provider that was not there may be soon
        else:
            self._paths[url] = str(path)
            self.arrived.emit()
