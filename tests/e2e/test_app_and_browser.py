"""What the browser's last page and the window say when a sign-in fails; and who is in front then."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import app_run
from support.app_run import Stage, Window
from support.oidc_provider import OidcProvider
from support.running import free_port, until
from support.session import DesktopSession

pytestmark = [
    pytest.mark.servers,
    pytest.mark.browser,
    pytest.mark.keychain,
    pytest.mark.screen,
    pytest.mark.timeout(300),
]

OTHER = """
from PySide6.QtWidgets import QApplication, QWidget
app = QApplication([])
window = QWidget()
window.setWindowTitle("Another program")
window.showMaximized()
window.activateWindow()
app.exec()
"""


# The app with less patience: five minutes are too long for a test.
HASTY = """
import sys
from keyfob.service.accounts.views import SignInRequest
defaults = list(SignInRequest.__init__.__defaults__)
defaults[defaults.index(300)] = 4
SignInRequest.__init__.__defaults__ = tuple(defaults)
from keyfob.__main__ import main
sys.exit(main())
"""


@pytest.fixture
def session() -> Iterator[DesktopSession]:
    with DesktopSession() as made:
        made.start_screen()
        yield made


@pytest.fixture
def server() -> Iterator[OidcProvider]:
    with OidcProvider() as made:
        yield made


@pytest.fixture
def stage(tmp_path: Path, session: DesktopSession, server: OidcProvider) -> Iterator[Stage]:
    with Stage(tmp_path, session, server.issuer) as made:
        made.add("acme", "--redirect-port", str(free_port()))
        made.settings(first_start_done=True)
        yield made


def begin(window: Window) -> None:
    window.press("Connect Account", window="Keyfob")
    window.type("Search providers", "acme")
    window.select(name="acme", window="Connect Account")
    window.press("Continue", window="Connect Account")


def in_front(stage: Stage) -> str:
    shown = subprocess.run(
        ["xdotool", "getactivewindow", "getwindowname"],
        env=stage.session.env, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    return shown.stdout.strip()


@contextmanager
def another_program_in_front(stage: Stage) -> Iterator[None]:
    """As the browser is, while the user is there."""
    with subprocess.Popen([sys.executable, "-c", OTHER], env=stage.env) as program:
        try:
            until(lambda: in_front(stage) == "Another program", "the other program's window")
            yield
        finally:
            program.kill()


def test_declined(stage: Stage) -> None:
    with stage.window(**stage.browser("alice+declines")) as window:
        begin(window)
        window.find(has="declined access", window="Connect Account", seconds=60)
        assert stage.read_browser() == "Access was declined"


def test_another_person(stage: Stage) -> None:
    assert stage.run("connect", "acme", **stage.browser("alice")).code == 0
    stage.read_browser()
    assert stage.run("disconnect", "acme").code == 0
    with stage.window(**stage.browser("bob")) as window:
        window.row("acme/alice", "disconnected")
        window.press("Reconnect", window="Keyfob")
        window.find(has="not as acme/alice", window="Connect Account", seconds=60)
        assert stage.read_browser() == "Another person signed in"


def test_the_token_endpoint_fails_and_the_window_comes_to_the_front(
    stage: Stage, server: OidcProvider
) -> None:
    with stage.window(**stage.browser("alice+waits")) as window:
        begin(window)
        window.find(starts="Waiting for you: under way", window="Connect Account", seconds=30)
        answer = {"content-type": "application/json"}
        server.outage("/token", status=400, body='{"error": "invalid_client"}', **answer)
        with another_program_in_front(stage):
            stage.browsed.with_suffix(".go").touch()
            assert stage.read_browser(seconds=60) == "Sign-in failed"
            until(lambda: in_front(stage) == "Connect Account", "the dialog in front")
            window.find(has="was not connected", window="Connect Account")
            window.press("Cancel", window="Connect Account")
            until(lambda: in_front(stage) == "Keyfob", "the window in front of the other program")


def test_timed_out_and_then_allowed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """S-24: after the time is up, the browser meets a page of ours."""
    monkeypatch.setattr(app_run, "KEYFOB", [sys.executable, "-c", HASTY])
    with stage.window(**stage.browser("alice+waits")) as window:
        begin(window)
        window.find(has="not finished in time", window="Connect Account", seconds=30)
        stage.browsed.with_suffix(".go").touch()
        assert stage.read_browser(seconds=60) == "That was too late"
        assert stage.run("accounts", "--json").json == {"accounts": []}


def test_cancelled_and_then_allowed_and_then_again(stage: Stage) -> None:
    """S-24: the browser that comes late meets a page of ours, and the next sign-in has the port."""
    with stage.window(**stage.browser("alice+waits")) as window:
        begin(window)
        window.find(starts="Waiting for you: under way", window="Connect Account", seconds=30)
        window.press("Cancel", window="Connect Account")
        window.gone(role="dialog", name="Connect Account")
        stage.browsed.with_suffix(".go").touch()
        assert stage.read_browser(seconds=60) == "This sign-in was cancelled"
        begin(window)
        window.find(name="Connected as Alice", window="Connect Account", seconds=60)
        assert stage.read_browser() == "Connected as Alice"
        window.press("Done", window="Connect Account")
        window.row("acme/alice", "connected")
    # On leaving, the app ended in time, although its listener still waited for late browsers.
