"""Finds the files that come with Keyfob: in a checkout, an installed wheel and a frozen app."""

from __future__ import annotations

import sys
from pathlib import Path


def resources() -> Path:
    """The folder with `providers/`, `icons/`, `pages/`. Raises FileNotFoundError if the install is broken."""
    package = Path(__file__).resolve().parent.parent
    frozen = getattr(sys, "_MEIPASS", None)
    places = [package / "_resources", package.parent.parent / "resources"]
    if frozen:
        places.insert(0, Path(frozen) / "keyfob" / "_resources")
    for place in places:
        if (place / "providers").is_dir():
            return place
    raise FileNotFoundError("Keyfob's files are missing. Install Keyfob again")


def menu_files() -> tuple[Path, Path]:
    """The folder with the menu entry and the D-Bus service, and the one with the icons. Raises
    FileNotFoundError if the install is broken.
    """
    base = resources()
    packed = (base / "desktop", base / "hicolor")
    unpacked = (base.parent / "packaging" / "desktop", base.parent / "packaging" / "icons" / "hicolor")
    for places in (packed, unpacked):
        if all(place.is_dir() for place in places):
            return places
    raise FileNotFoundError("Keyfob's menu entry is missing. Install Keyfob again")
