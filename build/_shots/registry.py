"""The scenes by name. A module of scenes names each with `@scene`:

    @scene("window-fine")
    def fine(stage: Stage) -> QWidget:
        return stage.window("bluesky", keep=("nexusmods", "bluesky"))

A scene's function makes the real app on a `Stage` and returns the widget to draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from _shots.stage import Stage

Make = Callable[["Stage"], "QWidget"]
MODULES = (
    "window", "frame", "account", "check", "updates", "own_update", "many", "empty", "connect", "gallery",
    "imports", "settings", "dialogs", "nexus", "tray", "large", "least", "focus",
)  # fmt: skip
_SCENES: dict[str, Make] = {}


def scene(name: str) -> Callable[[Make], Make]:
    def named(make: Make) -> Make:
        assert name not in _SCENES, f"two scenes are called {name}"
        _SCENES[name] = make
        return make

    return named


def scenes() -> Mapping[str, Make]:
    """Every scene, in the order of the modules."""
    for module in MODULES:
        import_module(f"_shots.{module}")
    return _SCENES
