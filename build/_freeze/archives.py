"""Archives whose bytes depend on their content alone."""

import gzip
import json
import shutil
import tarfile
from pathlib import Path

INSTALLATION = "installation.json"  # beside the program: how this copy was installed


def bundle(app: Path, source: Path, version: str, target: Path) -> None:
    """Make the self-updating folder: versions beside each other, and a link to the current one."""
    shutil.rmtree(target, ignore_errors=True)
    home = target / "versions" / version
    shutil.copytree(app, home, symlinks=True)
    describe(home, "bundle", None)
    (target / "current").symlink_to(f"versions/{version}")
    shutil.copy(source / "packaging" / "bundle" / "keyfob", target / "keyfob")
    (target / "keyfob").chmod(0o755)


def describe(home: Path, kind: str, update_command: str | None) -> None:
    """Write how a copy was installed, which decides how it is updated."""
    words = {"kind": kind, "update_command": update_command}
    file = home / INSTALLATION
    file.write_text(json.dumps(words, indent=2) + "\n", "utf-8")
    file.chmod(0o644)


def tar(folder: Path, name: str, epoch: int, target: Path) -> None:
    """Pack a folder under `name`: sorted, one time, no owners."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        for name, value in {"mtime": epoch, "uid": 0, "gid": 0, "uname": "", "gname": ""}.items():
            setattr(member, name, value)
        return member

    with (
        target.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        archive.add(folder, name, recursive=False, filter=plain)
        for path in sorted(folder.rglob("*")):
            archive.add(path, f"{name}/{path.relative_to(folder)}", recursive=False, filter=plain)


def gzipped(text: bytes, target: Path) -> None:
    """Write `text` compressed, without a name and a time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        packed.write(text)
