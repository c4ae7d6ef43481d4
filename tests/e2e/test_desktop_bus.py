"""The app on a real session bus: what a desktop asks of it, and what another start asks of it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import jeepney
import pytest
from jeepney.wrappers import unwrap_msg

from keyfob.adapters.system.desktop_entry import DesktopEntry
from keyfob.process.app_id import APP_ID, OBJECT_PATH
from support.app_run import Stage
from support.running import APP, KEYFOB, until
from support.session import DesktopSession

pytestmark = [pytest.mark.keychain, pytest.mark.screen, pytest.mark.timeout(180)]
APPLICATION = jeepney.DBusAddress(OBJECT_PATH, APP_ID, "org.freedesktop.Application")
LINK = "nxm://skyrim/mods/12604/files/35407?key=made-up-key-of-a-link&expires=1600000000&user_id=1"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with DesktopSession() as session:
        session.start_screen()
        with Stage(tmp_path, session) as made:
            yield made


def owner(stage: Stage) -> bool:
    with stage.session.bus() as bus:
        asked = jeepney.message_bus.NameHasOwner(APP_ID)
        return bool(unwrap_msg(bus.send_and_get_reply(asked, timeout=10))[0])


def call(stage: Stage, method: str, signature: str, *arguments: object) -> None:
    with stage.session.bus() as bus:
        message = jeepney.new_method_call(APPLICATION, method, signature, arguments)
        unwrap_msg(bus.send_and_get_reply(message, timeout=30))


def properties(stage: Stage) -> str:
    env = stage.session.env
    found = subprocess.run(
        ["xdotool", "search", "--onlyvisible", "--sync", "--name", "^Keyfob$"],
        env=env, check=True, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    return subprocess.run(
        ["xprop", "-id", found.stdout.split()[-1]], env=env, check=True, capture_output=True, text=True
    ).stdout


def test_a_desktop_opens_the_app_and_its_parts(stage: Stage) -> None:
    """S-99 and S-107: a link's key is not in the log, and what is not known does nothing."""
    home = own_home(stage)
    with stage.window(**home) as window:
        until(lambda: owner(stage), "the app's name on the bus", 30)
        assert not window.there(role="dialog")
        known = properties(stage)
        assert re.search(r'^WM_CLASS\(STRING\) = ".*", "Keyfob"$', known, re.MULTILINE)
        assert f'_GTK_APPLICATION_ID(UTF8_STRING) = "{APP_ID}"' in known

        token = {"activation-token": ("s", "made-up-token"), "desktop-startup-id": ("s", "made-up_TIME1")}
        call(stage, "ActivateAction", "sava{sv}", "connect", [], token)
        window.find(role="dialog", name="Connect Account")
        call(stage, "Activate", "a{sv}", {})
        call(stage, "Open", "asa{sv}", [LINK, "https://example.com/?key=made-up-key-of-a-link", ""], {})
        call(stage, "ActivateAction", "sava{sv}", "no such action", [], {})
        window.find(role="dialog", name="Connect Account")
    assert not owner(stage)
    said = window.end() + "".join(
        path.read_text("utf-8", "replace") for path in stage.home.rglob("*.log*") if path.is_file()
    )
    assert said.count("not well formed") == 2
    assert "qt.qpa" not in said
    assert "made-up-key-of-a-link" not in said


def test_another_start_asks_for_a_part_of_the_window(stage: Stage) -> None:
    with stage.window() as window:
        assert stage.run("window", "check").code == 0
        window.find(name="Check again")
    assert stage.run("window", "kitchen").code == 2


def test_the_app_of_another_home_is_not_the_desktops(stage: Stage) -> None:
    with stage.window("window", "connect") as window:
        window.find(role="dialog", name="Connect Account")
        assert not owner(stage)


def own_home(stage: Stage) -> dict[str, str]:
    """The home of a person who set no KEYFOB_HOME, under the stage's folder. The first start was before."""
    settings = stage.home / "config" / "keyfob" / "settings.json"
    settings.parent.mkdir(parents=True, mode=0o700)
    settings.write_text('{"first_start_done": true}', "utf-8")
    settings.chmod(0o600)
    folders = {f"XDG_{name}_HOME": str(stage.home / name.lower()) for name in ("CONFIG", "DATA", "STATE")}
    return folders | {"KEYFOB_HOME": ""}


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """Keyfob as a person may have installed it: in a folder whose name needs quotes. Arguments are kept."""
    file = tmp_path / 'my 100% "own" programs' / "keyfob"
    file.parent.mkdir()
    file.write_text(
        f'#!/bin/sh\necho "$@" >> {shlex.quote(str(tmp_path / "started"))}\nexec {shlex.join(KEYFOB)} "$@"\n',
        "utf-8",
    )
    file.chmod(0o755)
    return file


def test_a_desktop_starts_the_app_from_the_menu_entry(stage: Stage, command: Path, tmp_path: Path) -> None:
    env = stage.session.env | {"PYTHONPATH": str(APP)}
    entry = DesktopEntry((str(command),), env, "linux")
    (stage.session.home / ".local/share/dbus-1/services").mkdir(parents=True)
    with stage.session.applied():
        entry.install(autostart=False)  # tells the bus
    checked = subprocess.run(
        ["desktop-file-validate", str(entry.path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert (checked.returncode, checked.stdout) == (0, "")

    # Through D-Bus: the bus starts the app, and keeps the call until it answers.
    launch(env, "gtk-launch", APP_ID)
    until(lambda: owner(stage), "the app, started by the bus", 60)
    properties(stage)  # its window is there
    end(stage)

    # By its command line, as a desktop without D-Bus activation does; here with an action.
    plain = stage.session.home / "plain.desktop"
    text = entry.path.read_text("utf-8")
    exec_of_settings = next(line for line in text.splitlines() if line.endswith("window settings"))
    plain.write_text(re.sub(r"(?m)^Exec=.*$", lambda _: exec_of_settings, text, count=1), "utf-8")
    launch(env, "gio", "launch", str(plain))
    until(lambda: owner(stage), "the app, started by its command", 60)
    end(stage)
    assert (tmp_path / "started").read_text("utf-8").splitlines() == ["", "window settings"]
    with stage.session.applied():
        removed, kept = entry.remove()
    assert (len(removed) > 10, list(kept), entry.path.exists()) == (True, [], False)


def launch(env: dict[str, str], *words: str) -> None:
    """As a menu does. The launched app has the launcher's streams, and lives on."""
    null = subprocess.DEVNULL
    subprocess.run(words, env=env, check=True, stdin=null, stdout=null, stderr=null, timeout=60)


def end(stage: Stage) -> None:
    """End the app that the desktop started, by the process that has its name on the bus."""
    with stage.session.bus() as bus:
        asked = jeepney.message_bus.GetConnectionUnixProcessID(APP_ID)
        (pid,) = unwrap_msg(bus.send_and_get_reply(asked, timeout=10))
    os.kill(pid, signal.SIGTERM)
    until(lambda: not owner(stage) and not Path("/proc", str(pid)).exists(), "the app to end", 60)
