"""The window's frame: the search, names in every script, the largest size and the widest list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize

from _shots.registry import scene
from support.samples import view

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from _shots.stage import Stage
    from keyfob.desktop.window.main_window import MainWindow

NAMES = (
    "Ada Lovelace", "דנה כהן", "Ömer Şahin", "王小明", "🦊 Foxglove", "محمد علي",
    "Zoë Żółć-Brzęczyszczykiewicz", "Ἀλέξανδρος", "Дарья", "a", "Rock & Roll <b>", "o'Neill",
)  # fmt: skip


def people(count: int) -> list[object]:
    return [
        view("gitlab" if n % 3 else "bluesky", "GitLab" if n % 3 else "Bluesky", f"person-{n}", name=name,
             subject=str(n), color="#c4441c" if n % 3 else "#2b7de9")
        for n, name in enumerate(NAMES[:count])
    ]  # fmt: skip


@scene("frame-scripts")
def scripts(stage: Stage) -> QWidget:
    """Names of right-to-left and other scripts, and one of them open."""
    app = stage.app(stage.engine(people(9)))
    app.window.sidebar.list.setCurrentRow(3)  # a name from right to left
    stage.settle()
    return app.window


def many(stage: Stage) -> MainWindow:
    app = stage.app(stage.engine([*stage.views(), *people(12)]))
    stage.choose(app, "nexusmods")
    return app.window


@scene("frame-search")
def search(stage: Stage) -> QWidget:
    window = many(stage)
    window.sidebar.go_to_search()
    window.sidebar.search.setText("aldis")
    return window


@scene("frame-search-nothing")
def nothing(stage: Stage) -> QWidget:
    window = many(stage)
    window.sidebar.search.setText("nobody of this name")
    return window


@scene("frame-full-hd")
def full_hd(stage: Stage) -> QWidget:
    window = stage.window("nexusmods")
    window.resize(QSize(1920, 1040))
    return window


@scene("frame-wide-list")
def wide_list(stage: Stage) -> QWidget:
    window = stage.window("keycloak")
    window.choose_sidebar_width(window.sidebar.maximumWidth())
    return window
