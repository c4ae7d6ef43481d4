"""Bundles of Keyfob that stand in for frozen ones: the real start script, and a small program as the app.

root = new_bundle(tmp_path / "keyfob", "1.0.0")
archive = packed(tmp_path, "1.1.0", WELL)
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

START = Path(__file__).resolve().parents[2] / "packaging" / "bundle" / "keyfob"
# `agent` does as the app does when it is up: it ends the trial. What `started_well` does is tested beside.
WELL = """#!/bin/sh
root=$(dirname "$(dirname "$(dirname "$0")")")
case ${1-} in
    --version) echo "keyfob %VERSION%" ;;
    agent) rm -f "$root/trial" "$root/trial.started"; echo "agent of %VERSION% $LISTEN_PID $$" ;;
    *) echo "%VERSION%: $*"; cat ;;
esac
"""
CRASHES = """#!/bin/sh
case ${1-} in
    --version) echo "keyfob %VERSION%" ;;
    *) echo "Traceback" >&2; exit 1 ;;
esac
"""


def member(
    name: str, data: bytes = b"", *, mode: int = 0o644, kind: bytes = tarfile.REGTYPE, to: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    """One entry of an archive."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.type, info.linkname = len(data), mode, kind, to
    return info, data


def archive_of(path: Path, members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return path


def packed(folder: Path, version: str, program: str = WELL) -> Path:
    """A bundle's archive as `build/freeze` lays it out."""
    top, inner = f"keyfob-{version}", f"keyfob-{version}/versions/{version}"
    folder_type = tarfile.DIRTYPE
    return archive_of(
        folder / f"{top}.tar.gz",
        [
            member(top, kind=folder_type, mode=0o755),
            member(f"{top}/keyfob", START.read_bytes(), mode=0o755),
            member(f"{top}/versions", kind=folder_type, mode=0o755),
            member(inner, kind=folder_type, mode=0o755),
            member(f"{inner}/keyfob", program.replace("%VERSION%", version).encode(), mode=0o755),
            member(f"{inner}/installation.json", json.dumps({"kind": "bundle"}).encode()),
            member(f"{inner}/_internal/library.so", b"elf" * 1000, mode=0o4777),
            member(f"{inner}/_internal/library.so.1", kind=tarfile.SYMTYPE, to="library.so"),
            member(f"{top}/current", kind=tarfile.SYMTYPE, to=f"versions/{version}"),
        ],
    )


def new_bundle(root: Path, version: str, program: str = WELL) -> Path:
    """As a user unpacks it."""
    root.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(packed(root.parent, version, program)) as tar:
        tar.extractall(root.parent, filter="tar")
    (root.parent / f"keyfob-{version}").rename(root)
    return root


def start(root: Path, *arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(root / "keyfob"), *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        **({"stdin": subprocess.DEVNULL} | more),  # type: ignore[call-overload]
    )
