"""Fills the page without accounts, starts the demo for it, and says what was found in other tools' files.

One QObject on the GUI thread, made with the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict, Unpack

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QListWidgetItem

from keyfob.desktop.connect import cards
from keyfob.desktop.connect.models import Card
from keyfob.desktop.connect.tiles import CARD, TileView
from keyfob.desktop.demo_control import DemoControl
from keyfob.desktop.shared.operation import Operation
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.empty_page import EmptyModel, EmptyPage
from keyfob.desktop.window.models import Window
from keyfob.tools.imports import KEY, SIGN_IN, Found

if TYPE_CHECKING:
    from keyfob.engine import Engine


TILES = 8  # of what works at once, the popular first


class _Changes(TypedDict, total=False):
    kept_in: str
    forgetful: bool
    demo: bool
    starting: bool
    keys: int | None
    looking: bool
    problem: str
    tray_missing: bool
    leads: bool


class ProviderTiles(QObject):
    """Tiles of providers, each of which can be pressed."""

    chosen = Signal(str)  # a provider's id

    def __init__(self, theme: Theme, shown: Sequence[Card]) -> None:
        super().__init__()
        self.view = TileView(theme, edge=0)
        self.view.setAccessibleName("Works at once")
        self.view.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.show_cards(shown, headed=False)
        self.view.itemClicked.connect(self._pressed)
        self.view.itemActivated.connect(self._pressed)

    def height_for(self, width: int) -> int:
        """The height that shows all of them at this width."""
        self.view.resize(width, self.view.height())
        self.view.arrange()
        return self.view.content_height

    def _pressed(self, item: QListWidgetItem) -> None:
        card: Card = item.data(CARD)
        self.chosen.emit(card.id)


class FirstPage(QObject):
    """Says what the page shows."""

    demo_ready = Signal()  # it was asked for on the page, and it serves
    provider_chosen = Signal(str)  # the id of a tile that was pressed

    def __init__(
        self, engine: Engine, page: EmptyPage, demo: DemoControl, theme: Theme, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._engine, self._page, self._demo, self._theme = engine, page, demo, theme
        self._model = EmptyModel()
        self._filled = self._asked = False
        self.tiles: ProviderTiles | None = None  # once the presets are read
        self._change(demo=demo.installed)
        page.demo_asked.connect(self.try_demo)
        demo.started.connect(self._demo_started)
        demo.failed.connect(self._demo_failed)

    def show(self, model: Window, *, kept_in: str, forgetful: bool) -> None:
        """Show what has changed around the page."""
        self._change(
            kept_in=kept_in, forgetful=forgetful, tray_missing=model.tray_missing, leads=model.lead is None
        )
        if not self._filled and not model.loading and not model.rows:
            self._filled = True
            Operation(self, self._read_cards, self._show_cards).start()

    def look_for_keys(self) -> None:
        """The user wants to look into other tools' files; `show_found` follows."""
        self._asked = True
        self._change(looking=True)

    def show_found(self, found: Sequence[Found]) -> None:
        """What the look brought."""
        count = sum(each.way in (KEY, SIGN_IN) for each in found)
        self._change(looking=False, keys=count or (0 if self._asked else None))

    def _read_cards(self) -> tuple[Card, ...]:
        return cards.cards(self._engine.providers.all(), demo=False)

    def _show_cards(self, every: tuple[Card, ...]) -> None:
        tiles = self.tiles = ProviderTiles(
            self._theme, [card for card in every if card.group == "at_once"][:TILES]
        )
        tiles.chosen.connect(self.provider_chosen)
        self._page.show_tiles(tiles, len(every))

    def _change(self, **changes: Unpack[_Changes]) -> None:
        model = replace(self._model, **changes)
        if model != self._model:
            self._model = model
            self._page.show_model(model)

    # --- the demo -------------------------------------------------------------------------------------------

    def try_demo(self) -> None:
        """Start the demo provider if it does not run yet; `demo_ready` follows, or the page says why not."""
        if self._demo.running:
            self.demo_ready.emit()
        else:
            self._change(starting=True, problem="")
            self._demo.start()

    def says(self, sentence: str) -> bool:
        """Whether the page shows this problem."""
        return self._model.problem == sentence

    def _demo_started(self) -> None:
        if self._model.starting:
            self._change(starting=False)
            self.demo_ready.emit()

    def _demo_failed(self, sentence: str) -> None:
        if self._model.starting:
            self._change(starting=False, problem=sentence)
