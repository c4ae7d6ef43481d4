"""What is built: the committed files, in a folder of their own, with the version that was asked for."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from _machine import ROOT, say, stop

SDIST_PARTS = ("app", "resources", "packaging", "docs", "tests", "build")
SDIST_FILES = ("README.md", "SECURITY.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "uv.lock")
_VERSION = re.compile(
    r"[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.post[0-9]+)?(\.dev[0-9]+)?(\+[a-z0-9]+(\.[a-z0-9]+)*)?"
)
# How the app reads a publisher's file; it raises with the reason.
READ_UPDATES = (
    "from pathlib import Path as P; from keyfob.updates.source import read_source as r; r(P('resources'))"
)
_PLACES = {"pyproject.toml": r'^version = "(.*)"$', "app/keyfob/__init__.py": r'^__version__ = "(.*)"$'}


def is_version(text: str) -> bool:
    """Whether this is a version in PEP 440's normal form, without an epoch."""
    return _VERSION.fullmatch(text) is not None


def package_version(version: str) -> str:
    """The version for dpkg and rpm: a pre-release sorts before the release. `1.2rc1` becomes `1.2~rc1`."""
    return re.sub(r"\.?(?=(a|b|rc|dev)[0-9])", "~", version, count=1)


def last_commit() -> str:
    """The commit that is built; empty if this is not a git checkout."""
    if not (ROOT / ".git").exists():
        return ""
    if _git("status", "--porcelain"):
        say("Note: only what is committed is built; this checkout has changes beside that.")
    return _git("rev-parse", "HEAD")


def take(commit: str, target: Path) -> int:
    """Copy the files of a commit to `target`. Returns its time, in seconds since 1970, or SOURCE_DATE_EPOCH
    if that is set.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given and not given.isdecimal():
        stop("SOURCE_DATE_EPOCH is not a number of seconds. Unset it, or set it to one.", 2)
    if not commit:
        if not given:
            stop(
                "This is not a git checkout. Set SOURCE_DATE_EPOCH to the time of the release, in seconds.",
                2,
            )
        _copy(target)
        return int(given)
    with subprocess.Popen(["git", "-C", str(ROOT), "archive", commit], stdout=subprocess.PIPE) as archive:
        subprocess.run(["tar", "-x", "-C", str(target)], stdin=archive.stdout, check=True)
    if archive.returncode != 0:
        stop("git cannot read the last commit. Check the checkout: git status")
    return int(given or _git("log", "-1", "--format=%ct", commit))


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        stop(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def _copy(target: Path) -> None:
    junk = shutil.ignore_patterns("__pycache__", "*.pyc", "node_modules", ".cache")
    for name in SDIST_PARTS:
        shutil.copytree(ROOT / name, target / name, ignore=junk, symlinks=True)
    for name in SDIST_FILES:
        shutil.copy2(ROOT / name, target / name)


def put(source: Path, name: str, file: Path) -> None:
    """Put a publisher's file into the copy of the source's resources."""
    target = source / "resources" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(file, target)
    except OSError as error:
        stop(f"{file} cannot be read: {error.strerror}", 2)


def check_updates(python: Path, source: Path) -> None:
    """End the program if the app could not read the update source that was put into it."""
    done = subprocess.run(
        [str(python), "-c", READ_UPDATES], cwd=source, env={**os.environ, "PYTHONPATH": str(source / "app")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1].partition(": ")[2]
        stop(f"{reason}. Check the files of --updates and --root (docs/updates.md).", 2)


def version_of(source: Path) -> str:
    """The version that the source names."""
    found = re.search(_PLACES["pyproject.toml"], (source / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    if found is None:
        stop("pyproject.toml names no version. Check the checkout: git status")
    return found[1]


def set_version(source: Path, version: str) -> None:
    """Write the version into the copy of the source."""
    for file, pattern in _PLACES.items():
        path = source / file
        text = path.read_text("utf-8")
        found = re.search(pattern, text, re.MULTILINE)
        if found is None:
            stop(f"{file} names no version. Check the checkout: git status")
        path.write_text(text[: found.start(1)] + version + text[found.end(1) :], "utf-8")
