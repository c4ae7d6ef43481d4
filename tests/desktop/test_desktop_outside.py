"""S-80: what a provider or a file wrote is text everywhere in the
window: never HTML, never endless, no control codes.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QTextDocument
from PySide6.QtGui import Qt as GuiQt
from PySide6.QtWidgets import QApplication, QLabel, QListWidget, QMenu
from pytestqt.qtbot import QtBot

import keyfob.desktop
from keyfob.core.account import ErrorNote, LoggedEvent
from keyfob.core.consent import Program, Question
from keyfob.core.error_codes import Advice
from keyfob.core.text import plain
from keyfob.desktop.shared import outside_text
from keyfob.desktop.shared.theme import Theme
from keyfob.desktop.shared.widgets import label
from keyfob.desktop.window.consent_dialog import ConsentDialog
from keyfob.desktop.window.history import lines
from keyfob.desktop.window.tray import Tray
from keyfob.engine import Engine
from support import samples
from support.desktop_app import choose, make_app, quit_app
from support.sample_engine import record_of, sample_engine

DESKTOP = Path(keyfob.desktop.__file__).parent
IMAGE = "<img src='/dev/zero'>"
HOSTILE = (
    IMAGE,
    f"<b>x</b>{IMAGE}<a href='file:///etc/passwd'>y</a>",
    f"&lt;{IMAGE}",
    f"\n\n{IMAGE}",
    "<!DOCTYPE html>" + IMAGE,
    "<?xml version='1.0'?>" + IMAGE,
    "\x9b31m\x1b[2Jred\u202egnp.exe\u2066",
    "x" * 1_000_000,
    ("y" * 400 + "\n") * 2_000,
)


class Loader(QTextDocument):
    """Notes what an HTML text would load."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def loadResource(self, _kind: int, url: object) -> object:
        self.loaded.append(str(url))
        return None


def assert_inert(shown: str) -> str:
    """As Qt's tooltip shows it: what it says."""
    assert len(shown) <= 8_000
    if not GuiQt.mightBeRichText(shown):
        return shown
    document = Loader()
    document.setHtml(shown)
    assert document.loaded == []
    text = document.toPlainText()
    assert "￼" not in text  # in the place of an image
    return text


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_tooltip_says_literally_what_came(text: str) -> None:
    said = assert_inert(outside_text.tooltip(text))
    assert not set(said) & {"\x1b", "\x9b", "\u202e", "\u2066", "\x00"}
    if IMAGE in text:
        assert IMAGE in said


def test_a_tooltip_without_html_stays_as_it_is() -> None:
    """Screen readers read tooltips: nothing is escaped without need."""
    assert outside_text.tooltip("Settings (Ctrl+,)") == "Settings (Ctrl+,)"
    assert outside_text.tooltip("Tom & Jerry\nsecond line") == "Tom & Jerry\nsecond line"
    assert outside_text.tooltip("") == ""


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_notification_holds_no_markup(text: str) -> None:
    body = outside_text.notification(text)
    assert not set(body) & {"<", ">", "\x1b", "\x9b", "\u202e", "\n"}
    assert len(body) <= outside_text.SENTENCE


def hostile_engine(root: Path, text: str) -> Engine:
    """With an account and a history whose texts a provider wrote."""
    engine = sample_engine(root, samples.sample_views()[1:3])
    note = ErrorNote("internal", text, Advice.RETRY, samples.NOW)
    row = samples.view("gitlab", "GitLab", "evil", scopes=(text, "a") * 200, narrower_scopes=(text,))
    every = dict.fromkeys(("name", "email", "plan", "subject"), text)
    engine.store.put(record_of(replace(row, last_error=note, **every), engine.providers.get("gitlab")))
    engine.store.log(LoggedEvent(samples.NOW - samples.H, row.id, row.key, "renewal_failed", text))
    read = engine.accounts.views
    # A preset with such a title is refused; the window does not rely on that.
    engine.accounts.views = lambda: [  # type: ignore[method-assign]
        replace(view, provider_title=text) if view.id == row.id else view for view in read()
    ]
    assert engine.accounts.view(row.id).last_error == note
    return engine


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_the_whole_window_is_inert(
    qapp: QApplication, theme: Theme, tmp_path: Path, qtbot: QtBot, text: str
) -> None:
    engine = hostile_engine(tmp_path, text)
    controller = make_app(theme, lambda: engine)
    controller.begin()
    try:
        qtbot.waitUntil(lambda: controller.window.sidebar.list.count() == 3, timeout=30_000)
        choose(controller, "gitlab", qtbot)
        controller.window.say(text, good=False)
        controller.running.connect_account()
        controller.running.open_settings()
        texts = [controller.window.windowTitle(), controller.tray.icon.toolTip()]
        for widget in qapp.allWidgets():
            texts += [widget.toolTip(), widget.accessibleName(), widget.accessibleDescription()]
            if isinstance(widget, QLabel) and widget.metaObject().className() != "QTipLabel":
                assert widget.textFormat() == Qt.TextFormat.PlainText
                texts.append(widget.text())
            if isinstance(widget, QListWidget):
                texts += [widget.item(n).toolTip() for n in range(widget.count())]
            if isinstance(widget, QMenu):
                texts += [action.text() for action in widget.actions()]
                texts += [action.toolTip() for action in widget.actions() if own_tooltip(action)]
        for each in texts:
            assert len(each) <= 8_000
            assert not set(each) & {"\x1b", "\x9b", "\u202e", "\u2066"}
        for widget in qapp.allWidgets():
            assert_inert(widget.toolTip())
        assert len(controller.running.presenter.model.detail.scopes) <= outside_text.SCOPES + 1
    finally:
        quit_app(controller, qtbot)


def own_tooltip(action: QAction) -> bool:
    return action.toolTip() not in ("", action.text().replace("…", "").replace("...", ""))


def test_the_history_and_the_tray_are_inert(theme: Theme, qtbot: QtBot) -> None:
    log = LoggedEvent(samples.NOW, "a", "k", "renewal_failed", IMAGE)
    for line in lines([log], samples.NOW):
        assert_inert(outside_text.tooltip(line.tooltip))
    shown: list[tuple[str, str]] = []
    tray = Tray(theme)

    class Icon:
        def isVisible(self) -> bool:
            return True

        def showMessage(self, title: str, text: str, *_: object) -> None:
            shown.append((title, text))

    real, tray.icon = tray.icon, Icon()  # type: ignore[assignment]
    tray.notify(IMAGE, IMAGE)
    tray.icon = real
    assert shown == [("‹img src='/dev/zero'›",) * 2]


def test_a_labels_own_lines_stay(qapp: QApplication) -> None:
    assert label("Two backups:\n/a\n/b").text() == "Two backups:\n/a\n/b"


def test_a_program_that_asks_is_shown_as_text(theme: Theme, qtbot: QtBot) -> None:
    program = Program(IMAGE, IMAGE, IMAGE, (IMAGE,))
    dialog = ConsentDialog(theme, Question("evil/x", program))
    qtbot.addWidget(dialog)
    for each in dialog.findChildren(QLabel):
        assert each.textFormat() == Qt.TextFormat.PlainText
        assert each.text() == plain(each.text(), outside_text.SENTENCE)  # one line


def test_no_module_goes_round_it() -> None:
    """Tooltips, labels and notifications are made in one place each, so
    no text can be shown as HTML by an oversight.
    """
    allowed = {"setToolTip": {"outside_text.py"}, "QLabel": {"widgets.py"}, "showMessage": {"tray.py"}}
    never = {
        *(
            "QMessageBox",
            "QInputDialog",
            "QTextEdit",
            "QTextBrowser",
            "QErrorMessage",
            "QToolTip",
            "QTextDocument",
        ),
        *(
            "setHtml",
            "setWhatsThis",
            "setStatusTip",
            "setInformativeText",
            "drawStaticText",
            "setDetailedText",
        ),
    }
    found = []
    for file in DESKTOP.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                name = node.attr
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                name = node.func.id
            elif isinstance(node, ast.ClassDef) and any(getattr(b, "id", "") == "QLabel" for b in node.bases):
                name = "QLabel"
            else:
                continue
            if name in never or file.name not in allowed.get(name, {file.name}):
                found.append(f"{file.name}:{node.lineno} {name}")
    assert found == []


PROGRAM = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
from PySide6.QtCore import QEvent, QPoint
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QApplication, QLabel
from keyfob.desktop.shared import outside_text as outside; from keyfob.desktop.window import viewmodel
from keyfob.desktop.window.main_window import MainWindow
from keyfob.desktop.shared.status_widgets import Chip
from keyfob.desktop.shared.theme import Theme
from support import samples

text = "<img src='/dev/zero'>"
app = QApplication([])
window = MainWindow(Theme(app, "light"))
view = samples.view("evil", "Evil", "evil", scopes=("openid", text))
window.show_model(viewmodel.window([view], view.key, (), samples.NOW, kept_in=""), view.key)
window.show()
app.processEvents()
chip = [c for c in window.findChildren(Chip) if c.accessibleName() == text][0]
centre = chip.rect().center()
app.sendEvent(chip, QHelpEvent(QEvent.Type.ToolTip, centre, chip.mapToGlobal(centre)))
for _ in range(20):
    app.processEvents()
tips = [w for w in app.topLevelWidgets() if w.metaObject().className() == "QTipLabel" and w.isVisible()]
assert tips, "the tooltip is on screen"
tips[0].grab()
print("shown")
"""


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="a device that never ends")
def test_hovering_over_a_scope_opens_no_file() -> None:
    """A real process with a memory limit: a tooltip that opened the endless device would end it."""
    path = f"{DESKTOP.parent.parent}:{Path(__file__).parents[1]}"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": path, "QT_QPA_PLATFORM": "offscreen", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "shown\n"), done.stderr[-2000:]
