"""Where the files of the menu entry are: in a checkout, in an installed package, and nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyfob.core import resources


def test_a_checkout_has_them_among_the_packaging_files() -> None:
    entry, icons = resources.menu_files()
    assert (entry.name, icons.name) == ("desktop", "hicolor")
    assert list(icons.rglob("*.png"))


def test_an_installed_package_has_them_next_to_the_presets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "resources", lambda: tmp_path / "_resources")
    for name in ("desktop", "hicolor"):
        (tmp_path / "_resources" / name).mkdir(parents=True)
    assert resources.menu_files() == (
        tmp_path / "_resources" / "desktop",
        tmp_path / "_resources" / "hicolor",
    )


def test_an_installation_without_them_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "resources", lambda: tmp_path / "_resources")
    (tmp_path / "_resources" / "desktop").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="Install Keyfob again"):
        resources.menu_files()
