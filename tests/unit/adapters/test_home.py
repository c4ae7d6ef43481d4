"""The home's folders, its id, and the place of the agent's socket."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyfob.core.errors import Fault, SettingWrong
from keyfob.process import paths
from keyfob.process.home import Home, open_home, socket_path, write_private
from support.agent_rig import short_folder
from support.plain_user import obey_modes

XDG = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "KEYFOB_HOME", "KEYFOB_SOCK")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def folders(home: Home) -> list[Path]:
    return [home.config, home.data, home.state, home.run, home.log]


@pytest.fixture
def loose_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_keyfob_home_puts_all_under_one_folder(tmp_path: Path, loose_umask: None) -> None:
    home = open_home({"KEYFOB_HOME": str(tmp_path / "deep" / "home")})
    root = tmp_path / "deep" / "home"
    assert folders(home) == [root / part for part in ("config", "data", "state", "run", "log")]
    assert [mode(each) for each in (root, *folders(home))] == [0o700] * 6
    assert mode(home.data / "home-id") == 0o600


def test_opening_does_not_change_the_umask(tmp_path: Path, loose_umask: None) -> None:
    open_home({"KEYFOB_HOME": str(tmp_path / "h")})
    assert os.umask(0) == 0


AS_A_PLAIN_USER = """
import os, sys
from datetime import timedelta
from pathlib import Path
from keyfob.process.home import open_home, write_private
from keyfob.adapters.store.file_locks import FileLocks
from keyfob.process.log import set_up
from keyfob.adapters.store.settings_file import SettingsFile
from keyfob.adapters.store.sqlite import SqliteAccountStore
from keyfob.adapters.vault.sealed import SealedVault
from keyfob.core.secret import Secret
from keyfob.core.settings import Settings

os.umask(0o777)
for _ in range(2):
    home = open_home({"KEYFOB_HOME": sys.argv[1]})
    undo = set_up(home.log)
    SettingsFile(home.config / "settings.json").save(Settings())
    store = SqliteAccountStore(home.data / "accounts.db")
    store.write("a", "b")
    store.close()
    with FileLocks(home.state / "locks").hold("a", timeout=timedelta(seconds=1)):
        pass
    vault = SealedVault(home.id, home.data / "vault.sealed", lambda new: Secret("a passphrase"))
    vault.save("a", Secret("b"))
    undo()
for each in sorted(Path(sys.argv[1]).rglob("*")):
    print(oct(each.stat().st_mode & 0o777), each.is_dir())
"""


@pytest.mark.skipif(os.name == "nt", reason="umask is POSIX's")
def test_a_strict_umask_does_not_lock_us_out(tmp_path: Path) -> None:
    """As a plain user, whom modes stop: root would open every file that it has locked itself out of."""
    ran = subprocess.run(
        [sys.executable, "-c", AS_A_PLAIN_USER, str(tmp_path / "home")],
        preexec_fn=obey_modes,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert set(ran.stdout.splitlines()) == {"0o700 True", "0o600 False"}


def test_without_it_the_systems_folders_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in XDG:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "r"))
    (tmp_path / "r").mkdir(mode=0o700)
    home = open_home(os.environ)
    assert home.config == tmp_path / "c" / "keyfob"
    assert home.data == tmp_path / ".local" / "share" / "keyfob"
    assert home.state == tmp_path / ".local" / "state" / "keyfob"
    assert home.run == tmp_path / "r" / "keyfob"
    assert [mode(each) for each in folders(home)] == [0o700] * 5


def test_the_id_is_random_and_stays(tmp_path: Path) -> None:
    env = {"KEYFOB_HOME": str(tmp_path / "a")}
    first = open_home(env).id
    assert open_home(env).id == first
    assert open_home({"KEYFOB_HOME": str(tmp_path / "b")}).id != first
    assert len(first) == 32


def test_processes_that_start_at_once_agree_on_the_id(tmp_path: Path) -> None:
    code = "from keyfob.process.home import open_home; print(open_home().id)"
    env = {**os.environ, "KEYFOB_HOME": str(tmp_path / "h")}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    ids = {process.communicate(timeout=30)[0].strip() for process in processes}
    assert ids == {open_home(env).id}
    assert [each.name for each in (tmp_path / "h" / "data").iterdir()] == ["home-id"]


def test_a_file_that_only_earlier_versions_used_is_removed(tmp_path: Path) -> None:
    env = {"KEYFOB_HOME": str(tmp_path)}
    home = open_home(env)
    old, other = home.state / "presets.json", home.state / "other.json"
    old.write_text("{}")
    other.write_text("{}")
    assert open_home(env) == home
    assert (old.exists(), other.exists()) == (False, True)


@pytest.mark.parametrize("text", ["", "short", "g" * 32, "a" * 33])
def test_a_damaged_id_is_told_and_never_replaced(tmp_path: Path, text: str) -> None:
    """A new one would hide every secret that the keychain holds."""
    env = {"KEYFOB_HOME": str(tmp_path)}
    home = open_home(env)
    (home.data / "home-id").write_text(text)
    with pytest.raises(Fault) as caught:
        open_home(env)
    assert caught.value.code == "home_id_damaged"
    assert (home.data / "home-id").read_text() == text


def test_wider_modes_of_our_own_folders_are_repaired(tmp_path: Path) -> None:
    env = {"KEYFOB_HOME": str(tmp_path / "h")}
    home = open_home(env)
    for folder in (home.root, *folders(home)):
        folder.chmod(0o755)
    open_home(env)
    assert [mode(each) for each in (home.root, *folders(home))] == [0o700] * 6


def test_an_empty_folder_made_beforehand_is_repaired(tmp_path: Path) -> None:
    root = tmp_path / "h"
    root.mkdir()
    root.chmod(0o755)
    open_home({"KEYFOB_HOME": str(root)})
    assert mode(root) == 0o700


def test_a_folder_that_holds_other_things_keeps_its_mode(tmp_path: Path) -> None:
    """KEYFOB_HOME=/tmp by mistake must not close /tmp."""
    root = tmp_path / "shared"
    root.mkdir()
    (root / "somebody's").touch()
    root.chmod(0o755)
    home = open_home({"KEYFOB_HOME": str(root)})
    assert mode(root) == 0o755
    assert mode(home.data) == 0o700


def test_somebody_elses_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "h"
    open_home({"KEYFOB_HOME": str(root)})
    monkeypatch.setattr(os, "geteuid", lambda: root.stat().st_uid + 1)
    with pytest.raises(SettingWrong, match="another user") as caught:
        open_home({"KEYFOB_HOME": str(root)})
    assert caught.value.exit_code == 8
    assert caught.value.code == "home_unusable"


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("a file")
    with pytest.raises(SettingWrong, match="not a folder"):
        open_home({"KEYFOB_HOME": str(tmp_path)})


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingWrong, match="cannot use its folder"):
        open_home({"KEYFOB_HOME": str(tmp_path / "file" / "home")})


# --- the socket ---------------------------------------------------------------------------------------------


def test_the_socket_is_in_the_run_folder() -> None:
    with short_folder() as folder:
        home = open_home({"KEYFOB_HOME": str(folder / "h")})
        assert socket_path(home, {}) == home.run / "agent.sock"


def test_keyfob_sock_names_it(tmp_path: Path) -> None:
    home = open_home({"KEYFOB_HOME": str(tmp_path)})
    assert socket_path(home, {"KEYFOB_SOCK": "/x/y.sock"}) == Path("/x/y.sock")


def test_a_long_path_gets_a_short_one_in_the_runtime_folder(tmp_path: Path) -> None:
    with short_folder() as runtime:
        env = {"KEYFOB_HOME": str(tmp_path / ("h" * 100)), "XDG_RUNTIME_DIR": str(runtime)}
        path = socket_path(open_home(env), env)
        assert path.parent.parent == runtime
        assert mode(path.parent) == 0o700
        assert len(os.fsencode(path)) <= paths.SOCKET_PATH_MOST
        assert paths.socket_file(env) == str(path)  # the client, without opening the home
        other = {**env, "KEYFOB_HOME": str(tmp_path / ("i" * 100))}
        assert socket_path(open_home(other), other) != path


def test_without_a_runtime_folder_it_is_under_tmp_and_its_owner_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {"KEYFOB_HOME": str(tmp_path / ("h" * 100))}
    home = open_home(env)
    path = socket_path(home, env)
    try:
        assert path.parent.parent == Path("/tmp")
        assert str(os.getuid()) in path.parent.name
        assert mode(path.parent) == 0o700
        path.parent.chmod(0o777)
        socket_path(home, env)
        assert mode(path.parent) == 0o700
        path.parent.rmdir()
        path.parent.symlink_to(tmp_path)
        with pytest.raises(SettingWrong):
            socket_path(home, env)
        path.parent.unlink()
        path.parent.mkdir()
        monkeypatch.setattr(os, "geteuid", lambda: path.parent.stat().st_uid + 1)
        with pytest.raises(SettingWrong, match="another user"):
            socket_path(home, env)
    finally:
        path.parent.rmdir()


def test_finding_the_socket_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; before = set(sys.modules); from keyfob.process import paths as place; "
        "place.socket_file({'KEYFOB_HOME': '/x'});print(sorted(set(sys.modules) - before))"
    )
    out = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(eval(out.stdout))
    assert not loaded & {"platformdirs", "pathlib", "dataclasses", "re", "inspect", "hashlib", "typing"}


# --- files --------------------------------------------------------------------------------------------------


def test_a_private_file_is_replaced_whole_and_for_its_owner_alone(tmp_path: Path, loose_umask: None) -> None:
    path = tmp_path / "settings.json"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "settings.json"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        write_private(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# --- the run folder -----------------------------------------------------------------------------------------


def test_a_runtime_folder_that_is_not_ours_is_passed_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A root shell that kept XDG_RUNTIME_DIR of a user must not put its socket there."""
    for name in XDG:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 4321)
    assert paths.run_folder({"XDG_RUNTIME_DIR": str(tmp_path)}) == str(tmp_path / "s" / "keyfob" / "run")
    assert paths.run_folder({"XDG_RUNTIME_DIR": "relative"}) == str(tmp_path / "s" / "keyfob" / "run")
    assert paths.run_folder({}) == str(tmp_path / "s" / "keyfob" / "run")


def test_a_home_on_a_file_system_without_hard_links_gets_its_id_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    env = {"KEYFOB_HOME": str(tmp_path)}
    home = open_home(env)
    assert open_home(env).id == home.id
    assert [each.name for each in home.data.iterdir()] == ["home-id"]
