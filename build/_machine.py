"""Makes this machine ready to run, test or check Keyfob: system packages, Python environment, nothing else.

Used by the scripts beside it. Runs on a bare `python3` with no packages. Quick when all is there already. Where it
may not install something itself it ends with one line that says exactly what to do.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".cache" / "tools"  # uv, where the machine has none
LOG = ROOT / ".cache" / "setup.log"
WINDOWS = os.name == "nt"
OLDEST = (3, 11)

# Debian's names. What Qt's offscreen and xcb platforms load at run time.
QT = (
    "libdbus-1-3 libegl1 libfontconfig1 libgl1 libglib2.0-0 libgssapi-krb5-2 libxkbcommon0 "
    "libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0"
).split()
SCREEN = "xvfb openbox tint2 xdotool imagemagick x11-utils fonts-dejavu-core".split()
TESTS = [
    *SCREEN,
    *"at-spi2-core python3-pyatspi gir1.2-atspi-2.0".split(),  # driving the window by accessible name
    *"dbus gnome-keyring libsecret-tools pass gnupg".split(),  # real keychains
    *"chromium chromium-driver".split(),  # a real browser
    *"git curl openssh-client openssh-server openssl procps".split(),  # tools that ask for tokens, certificates for hostile servers
    *"zsh fish".split(),  # completion in the real shells
    # Tools that are often there without a package of this name.
    *(
        package
        for program, package in {"docker": "docker.io", "kubectl": "kubernetes-client"}.items()
        if not shutil.which(program)
    ),
]
FOR_UV = ["python3-venv", "ca-certificates"]
KEYCHAIN_SERVICE = Path("/usr/share/dbus-1/services/org.freedesktop.secrets.service")


def say(words: str) -> None:
    print(words, flush=True)


def stop(words: str, code: int = 1) -> None:
    """End with one line that tells what to do."""
    sys.stdout.flush()
    print(words, file=sys.stderr, flush=True)
    raise SystemExit(code)


def ready(*, tests: bool = False, packages: bool = True) -> Path:
    """The Python of an environment that has everything; made or brought up to date where needed."""
    LOG.parent.mkdir(exist_ok=True)
    uv = _uv()
    if packages and sys.platform.startswith("linux"):
        wanted = [*QT, *(TESTS if tests else _keychain())]
        if uv is None:
            wanted += FOR_UV
        _system_packages(wanted)
    return _environment(uv)


def run(arguments: list[str], *, minutes: float | None = None, env: dict[str, str] | None = None) -> int:
    """Run a command in the checkout to its end and return its exit code. After `minutes` it is ended, with all
    that it started, and the code is 124."""
    process = subprocess.Popen(
        arguments,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        start_new_session=minutes is not None and not WINDOWS,
    )
    try:
        return process.wait(None if minutes is None else minutes * 60)
    except subprocess.TimeoutExpired:
        _end(process)
        print(f"Ended after {minutes:g} minutes, the limit.", file=sys.stderr, flush=True)
        return 124
    except KeyboardInterrupt:
        # A terminal's Ctrl-C does not reach a session of its own.
        if minutes is not None and not WINDOWS:
            os.killpg(process.pid, signal.SIGINT)
        try:
            return process.wait(20) or 130
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            _end(process)
            return 130


def tool(name: str) -> str:
    """The path of a command in the environment."""
    return str(VENV / ("Scripts" if WINDOWS else "bin") / (name + (".exe" if WINDOWS else "")))


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGTERM if WINDOWS else signal.SIGKILL):
        try:
            if WINDOWS:
                process.terminate()
            else:
                os.killpg(process.pid, number)
            process.wait(10)
            return
        except (subprocess.TimeoutExpired, ProcessLookupError):
            continue


# --- system packages ------------------------------------------------------------------------------------------


def _keychain() -> list[str]:
    """GNOME Keyring where no program offers the desktop's secret service: Keyfob keeps tokens nowhere else."""
    if (
        KEYCHAIN_SERVICE.exists()
        or shutil.which("kwalletd5")
        or shutil.which("kwalletd6")
        or shutil.which("keepassxc")
    ):
        return []
    return ["gnome-keyring"]


def _system_packages(wanted: list[str]) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-query"):
        return  # another Linux: its own packages; Qt names what it misses when it starts
    there = _installed()
    missing = [name for name in dict.fromkeys(wanted) if name not in there]
    if not missing:
        return
    names = " ".join(missing)
    sudo = _rights()
    if sudo is None:
        stop(f"Install these first, then run this again: sudo apt-get install -y {names}")
    assert sudo is not None
    say(f"Installing {len(missing)} system packages: {names}")
    if "openssh-server" in missing and shutil.which("systemctl"):
        # Tests start an sshd of their own; installing the program must not open the machine to the network.
        _quietly([*sudo, "systemctl", "mask", "ssh.service", "ssh.socket"])
    command = [
        *sudo,
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-q",
        "-o",
        "DPkg::Lock::Timeout=300",
    ]
    install = [*command, "install", "-y", "--no-install-recommends", *missing]
    # The lists may be absent or older than the archive: fetch them, and only then is a failure one.
    if _quietly([*command, "update"]) != 0 or _quietly(install) != 0:
        _quietly([*command, "update"])
        if _quietly(install) != 0:
            stop(f"Installing failed ({LOG}); try it by hand: sudo apt-get install -y {names}")


def _installed() -> set[str]:
    listed = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}|${Package}|${Provides}\n"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    names: set[str] = set()
    for line in listed.splitlines():
        status, package, provides = line.split("|", 2)
        if status.startswith("ii"):
            names.add(package)
            names.update(part.split("(")[0].strip() for part in provides.split(","))
    return names


def _rights() -> list[str] | None:
    """What to put before a command so that it may install: nothing for root, sudo where it asks for no password."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and _quietly(["sudo", "-n", "true"]) == 0:
        return ["sudo", "-n"]
    return None


# --- the Python environment -----------------------------------------------------------------------------------


def _environment(uv: str | None) -> Path:
    python = Path(tool("python"))
    stamp = VENV / "keyfob-ready"
    lock = hashlib.sha256()
    for name in ("uv.lock", "pyproject.toml"):
        lock.update((ROOT / name).read_bytes())
    wanted = f"{lock.hexdigest()} {ROOT}"
    if stamp.exists() and stamp.read_text("utf-8") == wanted and python.exists():
        return python
    interpreter = _interpreter()
    if uv is None:
        uv = _install_uv(interpreter)
    say("Preparing the Python environment (the first time this fetches about 300 MB)")
    if _quietly([uv, "sync", "--all-extras", "--frozen", "--python", interpreter], env=_uv_settings()) != 0:
        say("That did not work; trying with pip and its settings")
        _with_pip(uv, interpreter)
    stamp.write_text(wanted, "utf-8")
    return python


def _interpreter() -> str:
    """A Python that is new enough: this one, else one by its name."""
    if sys.version_info >= OLDEST:
        return sys.executable
    for minor in range(15, OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found:
            return found
    stop(
        "Keyfob needs Python 3.11 or newer: install it, for example with sudo apt-get install -y python3.11-venv"
    )
    raise AssertionError


def _uv() -> str | None:
    """A uv that runs: the machine's, else the one installed here before."""
    for found in (shutil.which("uv"), str(TOOLS / ("Scripts/uv.exe" if WINDOWS else "bin/uv"))):
        if found and os.path.exists(found) and _quietly([found, "--version"]) == 0:
            return found
    return None


def _install_uv(interpreter: str) -> str:
    if sys.platform.startswith("linux"):
        _system_packages(FOR_UV)
    say("Installing uv, which installs the rest")
    python = str(TOOLS / ("Scripts/python.exe" if WINDOWS else "bin/python"))
    if (
        _quietly([interpreter, "-m", "venv", "--clear", str(TOOLS)]) != 0
        or _quietly([python, "-m", "pip", "install", "-q", "uv>=0.7"]) != 0
    ):
        stop(f"uv could not be installed ({LOG}): install it (https://docs.astral.sh/uv) and run this again")
    found = _uv()
    assert found is not None
    return found


def _with_pip(uv: str, interpreter: str) -> None:
    """The same locked versions and hashes through pip: it knows mirrors and certificates that uv was not told of."""
    locked = ROOT / ".cache" / "locked.txt"
    python = tool("python")
    steps = (
        [uv, "export", "-q", "--frozen", "--all-extras", "--no-emit-project", "-o", str(locked)],
        [interpreter, "-m", "venv", "--clear", str(VENV)],
        [python, "-m", "pip", "install", "-q", "-r", str(locked)],
        [python, "-m", "pip", "install", "-q", "--no-deps", "-e", str(ROOT)],
    )
    for step in steps:
        if _quietly(step, env=_uv_settings()) != 0:
            stop(
                f"The packages could not be fetched: check the network and pip's settings, see {LOG}, run this again"
            )


def _uv_settings() -> dict[str, str]:
    """No interpreter from the network; the system's certificates beside uv's own, as companies need."""
    settings = {"UV_PYTHON_DOWNLOADS": "never", "UV_PROJECT_ENVIRONMENT": str(VENV)}
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    if "SSL_CERT_FILE" not in os.environ and os.path.exists(bundle):
        settings["SSL_CERT_FILE"] = bundle
    return settings


def _quietly(arguments: list[str], env: dict[str, str] | None = None) -> int:
    """Run with all output in the log; returns the exit code, 127 where the program is absent."""
    LOG.parent.mkdir(exist_ok=True)
    with open(LOG, "ab") as log:
        log.write(f"\n$ {' '.join(arguments)}\n".encode())
        log.flush()
        try:
            return subprocess.run(
                arguments,
                cwd=ROOT,
                env={**{k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
            ).returncode
        except OSError as error:
            log.write(f"{error}\n".encode())
            return 127
