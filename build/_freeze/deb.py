"""The .deb: the app in /usr/lib/keyfob with Debian's own libraries, so that they get Debian's updates."""

import email.utils
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from _machine import stop

from _freeze import archives, elf, licences, tree
from _freeze.app import WORK, Parts
from _freeze.source import package_version

ZSH = "usr/share/zsh/vendor-completions/_keyfob"
UPDATE = "sudo apt update && sudo apt install --only-upgrade keyfob"
DESCRIPTION = """\
Description: connects your online accounts once, for all your tools
 Keyfob signs you in to your online accounts with your own browser, keeps the
 tokens in your desktop's keychain, renews them before they expire, and gives
 each tool that asks a fresh one: git, Docker, kubectl, pip and others.
 .
 This package has the desktop app, the keyfob command, the agent for systems
 without a screen, and a demo provider to try it with.
"""
# Since the change to a 64-bit time (Debian 13, Ubuntu 24.04), some libraries have another package name.
T64 = {"libglib2.0-0", "libssl3", "libgtk-3-0", "libcups2", "libasound2", "libreadline8", "libgcrypt20"}
# Not found by looking at the programs: the system's certificates, and the question of packaging/deb/prerm.
ALSO = ("ca-certificates", "debconf (>= 0.5) | debconf-2.0")
RECOMMENDS = "gnome-keyring | kwalletmanager | keepassxc, xdg-utils, dbus-user-session"
COPYRIGHT = "Copyright: The Keyfob authors\nLicense: Apache-2.0, see /usr/share/common-licenses/Apache-2.0"
OVERRIDES = """\
# The app has its own Qt and Python. They are in one folder and find each other by relative paths.
keyfob: custom-library-search-path *
# These are built into the wheels of CPython, Qt and PyYAML that the app is made of. LibYAML and Expat read
# files of the user, libjpeg pictures of providers; new wheels bring their corrections.
keyfob: embedded-library expat *
keyfob: embedded-library libjpeg *
keyfob: embedded-library libyaml *
# Small modules of CPython that call nothing but the interpreter.
keyfob: library-not-linked-against-libc *
# The only question is asked when the package is removed (prerm); there is nothing to configure.
keyfob: no-debconf-config
# This package is not for Debian's own archive.
keyfob: initial-upload-closes-no-bugs *
"""


def build(
    app: Path, source: Path, parts: Parts, version: str, epoch: int, maintainer: str, dist: Path
) -> Path:
    """Make the package in `dist`."""
    root = WORK / "deb"
    tree.lay(root, app, source, kind="deb", update_command=UPDATE, zsh=ZSH)
    for library in parts["libraries"]:
        if not library.startswith("libpython"):
            (root / tree.APP / "_internal" / library).unlink()
    depends = dependencies(_shlibdeps(root))
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    full = f"{package_version(version)}-1"
    _documents(root, source, parts, full, epoch, maintainer)
    size = sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir()) // 1024
    control = (
        f"Package: keyfob\nVersion: {full}\nArchitecture: {architecture}\nMaintainer: {maintainer}\n"
        f"Installed-Size: {size}\nDepends: {', '.join(depends)}\nRecommends: {RECOMMENDS}\n"
        f"Section: utils\nPriority: optional\n{DESCRIPTION}"
    )
    made = root / "DEBIAN"
    made.mkdir()
    (made / "control").write_text(control, "utf-8")
    for script in sorted((source / "packaging/deb").glob("*")):
        shutil.copy(script, made / script.name)
        (made / script.name).chmod(0o755 if script.read_bytes().startswith(b"#!") else 0o644)
    (made / "md5sums").write_text(_md5sums(root), "utf-8")
    tree.settle(root, epoch)
    target = dist / f"keyfob_{full}_{architecture}.deb"
    done = subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zxz", "-z3", "--build", str(root), str(target)],
        env={"SOURCE_DATE_EPOCH": str(epoch), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        stop(f"dpkg-deb failed: {done.stderr.strip()}")
    return target


def dependencies(found: str) -> list[str]:
    """The packages that dpkg-shlibdeps found, with the names that other releases have for them, and what else
    the app needs.
    """
    named = [each.strip() for each in found.split(",") if each.strip()]
    chosen = []
    for each in named:
        name, _, limit = each.partition(" ")
        plain = name.removesuffix("t64")
        if plain in T64:
            chosen.append(" | ".join(f"{one} {limit}".strip() for one in (f"{plain}t64", plain)))
        else:
            chosen.append(each)
    return [*sorted(chosen), *ALSO]


def _shlibdeps(root: Path) -> str:
    files = elf.elf_files(root / tree.APP)
    folders = sorted({str(path.parent) for path in files if ".so" in path.name})
    with tempfile.TemporaryDirectory() as place:
        control = Path(place, "debian", "control")
        control.parent.mkdir()
        control.write_text("Source: keyfob\n\nPackage: keyfob\nArchitecture: any\n", "utf-8")
        done = subprocess.run(
            [
                "dpkg-shlibdeps", "-O", "--ignore-missing-info",
                *(f"-l{each}" for each in folders), *map(str, files),
            ],
            cwd=place, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        stop(f"dpkg-shlibdeps failed: {done.stderr.strip()[-2000:]}")
    found = re.search(r"^shlibs:Depends=(.*)$", done.stdout, re.MULTILINE)
    return found[1] if found else ""


def _documents(root: Path, source: Path, parts: Parts, version: str, epoch: int, maintainer: str) -> None:
    place = root / "usr/share/doc/keyfob"
    place.mkdir(parents=True)
    (place / "copyright").write_text(copyright_text(parts), "utf-8")
    archives.gzipped((source / "CHANGELOG.md").read_bytes(), place / "changelog.gz")
    date = email.utils.formatdate(epoch)
    entry = (
        f"keyfob ({version}) stable; urgency=medium\n\n  * See /usr/share/doc/keyfob/changelog.gz.\n\n"
        f" -- {maintainer}  {date.replace('-0000', '+0000')}\n"
    )
    archives.gzipped(entry.encode(), place / "changelog.Debian.gz")
    overrides = root / "usr/share/lintian/overrides/keyfob"
    overrides.parent.mkdir(parents=True)
    overrides.write_text(OVERRIDES, "utf-8")


def copyright_text(parts: Parts) -> str:
    """The file that each package of Debian has: whose the program is, and the licences of what is in it."""
    return (
        "The frozen app in /usr/lib/keyfob also has the parts that follow, each under its own licence.\n\n"
        + licences.text(parts, COPYRIGHT, debian=True)
    )


def _md5sums(root: Path) -> str:
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]
    names = [str(path.relative_to(root)) for path in files if not path.is_relative_to(root / "DEBIAN")]
    return subprocess.run(["md5sum", *names], cwd=root, capture_output=True, text=True, check=True).stdout
