"""`keyfob-token`, the launcher that starts faster: the short way where
there is one, the whole program where not.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERSION = "python{}.{}".format(*sys.version_info)

pytestmark = pytest.mark.skipif(
    os.name == "nt", reason="a POSIX script, which the Windows wheel's user has no use for"
)


class Prefix:
    """An installation's folders: scripts, an interpreter beside them, and
    the package where the wheel puts it.
    """

    def __init__(self, root: Path) -> None:
        self.scripts = root / "bin"
        self.packages = root / "lib" / VERSION / "site-packages"
        self.scripts.mkdir(parents=True)
        self.packages.mkdir(parents=True)
        shutil.copy(ROOT / "packaging" / "scripts" / "keyfob-token", self.scripts)
        (self.scripts / VERSION).symlink_to(Path(sys.executable).resolve())
        (self.packages / "keyfob").symlink_to(ROOT / "app" / "keyfob")
        whole = self.scripts / "keyfob"
        whole.write_text('#!/bin/sh\nprintf "whole:"; printf " <%s>" "$@"; exit 7\n', "utf-8")
        whole.chmod(0o755)

    def run(self, *words: str, program: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(program or self.scripts / "keyfob-token"), *words],
            env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    return Prefix(tmp_path / "prefix")


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[tuple[str, list[bytes]]]:
    """A socket that answers one token to whoever asks, and what it was asked."""
    path, asked = str(tmp_path / "a.sock"), list[bytes]()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                asked.append(client.recv(4096))
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield path, asked
        thread.join(5)


@pytest.mark.network
@pytest.mark.parametrize("link", ["none", "absolute", "relative"])
def test_it_asks_the_agent(prefix: Prefix, agent: tuple[str, list[bytes]], tmp_path: Path, link: str) -> None:
    path, asked = agent
    program = prefix.scripts / "keyfob-token"
    if link != "none":
        linked = tmp_path / "keyfob-token"
        linked.symlink_to(program if link == "absolute" else program.relative_to(tmp_path))
        program = linked
    done = prefix.run("github/me", "--min-life", "5", program=program, KEYFOB_SOCK=path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "secret\n", "")
    assert asked[0].startswith(b"GET /v1/token/github/me?min_life=5 HTTP/1.1\r\n")


@pytest.mark.parametrize("words", [("--help",), ("a b", "", "it's", "$HOME"), ("github", "--rejected-stdin")])
def test_what_takes_the_whole_program_gets_it(prefix: Prefix, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = prefix.run(*words, KEYFOB_HOME=str(tmp_path / "nowhere"))
    assert done.stdout == "whole: <token>" + "".join(f" <{word}>" for word in words)
    assert (done.returncode, done.stderr) == (7, "")
    assert not (tmp_path / "nowhere").exists()


def test_the_whole_program_gets_the_passphrases_descriptor(prefix: Prefix, tmp_path: Path) -> None:
    (prefix.scripts / "keyfob").write_text("#!/bin/sh\ncat /dev/fd/$KEYFOB_PASSPHRASE_FD\n")
    read, write = os.pipe()
    os.write(write, b"passphrase")
    os.close(write)
    done = subprocess.run(
        [str(prefix.scripts / "keyfob-token"), "github"], pass_fds=(read,), capture_output=True, text=True,
        timeout=30,
        env={"PATH": os.environ["PATH"], "KEYFOB_HOME": str(tmp_path), "KEYFOB_PASSPHRASE_FD": str(read)},
        check=True,
    )  # fmt: skip
    os.close(read)
    assert done.stdout == "passphrase"


@pytest.mark.parametrize("missing", ["interpreter", "package"])
def test_without_its_parts_it_is_the_command(prefix: Prefix, missing: str) -> None:
    (prefix.scripts / VERSION if missing == "interpreter" else prefix.packages / "keyfob").unlink()
    assert prefix.run("github").stdout == "whole: <token> <github>"


def test_it_is_in_the_wheel() -> None:
    import tomllib

    told = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    scripts = told["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-scripts"]
    assert scripts == {"packaging/scripts/keyfob-token": "keyfob-token"}
    assert (ROOT / "packaging/scripts/keyfob-token").stat().st_mode & 0o111
