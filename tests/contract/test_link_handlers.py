"""Who gets the nxm links: one contract, for the files of Linux and for a registry as Windows has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from keyfob.core.errors import SettingWrong
from keyfob.nexus.desktop_links import DESKTOP_ID, SCHEME, DesktopLinks
from keyfob.nexus.link_handler import NoLinks
from keyfob.nexus.link_state import LinkHandler
from keyfob.nexus.registry_links import REGISTRY_KEY, RegistryLinks
from keyfob.process.own_process import find_program


class FakeRegistry:
    """HKEY_CURRENT_USER, as far as text values go."""

    def __init__(self) -> None:
        self.keys: dict[str, dict[str, str]] = {}

    def get(self, key: str, name: str) -> str | None:
        return self.keys.get(key.lower(), {}).get(name.lower())

    def put(self, key: str, name: str, text: str) -> None:
        parts = key.lower().split("\\")
        for count in range(1, len(parts) + 1):
            self.keys.setdefault("\\".join(parts[:count]), {})
        self.keys[key.lower()][name.lower()] = text

    def drop(self, key: str) -> None:
        wanted = key.lower()
        self.keys = {k: v for k, v in self.keys.items() if k != wanted and not k.startswith(wanted + "\\")}


class LinkContract:
    """What `keyfob nexus links` relies on."""

    def handler(self, tmp_path: Path) -> LinkHandler:
        raise NotImplementedError

    def another(self, tmp_path: Path, name: str) -> None:
        """Another program takes the links, as it would without asking."""
        raise NotImplementedError

    def test_it_is_off_until_it_is_turned_on_and_off_again(self, tmp_path: Path) -> None:
        handler = self.handler(tmp_path)
        assert (handler.state().on, handler.state().program) == (False, None)
        handler.turn_on()
        handler.turn_on()
        assert handler.state().on
        handler.turn_off()
        assert (handler.state().on, handler.state().program) == (False, None)
        handler.turn_off()

    def test_the_program_that_had_them_gets_them_back(self, tmp_path: Path) -> None:
        handler = self.handler(tmp_path)
        self.another(tmp_path, "Vortex")
        assert handler.state().program == "Vortex"
        handler.turn_on()
        assert handler.state().on
        handler.turn_on()  # does not make Keyfob the one before
        handler.turn_off()
        assert (handler.state().on, handler.state().program) == (False, "Vortex")

    def test_a_program_that_took_them_since_keeps_them(self, tmp_path: Path) -> None:
        handler = self.handler(tmp_path)
        handler.turn_on()
        self.another(tmp_path, "Vortex")
        handler.turn_off()
        assert handler.state().program == "Vortex"


class TestDesktopLinks(LinkContract):
    command = ("/opt/key fob/keyfob", "nexus", "open")

    def env(self, tmp_path: Path) -> dict[str, str]:
        return {
            "HOME": str(tmp_path),
            "XDG_DATA_DIRS": str(tmp_path / "share"),
            "XDG_CONFIG_DIRS": str(tmp_path / "xdg"),
        }

    def handler(self, tmp_path: Path) -> DesktopLinks:
        (tmp_path / "data").mkdir(exist_ok=True)
        return DesktopLinks(tmp_path / "data", self.command, self.env(tmp_path))

    def another(self, tmp_path: Path, name: str) -> None:
        folder = tmp_path / "share" / "applications"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name.lower()}.desktop").write_text(f"[Desktop Entry]\nName={name}\nMimeType={SCHEME};\n")
        path = tmp_path / ".config" / "mimeapps.list"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f"[Default Applications]\n{SCHEME}={name.lower()}.desktop\ntext/html=browser.desktop\n"
        )

    def test_everything_else_in_the_list_stays(self, tmp_path: Path) -> None:
        self.another(tmp_path, "Vortex")
        path = tmp_path / ".config" / "mimeapps.list"
        text = f"# mine\n[Added Associations]\n{SCHEME}=vortex.desktop;\n\n" + path.read_text()
        path.write_text(text)
        handler = self.handler(tmp_path)
        handler.turn_on()
        assert f"{SCHEME}={DESKTOP_ID}" in path.read_text()
        assert f"{SCHEME}=vortex.desktop;" in path.read_text()
        handler.turn_off()
        assert path.read_text() == text

    def test_a_program_that_only_offers_itself_has_the_links(self, tmp_path: Path) -> None:
        self.another(tmp_path, "Vortex")
        (tmp_path / ".config" / "mimeapps.list").unlink()
        cache = tmp_path / "share" / "applications" / "mimeinfo.cache"
        cache.write_text(f"[MIME Cache]\n{SCHEME}=gone.desktop;vortex.desktop;\n")
        handler = self.handler(tmp_path)
        assert handler.state().program == "Vortex"
        handler.turn_on()
        handler.turn_off()
        assert handler.state().program == "Vortex"

    def test_nothing_is_left_of_it(self, tmp_path: Path) -> None:
        handler = self.handler(tmp_path)
        handler.turn_on()
        assert sum(path.is_file() for path in tmp_path.rglob("*")) >= 4
        handler.turn_off()
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    def test_another_home_is_another_program(self, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        other = DesktopLinks(tmp_path / "other", self.command, self.env(tmp_path))
        other.turn_on()
        handler = self.handler(tmp_path)
        assert (handler.state().on, handler.state().program) == (False, "Keyfob")
        handler.turn_off()
        assert other.state().on
        handler.turn_on()
        assert handler.state().on
        assert not other.state().on
        other.turn_off()
        assert handler.state().on
        handler.turn_off()
        assert handler.state().program is None

    def test_a_damaged_list_is_no_obstacle(self, tmp_path: Path) -> None:
        path = tmp_path / ".config" / "mimeapps.list"
        path.parent.mkdir()
        path.write_text("no section\n[Default Applications\n=\n")
        handler = self.handler(tmp_path)
        handler.turn_on()
        assert handler.state().on
        path.write_bytes(b"\xff\xfe")
        with pytest.raises(SettingWrong):
            handler.turn_on()

    def test_the_entry_is_valid(self, tmp_path: Path) -> None:
        self.handler(tmp_path).turn_on()
        program = find_program("desktop-file-validate")
        assert program is not None, "desktop-file-utils is among the packages for tests"
        entry = tmp_path / ".local" / "share" / "applications" / DESKTOP_ID
        subprocess.run([program, str(entry)], capture_output=True, timeout=20, check=True)

    def test_a_link_reaches_the_command_as_one_argument(self, tmp_path: Path) -> None:
        """S-99: whatever a page puts into it, and without the browser's own libraries."""
        program = tmp_path / "it is me.py"
        program.write_text(
            "import os, sys\nprint(sys.argv[1:], os.environ.get('LD_PRELOAD'), os.environ.get('KEYFOB_HOME'))"
        )
        (tmp_path / "data").mkdir()
        env = self.env(tmp_path) | {"KEYFOB_HOME": str(tmp_path / "my home")}
        command = (sys.executable, str(program), "nexus", "open")
        DesktopLinks(tmp_path / "data", command, env).turn_on()
        entry = (tmp_path / ".local" / "share" / "applications" / DESKTOP_ID).read_text()
        assert f"Exec={tmp_path}/data/nxm-open %u\n" in entry
        link = "nxm://a/mods/1/files/2?key=$(id)`id`\";id;'&expires=5 --yes"
        ran = subprocess.run(
            [str(tmp_path / "data" / "nxm-open"), link],
            env={"LD_PRELOAD": "", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        assert ran.stdout == f"{['nexus', 'open', link]!r} None {tmp_path / 'my home'}\n"

    def test_the_system_s_own_command_agrees(self, tmp_path: Path) -> None:
        program = find_program("xdg-mime")
        assert program is not None, "xdg-utils is among the packages for tests"
        env = self.env(tmp_path) | {
            "PATH": "/usr/bin:/bin",
            "XDG_DATA_HOME": str(tmp_path / ".local" / "share"),
        }
        handler = self.handler(tmp_path)

        def default() -> str:
            asked = [program, "query", "default", SCHEME]
            return subprocess.run(
                asked, env=env, capture_output=True, text=True, timeout=30, check=False
            ).stdout.strip()

        self.another(tmp_path, "Vortex")
        assert default() == "vortex.desktop"
        handler.turn_on()
        assert default() == DESKTOP_ID
        handler.turn_off()
        assert default() == "vortex.desktop"


class TestRegistryLinks(LinkContract):
    registry = FakeRegistry()

    @pytest.fixture(autouse=True)
    def _empty(self) -> None:
        type(self).registry = FakeRegistry()

    def handler(self, tmp_path: Path) -> RegistryLinks:
        return RegistryLinks(
            self.registry, tmp_path, [r"C:\Program Files\Keyfob\keyfob.exe", "nexus", "open"]
        )

    def another(self, tmp_path: Path, name: str) -> None:
        self.registry.put(REGISTRY_KEY, "", "URL:NXM Protocol")
        self.registry.put(REGISTRY_KEY, "URL Protocol", "")
        self.registry.put(rf"{REGISTRY_KEY}\shell\open\command", "", rf'"C:\{name}" "-d" "%1"')

    def test_the_values_are_those_of_a_scheme(self, tmp_path: Path) -> None:
        self.handler(tmp_path).turn_on()
        assert self.registry.get(REGISTRY_KEY, "URL Protocol") == ""
        line = self.registry.get(rf"{REGISTRY_KEY}\shell\open\command", "")
        assert line == r'"C:\Program Files\Keyfob\keyfob.exe" nexus open "%1"'
        self.handler(tmp_path).turn_off()
        assert self.registry.get(REGISTRY_KEY, "") is None


def test_a_system_without_a_registration_says_so() -> None:
    handler = NoLinks()
    assert not handler.state().on
    with pytest.raises(SettingWrong) as caught:
        handler.turn_on()
    assert caught.value.code == "links_unsupported"
    handler.turn_off()
