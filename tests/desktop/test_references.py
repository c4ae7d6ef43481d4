"""Qt's binding gives back as many references as it takes: one too many a
call, and a lasting app aborts within minutes.
"""

from __future__ import annotations

import sys

from PySide6.QtCore import QObject, QRect
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

CALLS = 2000


def test_calls_that_return_none_keep_none_alive(qtbot: QtBot) -> None:
    widget = QWidget()
    qtbot.addWidget(widget)
    owner = QObject()
    before = sys.getrefcount(None)
    for _ in range(CALLS):
        widget.setGeometry(QRect(0, 0, 9, 9))
        owner.parent()
    assert sys.getrefcount(None) > before - CALLS // 10
