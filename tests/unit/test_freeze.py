"""The rules of build/freeze: what the frozen app has, how versions are written, and archives without a trace
of when and where they were made.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

BUILD = Path(__file__).parents[2] / "build"
sys.path.insert(0, str(BUILD))
try:
    from _freeze import archives, elf, parts, python_packages, source
finally:
    sys.path.remove(str(BUILD))

PLUGINS = "PySide6/Qt/plugins"
# Imports every module of Keyfob that needs nothing but what the frozen app has.
IMPORT_ALL = """
import importlib, pkgutil, sys
left_out = sys.argv[1].split(",")
class Absent:
    def find_spec(self, name, path=None, target=None):
        if any(name == each or name.startswith(each + ".") for each in left_out):
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
import keyfob
for module in pkgutil.walk_packages(keyfob.__path__, "keyfob."):
    if not module.name.startswith(("keyfob.testing", "keyfob.__main__")):
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            print(module.name, error)
"""


def test_keyfob_needs_none_of_the_modules_that_are_left_out() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, ",".join(parts.EXCLUDED_MODULES)], capture_output=True, text=True,
        timeout=100, env={**os.environ, "QT_QPA_PLATFORM": "offscreen"}, check=True,
    )  # fmt: skip
    # Classes for libraries that a Python program brings; no program imports the frozen app's modules.
    assert done.stdout.splitlines() == [
        "keyfob.client.aiohttp_auth aiohttp",
        "keyfob.client.httpx2_auth httpx2",
        "keyfob.client.requests_auth requests",
    ]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (f"{PLUGINS}/platforms/libqxcb.so", True),
        (f"{PLUGINS}/platforms/libqoffscreen.so", True),
        (f"{PLUGINS}/platforms/libqeglfs.so", False),
        (f"{PLUGINS}/platformthemes/libqgtk3.so", False),
        (f"{PLUGINS}/platformthemes/libqxdgdesktopportal.so", True),
        (f"{PLUGINS}/imageformats/libqsvg.so", True),
        (f"{PLUGINS}/imageformats/libqtiff.so", False),
        (f"{PLUGINS}/egldeviceintegrations/libqeglfs-x11-integration.so", False),
        (f"{PLUGINS}/wayland-shell-integration/libxdg-shell.so", True),
        (f"{PLUGINS}/generic/libqevdevmouseplugin.so", False),
        ("PySide6/Qt/lib/libQt6Widgets.so.6", True),
        ("PySide6/Qt/lib/libQt6EglFSDeviceIntegration.so.6", False),
        ("libQt6EglFSDeviceIntegration.so.6", False),
        ("PySide6/Qt/translations/qtbase_de.qm", False),
        ("keyfob/_resources/providers/github.toml", True),
        ("keyfob/_resources/icons/key.svg", True),
    ],
)
def test_what_the_frozen_app_has(name: str, kept: bool) -> None:
    assert parts.is_kept(name) is kept


@pytest.mark.parametrize(
    "name", ["libc.so.6", "libstdc++.so.6", "libglib-2.0.so.0", "libGL.so.1", "ld-linux-x86-64.so.2"]
)
def test_some_libraries_are_the_systems(name: str) -> None:
    assert parts.is_systems(name)


@pytest.mark.parametrize(
    "name", ["libcrypto.so.3", "libcairo.so.2", "libxcb-cursor.so.0", "libQt6Core.so.6", "libcurl.so.4"]
)
def test_other_libraries_are_not(name: str) -> None:
    assert not parts.is_systems(name)


def test_what_an_installer_wrote_stays_behind() -> None:
    assert not parts.is_metadata_kept("click-8.1.dist-info/direct_url.json")
    assert not parts.is_metadata_kept("click-8.1.dist-info/RECORD")
    assert parts.is_metadata_kept("click-8.1.dist-info/METADATA")


@pytest.mark.parametrize("text", ["1.2.0", "1.2.0rc1", "1.2.0.dev4", "1.2.0.post1", "1.2.0+debug.1"])
def test_a_version_is_taken(text: str) -> None:
    assert source.is_version(text)


@pytest.mark.parametrize("text", ["", "v1.2", "1.2-3", "1!2.0", "1.2.0 ", "1.2/3", "1.2\n", "latest"])
def test_what_is_no_version_is_refused(text: str) -> None:
    assert not source.is_version(text)


def test_another_version_is_written_into_the_copy_alone(tmp_path: Path) -> None:
    (tmp_path / "app" / "keyfob").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "keyfob"\nversion = "0.1.0"\n[tool.x]\nold_version = "7"\n'
    )
    (tmp_path / "app" / "keyfob" / "__init__.py").write_text('"""Keyfob."""\n__version__ = "0.1.0"\n')
    source.set_version(tmp_path, "0.2.0rc1")
    assert source.version_of(tmp_path) == "0.2.0rc1"
    assert 'old_version = "7"' in (tmp_path / "pyproject.toml").read_text()
    assert '__version__ = "0.2.0rc1"' in (tmp_path / "app" / "keyfob" / "__init__.py").read_text()


def a_folder(place: Path, time: int) -> Path:
    """The same files each time, made at another time and in another order."""
    names = ["a.txt", "b/c.txt"] if time % 2 else ["b/c.txt", "a.txt"]
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(f"content of {name}")
        os.utime(place / name, (time, time))
    (place / "link").symlink_to("a.txt")
    return place


def test_an_archive_has_the_same_bytes_whenever_and_wherever_it_is_made(tmp_path: Path) -> None:
    for number, suffix in ((1_000_001, "xz"), (2_000_002, "xz"), (1_000_001, "gz"), (2_000_002, "gz")):
        folder = a_folder(tmp_path / f"{suffix}{number}", number)
        archives.tar(folder, "keyfob-1", 1_700_000_000, tmp_path / f"{number}.tar.{suffix}")
    for suffix in ("xz", "gz"):
        first, second = tmp_path / f"1000001.tar.{suffix}", tmp_path / f"2000002.tar.{suffix}"
        assert first.read_bytes() == second.read_bytes()
        with tarfile.open(first) as archive:
            assert archive.getnames() == [
                "keyfob-1",
                "keyfob-1/a.txt",
                "keyfob-1/b",
                "keyfob-1/b/c.txt",
                "keyfob-1/link",
            ]
            member = archive.getmember("keyfob-1/a.txt")
        assert (member.mtime, member.uid, member.uname) == (1_700_000_000, 0, "")


def test_libraries_that_nothing_needs_are_not_reached() -> None:
    needs = {"keyfob": {"libA.so"}, "libA.so": {"libB.so"}, "libGtk.so": {"libB.so"}}
    assert elf.reached(["keyfob"], needs) == {"keyfob", "libA.so", "libB.so"}


def test_the_needs_of_a_program_are_read() -> None:
    program = Path(sys.executable).resolve()
    assert "libc.so.6" in elf.needed([program])[program]


def test_the_list_of_parts_has_what_is_in_the_app_and_nothing_else() -> None:
    document = {
        "metadata": {"component": {"bom-ref": "root"}},
        "components": [
            {"bom-ref": "click", "name": "click", "version": "8"},
            {"bom-ref": "pyyaml", "name": "PyYAML", "version": "6"},
            {"bom-ref": "pytest", "name": "pytest", "version": "8"},
        ],
        "dependencies": [{"ref": "root", "dependsOn": ["click", "pytest"]}, {"ref": "pytest"}],
    }
    have = {"packages": {"click": {}, "pyyaml": {}}, "python": "3.11.7", "libraries": {}}
    python_packages.in_app(document, have, {"libz.so.1": ("zlib1g", "1.2"), "libown.so": ("libown.so", "")})
    assert [(each["name"], each["version"]) for each in document["components"]] == [  # type: ignore[index]
        ("click", "8"), ("PyYAML", "6"), ("CPython", "3.11.7"), ("libown.so", ""), ("zlib1g", "1.2"),
    ]  # fmt: skip
    assert document["dependencies"] == [{"ref": "root", "dependsOn": ["click"]}]
