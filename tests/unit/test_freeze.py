"""The rules of build/freeze: what the frozen app has, how versions are written, and archives without a trace
of when and where they were made.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

BUILD = Path(__file__).parents[2] / "build"
sys.path.insert(0, str(BUILD))
try:
    from _freeze import archives, deb, elf, licences, parts, python_packages, rpm, source, tree
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
    # Classes for libraries that a Python program brings; no program imports the frozen app's modules. The
    # gateway is in it too, with every module.
    assert done.stdout.splitlines() == [
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
        ("keyfob/gateway/auth/migrations/versions/0002_grants.py", True),
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


@pytest.mark.parametrize(
    ("version", "package"),
    [
        ("1.2.0", "1.2.0"),
        ("1.2.0rc1", "1.2.0~rc1"),
        ("1.2b3", "1.2~b3"),
        ("1.2.0.dev4", "1.2.0~dev4"),
        ("1.2.0rc1.dev2", "1.2.0~rc1.dev2"),
        ("1.2.0.post1", "1.2.0.post1"),
        ("1.2.0+debug.1", "1.2.0+debug.1"),
    ],
)
def test_a_prerelease_sorts_before_its_release(version: str, package: str) -> None:
    assert source.is_version(version)
    assert source.package_version(version) == package


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


def test_a_publishers_half_update_source_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "app").symlink_to(BUILD.parent / "app")
    given = tmp_path / "given.toml"
    given.write_text('metadata = "https://updates.example.org/metadata"\n')
    source.put(tmp_path, "updates.toml", given)
    with pytest.raises(SystemExit) as ended:
        source.check_updates(Path(sys.executable), tmp_path)
    assert ended.value.code == 2
    assert "not all three" in capsys.readouterr().err
    given.write_text('feed = "https://api.example.org/releases"\n')
    source.put(tmp_path, "updates.toml", given)
    source.check_updates(Path(sys.executable), tmp_path)


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
    made = []
    for number in (1_000_001, 2_000_002):
        folder = a_folder(tmp_path / str(number), number)
        archives.tar(folder, "keyfob-1", 1_700_000_000, tmp_path / f"{number}.tar.gz")
        made.append(tmp_path / f"{number}.tar.gz")
    assert made[0].read_bytes() == made[1].read_bytes()
    with tarfile.open(made[0]) as archive:
        assert archive.getnames() == [
            "keyfob-1", "keyfob-1/a.txt", "keyfob-1/b", "keyfob-1/b/c.txt", "keyfob-1/link",
        ]  # fmt: skip
        member = archive.getmember("keyfob-1/a.txt")
    assert (member.mtime, member.uid, member.uname) == (1_700_000_000, 0, "")


def test_another_releases_names_of_libraries_are_taken_too() -> None:
    found = "libc6 (>= 2.36), libssl3 (>= 3.0.0), libglib2.0-0t64 (>= 2.26), libx11-6"
    assert deb.dependencies(found) == [
        "libc6 (>= 2.36)", "libglib2.0-0t64 (>= 2.26) | libglib2.0-0 (>= 2.26)",
        "libssl3t64 (>= 3.0.0) | libssl3 (>= 3.0.0)", "libx11-6", *deb.ALSO,
    ]  # fmt: skip


def test_the_units_of_a_package_start_its_own_command() -> None:
    for name in tree.UNITS:
        text = tree.unit_for_all((BUILD.parent / "resources" / "agent" / name).read_text("utf-8"))
        assert "--install" not in text
    service = tree.unit_for_all((BUILD.parent / "resources/agent/keyfob-agent.service").read_text("utf-8"))
    assert "\nExecStart=/usr/bin/keyfob agent\n" in service


def test_an_rpm_asks_nobody_for_what_it_has(tmp_path: Path) -> None:
    have = {"libraries": {"libxcb-cursor.so.0": "/lib/x", "libstd+.so.1": "/lib/y"}}
    spec = rpm.spec_text(tmp_path, have, "1.2~rc1", 1_700_000_000, "A <a@example.org>")
    pattern = re.search(r"%global __requires_exclude (.*)", spec)
    assert pattern is not None
    excluded = re.compile(pattern[1].replace("\\\\", "\\"))
    for name in ("libxcb-cursor.so.0()(64bit)", "libstd+.so.1()(64bit)", "libQt6Core.so.6()(64bit)"):
        assert excluded.match(name)
    assert not excluded.match("libxcb.so.1()(64bit)")
    assert "Version: 1.2~rc1\n" in spec
    assert "* Tue Nov 14 2023 A <a@example.org> - 1.2~rc1-1\n" in spec


def test_debians_copyright_names_the_licences_that_debian_has(tmp_path: Path) -> None:
    (tmp_path / "A").write_text(
        "Copyright 2020 A\nApache License\nTERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION\n1."
    )
    (tmp_path / "B").write_text("Copyright 2021 B\nDo what you like.")
    have = {
        "packages": {
            "a": {"version": "1", "licence": "Apache-2.0", "texts": [f"{tmp_path}/A", f"{tmp_path}/B"]},
        },
        "python": "3.11.7", "python_licence": "PSF words", "libraries": {},
    }  # fmt: skip
    text = licences.text(have, "Own licence", debian=True)
    assert "Copyright 2020 A\nApache License\n\nSee /usr/share/common-licenses/Apache-2.0\n" in text
    assert "Do what you like." in text
    assert "PSF words" in text
    whole = licences.text(have, "Own licence")
    assert "TERMS AND CONDITIONS FOR USE" in whole


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
