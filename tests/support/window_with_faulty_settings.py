"""The window on the home of KEYFOB_HOME, off screen, whose settings file is faulty and is mended while it waits.

    python window_with_faulty_settings.py SETTINGS_FILE

Prints as JSON what the banner says to assistive technology, and how many accounts are listed before and after Try again.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QApplication

from keyfob.adapters.home import open_home
from keyfob.desktop.desk import Desk
from keyfob.desktop.main_window import BannerView
from keyfob.desktop.theme import Theme
from keyfob.doors import serving_engine


def main(settings: Path) -> int:
    app = QApplication(sys.argv[:1])
    app.setQuitOnLastWindowClosed(False)
    home = open_home()
    desk = Desk(app, Theme(app, "light"), lambda: serving_engine(home))
    desk.begin()

    def until(true: Callable[[], object]) -> None:
        end = time.monotonic() + 30
        while not true():
            assert time.monotonic() < end, "waited in vain"
            app.processEvents()
            time.sleep(0.01)

    def banners() -> list[BannerView]:
        return [each for each in desk.window.findChildren(BannerView) if each.isVisible()]

    until(banners)
    banner = banners()[0]
    seen: dict[str, object] = {
        "banner": banner.accessibleName(),
        "accounts_before": desk.window.sidebar.list.count(),
    }
    settings.write_text('{"vault": "sealed"}')
    desk.window.banner_pressed.emit("build", "")
    until(desk.window.sidebar.list.count)
    seen["accounts_after"] = desk.window.sidebar.list.count()
    print(json.dumps(seen))
    desk.quit()
    return app.exec()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
