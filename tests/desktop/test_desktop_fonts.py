"""The app's own font: four weights, figures of one width, and the system's fonts for what it lacks."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QFont, QFontInfo, QFontMetricsF
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from keyfob.desktop.shared.fonts import FAMILY
from keyfob.desktop.shared.theme import Theme


def test_every_text_has_it(theme: Theme, qtbot: QtBot) -> None:
    label = QLabel("12 min")
    label.setProperty("role", "title")
    qtbot.addWidget(label)
    label.ensurePolished()
    assert QFontInfo(label.font()).family() == FAMILY
    assert label.font().weight() == QFont.Weight.Bold


@pytest.mark.parametrize("weight", [400, 500, 600, 700])
def test_figures_have_one_width_in_every_weight(theme: Theme, weight: int) -> None:
    font = theme.font(14, weight)
    assert QFontInfo(font).family() == FAMILY
    assert QFontInfo(font).weight() == weight
    assert len({QFontMetricsF(font).horizontalAdvance(figure) for figure in "0123456789"}) == 1


def test_other_scripts_come_from_the_systems_fonts(theme: Theme) -> None:
    families = theme.font().families()
    assert families[0] == FAMILY
    assert len(families) > 1
