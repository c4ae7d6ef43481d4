"""Keyfob in the user's own application menu: a menu entry, icons and a D-Bus service, under XDG_DATA_HOME.

For installations without a system package: pipx, uv tool, a checkout, the bundle. The menu entry lists in
comments what was installed with it, each with its hash, so that nothing else is ever overwritten or removed.
Called by `keyfob desktop-entry`. It writes no secret.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from keyfob.adapters.system.exec_line import exec_line, path_value, service_exec_line
from keyfob.core.errors import SettingWrong
from keyfob.core.resources import menu_files
from keyfob.ports import MenuEntryState
from keyfob.process.app_id import APP_ID
from keyfob.process.own_process import login_command

ENTRY = f"applications/{APP_ID}.desktop"
SERVICE = f"dbus-1/services/{APP_ID}.service"
ICONS = "icons/hicolor"
_MADE = "# Made by `keyfob desktop-entry install`, which also wrote the files below. `remove` removes them.\n"
_AUTOSTART = "# start_at_login\n"  # was switched on together with it
_LISTED = re.compile(r"^# ([0-9a-f]{64}) (\S+)$", re.MULTILINE)


class DesktopEntry:
    """Blocks on small files only. Raises SettingWrong `desktop_entry_taken` for a file of somebody else's,
    and `desktop_entry_unwritable`.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        env: Mapping[str, str] = os.environ,
        platform: str = sys.platform,
        user_home: Path | None = None,
    ) -> None:
        self._command = tuple(command or login_command())
        self._env = env
        self.supported = platform not in ("win32", "darwin")
        data = env.get("XDG_DATA_HOME", "")
        self._data = Path(data) if data.startswith("/") else (user_home or Path.home()) / ".local" / "share"

    @property
    def path(self) -> Path:
        """The menu entry's file."""
        return self._data / ENTRY

    def state(self) -> MenuEntryState:
        """What is there now."""
        listed = self._listed()
        files = {name: self._data / name for name in (*listed, ENTRY)} if listed else {}
        missing = [path for path in files.values() if not path.is_file()]
        autostart = bool(listed) and _AUTOSTART in _read(self.path).decode("utf-8", "replace")
        current = bool(listed) and not missing and self._entry(listed, autostart) == _read(self.path)
        current = current and {name: _digest(data) for name, data in self._others().items()} == listed
        foreign = not listed and os.path.lexists(self.path)
        return MenuEntryState(self.path, tuple(files.values()), tuple(missing), current, foreign, autostart)

    def install(self, *, autostart: bool) -> Sequence[Path]:
        """Write the files, or bring them up to date; their paths. If one cannot be written, nothing stays
        behind that was not there before. `autostart` is noted for `state`, and stays noted.
        """
        others, listed = self._others(), self._listed()
        digests = {name: _digest(data) for name, data in others.items()}
        wanted = others | {ENTRY: self._entry(digests, autostart or self.state().autostart)}
        for name, data in wanted.items():
            if not self._is_ours(name, data, listed):
                raise SettingWrong(
                    f"{self._data / name} was not written by Keyfob",
                    code="desktop_entry_taken",
                    facts={"path": str(self._data / name)},
                )
        new: list[Path] = []
        try:
            for name, data in wanted.items():  # the menu entry comes last: it lists the others
                path = self._data / name
                if not path.exists():
                    new.append(path)
                _write(path, data)
        except OSError as error:
            self._delete(new)
            raise _unwritable(error, self._data) from error
        self._delete(path for path, data in self._listed_files(listed) if path not in self._paths(wanted))
        self._tell_desktop()
        return self._paths(wanted)

    def remove(self) -> tuple[Sequence[Path], Sequence[Path]]:
        """Remove what was installed: the removed files, and those that were changed since and stay."""
        listed = self._listed()
        if not listed and os.path.lexists(self.path):
            raise SettingWrong(
                f"{self.path} was not written by Keyfob",
                code="desktop_entry_taken",
                facts={"path": str(self.path)},
            )
        files = [(self._data / name, digest) for name, digest in listed.items()]
        kept = [path for path, digest in files if path.exists() and _digest(_read(path)) != digest]
        gone = [path for path, _ in files if path not in kept and path.exists()]
        if listed:
            gone.append(self.path)
        try:
            self._delete(gone, strict=True)
        except OSError as error:
            raise _unwritable(error, self._data) from error
        self._tell_desktop()
        return gone, kept

    # --- what belongs there ---------------------------------------------------------------------------------

    def _others(self) -> dict[str, bytes]:
        """All files but the menu entry, by their names under XDG_DATA_HOME."""
        _, icons = menu_files()
        found = {
            f"{ICONS}/{path.relative_to(icons).as_posix()}": path.read_bytes()
            for path in sorted(icons.rglob("*"))
            if path.suffix in (".png", ".svg")
        }
        if not self._own_home:
            found[SERVICE] = (
                f"[D-BUS Service]\nName={APP_ID}\nExec={service_exec_line(self._command)}\n"
            ).encode()
        return found

    @property
    def _own_home(self) -> str:
        """KEYFOB_HOME, if it is set. The app of such a home is not on the session bus."""
        home = self._env.get("KEYFOB_HOME")
        return os.path.abspath(home) if home else ""  # noqa: PTH100 - links stay

    def _entry(self, digests: Mapping[str, str], autostart: bool) -> bytes:
        home, command = self._own_home, self._command
        if home:
            command = ("/usr/bin/env", f"KEYFOB_HOME={home}", *command)
        elif "%" in command[0]:
            # GLib looks for the first word as it is written, with %% for %, and drops an entry without it.
            command = ("/usr/bin/env", *command)
        lines = [_MADE, *(f"# {digest} {name}\n" for name, digest in digests.items())]
        if autostart:
            lines.append(_AUTOSTART)
        folder, _ = menu_files()
        for line in (folder / f"{APP_ID}.desktop").read_text("utf-8").splitlines(keepends=True):
            key, _, value = line.partition("=")
            if key == "Exec":
                words = value.split()[1:]
                line = f"Exec={exec_line([*command, *words])}\n"
                if not words:
                    # Without the program, the menu does not show the entry.
                    line += f"TryExec={path_value(self._command[0])}\n"
            if key != "DBusActivatable" or not home:
                lines.append(line)
        return "".join(lines).encode()

    # --- what is there --------------------------------------------------------------------------------------

    def _listed(self) -> dict[str, str]:
        """The names that the installed menu entry lists, with their hashes; empty without one of ours."""
        text = "" if self.path.is_symlink() else _read(self.path).decode("utf-8", "replace")
        if not text.startswith(_MADE):
            return {}
        return {name: digest for digest, name in _LISTED.findall(text) if _is_under(name)}

    def _listed_files(self, listed: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
        for name, digest in listed.items():
            path = self._data / name
            if path.is_file() and _digest(_read(path)) == digest:
                yield path, digest

    def _is_ours(self, name: str, data: bytes, listed: Mapping[str, str]) -> bool:
        path = self._data / name
        if not os.path.lexists(path):
            return True
        if path.is_symlink() or not path.is_file():
            return False
        if name == ENTRY:
            return bool(listed)
        found = _read(path)
        return found == data or _digest(found) == listed.get(name)

    def _paths(self, names: Mapping[str, object]) -> list[Path]:
        return [self._data / name for name in names]

    def _delete(self, paths: Iterator[Path] | Sequence[Path], *, strict: bool = False) -> None:
        """Delete files, and the folders below XDG_DATA_HOME that are empty then."""
        for path in paths:
            try:
                path.unlink(missing_ok=True)
            except OSError:
                if strict:
                    raise
            for folder in path.parents:
                if folder == self._data or not folder.is_relative_to(self._data):
                    break
                with suppress(OSError):
                    folder.rmdir()

    def _tell_desktop(self) -> None:
        """Have the desktop look again: GTK goes by the time of the icons' folder, the bus reads its services
        when it is asked to. A desktop that does not hear it sees the change at the next login.
        """
        with suppress(OSError):
            os.utime(self._data / ICONS)
        if not self._env.get("DBUS_SESSION_BUS_ADDRESS"):
            return
        with suppress(Exception):  # no bus, or one that refuses
            import jeepney
            from jeepney.io.blocking import open_dbus_connection

            address = jeepney.DBusAddress(
                "/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus"
            )
            with open_dbus_connection("SESSION") as connection:
                connection.send_and_get_reply(jeepney.new_method_call(address, "ReloadConfig"), timeout=5)


def _is_under(name: str) -> bool:
    """A name that the app itself would write: a changed entry must not have other files removed."""
    return name == SERVICE or bool(
        re.fullmatch(rf"{ICONS}/[0-9a-z]+/apps/{re.escape(APP_ID)}(-symbolic)?\.(png|svg)", name)
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _unwritable(error: OSError, folder: Path) -> SettingWrong:
    return SettingWrong(
        f"The menu entry cannot be changed: {error.strerror}",
        code="desktop_entry_unwritable",
        facts={"path": str(folder)},
    )
