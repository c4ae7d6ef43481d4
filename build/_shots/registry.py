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
    "imports", "settings", "dialogs", "nexus", "programs", "tray", "large", "least", "focus",
)  # fmt: skip
_SCENES: dict[str, Make] = {}
_DRAWN_ONLY: set[str] = set()


def scene(name: str, *, measured: bool = True) -> Callable[[Make], Make]:
    """`measured`: False for a state whose layout is that of another scene."""

    def named(make: Make) -> Make:
        assert name not in _SCENES, f"two scenes are called {name}"
        _SCENES[name] = make
        if not measured:
            _DRAWN_ONLY.add(name)
        return make

    return named


def scenes() -> Mapping[str, Make]:
    """Every scene, in the order of the modules."""
    for module in MODULES:
        import_module(f"_shots.{module}")
    return _SCENES


def measured_scenes() -> Mapping[str, Make]:
    """Those in which a test looks for what is cut."""
    return {name: make for name, make in scenes().items() if name not in _DRAWN_ONLY}
