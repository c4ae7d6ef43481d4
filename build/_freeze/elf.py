"""What programs and libraries need of each other."""

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path


def elf_files(folder: Path) -> list[Path]:
    """All programs and libraries below a folder, sorted; links are left out."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    found.append(path)
    return found


def needed(files: Iterable[Path]) -> dict[Path, set[str]]:
    """The libraries that each file names, by their soname."""
    paths = list(files)
    found: dict[Path, set[str]] = {path: set() for path in paths}
    printed = subprocess.run(
        ["readelf", "-d", "-W", *map(str, paths)], capture_output=True, text=True, check=True,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    ).stdout  # fmt: skip
    current = paths[0] if paths else None
    for line in printed.splitlines():
        if line.startswith("File: "):
            current = Path(line.removeprefix("File: "))
        elif "(NEEDED)" in line and current is not None:
            found[current].add(line.rpartition("[")[2].rstrip("]"))
    return found


def reached(roots: Iterable[str], needs: Mapping[str, set[str]]) -> set[str]:
    """The names that `roots` need, directly or not, `roots` among them."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += needs.get(name, ())
    return found
