"""A bare Debian in a folder, for build/fresh and build/prove-packages."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import _machine

FOLDER = _machine.CACHE / "fresh"
ROOMY = Path("/var/tmp")  # a system takes 4 GB with everything that the tests need
USER = "mia"
# How this machine reaches its package archives.
TAKEN_FILES = (
    "/etc/resolv.conf",
    "/etc/ssl/certs/ca-certificates.crt",
    "/usr/local/share/ca-certificates",
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d",
)
TAKEN_VARIABLES = re.compile(
    r"(https?|ftp|all|no)_proxy|SSL_CERT_FILE|PIP_CERT|NODE_EXTRA_CA_CERTS|PIP_DEFAULT_TIMEOUT", re.IGNORECASE
)


class System:
    """A bare Debian in a folder, with the packages of `include` beside apt's own."""

    def __init__(self, suite: str, name: str, *, as_user: bool = False, include: str = "") -> None:
        self.suite = suite
        self._include = include
        self.place = ROOMY / f"keyfob-fresh-{os.getpid()}-{name}"
        self.log = FOLDER / f"{name}.log"
        self.as_user = as_user
        self.failed: list[str] = []
        self.home = f"/home/{USER}" if as_user else "/root"
        self.folder = self.home  # of the steps

    def make(self) -> None:
        """Make the system, with a user if it is for one."""
        base = ROOMY / f"keyfob-{'fresh' if self._include else 'bare'}-base-{self.suite}"
        if not (base / "complete").exists():
            shutil.rmtree(base, ignore_errors=True)
            _machine.say(f"Making a bare Debian ({self.suite})")
            made = [
                "debootstrap",
                "--variant=minbase",
                *([f"--include={self._include}"] if self._include else []),
                self.suite,
                str(base),
                _archive(),
            ]
            with (FOLDER / "debootstrap.log").open("wb") as log:
                if subprocess.run(made, stdout=log, stderr=log, check=False).returncode != 0:
                    _machine.stop(f"debootstrap failed; see {FOLDER / 'debootstrap.log'}")
            (base / "complete").touch()
        subprocess.run(["cp", "-a", "--reflink=auto", str(base), str(self.place)], check=True)
        for taken in map(Path, TAKEN_FILES):
            if taken.exists():
                target = self.place / taken.relative_to("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                if taken.is_dir():
                    shutil.copytree(taken, target, dirs_exist_ok=True)
                else:
                    shutil.copy(taken, target)
        self._sources()
        if self.as_user:
            self._inside(["useradd", "-m", "-s", "/bin/bash", USER], check=True)

    def clone(self) -> None:
        """Clone what is committed here into the system; the steps run there."""
        self.folder = f"{self.home}/keyfob"
        subprocess.run(
            ["git", "clone", "-q", "--no-hardlinks", str(_machine.ROOT), f"{self.place}{self.folder}"],
            check=True,
        )
        if self.as_user:
            self._inside(["chown", "-R", f"{USER}:{USER}", self.home], check=True)

    def _sources(self) -> None:
        """apt's sources, for the suite that was asked for."""
        for file in (self.place / "etc/apt").rglob("*"):
            if file.is_file() and file.suffix in (".list", ".sources"):
                text = file.read_text("utf-8")
                codename = _codename()
                file.write_text(re.sub(rf"\b{codename}\b", self.suite, text) if codename else text, "utf-8")
                if self.suite in ("sid", "unstable"):
                    file.unlink()  # it has no updates and no security archive
        if self.suite in ("sid", "unstable"):
            (self.place / "etc/apt/sources.list").write_text(f"deb {_archive()} {self.suite} main\n", "utf-8")

    def _inside(self, command: list[str], *, check: bool = False) -> int:
        return subprocess.run(["chroot", str(self.place), *command], check=check).returncode

    def step(self, title: str, command: str, *, user: bool | None = None, network: bool = True) -> int:
        """Run a shell command in the folder, in separate namespaces: whatever it starts ends with it."""
        user = self.as_user if user is None else user
        home = self.home if user or not self.as_user else "/root"
        settings = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": home,
            "LANG": "C.UTF-8",
            "USER": USER if user else "root",
            **{name: value for name, value in os.environ.items() if TAKEN_VARIABLES.fullmatch(name)},
        }
        become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"] if user else []
        inner = (
            f"cd {self.place}; mount -t proc proc proc; mount --rbind /sys sys; mount --rbind /dev dev; "
            + ("" if network else "ip link set lo up; ")
            + 'exec chroot . "$@"'
        )
        spaces = ["--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--ipc"]
        whole = [
            "unshare", *spaces, *([] if network else ["--net"]), "sh", "-c", inner, "sh",
            *become, "sh", "-c", f"cd {self.folder} && {command}",
        ]  # fmt: skip
        begun = time.monotonic()
        with self.log.open("ab") as log:
            log.write(f"\n$ {command}\n".encode())
            log.flush()
            code = subprocess.run(
                whole, env=settings, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
            ).returncode
        minutes = (time.monotonic() - begun) / 60
        _machine.say(f"{'ok' if code == 0 else f'FAILED ({code})':12} {title} ({minutes:.1f} min)")
        if code != 0:
            self.failed.append(title)
        return code

    def printed(self) -> str:
        """What the last step printed."""
        return self.log.read_text("utf-8", "replace").rpartition("\n$ ")[2]

    def prepare_user(self, command: str) -> None:
        """As a user without rights does: run it, and have an administrator run the command that is shown."""
        self.step(f"{command} shows what an administrator has to do", f"! {command}")
        shown = re.search(r"sudo (build/packages.*)$", self.printed(), re.MULTILINE)
        if shown is None:
            _machine.say("FAILED       it shows no command for an administrator")
            self.failed.append("the command for an administrator")
            return
        # sudo is not there; it sets these for what it runs.
        self.step(f"sudo {shown[1]}", f"SUDO_UID=1000 python3 {shown[1]}", user=False)

    def take(self, path: str, target: Path) -> None:
        """Copy a file out of the system, if it is there."""
        if (self.place / path).exists():
            shutil.copy(self.place / path, target)

    def remove(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)


def require_system() -> None:
    """End with one line if this user, or what is installed here, cannot make a system in a folder."""
    if os.geteuid() != 0:
        _machine.stop("This makes a system in a folder, so it needs an administrator: run it with sudo", 2)
    for needed in ("debootstrap", "unshare", "setpriv", "chroot", "ip"):
        if not shutil.which(needed):
            package = {"ip": "iproute2"}.get(needed, "debootstrap")
            _machine.stop(f"{needed} is missing. Install it: sudo apt-get install {package}", 2)
    FOLDER.mkdir(parents=True, exist_ok=True)


def _archive() -> str:
    """The archive that this machine's apt uses for Debian itself."""
    files = (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*")))
    named = [file for file in files if file.suffix in (".list", ".sources") and file.exists()]
    lines = [line for file in named for line in file.read_text("utf-8").splitlines()]
    pattern = re.compile(r"(?:deb(?: \[.*\])?|URIs:)\s+(https?://\S+/debian)/?(?:\s|$)")
    found = [match[1] for line in lines if (match := pattern.match(line))]
    if not found:
        _machine.stop("This machine's apt sources name no Debian archive to make a system from")
    return found[0]


def _codename() -> str:
    release = Path("/etc/os-release").read_text("utf-8")
    found = re.search(r"^VERSION_CODENAME=(\w+)$", release, re.MULTILINE)
    return found[1] if found else ""
