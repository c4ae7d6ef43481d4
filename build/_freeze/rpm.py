"""The .rpm: the app in /usr/lib/keyfob with the same libraries as the tar. rpm finds out what it needs of
the system, by the names of the libraries: one package serves Fedora, openSUSE and their relatives.
"""

import datetime as dt
import os
import re
import shutil
import subprocess
from pathlib import Path

from _machine import stop

from _freeze import elf, tree
from _freeze.app import WORK, Parts
from _freeze.source import package_version

ZSH = "usr/share/zsh/site-functions/_keyfob"
UPDATE = "sudo dnf upgrade keyfob"
# Libraries of Qt and Python that the package has; what it offers is for itself alone.
OWN = r"libQt6\w+|libicu\w+|libpyside6\.abi3|libshiboken6\.abi3|libpython3\.\d+"
SPEC = """\
%global debug_package %{{nil}}
%global _build_id_links none
%global __os_install_post %{{nil}}
%global __provides_exclude_from ^/usr/lib/keyfob/.*$
%global __requires_exclude ^({own})\\\\.so.*$
%global _binary_payload w3.xzdio
%global _buildhost localhost
%global use_source_date_epoch_as_buildtime 1
%global clamp_mtime_to_source_date_epoch 1
Name: keyfob
Version: {version}
Release: 1
Summary: Connects your online accounts once, for all your tools
License: Apache-2.0 AND LGPL-3.0-only AND PSF-2.0
Requires: ca-certificates
Requires: hicolor-icon-theme
Recommends: (gnome-keyring or kwalletmanager or keepassxc)
Recommends: xdg-utils

%description
Keyfob signs you in to your online accounts with your own browser, keeps the
tokens in your desktop's keychain, renews them before they expire, and gives
each tool that asks a fresh one: git, Docker, kubectl, pip and others.

This package has the desktop app, the keyfob command, the agent for systems
without a screen, and a demo provider to try it with.

%install
cp -a {root}/. %{{buildroot}}/

%files
/usr/lib/keyfob
/usr/bin/*
/usr/lib/systemd/user/*
/usr/share/applications/*
/usr/share/bash-completion/completions/*
/usr/share/dbus-1/services/*
/usr/share/fish/vendor_completions.d/*
/usr/share/icons/hicolor/*/apps/*
/usr/share/man/man1/*
/usr/share/metainfo/*
/usr/share/zsh/site-functions/*
%doc /usr/share/doc/keyfob
%license /usr/share/licenses/keyfob

%changelog
* {date} {maintainer} - {version}-1
- See /usr/share/doc/keyfob/CHANGELOG.md.
"""


def build(
    app: Path, source: Path, parts: Parts, version: str, epoch: int, maintainer: str, dist: Path
) -> Path:
    """Make the package in `dist`."""
    root, top = WORK / "rpm", WORK / "rpmbuild"
    tree.lay(root, app, source, kind="rpm", update_command=UPDATE, zsh=ZSH)
    for text, place in {"CHANGELOG.md": "doc", "LICENSE": "licenses"}.items():
        (root / "usr/share" / place / "keyfob").mkdir(parents=True)
        shutil.copy(source / text, root / "usr/share" / place / "keyfob" / text)
    shutil.copy(app / "LICENSES.txt", root / "usr/share/licenses/keyfob")
    tree.settle(root, epoch)
    for path in elf.elf_files(root / tree.APP):
        path.chmod(0o755)  # rpm looks for the needs of executable files alone
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir(parents=True)
    spec = top / "keyfob.spec"
    spec.write_text(spec_text(root, parts, package_version(version), epoch, maintainer), "utf-8")
    done = subprocess.run(
        ["rpmbuild", "-bb", "--define", f"_topdir {top}", str(spec)],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        stop(f"rpmbuild failed: {done.stderr.strip()[-2000:]}")
    made = next((top / "RPMS").rglob("*.rpm"))
    return Path(shutil.move(made, dist / made.name))


def spec_text(root: Path, parts: Parts, version: str, epoch: int, maintainer: str) -> str:
    """The spec file."""
    bundled = sorted(re.escape(name.partition(".so")[0]) for name in parts["libraries"])
    date = dt.datetime.fromtimestamp(epoch, dt.UTC).strftime("%a %b %d %Y")
    own = "|".join([OWN, *bundled]).replace("\\", "\\\\")
    return SPEC.format(root=root, own=own, version=version, date=date, maintainer=maintainer)
