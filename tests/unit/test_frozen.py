"""What the frozen app does first: which command it is, and which environment it leaves to other programs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from keyfob import __main__
from keyfob.adapters.system.autostart import login_command
from keyfob.cli import docker_credential, git_credential, keyring_command
from keyfob.frozen import command
from keyfob.process.own_process import frozen_command, without_bundle
from keyfob.tools.commands import command_of


@pytest.mark.parametrize(
    ("name", "main"),
    [
        ("keyfob", __main__.main),
        ("/usr/bin/git-credential-keyfob", git_credential.main),
        ("./docker-credential-keyfob", docker_credential.main),
        ("keyfob-keyring", keyring_command.main),
        ("another-name", __main__.main),
        ("keyfob.exe", __main__.main),
        ("C:/Keyfob/keyfob-window.exe", __main__.window_main),
    ],
)
def test_one_program_is_each_command_by_its_name(name: str, main: object) -> None:
    assert command(name) is main


def test_other_programs_get_the_persons_own_libraries() -> None:
    ours = {
        "LD_LIBRARY_PATH": "/bundle/lib",
        "LD_LIBRARY_PATH_ORIG": "/usr/local/lib",
        "DYLD_LIBRARY_PATH": "/bundle/lib",
        "_PYI_ARCHIVE_FILE": "/bundle/app",
        "PYTHONPATH": "/home/alice/lib",
        "HOME": "/home/alice",
    }
    assert without_bundle(ours) == {
        "LD_LIBRARY_PATH": "/usr/local/lib",
        "PYTHONPATH": "/home/alice/lib",
        "HOME": "/home/alice",
    }


def frozen_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen app in this folder, with its links in `bin/`."""
    (folder / "bin").mkdir(parents=True)
    program = folder / "keyfob"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for name in ("keyfob", "git-credential-keyfob"):
        (folder / "bin" / name).symlink_to("../keyfob")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(program))


def test_files_of_other_programs_name_no_single_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen_at(tmp_path / "versions" / "1.0", monkeypatch)
    (tmp_path / "current").symlink_to("versions/1.0")
    monkeypatch.setenv("PATH", "/usr/bin")
    assert frozen_command() == str(tmp_path / "current" / "bin" / "keyfob")
    (tmp_path / "keyfob").write_text("#!/bin/sh\n")
    assert login_command() == (str(tmp_path / "keyfob"),)
    git = str(tmp_path / "current" / "bin" / "git-credential-keyfob")
    assert command_of("git-credential-keyfob") == git


def test_a_package_is_called_by_its_command_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen_at(tmp_path / "lib" / "keyfob", monkeypatch)
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "keyfob").symlink_to("../lib/keyfob/bin/keyfob")
    monkeypatch.setenv("PATH", str(commands))
    assert login_command() == (str(commands / "keyfob"),)
    assert command_of("keyfob") == "keyfob"
    # Another keyfob on the PATH is not this one.
    (commands / "keyfob").unlink()
    (commands / "keyfob").write_text("#!/bin/sh\n")
    (commands / "keyfob").chmod(0o755)
    assert login_command() == (str(tmp_path / "lib" / "keyfob" / "bin" / "keyfob"),)


def test_an_appimage_is_called_by_its_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = tmp_path / ".mount_keyfob"
    frozen_at(mounted / "usr" / "lib" / "keyfob", monkeypatch)
    image = tmp_path / "Keyfob.AppImage"
    monkeypatch.setenv("APPIMAGE", str(image))
    monkeypatch.setenv("APPDIR", str(mounted))
    assert login_command() == (str(image),)
    assert frozen_command("git-credential-keyfob") == str(tmp_path / "git-credential-keyfob")
    # The variables come from another program that is an AppImage and started this one.
    monkeypatch.setenv("APPDIR", str(tmp_path / ".mount_another"))
    assert login_command() == (str(mounted / "usr/lib/keyfob/bin/keyfob"),)


def test_without_a_folder_of_links_the_commands_are_beside_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen_at(tmp_path / "Keyfob", monkeypatch)
    (tmp_path / "Keyfob" / "bin" / "keyfob").unlink()
    assert login_command() == (str(tmp_path / "Keyfob" / "keyfob"),)
