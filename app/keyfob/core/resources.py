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
