"""The menu entry, the AppStream file, the D-Bus service and the icons: valid, and all of one name."""

from __future__ import annotations

import configparser
import importlib.machinery
import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from keyfob.process.app_id import APP_ID

ROOT = Path(__file__).resolve().parents[2]
DESKTOP = ROOT / "packaging" / "desktop"
HICOLOR = ROOT / "packaging" / "icons" / "hicolor"
METAINFO = DESKTOP / f"{APP_ID}.metainfo.xml"


def section(path: Path, name: str) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text("utf-8"))
    return dict(parser[name])


def checked(*words: str) -> str:
    """Run a validator; what it said. Fails with it."""
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed; build/test installs it")
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_menu_entry_is_valid_without_a_hint() -> None:
    assert checked("desktop-file-validate", str(DESKTOP / f"{APP_ID}.desktop")) == ""


def test_the_appstream_file_is_valid_with_and_without_releases(tmp_path: Path) -> None:
    checked("appstreamcli", "validate", "--no-net", str(METAINFO))
    made = script("metainfo").releases(
        "## Unreleased\n\n- Not yet.\n\n## [0.2.0] - 2027-03-12\n\n### Added\n\n"
        "- **Check** `keyfob connect https://mcp.example.com/mcp` & more,\n  in [two](lines.md) lines.\n\n"
        "## 0.1.0rc1 - 2027-01-15\n"
    )
    file = tmp_path / METAINFO.name
    file.write_text(METAINFO.read_text("utf-8").replace("</component>", f"{made}</component>"), "utf-8")
    checked("appstreamcli", "validate", "--no-net", str(file))
    found = ElementTree.fromstring(file.read_bytes()).findall("releases/release")
    assert [(each.get("version"), each.get("date"), each.get("type")) for each in found] == [
        ("0.2.0", "2027-03-12", "stable"),
        ("0.1.0rc1", "2027-01-15", "development"),
    ]
    assert [each.text for each in found[0].iter("li")] == [
        "Check keyfob connect mcp.example.com/mcp & more, in two lines."
    ]


def test_all_names_are_the_apps_id() -> None:
    entry = section(DESKTOP / f"{APP_ID}.desktop", "Desktop Entry")
    assert (entry["Icon"], entry["StartupWMClass"]) == (APP_ID, "Keyfob")
    service = section(DESKTOP / f"{APP_ID}.service", "D-BUS Service")
    assert (service["Name"], service["Exec"]) == (APP_ID, "/usr/bin/keyfob")
    component = ElementTree.fromstring(METAINFO.read_bytes())
    assert component.findtext("id") == component.findtext("icon") == APP_ID
    assert component.findtext("launchable") == f"{APP_ID}.desktop"
    assert component.findtext("provides/dbus") == APP_ID
    assert {path.name for path in HICOLOR.rglob("*.png")} == {f"{APP_ID}.png"}


def test_each_icon_has_the_size_of_its_folder() -> None:
    sizes = {}
    for path in HICOLOR.rglob("*.png"):
        head = path.read_bytes()[:24]  # PNG: signature, then IHDR with width and height
        sizes[path.parent.parent.name] = (int.from_bytes(head[16:20]), int.from_bytes(head[20:24]))
    assert sizes == {f"{n}x{n}": (n, n) for n in (16, 22, 24, 32, 48, 64, 128, 256, 512)}


def test_the_symbolic_icon_takes_the_color_of_the_text() -> None:
    """GTK sets `fill` of filled shapes, and KDE the style sheet's color; neither reaches a stroke."""
    drawing = (HICOLOR / "symbolic" / "apps" / f"{APP_ID}-symbolic.svg").read_text("utf-8")
    assert "stroke" not in drawing
    shapes = list(ElementTree.fromstring(drawing).iter("{http://www.w3.org/2000/svg}path"))
    assert [(each.get("fill"), each.get("class")) for each in shapes] == [
        ("currentColor", "ColorScheme-Text")
    ]


def script(name: str) -> ModuleType:
    loader = importlib.machinery.SourceFileLoader(f"build_{name}", str(ROOT / "build" / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module
