"""The whole app as a person has it: its processes, a desktop session, a real provider and a real browser.

with Stage(tmp_path, session, server.issuer) as stage:
    stage.add("server")                          # a preset for the server
    stage.run("connect", "server", **stage.browser("alice"))
    with stage.window() as window:               # the app on the session's screen
        window.press("Connect Account")
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.running import APP, KEYFOB, Processes, Ran, until
from support.screen_reader import NotThere, ScreenReader
from support.session import DesktopSession

BROWSE = Path(__file__).with_name("browse.py")


class Stage:
    """One home on one desktop session. Every process started through it is ended with it."""

    def __init__(self, folder: Path, session: DesktopSession, issuer: str = "") -> None:
        self.folder, self.session, self.issuer = folder, session, issuer
        self.home = folder / "home"
        self.home.mkdir(mode=0o700)
        self.browsed = folder / "browsed"
        self._processes = Processes()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.end()

    @property
    def env(self) -> dict[str, str]:
        return self.session.env | {
            "KEYFOB_HOME": str(self.home),
            "PYTHONPATH": str(APP),
            "PYTHONWARNINGS": "error",
            "PYTHONFAULTHANDLER": "1",
            "QT_LINUX_ACCESSIBILITY_ALWAYS_ON": "1",
            "QT_QPA_PLATFORM": "xcb",
        }

    def browser(self, person: str) -> dict[str, str]:
        """The setting that makes a real Chromium sign in as this person."""
        return {"BROWSER": f"{sys.executable} {BROWSE} {person} {self.browsed} %s"}

    def read_browser(self, *, seconds: float = 30) -> str:
        """The heading of the page that the browser ended at; it is read once."""
        until(self.browsed.exists, "the browser to end", seconds)
        heading = self.browsed.read_text("utf-8")
        self.browsed.unlink()
        return heading

    # --- commands -------------------------------------------------------------------------------------------

    def start(self, *argv: str, **env: str) -> subprocess.Popen[str]:
        return self._processes.start([*KEYFOB, *argv], self.env | env)

    def run(self, *argv: str, stdin: str = "", timeout: float = 90, **env: str) -> Ran:
        return self._processes.run([*KEYFOB, *argv], self.env | env, stdin=stdin, timeout=timeout)

    def add(self, name: str, *more: str, client_id: str = "native") -> None:
        """A preset for the server, as a person would make it."""
        added = self.run(
            "providers", "add", name, "--issuer", self.issuer, "--client-id", client_id,
            "--redirect-port", "0", *more, "--json",
        )  # fmt: skip
        assert added.code == 0, added.err

    def account(self, name: str) -> dict[str, Any]:
        account: dict[str, Any] = self.run("status", name, "--json").json
        return account

    def settings(self, **values: Any) -> None:
        """Writes Settings, before a start."""
        folder = self.home / "config"
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / "settings.json"
        known = json.loads(file.read_text("utf-8")) if file.exists() else {}
        file.write_text(json.dumps(known | values), "utf-8")
        file.chmod(0o600)

    # --- the window -----------------------------------------------------------------------------------------

    @contextmanager
    def window(self, *argv: str, **env: str) -> Iterator[Window]:
        """The app, once its window shows. On leaving it is asked to end; one that does not is a failure."""
        process = self.start(*argv, **env)
        reader = ScreenReader(self.session.env, process.pid)
        window = Window(self, process, reader)
        try:
            window.find(name="Keyfob", role="frame", seconds=30)
            yield window
            window.quit()
        except NotThere as error:
            told = window.end()
            raise NotThere(f"{error}\n--- the app said:\n{told}") from None
        finally:
            window.end()
            reader.__exit__(None, None, None)


class Window(ScreenReader):
    """A running app and the screen reader that looks at it."""

    def __init__(self, stage: Stage, process: subprocess.Popen[str], reader: ScreenReader) -> None:
        self.pid, self.driver = reader.pid, reader.driver
        self.stage, self.app = stage, process
        self._told = ""

    def quit(self, *, seconds: float = 30) -> None:
        """Asks the app to end as a session's end does, and sees that it ends well."""
        if self.app.poll() is None:
            self.app.terminate()
            self.app.wait(seconds)
        assert self.app.returncode == 0, f"exit {self.app.returncode}\n{self.end()}"

    def end(self) -> str:
        """Whatever happens, it is over after this. Returns what the app wrote to its streams."""
        if self.app.poll() is None:
            self.app.kill()
        if self.app.stdout is not None and not self.app.stdout.closed:
            out, err = self.app.communicate(timeout=10)
            self._told = out + err
        return self._told

    def row(self, account: str, status: str, *, seconds: float = 20) -> None:
        """The list says this of an account."""
        self.find(name=f"{account}, {status}", role="list item", seconds=seconds)

    def shot(self, name: str) -> None:
        """A picture of the screen, in the folder that CI keeps."""
        folder = APP.parent / "screenshots" / "e2e"
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["import", "-window", "root", str(folder / f"{name}.png")],
            env=self.stage.session.env,
            check=True,
            timeout=30,
        )
