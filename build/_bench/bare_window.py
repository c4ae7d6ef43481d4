"""The least that PySide6 can be: a window that tells when it has painted
(`paint`), or one in the tray (`tray`).
"""

import os
import signal
import sys

from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import QApplication, QMainWindow, QSystemTrayIcon


class Window(QMainWindow):
    def paintEvent(self, event) -> None:
        super().paintEvent(event)
        os.write(1, b"painted\n")


signal.signal(signal.SIGTERM, signal.SIG_DFL)
app = QApplication(sys.argv[:1])
window = Window()
window.resize(900, 600)
if sys.argv[1] == "paint":
    window.show()
else:
    app.setQuitOnLastWindowClosed(False)
    pixmap = QPixmap(32, 32)
    pixmap.fill(QColor("teal"))
    tray = QSystemTrayIcon(QIcon(pixmap))
    tray.show()
app.exec()
