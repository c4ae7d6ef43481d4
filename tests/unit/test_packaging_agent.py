"""The units that start the agent on demand are well formed and name what there is."""

from __future__ import annotations

import configparser
import os
import plistlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from keyfob.adapters.system.agent_service import AgentService, run_command
from keyfob.core.errors import SettingWrong
from keyfob.core.resources import resources

AGENT = resources() / "agent"


def test_launchds_job_starts_the_agent_on_its_socket() -> None:
    job = plistlib.loads((AGENT / "io.github.keyfob.agent.plist").read_bytes())
    assert job["Label"] == "io.github.keyfob.agent"
    assert job["ProgramArguments"][-2:] == ["keyfob", "agent"]
    assert job["Sockets"] == {"Listeners": {"SecureSocketWithKey": "KEYFOB_SOCK"}}
    assert job["Umask"] == 0o077


def test_systemds_socket_is_the_owners_and_where_tools_look() -> None:
    socket = unit("keyfob-agent.socket")["Socket"]
    assert socket == {"ListenStream": "%t/keyfob/agent.sock", "SocketMode": "0600", "DirectoryMode": "0700"}
    service = unit("keyfob-agent.service")
    assert service["Service"]["ExecStart"] == "keyfob agent"
    assert service["Unit"]["Requires"] == "keyfob-agent.socket"


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(AGENT / name)
    return parser


def service_at(
    folder: Path, platform: str = "linux", refused: str = "", **env: str
) -> tuple[AgentService, list[list[str]]]:
    """Under a system whose command is written down, and fails if it is the `refused` one."""
    ran: list[list[str]] = []

    def run(words: Sequence[str]) -> None:
        ran.append(list(words))
        if refused and refused in words:
            raise SettingWrong(f"{words[0]} failed: no bus", code="service_unavailable")

    command = (str(folder / "my 100% programs" / "keyfob"),)
    return AgentService(command, env, platform, folder, run), ran


class TestOnLinux:
    def test_it_writes_the_units_and_has_systemd_listen(self, tmp_path: Path) -> None:
        service, ran = service_at(tmp_path)
        assert not service.installed()
        service.install(tmp_path / "agent.sock")
        assert ran == [
            ["systemctl", "--user", "daemon-reload"],
            ["systemctl", "--user", "enable", "--now", "keyfob-agent.socket"],
        ]
        assert [path.parent for path in service.files()] == [tmp_path / ".config" / "systemd" / "user"] * 2
        text, socket = (path.read_text() for path in service.files())
        assert f'ExecStart="{tmp_path}/my 100%% programs/keyfob" agent\n' in text
        assert "ListenStream=%t/keyfob/agent.sock" in socket
        assert "KEYFOB_HOME" not in text

    def test_another_home_has_an_agent_of_its_own(self, tmp_path: Path) -> None:
        service, _ = service_at(tmp_path, KEYFOB_HOME="/a home", XDG_CONFIG_HOME=str(tmp_path / "c"))
        service.install(Path("/a home/run/agent.sock"))
        text, socket = (path.read_text() for path in service.files())
        assert service.files()[0].is_relative_to(tmp_path / "c")
        assert 'Environment="KEYFOB_HOME=/a home"\n' in text
        assert "ListenStream=/a home/run/agent.sock\n" in socket

    def test_undoing_takes_the_files_away(self, tmp_path: Path) -> None:
        service, ran = service_at(tmp_path)
        service.install(tmp_path / "agent.sock")
        ran.clear()
        service.uninstall()
        assert not service.installed()
        assert ran[0] == [
            "systemctl", "--user", "disable", "--now", "keyfob-agent.socket", "keyfob-agent.service",
        ]  # fmt: skip

    def test_without_systemd_nothing_stays_behind(self, tmp_path: Path) -> None:
        service, _ = service_at(tmp_path, refused="daemon-reload")
        with pytest.raises(SettingWrong, match="no bus") as caught:
            service.install(tmp_path / "agent.sock")
        assert caught.value.code == "service_unavailable"
        assert not service.installed()

    def test_a_command_that_fails_is_named_with_its_last_line(self, tmp_path: Path) -> None:
        with pytest.raises(SettingWrong, match="nosuchctl was not found"):
            run_command(("nosuchctl",))
        with pytest.raises(SettingWrong, match=r"ls failed: .*nosuchfile"):
            run_command(("ls", str(tmp_path / "nosuchfile")))


def test_on_macos_it_is_a_job_of_launchd(tmp_path: Path) -> None:
    service, ran = service_at(tmp_path, "darwin", KEYFOB_HOME="/home/of/keyfob")
    service.install(tmp_path / "agent.sock")
    (path,) = service.files()
    job = plistlib.loads(path.read_bytes())
    assert job["ProgramArguments"] == [str(tmp_path / "my 100% programs" / "keyfob"), "agent"]
    assert job["EnvironmentVariables"]["KEYFOB_HOME"] == "/home/of/keyfob"
    assert job["Sockets"] == {"Listeners": {"SecureSocketWithKey": "KEYFOB_SOCK"}}
    assert ran == [["launchctl", "bootstrap", f"gui/{os.getuid()}", str(path)]]
    service.uninstall()
    assert ran[-1] == ["launchctl", "bootout", f"gui/{os.getuid()}/io.github.keyfob.agent"]
    assert not service.installed()


@pytest.mark.parametrize("platform", ["linux", "darwin"])
@pytest.mark.parametrize("mark", ["\n", "\r", "\x00", "\x85", "\u2028", "\udcff"])
def test_a_home_with_a_line_break_gets_no_service(tmp_path: Path, platform: str, mark: str) -> None:
    """It would add a line to the unit, such as another command."""
    service, ran = service_at(tmp_path, platform, KEYFOB_HOME=f"{tmp_path}/a{mark}ExecStartPre=x")
    with pytest.raises(SettingWrong, match="line break") as refused:
        service.install(tmp_path / "agent.sock")
    assert refused.value.code == "home_unusable"
    assert (ran, service.installed()) == ([], False)
    unusual, _ = service_at(tmp_path, "linux", KEYFOB_HOME=f"{tmp_path}/b\u3000é home")
    unusual.install(tmp_path / "agent.sock")
    assert "é home" in unusual.files()[0].read_text("utf-8")


def test_on_windows_it_says_that_it_cannot(tmp_path: Path) -> None:
    service, _ = service_at(tmp_path, "win32")
    with pytest.raises(SettingWrong, match="Windows"):
        service.install(tmp_path / "agent.sock")
    assert not service.installed()


def judged(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What systemd says of the installed units."""
    program = folder / "keyfob"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    service = AgentService((str(program),), {}, "linux", folder, lambda _words: None)
    service.install(folder / "agent.sock")
    return subprocess.run(
        ["systemd-analyze", *words, *map(str, service.files())],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(folder)},
    )


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    done = judged(tmp_path, "--user", "verify")
    assert done.returncode == 0, done.stderr
    assert "keyfob-agent" not in done.stderr, done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_service_gives_up_what_a_user_service_can(tmp_path: Path) -> None:
    """What systemd cannot take from a user's service, or the browser needs that the agent starts, stays."""
    service = tmp_path / "keyfob-agent.service"
    shutil.copy(AGENT / service.name, service)
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(service)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    exposure = re.search(r"Overall exposure level.*: ([0-9.]+)", done.stdout)
    assert exposure is not None, done.stderr
    assert float(exposure[1]) <= 7.5, done.stdout  # 9.2 without any of them
