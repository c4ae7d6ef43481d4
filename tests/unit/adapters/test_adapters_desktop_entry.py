"""The menu entry in the person's own folders: what it says, and that it replaces and removes only its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from keyfob.adapters.system.autostart import Autostart
from keyfob.adapters.system.desktop_entry import DesktopEntry
from keyfob.adapters.system.exec_line import exec_line, service_exec_line
from keyfob.core.errors import SettingWrong
from keyfob.engine import build
from keyfob.process.app_id import APP_ID
from keyfob.updates.installation import Installation
from support.cli_run import opens, run
from support.fake_ports import FakeAutostart, fake_ports

pytestmark = pytest.mark.skipif(os.name == "nt", reason="menu entries of freedesktop.org")
ODD = '/opt/my 100% "own" $programs/key`fob\\bin/keyfob'
SERVICE = f"dbus-1/services/{APP_ID}.service"
PNG = f"icons/hicolor/48x48/apps/{APP_ID}.png"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "xdg data"


def entry(data: Path, *command: str, **env: str) -> DesktopEntry:
    return DesktopEntry(command or ("/opt/keyfob/bin/keyfob",), {"XDG_DATA_HOME": str(data), **env}, "linux")


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_entry_its_icons_and_the_service_come_and_go(data: Path) -> None:
    mine = entry(data)
    assert (mine.state().installed, mine.state().current) == (False, False)
    files = mine.install(autostart=False)
    assert files[-1] == mine.path == data / "applications" / f"{APP_ID}.desktop"
    assert {str(path.relative_to(data)) for path in files} == set(tree(data))
    assert {SERVICE, PNG} < set(tree(data))
    lines = mine.path.read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith(("Exec=", "TryExec="))] == [
        "Exec=/opt/keyfob/bin/keyfob",
        "TryExec=/opt/keyfob/bin/keyfob",
        "Exec=/opt/keyfob/bin/keyfob window connect",
        "Exec=/opt/keyfob/bin/keyfob window settings",
        "Exec=/opt/keyfob/bin/keyfob window check",
    ]
    assert (data / SERVICE).read_text("utf-8").splitlines()[1:] == [
        f"Name={APP_ID}",
        "Exec=/opt/keyfob/bin/keyfob",
    ]
    state = mine.state()
    assert (state.installed, state.current, state.missing, state.foreign) == (True, True, (), False)
    removed, kept = mine.remove()
    assert (set(removed), kept, tree(data), list(data.iterdir())) == (set(files), [], {}, [])
    assert mine.remove() == ([], [])


def test_what_others_have_in_these_folders_stays(data: Path) -> None:
    others = {
        "applications/other.desktop": b"[Desktop Entry]\n",
        "icons/hicolor/48x48/apps/other.png": b"png",
        "icons/hicolor/index.theme": b"[Icon Theme]\n",
    }
    for name, content in others.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(content)
    mine = entry(data)
    mine.install(autostart=False)
    mine.remove()
    assert tree(data) == others


@pytest.mark.parametrize("name", [f"applications/{APP_ID}.desktop", SERVICE, PNG])
@pytest.mark.parametrize("linked", [False, True])
def test_a_file_of_somebody_elses_is_not_replaced(data: Path, name: str, linked: bool) -> None:
    path = data / name
    path.parent.mkdir(parents=True)
    if linked:
        path.symlink_to("/nonexistent/of another program")
    else:
        path.write_bytes(b"[Desktop Entry]\nName=Another\n")
    with pytest.raises(SettingWrong) as caught:
        entry(data).install(autostart=False)
    assert (caught.value.code, caught.value.facts["path"]) == ("desktop_entry_taken", str(path))
    assert [each for each in data.rglob("*") if not each.is_dir()] == [path]
    if name.startswith("applications"):
        with pytest.raises(SettingWrong):
            entry(data).remove()
        assert entry(data).state().foreign
    else:
        assert entry(data).remove() == ([], [])
    assert os.path.lexists(path)


def test_an_update_replaces_its_own_files_and_drops_what_is_not_needed(data: Path) -> None:
    entry(data).install(autostart=True)
    moved = entry(data, "/elsewhere/keyfob")
    old = data / "icons/hicolor/96x96/apps" / f"{APP_ID}.png"  # as an earlier version may have had it
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")
    text = moved.path.read_text("utf-8")
    digest = "cba06b5736faf67e54b07b561eae94395e774c517a7d910a54369e1263ccfbd4"  # of "old"
    moved.path.write_text(text.replace("\n# ", f"\n# {digest} {old.relative_to(data)}\n# ", 1), "utf-8")
    assert not moved.state().current
    moved.install(autostart=False)
    assert (moved.state().current, moved.state().autostart, old.exists()) == (True, True, False)
    assert "Exec=/elsewhere/keyfob\n" in moved.path.read_text("utf-8")


def test_a_changed_file_stays_and_a_listed_name_outside_is_ignored(data: Path, tmp_path: Path) -> None:
    mine = entry(data)
    mine.install(autostart=False)
    (data / PNG).write_bytes(b"the person's own picture")
    outside = tmp_path / "outside"
    outside.write_bytes(b"old")
    digest = "cba06b5736faf67e54b07b561eae94395e774c517a7d910a54369e1263ccfbd4"
    with mine.path.open("a", encoding="utf-8") as file:
        file.write(f"# {digest} ../outside\n# {digest} {outside}\n")
    with pytest.raises(SettingWrong):
        mine.install(autostart=False)
    _, kept = mine.remove()
    assert kept == [data / PNG]
    assert outside.exists()
    assert list(tree(data)) == [PNG]


def test_if_a_file_cannot_be_written_nothing_stays_behind(data: Path) -> None:
    data.mkdir()
    (data / "applications").write_text("a file where a folder should be")
    with pytest.raises(SettingWrong) as caught:
        entry(data).install(autostart=False)
    assert caught.value.code == "desktop_entry_unwritable"
    assert list(tree(data)) == ["applications"]


def test_another_home_is_carried_along_and_is_not_on_the_bus(data: Path) -> None:
    mine = entry(data, KEYFOB_HOME="/data/my keys")
    mine.install(autostart=False)
    text = mine.path.read_text("utf-8")
    assert 'Exec=/usr/bin/env "KEYFOB_HOME=/data/my keys" /opt/keyfob/bin/keyfob window check' in text
    assert "DBusActivatable" not in text
    assert SERVICE not in tree(data)


def test_words_are_quoted_as_the_specification_asks() -> None:
    assert exec_line(["/a/b", "c=d,e", "", "100%", "two words"]) == '/a/b c=d,e "" 100%% "two words"'
    assert exec_line(['q"`$\\']) == r'"q\\"\\`\\$\\\\"'
    assert service_exec_line(["/a b/it's", "c\\d"]) == """'/a b/it'"'"'s' 'c\\\\d'"""


@pytest.mark.parametrize("sign", ["\n", "\r", "\t", "\x1b", "\u2028", "\udcff"])
def test_a_path_cannot_add_a_line(data: Path, tmp_path: Path, sign: str) -> None:
    home = f"/data/{sign}Exec=/bin/false"
    for write in (
        lambda: entry(data, KEYFOB_HOME=home).install(autostart=False),
        lambda: entry(data, f"/opt/{sign}/keyfob").install(autostart=False),
        lambda: Autostart(("keyfob",), {"KEYFOB_HOME": home}, "linux", tmp_path).enable(True),
    ):
        with pytest.raises(SettingWrong) as caught:
            write()
        assert caught.value.code == "home_unusable"
    assert not data.exists()
    assert not (tmp_path / ".config" / "autostart" / "keyfob.desktop").exists()


def test_an_odd_path_is_valid(data: Path) -> None:
    if shutil.which("desktop-file-validate") is None:
        pytest.skip("desktop-file-validate is not installed; build/test installs it")
    mine = entry(data, ODD)
    mine.install(autostart=False)
    done = subprocess.run(
        ["desktop-file-validate", str(mine.path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    login = FakeAutostart()
    data = tmp_path / "xdg-data"
    engine = build(fake_ports(tmp_path, autostart=login))
    known = opens(engine)
    assert run(["desktop-entry", "status"], known).out == (
        "Keyfob is not in your application menu. To add it, run: keyfob desktop-entry install\n"
        "Start at login is off.\n"
    )
    assert run(["desktop-entry", "remove"], known).out == "Keyfob is not in your application menu.\n"
    ran = run(["desktop-entry", "install", "--autostart", "--json"], known)
    assert ran.json["files"][-1] == str(data / "applications" / f"{APP_ID}.desktop")
    assert (ran.json["installed"], ran.json["start_at_login"], login.on) == (True, True, True)
    assert engine.settings.load().start_at_login
    found = run(["desktop-entry", "status", "--json"], known).json
    assert (found["installed"], found["current"], found["missing"]) == (True, True, [])
    (data / PNG).unlink()
    assert "The menu entry is out of date." in run(["desktop-entry", "status"], known).out
    assert run(["desktop-entry", "install"], known).code == 0
    ran = run(["desktop-entry", "remove", "--json"], known)
    assert (len(ran.json["removed"]), ran.json["kept"], login.on) == (len(found["files"]), [], False)

    # Start at login was on before: it is not the menu entry's.
    login.on = True
    assert run(["desktop-entry", "install", "--autostart"], known).code == 0
    ran = run(["desktop-entry", "remove"], known)
    assert "keyfob settings set start_at_login false" in ran.err
    assert login.on


def test_a_package_has_its_own_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = opens(build(fake_ports(tmp_path)))
    for kind, code in (("deb", 2), ("snap", 2), ("bundle", 0), ("appimage", 0)):
        found = Installation(kind, "1.0")
        monkeypatch.setattr("keyfob.cli.desktop_entry.this_installation", lambda found=found: found)
        assert run(["desktop-entry", "install"], known).code == code
        assert (tmp_path / "xdg-data").exists() == (code == 0)


def test_on_other_systems_the_command_says_what_to_do(tmp_path: Path) -> None:
    engine = build(fake_ports(tmp_path, menu_entry=DesktopEntry(("keyfob.exe",), {}, "win32", tmp_path)))
    ran = run(["desktop-entry", "install"], opens(engine))
    assert (ran.code, ran.out) == (2, "")
    assert "make a shortcut to keyfob-window" in ran.err
