"""The window on the home of KEYFOB_HOME, off screen, whose settings file
is faulty and is mended while it waits.

    python window_with_faulty_settings.py SETTINGS_FILE

Prints as JSON what the banner says to assistive technology, and how many
accounts are listed before and after Try again.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QApplication

from keyfob.agent.run import serving_engine
from keyfob.desktop.controller import AppController, Start
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.window.main_window import BannerView, MainWindow
from keyfob.process.home import open_home


def main(settings: Path) -> int:
    app = QApplication(sys.argv[:1])
    app.setQuitOnLastWindowClosed(False)
    home = open_home()
    theme = Theme(app, "light")
    controller = AppController(theme, lambda: serving_engine(home), MainWindow(theme), Start(), app)
    controller.ended.connect(app.exit)
    controller.begin()

    def until(true: Callable[[], object]) -> None:
        end = time.monotonic() + 30
        while not true():
            assert time.monotonic() < end, "waited in vain"
            app.processEvents()
            time.sleep(0.01)

    def banners() -> list[BannerView]:
        return [each for each in controller.window.findChildren(BannerView) if each.isVisible()]

    until(banners)
    banner = banners()[0]
    seen: dict[str, object] = {
        "banner": banner.accessibleName(),
        "accounts_before": controller.window.sidebar.list.count(),
    }
    settings.write_text('{"vault": "sealed"}')
    controller.window.banner_pressed.emit("build", "")
    until(controller.window.sidebar.list.count)
    seen["accounts_after"] = controller.window.sidebar.list.count()
    print(json.dumps(seen))
    controller.quit()
    return app.exec()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
