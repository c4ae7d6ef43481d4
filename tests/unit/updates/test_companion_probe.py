"""Asking real small programs for their version, and who updates them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from keyfob.updates.companion_owners import owner_of
from keyfob.updates.companion_probe import MOST, Probe, outputs_of
from keyfob.updates.companions import Companion, Owner, VersionSource
from support.release_server import install

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the programs are shell scripts")
TOOL = Companion("tool", "Tool", "A tool", "tool", VersionSource(r"tool (?P<version>\S+)"))


def nothing(_command: object) -> tuple[str, str]:
    return "", ""


def script(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def probe(tmp_path: Path) -> Probe:
    path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
    return Probe(tmp_path, tmp_path / "ours", {"PATH": path, "HOME": str(tmp_path)})


def test_a_program_is_found_asked_and_owned_by_the_person(probe: Probe, tmp_path: Path) -> None:
    path = install(tmp_path / "bin", "tool", "tool 1.4.0")
    found = probe.look(TOOL)
    assert found is not None
    assert (found.path, found.version, found.owner) == (path, "1.4.0", Owner("person"))


def test_a_program_in_the_persons_own_folder_is_found_without_path(tmp_path: Path) -> None:
    path = install(tmp_path / ".local" / "bin", "tool", "tool 1.4.0")
    assert Probe(tmp_path, tmp_path / "ours", {"PATH": "/nowhere"}).find("tool") == path


def test_what_is_not_installed_is_not_asked(probe: Probe) -> None:
    assert probe.look(TOOL) is None


def test_a_program_is_asked_without_input_in_english_and_without_secrets(
    probe: Probe, tmp_path: Path
) -> None:
    script(
        tmp_path / "bin" / "tool",
        'if read line; then echo "it has input"; fi',
        'echo "tool $LC_ALL-$NO_COLOR-${KEYFOB_PASSPHRASE_FD:-none}"',
    )
    os.environ["KEYFOB_PASSPHRASE_FD"] = "7"
    try:
        found = probe.look(TOOL)
    finally:
        del os.environ["KEYFOB_PASSPHRASE_FD"]
    assert found is not None
    assert found.version == "C-1-none"


def test_standard_error_is_read_if_the_file_says_so(probe: Probe, tmp_path: Path) -> None:
    path = script(tmp_path / "bin" / "tool", "echo 'tool 1.0'", "echo 'tool 2.0' >&2")
    assert probe.version(path, TOOL.version) == "1.0"
    assert probe.version(path, VersionSource(TOOL.version.pattern, stream="stderr")) == "2.0"


def test_a_program_that_hangs_ends_with_all_that_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "still-here"
    path = script(tmp_path / "tool", f"(sleep 3; touch {mark}) &", "echo tool 1.0", "sleep 30")
    began = time.monotonic()
    assert outputs_of([str(path)], os.environ, tmp_path, within=0.3) == ("", "")
    assert time.monotonic() - began < 3
    time.sleep(3.2)
    assert not mark.exists()


def test_a_program_that_prints_without_end_costs_no_memory(tmp_path: Path) -> None:
    path = script(tmp_path / "tool", "while :; do echo tool; done")
    out, _ = outputs_of([str(path)], os.environ, tmp_path, within=5)
    assert len(out) <= MOST


def test_what_cannot_be_started_has_no_version(probe: Probe, tmp_path: Path) -> None:
    path = tmp_path / "bin" / "tool"
    path.parent.mkdir()
    path.write_bytes(b"\x7fELF not a program")
    path.chmod(0o755)
    found = probe.look(TOOL)
    assert found is not None
    assert found.version is None


@pytest.mark.parametrize(
    ("place", "owner"),
    [
        (
            ".npm/lib/node_modules/@openai/codex/bin/tool",
            Owner("manager", "npm", "npm install -g @openai/codex"),
        ),
        (".nvm/versions/node/v20/bin/tool", Owner("manager", "nvm")),
        (".pyenv/shims/tool", Owner("manager", "pyenv")),
        ("opt/Cellar/gh/2.4/bin/tool", Owner("manager", "Homebrew", "brew upgrade gh")),
        (".local/share/pipx/venvs/awscli/bin/tool", Owner("manager", "pipx")),
        (".cargo/bin/tool", Owner("manager", "Cargo")),
    ],
)
def test_a_version_manager_is_known_by_its_folder(tmp_path: Path, place: str, owner: Owner) -> None:
    path = install((tmp_path / place).parent, "tool", "tool 1.0")
    assert owner_of(path, tmp_path / "ours", "", nothing) == owner


def test_a_link_into_another_folder_belongs_to_what_made_it(tmp_path: Path) -> None:
    real = install(tmp_path / "share" / "tool" / "versions" / "1.0", "tool", "tool 1.0")
    (tmp_path / "bin").mkdir()
    link = tmp_path / "bin" / "tool"
    link.symlink_to(real)
    assert owner_of(link, tmp_path / "ours", "tool update", nothing) == Owner(
        "manager", "its own installer", "tool update"
    )
    assert owner_of(link, tmp_path / "share", "", nothing) == Owner("keyfob")


@pytest.mark.skipif(not Path("/usr/bin/dpkg-query").exists(), reason="needs dpkg")
def test_a_program_of_a_package_names_the_package() -> None:
    def run(command: object) -> tuple[str, str]:
        assert isinstance(command, list)
        return outputs_of(command, os.environ, Path("/"))

    owner = owner_of(Path("/usr/bin/env"), Path("/nowhere"), "", run)
    assert owner == Owner("manager", "apt", "sudo apt install --only-upgrade coreutils")


def test_a_program_of_the_system_that_no_package_owns_is_for_everyone() -> None:
    assert owner_of(Path("/usr/bin/env"), Path("/nowhere"), "", nothing) == Owner("everyone")


def test_python_itself_says_its_version(tmp_path: Path) -> None:
    probe = Probe(tmp_path, tmp_path, dict(os.environ))
    said = probe.version(Path(sys.executable), VersionSource(r"Python (?P<version>\S+)"))
    assert said == ".".join(str(each) for each in sys.version_info[:3])
