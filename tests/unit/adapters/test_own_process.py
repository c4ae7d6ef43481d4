"""What each process of ours does first, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from keyfob.process.own_process import find_program, own_command, package_root

BEGIN = (
    "import sys; sys.path.insert(0, {root!r}); from keyfob.process.own_process import begin; begin(); {then}"
)


def after_begin(then: str, *, cwd: Path, flags: tuple[str, ...] = (), **env: str) -> str:
    done = subprocess.run(
        [sys.executable, *flags, "-c", BEGIN.format(root=package_root(), then=then)],
        cwd=cwd, env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True, check=True,
        timeout=30,
    )  # fmt: skip
    return done.stdout.strip()


def test_s77_the_current_folder_leaves_the_import_path(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    named = os.pathsep.join(("", ".", "lib", str(tmp_path / "lib"), "/opt/kept"))
    told = after_begin("print(sys.path)", cwd=tmp_path, PYTHONPATH=named)
    path = eval(told)
    assert "/opt/kept" in path
    assert package_root() in path
    assert not [
        each for each in path if not each or each.startswith(str(tmp_path)) or not Path(each).is_absolute()
    ]


def test_s77_the_folder_of_the_package_stays(tmp_path: Path) -> None:
    """A checkout, or a site-packages, that is the current folder."""
    told = after_begin("import keyfob.core.errors; print('found')", cwd=Path(package_root()))
    assert told == "found"


def test_s77_the_search_path_keeps_its_absolute_folders(tmp_path: Path) -> None:
    told = after_begin("import os; print(os.environ['PATH'])", cwd=tmp_path, PATH=":.:/usr/bin:bin:/bin:")
    assert told == "/usr/bin:/bin"


@pytest.mark.parametrize("path", ["", ".", ":", "x"])
def test_s77_a_program_is_found_in_absolute_folders_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    for file in (tmp_path / "tool", tmp_path / "x" / "tool"):
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    assert find_program("tool", path) is None
    assert find_program("tool", f"{path}{os.pathsep}{tmp_path / 'x'}") == str(tmp_path / "x" / "tool")
    assert find_program("sh", f"{path}{os.pathsep}/bin") == "/bin/sh"
    assert find_program("./tool", path) == str(tmp_path / "tool")


def test_our_own_command_needs_no_setting(tmp_path: Path) -> None:
    done = subprocess.run(
        [*own_command(), "--version"], cwd=tmp_path, env={}, capture_output=True, text=True, timeout=30,
        check=True
    )  # fmt: skip
    assert done.stdout.startswith("keyfob ")
