"""Makes this machine ready to run, test or check Keyfob: system
packages, the Python environment, what tests fetch.

Used by the scripts beside it. Runs on a bare `python3` with no packages. Quick when everything is there, and
then it writes nothing, so that a checkout that cannot be written works too. If it may not install something
itself, it ends with one line that says what to do.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CACHE = ROOT / ".cache"
TOOLS = CACHE / "tools"  # uv, if the machine has none
LOG = CACHE / "setup.log"
FETCHED = CACHE / "tests-fetched"  # says for which versions the tests' own downloads are complete
WINDOWS = os.name == "nt"
# Programs are started by name: never the current folder's.
os.environ["PATH"] = os.pathsep.join(
    filter(os.path.isabs, os.environ.get("PATH", os.defpath).split(os.pathsep))
)
OLDEST = (3, 11)

# Debian's names. What Qt's offscreen and xcb platforms load at run time.
QT = (
    "libdbus-1-3 libegl1 libfontconfig1 libgl1 libglib2.0-0 libgssapi-krb5-2 libxkbcommon0 "
    "libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0"
).split()
# What tests of units, flows and widgets need beside Qt: they start no server, keychain or browser.
QUICK_TESTS = "git fonts-dejavu-core procps".split()
SCREEN = "xvfb openbox tint2 xdotool imagemagick x11-utils".split()
TESTS = [
    *QUICK_TESTS,
    *SCREEN,
    *"at-spi2-core python3-pyatspi gir1.2-atspi-2.0".split(),  # driving the window by accessible name
    *"dbus gnome-keyring gcr keepassxc libsecret-tools pass gnupg".split(),  # real keychains
    *"chromium chromium-driver".split(),  # a real browser
    *"curl openssh-client openssh-server openssl".split(),  # tools that ask for tokens, hostile servers
    *"zsh fish".split(),  # completion in the real shells
    *"make g++".split(),  # a native module of the atproto server
    *"desktop-file-utils appstream xdg-utils".split(),  # judge the menu entry and the AppStream file
    *"libglib2.0-bin libgtk-3-bin".split(),  # start the app from its menu entry
    *"gcc libc6-dev musl-tools".split(),  # the native keyfob-token
    "docker-registry",  # a registry with token authentication
    *"nginx libnginx-mod-http-lua caddy".split(),  # engines that carry the gateway's traffic
    "postgresql",  # keys of callers and accounts, shared by several servers
    "pgbouncer",  # a pooler in front of it, which locks must not go through unnoticed
    "python3-venv",
    # Tools that are often there without a package of this name.
    *(
        package
        for program, package in {"docker": "docker.io", "kubectl": "kubernetes-client", "gh": "gh"}.items()
        if not shutil.which(program)
    ),
]
# What build/freeze runs; the libraries of Qt that it puts into the app come from this machine.
PACKAGES = "binutils dpkg-dev gcc git libc6-dev musl-tools rpm".split()
# Services that come with these packages and stay switched off: tests start servers of their own.
SERVICES = {
    "openssh-server": ("ssh.service", "ssh.socket"),
    "docker-registry": ("docker-registry.service",),
    "postgresql": ("postgresql.service",),
    "nginx": ("nginx.service",),
    "caddy": ("caddy.service",),
    "pgbouncer": ("pgbouncer.service",),
    "docker.io": ("docker.service", "docker.socket", "containerd.service"),
}
FOR_UV = ["python3-venv", "ca-certificates"]
KEYCHAIN_SERVICE = Path("/usr/share/dbus-1/services/org.freedesktop.secrets.service")
QUICK_FOLDERS = ("tests/unit", "tests/flows", "tests/desktop")


class Environment(NamedTuple):
    """A Python environment that is made from uv.lock."""

    place: Path
    chosen: tuple[str, ...]  # what of the lock: options of uv
    with_keyfob: bool  # this checkout itself, editable

    def tool(self, name: str) -> str:
        return str(self.place / ("Scripts" if WINDOWS else "bin") / (name + (".exe" if WINDOWS else "")))


DEVELOPING = Environment(VENV, ("--all-extras",), with_keyfob=True)
# The frozen app has all extras.
IN_APP = tuple(word for extra in ("desktop", "fast", "jq", "gateway", "demo") for word in ("--extra", extra))
PACKAGING = Environment(
    CACHE / "freeze" / "venv", (*IN_APP, "--no-default-groups", "--group", "package"), with_keyfob=False
)


def say(words: str) -> None:
    print(words, flush=True)


def stop(words: str, code: int = 1) -> NoReturn:
    """End with one line that says what to do."""
    sys.stdout.flush()
    print(words, file=sys.stderr, flush=True)
    raise SystemExit(code)


def ready(*, tests: str = "", packages: bool = True) -> Path:
    """The Python of an environment that has everything; made or brought up to date if needed.

    `tests` is "" for none, "quick" for tests of QUICK_FOLDERS, or "all". Ends the program with one line if
    something is missing that it may not install.
    """
    try:
        return _ready(DEVELOPING, tests, packages=packages)
    except KeyboardInterrupt:
        stop("Interrupted. Run it again to continue.", 130)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        stop(
            f"{error.filename} cannot be written, and the set-up is not complete. Use a copy that you can "
            "write to."
        )


def ready_to_package() -> Path:
    """The Python of the environment that build/freeze uses, made or brought up to date if needed. Ends the
    program with one line if something is missing that it may not install.
    """
    try:
        return _ready(PACKAGING, "packages", packages=True)
    except KeyboardInterrupt:
        stop("Interrupted. Run it again to continue.", 130)


def _ready(environment: Environment, purpose: str, *, packages: bool) -> Path:
    python = _current(environment)
    uv = None if python else find_uv()
    if packages and sys.platform.startswith("linux"):
        _system_packages(purpose, missing_packages(purpose, for_uv=python is None and uv is None))
    python = python or _environment(uv, environment)
    if purpose == "all":
        _fetch(python)
    return python


def wanted_by(arguments: Sequence[str]) -> str:
    """What pytest's arguments need: "quick" if they name only files of QUICK_FOLDERS, else "all"."""
    named = [word.split("::")[0] for word in arguments if not word.startswith("-")]
    paths = [path for path in (Path(word).resolve() for word in named) if path.exists()]
    quick = [ROOT / folder for folder in QUICK_FOLDERS]
    if paths and all(any(path.is_relative_to(folder) for folder in quick) for path in paths):
        return "quick"
    return "all"


def run(arguments: list[str], *, minutes: float | None = None, env: dict[str, str] | None = None) -> int:
    """Run a command in the checkout to its end and return its exit code. After `minutes` it is ended, with
    all that it started, and the code is 124.
    """
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
        # A terminal's Ctrl-C does not reach a separate session.
        if minutes is not None and not WINDOWS:
            os.killpg(process.pid, signal.SIGINT)
        try:
            return process.wait(20) or 130
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            _end(process)
            return 130


def tool(name: str) -> str:
    """The path of a command in the environment."""
    return DEVELOPING.tool(name)


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


# --- system packages ----------------------------------------------------------------------------------------


def _keychain() -> list[str]:
    """GNOME Keyring if no program offers the desktop's secret service: Keyfob keeps tokens nowhere else."""
    if (
        KEYCHAIN_SERVICE.exists()
        or shutil.which("kwalletd5")
        or shutil.which("kwalletd6")
        or shutil.which("keepassxc")
    ):
        return []
    return ["gnome-keyring"]


def missing_packages(purpose: str, *, for_uv: bool = True) -> list[str]:
    """The Debian packages that are wanted and not installed. Empty on a
    system without apt: Qt names what it misses when it starts.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg-query"):
        return []
    wanted = [*QT, *({"": _keychain(), "quick": QUICK_TESTS, "all": TESTS, "packages": PACKAGES}[purpose])]
    return _absent([*wanted, *FOR_UV] if for_uv else wanted)


def _absent(wanted: Sequence[str]) -> list[str]:
    there = _installed()
    return [name for name in dict.fromkeys(wanted) if name not in there]


def install_packages(names: Sequence[str]) -> None:
    """Install Debian packages, as root. Services that come with them
    neither start now nor at the next boot.
    """
    apt = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"]
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    install = [*apt, "install", "-y", "--no-install-recommends", *names]
    # Debian's own way to keep a package from starting its service: this program is asked, and says no.
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    try:
        if ours:
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
        # The lists may be absent or older than the archive. A failed
        # update is an error only if the install fails too.
        _quietly([*apt, "update"])
        if _quietly(install, env=env) != 0:
            stop(
                f"Could not install the packages (see {LOG}). Try it by hand: apt-get install "
                f"{' '.join(names)}"
            )
    finally:
        if ours:
            policy.unlink(missing_ok=True)
    services = [unit for name in names for unit in SERVICES.get(name, ())]
    if services and Path("/run/systemd/system").is_dir():
        for unit in services:
            _quietly(["systemctl", "disable", "--now", unit])
        say(f"These services stay switched off: {', '.join(services)}")


def _system_packages(purpose: str, names: Sequence[str]) -> None:
    if not names:
        return
    say(f"Installing {len(names)} system packages: {' '.join(names)}")
    if os.geteuid() == 0:
        install_packages(names)
        return
    script = [sys.executable, str(ROOT / "build" / "packages")]
    if purpose:
        script.append(f"--for={purpose}" if purpose == "packages" else f"--for={purpose}-tests")
    if shutil.which("sudo") and _quietly(["sudo", "-n", "true"]) == 0:
        if _quietly(["sudo", "-n", *script]) != 0:
            stop(f"Could not install the packages; see {LOG}")
        return
    shown = " ".join(["sudo", "build/packages", *script[2:]])
    stop(f"This needs an administrator. Run this once, then try again: {shown}")


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


# --- the Python environment ---------------------------------------------------------------------------------


def _stamp() -> str:
    """What the environment was made from: the locked packages and the place of this checkout."""
    lock = hashlib.sha256()
    for name in ("uv.lock", "pyproject.toml"):
        lock.update((ROOT / name).read_bytes())
    return f"{lock.hexdigest()} {ROOT}"


def _current(environment: Environment) -> Path | None:
    """The environment's Python if the environment is up to date."""
    python, stamp = Path(environment.tool("python")), environment.place / "keyfob-ready"
    if python.exists() and stamp.exists() and stamp.read_text("utf-8") == _stamp():
        return python
    return None


def _environment(uv: str | None, environment: Environment) -> Path:
    environment.place.parent.mkdir(parents=True, exist_ok=True)
    interpreter = _interpreter()
    if uv is None:
        uv = _install_uv(interpreter)
    say("Preparing the Python environment (the first time this fetches about 300 MB)")
    project = () if environment.with_keyfob else ("--no-install-project",)
    sync = [uv, "sync", *environment.chosen, *project, "--frozen", "--python", interpreter]
    if _quietly(sync, env=_uv_settings(environment.place)) != 0:
        say("uv could not do it. Trying pip, with its settings.")
        _with_pip(uv, interpreter, environment)
    (environment.place / "keyfob-ready").write_text(_stamp(), "utf-8")
    return Path(environment.tool("python"))


def _interpreter() -> str:
    """A Python that is new enough: this one, else one by its name."""
    if sys.version_info >= OLDEST:
        return sys.executable
    for minor in range(15, OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found:
            return found
    stop("Keyfob needs Python 3.11 or newer. Install it, for example: sudo apt-get install python3.11-venv")


def find_uv() -> str | None:
    """A uv that runs: the machine's, else the one installed here before."""
    for found in (shutil.which("uv"), str(TOOLS / ("Scripts/uv.exe" if WINDOWS else "bin/uv"))):
        if found and Path(found).exists() and _quietly([found, "--version"]) == 0:
            return found
    return None


def _install_uv(interpreter: str) -> str:
    if shutil.which("apt-get") and shutil.which("dpkg-query"):
        _system_packages("", _absent(FOR_UV))
    say("Installing uv, which installs the rest")
    python = str(TOOLS / ("Scripts/python.exe" if WINDOWS else "bin/python"))
    if (
        _quietly([interpreter, "-m", "venv", "--clear", str(TOOLS)]) != 0
        or _quietly([python, "-m", "pip", "install", "-q", "uv>=0.7"]) != 0
    ):
        stop(f"Could not install uv (see {LOG}). Install it (https://docs.astral.sh/uv), then run this again")
    found = find_uv()
    assert found is not None
    return found


def _with_pip(uv: str, interpreter: str, environment: Environment) -> None:
    """The same locked versions and hashes through pip: it knows mirrors
    and certificates that uv was not given.
    """
    locked = CACHE / "locked.txt"
    place, python = environment.place, environment.tool("python")
    # The old environment comes back if the new one cannot be made, for example without a network.
    aside = place.with_name(f"{place.name}-before")
    shutil.rmtree(aside, ignore_errors=True)
    if place.exists():
        place.rename(aside)
    steps = (
        [uv, "export", "-q", "--frozen", *environment.chosen, "--no-emit-project", "-o", str(locked)],
        [interpreter, "-m", "venv", "--clear", str(place)],
        [python, "-m", "pip", "install", "-q", "-r", str(locked)],
        *(
            [[python, "-m", "pip", "install", "-q", "--no-deps", "-e", str(ROOT)]]
            if environment.with_keyfob
            else []
        ),
    )
    for step in steps:
        if _quietly(step, env=_uv_settings(place)) != 0:
            shutil.rmtree(place, ignore_errors=True)
            if aside.exists():
                aside.rename(place)
            stop(
                "Could not fetch the Python packages. Check the network and pip's settings, then try again. "
                f"Details are in {LOG}"
            )
    shutil.rmtree(aside, ignore_errors=True)


def _uv_settings(place: Path = VENV) -> dict[str, str]:
    """No interpreter from the network; the system's certificates beside uv's own, as companies need."""
    settings = {"UV_PYTHON_DOWNLOADS": "never", "UV_PROJECT_ENVIRONMENT": str(place)}
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    if "SSL_CERT_FILE" not in os.environ and Path(bundle).exists():
        settings["SSL_CERT_FILE"] = bundle
    return settings


def _fetch(python: Path) -> None:
    """What tests need from the network: test servers and programs. After it, tests need no network."""
    support = ROOT / "tests" / "support"
    made_of = hashlib.sha256(sys.version.encode())
    for file in (
        *sorted(support.glob("*/package-lock.json")),
        support / "node.py",
        support / "python_tools.py",
    ):
        made_of.update(file.read_bytes())
    if FETCHED.exists() and FETCHED.read_text("utf-8") == made_of.hexdigest():
        return
    say("Fetching the servers and programs that tests use (the first time about 500 MB)")
    path = os.pathsep.join([os.environ.get("PATH", ""), str(TOOLS / "bin")])
    if _quietly([str(python), str(support / "fetch.py")], env={"PATH": path, **_uv_settings()}) != 0:
        say(f"Not everything could be fetched; tests that need it will fail. Details are in {LOG}")
        return
    FETCHED.write_text(made_of.hexdigest(), "utf-8")


def _quietly(arguments: list[str], env: dict[str, str] | None = None) -> int:
    """Run with all output in the log; returns the exit code, 127 if there is no such program. Run by another
    user's sudo, it leaves no files of root's in the checkout: then the output is shown.
    """
    to_log = "SUDO_UID" not in os.environ
    if to_log:
        LOG.parent.mkdir(exist_ok=True)
    with Path(LOG if to_log else os.devnull).open("ab") as log:
        log.write(f"\n$ {' '.join(arguments)}\n".encode())
        log.flush()
        try:
            return subprocess.run(
                arguments,
                cwd=ROOT,
                env={**{k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log if to_log else None,
                stderr=log if to_log else None,
                check=False,
            ).returncode
        except OSError as error:
            log.write(f"{error}\n".encode())
            return 127
