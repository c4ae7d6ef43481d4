"""Starting at login, on each system, without touching this one."""

from __future__ import annotations

import plistlib
from pathlib import Path

import pytest

from keyfob.adapters.system.autostart import Autostart, window_command
from keyfob.core.errors import SettingWrong
from keyfob.process.own_process import login_command


def entry(tmp_path: Path, *command: str, **env: str) -> tuple[Autostart, Path]:
    start = Autostart(command or ("/opt/keyfob/bin/keyfob",), env, "linux", tmp_path)
    assert start.path is not None
    return start, start.path


def test_a_desktop_entry_comes_and_goes(tmp_path: Path) -> None:
    start, path = entry(tmp_path)
    assert path == tmp_path / ".config" / "autostart" / "keyfob.desktop"
    assert not start.enabled()
    start.enable(True)
    assert start.enabled()
    lines = path.read_text().splitlines()
    assert lines[0] == "[Desktop Entry]"
    assert "Exec=/usr/bin/env KEYFOB_START_HIDDEN=1 /opt/keyfob/bin/keyfob" in lines
    start.enable(False)
    start.enable(False)
    assert not path.exists()


def test_the_home_and_the_config_folder_are_carried_along(tmp_path: Path) -> None:
    start, path = entry(tmp_path, XDG_CONFIG_HOME=str(tmp_path / "xdg"), KEYFOB_HOME="/data/my keys")
    assert path.parent == tmp_path / "xdg" / "autostart"
    start.enable(True)
    assert 'Exec=/usr/bin/env KEYFOB_START_HIDDEN=1 "KEYFOB_HOME=/data/my keys"' in path.read_text()


def test_signs_of_the_shell_are_inert(tmp_path: Path) -> None:
    start, path = entry(tmp_path, "/opt/a $b/%f`x`")
    start.enable(True)
    assert r'"/opt/a \\$b/%%f\\`x\\`"' in path.read_text()


def test_a_relative_config_folder_is_ignored(tmp_path: Path) -> None:
    _, path = entry(tmp_path, XDG_CONFIG_HOME="elsewhere")
    assert path.is_relative_to(tmp_path / ".config")


def test_a_launch_agent_on_macos(tmp_path: Path) -> None:
    start = Autostart(("/Applications/Keyfob",), {}, "darwin", tmp_path)
    start.enable(True)
    assert start.path is not None
    body = plistlib.loads(start.path.read_bytes())
    assert body["ProgramArguments"] == ["/Applications/Keyfob"]
    assert body["RunAtLoad"] is True
    assert body["EnvironmentVariables"] == {"KEYFOB_START_HIDDEN": "1"}


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / ".config").write_text("a file where a folder should be")
    start, _ = entry(tmp_path)
    with pytest.raises(SettingWrong, match="Start at login cannot be changed"):
        start.enable(True)


def test_on_windows_a_start_at_login_opens_no_console(tmp_path: Path) -> None:
    command = (str(tmp_path / "keyfob.exe"),)
    assert window_command(command, "win32") == command  # an installation without the extra program
    (tmp_path / "keyfob-window.exe").touch()
    assert window_command(command, "win32") == (str(tmp_path / "keyfob-window.exe"),)
    assert window_command(command, "linux") == command
    assert window_command(("python", "-I"), "win32") == ("python", "-I")


def test_our_own_command_can_be_started() -> None:
    command = login_command()
    assert Path(command[0]).is_absolute()
    assert Path(command[0]).exists()
