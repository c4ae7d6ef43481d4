"""What assistive technology asks for, whatever it remembers of the window."""

from __future__ import annotations

import subprocess
import sys

# A process of its own: without care, the answer is a crash.
SCRIPT = """
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QApplication, QLabel, QVBoxLayout, QWidget
from keyfob.desktop.shared.widgets import Scroller

app = QApplication([])
area, body = Scroller(), QWidget()
QVBoxLayout(body).addWidget(QLabel("text"))
area.hold(body)
area.show()
interface = QAccessible.queryAccessibleInterface(area)
assert interface.childCount() >= 1
for index in (-1, interface.childCount(), 1, 2, 3, 1000, 2**30):
    interface.child(index)
found = interface.child(0)
assert found is not None and found.object() is area.viewport()
assert found.child(0).object() is body
print("answered")
"""


def test_a_child_that_is_gone_is_asked_for_and_nothing_crashes() -> None:
    """A screen reader asks by number, from what it was told a moment
    ago: a scroll bar may have gone since.
    """
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "answered\n"), ran.stderr
