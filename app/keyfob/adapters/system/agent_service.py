"""Has the system start the agent when the first tool asks: units of systemd on Linux, a job of launchd on
macOS.

Called by `keyfob agent --install`. It writes only the user's own files, without a secret. If `KEYFOB_HOME` is
set, they contain it, so that another home has an agent of its own.
"""

from __future__ import annotations

import os
import plistlib
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from keyfob.core.errors import SettingWrong
from keyfob.core.resources import resources
from keyfob.core.text import plain
from keyfob.process.own_process import child_environment, find_program, login_command

UNITS = ("keyfob-agent.service", "keyfob-agent.socket")
JOB = "io.github.keyfob.agent"
WITHIN = 60.0  # seconds for systemctl and launchctl
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
Run = Callable[[Sequence[str]], None]


class AgentService:
    """Blocks on small files and on the system's own command. Raises SettingWrong `service_unavailable`."""

    def __init__(
        self,
        command: Sequence[str] | None = None,
        env: Mapping[str, str] = os.environ,
        platform: str = sys.platform,
        user_home: Path | None = None,
        run: Run | None = None,
    ) -> None:
        """`run` runs a command of the system's, and raises SettingWrong if that fails."""
        self._command = (*(command or login_command()), "agent")
        self._env = env
        self._platform = platform
        self._user_home = user_home or Path.home()
        self._run = run or run_command

    def files(self) -> Sequence[Path]:
        """Where its files are, or would be. Raises SettingWrong on Windows."""
        if self._platform == "win32":
            raise SettingWrong("Windows does not start programs on demand", code="service_unavailable")
        if self._platform == "darwin":
            return (self._user_home / "Library" / "LaunchAgents" / f"{JOB}.plist",)
        config = self._env.get("XDG_CONFIG_HOME", "")
        base = Path(config) if config.startswith("/") else self._user_home / ".config"
        return tuple(base / "systemd" / "user" / name for name in UNITS)

    def installed(self) -> bool:
        """Whether any of its files is there."""
        return self._platform != "win32" and any(path.exists() for path in self.files())

    def install(self, socket: Path) -> None:
        """Write the files, and have the system listen at `socket`. If it does not, nothing stays behind."""
        paths = self.files()
        for each in (self._env.get("KEYFOB_HOME", ""), str(socket), *self._command):
            if _CONTROL.search(each):  # a line break would begin another line of the unit
                raise SettingWrong(
                    "The files of the service cannot contain a path with a line break or another control "
                    "character",
                    code="home_unusable",
                )
        try:
            for path in paths:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self._content(path.name, socket))
            if self._platform == "darwin":
                self._run(("launchctl", "bootstrap", self._domain(), str(paths[0])))
            else:
                self._run(("systemctl", "--user", "daemon-reload"))
                self._run(("systemctl", "--user", "enable", "--now", UNITS[1]))
        except OSError as error:
            self._remove(paths)
            raise SettingWrong(
                f"The files of the service cannot be written: {error.strerror}", code="service_unavailable"
            ) from error
        except SettingWrong:
            self._remove(paths)
            raise

    def uninstall(self) -> None:
        """Stop the agent that the system started, and remove the files."""
        paths = self.files()
        try:
            if self._platform == "darwin":
                self._run(("launchctl", "bootout", f"{self._domain()}/{JOB}"))
            else:
                self._run(("systemctl", "--user", "disable", "--now", *reversed(UNITS)))
        finally:
            self._remove(paths)
        if self._platform != "darwin":
            self._run(("systemctl", "--user", "daemon-reload"))

    def _remove(self, paths: Sequence[Path]) -> None:
        for path in paths:
            path.unlink(missing_ok=True)

    def _domain(self) -> str:
        return f"gui/{os.getuid()}"

    def _content(self, name: str, socket: Path) -> bytes:
        data = (resources() / "agent" / name).read_bytes()
        home = self._env.get("KEYFOB_HOME")
        home = os.path.abspath(home) if home else None  # noqa: PTH100 - links stay
        if name.endswith(".plist"):
            job = plistlib.loads(data)
            job["ProgramArguments"] = list(self._command)
            if home:
                job["EnvironmentVariables"]["KEYFOB_HOME"] = home
            return plistlib.dumps(job)
        text = data.decode()
        start = " ".join(_word(each, dollar=True) for each in self._command)
        lines = [f"ExecStart={start}"]
        if home:
            lines.append(f"Environment={_word(f'KEYFOB_HOME={home}')}")
            text = text.replace("ListenStream=%t/keyfob/agent.sock", f"ListenStream={_path(socket)}")
        return text.replace("ExecStart=keyfob agent", "\n".join(lines)).encode()


def _word(text: str, *, dollar: bool = False) -> str:
    """A word of a unit's line (systemd.service(5), systemd.syntax(7))."""
    safe = text.replace("%", "%%")
    if dollar:
        safe = safe.replace("$", "$$")
    if all(char.isalnum() or char in "/._-=+:,@%$" for char in safe):
        return safe
    inner = safe.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"'


def _path(path: Path) -> str:
    """A path on a line of its own, which takes no quotes."""
    return str(path).replace("%", "%%")


def run_command(words: Sequence[str]) -> None:
    """Run systemctl or launchctl. Raises SettingWrong `service_unavailable` if it is missing or fails."""
    program = find_program(words[0])
    if program is None:
        raise SettingWrong(f"{words[0]} was not found", code="service_unavailable")
    try:
        done = subprocess.run(  # noqa: S603  (a fixed program, fixed words)
            [program, *words[1:]],
            env=child_environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=WITHIN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        raise SettingWrong(f"{words[0]} did not answer", code="service_unavailable") from None
    if done.returncode:
        said = plain(done.stderr.strip().rpartition("\n")[2], 200) or f"exit {done.returncode}"
        raise SettingWrong(f"{words[0]} failed: {said.rstrip('.')}", code="service_unavailable")
