"""Colours: every text is read on its ground, in both themes, and no colour lives elsewhere."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QApplication

from keyfob.desktop.shared import icons, palette
from keyfob.desktop.shared import theme as theme_module
from keyfob.desktop.shared.palette import (
    AVATARS,
    DARK,
    EDGES,
    HIGH_DARK,
    HIGH_LIGHT,
    LIGHT,
    PAIRS,
    TRAY,
    Palette,
    contrast,
    letter_on,
)
from keyfob.desktop.shared.theme import Theme

USUAL = pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
HIGH = pytest.mark.parametrize("colors", [HIGH_LIGHT, HIGH_DARK], ids=["light", "dark"])


@USUAL
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_is_read_on_its_ground(colors: Palette, text: str, ground: str) -> None:
    assert contrast(getattr(colors, text), getattr(colors, ground)) >= 4.5


@HIGH
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_in_high_contrast_is_read_on_its_ground(colors: Palette, text: str, ground: str) -> None:
    assert contrast(getattr(colors, text), getattr(colors, ground)) >= 7


@USUAL
@pytest.mark.parametrize(("edge", "ground"), EDGES)
def test_the_edge_of_what_can_be_pressed_is_seen(colors: Palette, edge: str, ground: str) -> None:
    assert contrast(getattr(colors, edge), getattr(colors, ground)) >= 3


@HIGH
@pytest.mark.parametrize(("edge", "ground"), [*EDGES, ("selection_line", "side"), ("line", "bg")])
def test_every_edge_in_high_contrast_is_seen(colors: Palette, edge: str, ground: str) -> None:
    assert contrast(getattr(colors, edge), getattr(colors, ground)) >= 4.5


class Needs(QObject):
    """Stands in for QAccessibilityHints, whose value only the system can set."""

    contrastPreferenceChanged = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.preference = Qt.ContrastPreference.NoPreference

    def contrastPreference(self) -> Qt.ContrastPreference:
        return self.preference

    def become(self, preference: Qt.ContrastPreference) -> None:
        self.preference = preference
        self.contrastPreferenceChanged.emit(preference)


def test_a_wish_for_more_contrast_is_followed_at_once(
    qapp: QApplication, theme: Theme, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = Needs()
    monkeypatch.setattr(theme_module, "accessibility_hints", lambda _: needs)
    ours = Theme(qapp, "light")
    assert ours.palette is LIGHT
    needs.become(Qt.ContrastPreference.HighContrast)
    assert ours.palette is HIGH_LIGHT
    assert qapp.palette().text().color().name() == HIGH_LIGHT.ink
    ours.choose("dark")
    assert ours.palette is HIGH_DARK
    needs.become(Qt.ContrastPreference.NoPreference)
    assert ours.palette is DARK
    theme.apply()


@pytest.mark.parametrize("ground", [*AVATARS, *TRAY.values()])
def test_white_is_read_on_faces_and_tray_signs(ground: str) -> None:
    assert contrast(palette.TILE_WHITE, ground) >= 4.5


@given(st.integers(0, 0xFFFFFF))
def test_a_letter_is_read_on_any_color_of_a_preset(value: int) -> None:
    ground = f"#{value:06x}"
    assert contrast(letter_on(ground), ground) >= 4.5


def test_contrast_of_known_colors() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # WCAG's own example


def test_no_color_is_written_outside_the_palette() -> None:
    folder = Path(palette.__file__).parent
    files = [f for f in folder.rglob("*.py") if f.name != "palette.py"]
    assert len(files) > 10
    found = [f"{f.name}: {m}" for f in files for m in re.findall(r"#[0-9a-fA-F]{6}\b", f.read_text())]
    assert found == []


@pytest.mark.parametrize("size", [16, 22, 24, 32])
def test_the_states_in_the_tray_differ_without_colour(qapp: QApplication, size: int) -> None:
    def grey(state: str) -> list[int]:
        image = icons.tray_icon(state).pixmap(size, size).toImage()
        colors = (image.pixelColor(x, y) for y in range(size) for x in range(size))
        return [round(c.alphaF() * (0.2 * c.red() + 0.7 * c.green() + 0.1 * c.blue())) for c in colors]

    for one, other in itertools.combinations(map(grey, TRAY), 2):
        different = sum(abs(a - b) > 60 for a, b in zip(one, other, strict=True))
        assert different >= size * size // 16
