"""A desktop session of one's own: session bus, home, GNOME Keyring, and on demand a screen with a tray.

Tests use it where the real keychain must answer, refuse, hang or die. Nothing of the machine's own session is
seen or touched: every process is started here, is ended here by its pid, and lives under one temporary
folder. Missing programs are an error that names the packages, never a skip.

    with DesktopSession() as session:
        subprocess.run([...], env=session.env)
        session.lock_keyring()
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import jeepney
import secretstorage
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from secretstorage.util import add_match_rules, format_secret, open_session

from support.running import until

PACKAGES = {
    "dbus-daemon": "dbus",
    "gnome-keyring-daemon": "gnome-keyring",
    "Xvfb": "xvfb",
    "openbox": "openbox",
    "tint2": "tint2",
    "xprop": "x11-utils",
}
# Only what a session's own programs may need is started by name. The keyring is not among them: the bus would
# bring back, locked, the one that a test has just killed.
ACTIVATABLE = ("org.a11y.Bus", "org.gnome.keyring.SystemPrompter", "org.gnome.keyring.PrivatePrompter")
PASSWORD = "correct horse"
PATIENCE = 45  # seconds for a program of the session, on a busy machine
TINT2RC = """\
panel_items = TS
panel_position = bottom center horizontal
panel_size = 100% 30
panel_background_id = 1
taskbar_mode = single_desktop
systray_padding = 4 2 4
systray_icon_size = 22
rounded = 0
border_width = 0
background_color = #303438 100
border_color = #303438 100
"""


class DesktopSession:
    """The bus and an unlocked keyring run once `start()` (or `with`)
    returns; a screen after `start_screen()`.

    `env` is for subprocesses: complete, with nothing of the caller's environment but PATH and the Python
    settings that `uv` needs. `root` holds everything and is removed at `close()`.
    """

    def __init__(self, *, keyring: bool = True, activatable: tuple[str, ...] = ACTIVATABLE) -> None:
        # Not pytest's tmp_path: a Unix socket's path has room for about 100 bytes.
        self.root = Path(tempfile.mkdtemp(prefix="kfs-"))
        self.home = self.root / "home"
        self.run = self.root / "run"
        self.logs = self.root / "logs"
        for folder in (self.home, self.run, self.logs):
            folder.mkdir(mode=0o700)
        self.bus_address = f"unix:path={self.root}/bus"
        self.display: str | None = None
        self._with_keyring = keyring
        self._activatable = activatable
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def env(self) -> dict[str, str]:
        env = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "USER": "tester",
            "TMPDIR": tempfile.gettempdir(),
            "XDG_RUNTIME_DIR": str(self.run),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_DATA_HOME": str(self.home / ".local/share"),
            "XDG_STATE_HOME": str(self.home / ".local/state"),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "DBUS_SESSION_BUS_ADDRESS": self.bus_address,
        }
        env.update(
            {k: os.environ[k] for k in ("UV_NO_SYNC", "UV_CACHE_DIR", "VIRTUAL_ENV") if k in os.environ}
        )
        if self.display is not None:
            env |= {"DISPLAY": self.display, "XDG_SESSION_TYPE": "x11", "XDG_CURRENT_DESKTOP": "openbox"}
        return env

    # --- life -----------------------------------------------------------------------------------------------

    def start(self) -> DesktopSession:
        try:
            self._start_bus()
            if self._with_keyring:
                self.start_keyring()
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """End what was started, last first. Also wakes what was stopped: a stopped process does not end."""
        for name in reversed(list(self._processes)):
            self._end(name)
        shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self) -> DesktopSession:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """This process's own environment becomes the session's for the
        while. Not for threads that read it.
        """
        before = dict(os.environ)
        keep = {k: v for k, v in before.items() if k.startswith(("PYTEST", "COV", "QT_"))}
        inside = {**keep, **self.env}
        os.environ.clear()
        os.environ.update(inside)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    # --- keyring --------------------------------------------------------------------------------------------

    def start_keyring(self, *, unlocked: bool = True) -> None:
        """GNOME Keyring's daemon, its login keyring made at the first start and opened with PASSWORD."""
        args = [_program("gnome-keyring-daemon"), "--foreground", "--components=secrets"]
        process = self._spawn("keyring", [*args, "--unlock"] if unlocked else args, stdin=subprocess.PIPE)
        assert process.stdin is not None
        if unlocked:
            process.stdin.write(PASSWORD.encode())
        process.stdin.close()
        with self.bus() as connection:
            _wait(
                lambda: secretstorage.check_service_availability(connection), "the keyring's name on the bus"
            )
            if unlocked:
                _wait(lambda: _usable(connection), "the login keyring")

    @property
    def keyring_pid(self) -> int:
        return self._processes["keyring"].pid

    def lock_keyring(self) -> None:
        with self.bus() as connection:
            collection = secretstorage.Collection(connection)
            collection.lock()
            _wait(collection.is_locked, "the keyring to be locked")

    def unlock_keyring(self) -> None:
        """Open it with PASSWORD and no prompt, through the daemon's own way for the login of a desktop."""
        with self.bus() as connection:
            session = open_session(connection)
            collection = secretstorage.Collection(connection)
            address = jeepney.DBusAddress(
                "/org/freedesktop/secrets",
                bus_name="org.freedesktop.secrets",
                interface="org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface",
            )
            secret = format_secret(session, PASSWORD.encode(), "text/plain")
            (real,) = secretstorage.util.DBusAddressWrapper(
                "/org/freedesktop/secrets", "org.freedesktop.Secret.Service", connection
            ).call("ReadAlias", "s", "default")
            reply = connection.send_and_get_reply(
                jeepney.new_method_call(address, "UnlockWithMasterPassword", "o(oayays)", (real, secret)),
                timeout=10,
            )
            assert reply.header.message_type is not jeepney.MessageType.error, reply.body
            _wait(lambda: not collection.is_locked(), "the keyring to be unlocked")

    def see_prompt(self) -> None:
        """Wait until the keychain's prompt is on the screen and has the keyboard."""
        _wait(self.prompt_shows, "the keychain's prompt")
        time.sleep(0.5)  # it takes the keyboard a moment after it is seen

    def prompt_shows(self) -> bool:
        """Whether the keychain's prompt is on the screen."""
        find = [_program("xdotool"), "search", "--onlyvisible", "--class", "gcr-prompter"]
        return subprocess.run(find, env=self.env, capture_output=True, timeout=30).returncode == 0

    def answer_prompt(self, *keys: list[str]) -> None:
        """Do with the keychain's prompt what a person would: `xdotool`'s arguments, one call each."""
        self.see_prompt()
        for args in keys:
            subprocess.run([_program("xdotool"), *args], env=self.env, check=True, timeout=30)
        _wait(lambda: not self.prompt_shows(), "the keychain's prompt to go")

    def hang_keyring(self) -> None:
        """It stops answering, in the midst of whatever it does, and its connections stay open."""
        os.kill(self.keyring_pid, signal.SIGSTOP)

    def resume_keyring(self) -> None:
        os.kill(self.keyring_pid, signal.SIGCONT)

    def kill_keyring(self) -> None:
        self._end("keyring", signal.SIGKILL)

    def start_program(self, name: str, args: list[str], typed: str) -> None:
        """A program of the desktop, with a line on its stdin. It ends with the session."""
        process = self._spawn(name, args, stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(typed.encode() + b"\n")
        process.stdin.close()

    @contextmanager
    def bus(self) -> Iterator[DBusConnection]:
        """A connection to the session's bus, for the test itself."""
        connection = open_dbus_connection(self.bus_address)
        try:
            add_match_rules(connection)
            yield connection
        finally:
            connection.close()

    # --- screen ---------------------------------------------------------------------------------------------

    def start_screen(self, size: str = "1280x800", *, tray: bool = True) -> str:
        """An X display with a window manager and, with `tray`, a panel that
        hosts tray icons. Returns DISPLAY.
        """
        read, write = os.pipe()
        try:
            self._spawn(
                "screen",
                [
                    _program("Xvfb"),
                    "-displayfd",
                    str(write),
                    "-screen",
                    "0",
                    f"{size}x24",
                    "-nolisten",
                    "tcp",
                    "-noreset",  # or it starts anew, deaf for a moment, whenever its last client leaves
                ],
                pass_fds=(write,),
            )
            os.close(write)
            write = -1
            with open(read, closefd=False) as numbers:
                self.display = f":{numbers.readline().strip()}"
        finally:
            os.close(read)
            if write >= 0:
                os.close(write)
        if self.display == ":":
            raise RuntimeError(f"Xvfb did not start:\n{self.log('screen')}")
        self._tell_bus({"DISPLAY": self.display})
        # Xvfb tells its number a moment before it lets anybody in.
        _wait(self._screen_answers, "the screen")
        self._spawn("windows", [_program("openbox"), "--sm-disable"])
        _wait(self._windows_are_managed, "the window manager")
        if tray:
            config = self.root / "tint2rc"
            config.write_text(TINT2RC)
            self._spawn("panel", [_program("tint2"), "-c", str(config)])
            _wait(self._tray_is_hosted, "the tray's host")
        return self.display

    def _screen_answers(self) -> bool:
        asked = subprocess.run(
            [_program("xprop"), "-root", "_NET_SUPPORTED"], env=self.env, capture_output=True, timeout=30
        )
        return asked.returncode == 0

    def _windows_are_managed(self) -> bool:
        if self._processes["windows"].poll() is not None:
            raise RuntimeError(f"openbox ended:\n{self.log('windows')}{self.log('screen')}")
        found = subprocess.run(
            [_program("xprop"), "-root", "_NET_SUPPORTING_WM_CHECK"],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=10,
        )
        return "window id" in found.stdout

    def _tray_is_hosted(self) -> bool:
        if self._processes["panel"].poll() is not None:
            raise RuntimeError(f"tint2 ended:\n{self.log('panel')}{self.log('screen')}")
        return "systray started" in self.log("panel")

    def _tell_bus(self, values: dict[str, str]) -> None:
        """What the bus starts from now on (the accessibility bus, a prompter) sees these."""
        address = jeepney.DBusAddress(
            "/org/freedesktop/DBus", bus_name="org.freedesktop.DBus", interface="org.freedesktop.DBus"
        )
        with self.bus() as connection:
            connection.send_and_get_reply(
                jeepney.new_method_call(address, "UpdateActivationEnvironment", "a{ss}", (values,)),
                timeout=10,
            )

    # --- processes ------------------------------------------------------------------------------------------

    def log(self, name: str) -> str:
        path = self.logs / f"{name}.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def _start_bus(self) -> None:
        services = self.root / "services"
        services.mkdir()
        for name in self._activatable:
            source = Path("/usr/share/dbus-1/services", f"{name}.service")
            if source.exists():
                # Without SystemdService=: no systemd runs here.
                lines = [line for line in source.read_text().splitlines() if not line.startswith("Systemd")]
                (services / source.name).write_text("\n".join(lines) + "\n")
        config = self.root / "bus.conf"
        own = self.home / ".local/share/dbus-1/services"
        config.write_text(
            "<!DOCTYPE busconfig PUBLIC '-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN' 'http://www."
            "freedesktop.org/standards/dbus/1.0/busconfig.dtd'>\n<busconfig><type>session</"
            f"type><listen>{self.bus_address}</listen><auth>EXTERNAL</auth><servicedir>{services}</"
            f"servicedir><servicedir>{own}</servicedir><policy context='default'><allow send_destination='*' "
            "eavesdrop='true'/><allow eavesdrop='true'/><allow own='*'/></policy></busconfig>\n"
        )
        process = self._spawn(
            "bus", [_program("dbus-daemon"), f"--config-file={config}", "--nofork", "--nopidfile"]
        )
        _wait(lambda: self._bus_listens() or process.poll() is not None, "the session bus")
        if process.poll() is not None:
            raise RuntimeError(f"dbus-daemon did not start:\n{self.log('bus')}")

    def _bus_listens(self) -> bool:
        """The socket's file is there a moment before anybody listens at it."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(f"{self.root}/bus") == 0

    def _spawn(
        self,
        name: str,
        args: list[str],
        *,
        stdin: int = subprocess.DEVNULL,
        pass_fds: tuple[int, ...] = (),
    ) -> subprocess.Popen[bytes]:
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                args,
                env=self.env,
                cwd=self.home,
                stdin=stdin,
                stdout=log,
                stderr=log,
                pass_fds=pass_fds,
                start_new_session=True,
            )
        self._processes[name] = process
        return process

    def _end(self, name: str, number: int = signal.SIGTERM) -> None:
        process = self._processes.pop(name)
        if process.poll() is None:
            process.send_signal(number)
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise RuntimeError(f"install {PACKAGES[name]}: {name} is needed")
    return path


def _usable(connection: DBusConnection) -> bool:
    try:
        return not secretstorage.Collection(connection).is_locked()
    except secretstorage.ItemNotFoundException:
        return False


def _wait(true: Callable[[], object], what: str) -> None:
    until(true, what, PATIENCE)
