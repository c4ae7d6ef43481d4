"""`keyfob-token`, the launcher that starts faster, as a script and as a native program: the short way if
there is one, else the whole program.
"""

from __future__ import annotations

import os
import pty
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from keyfob.agent.consent import program_at
from keyfob.client.fast_token import fast_token
from keyfob.core.consent import Program
from keyfob.process import paths
from support.agent_rig import AgentRig, short_folder, unix
from support.native_launcher import compiled

ROOT = Path(__file__).resolve().parents[2]
VERSION = "python{}.{}".format(*sys.version_info)
NOBODY = "There is no account nobody. To list your accounts, run `keyfob accounts`."
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret"

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the native program is for Linux"),
]


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("native"))


class Prefix:
    """An installation's folders: the launcher, an interpreter and a `keyfob` beside it that says that it was
    started, and the package where the wheel puts it.
    """

    def __init__(self, root: Path, launcher: Path) -> None:
        self.scripts = root / "bin"
        self.packages = root / "lib" / VERSION / "site-packages"
        self.scripts.mkdir(parents=True)
        self.packages.mkdir(parents=True)
        self.launcher = Path(shutil.copy(launcher, self.scripts / "keyfob-token"))
        (self.scripts / VERSION).symlink_to(Path(sys.executable).resolve())
        (self.packages / "keyfob").symlink_to(ROOT / "app" / "keyfob")
        self.whole = write(self.scripts / "keyfob", 'printf "whole:"; printf " <%s>" "$@"; exit 7')

    def run(self, *words: str, program: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(program or self.launcher), *words],
            env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip


def write(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture(params=["script", "native"])
def prefix(tmp_path: Path, request: pytest.FixtureRequest) -> Prefix:
    script = ROOT / "packaging" / "scripts" / "keyfob-token"
    launcher = request.getfixturevalue("native") if request.param == "native" else script
    return Prefix(tmp_path / "prefix", launcher)


@pytest.fixture
def program(tmp_path: Path, native: Path) -> Prefix:
    """The native one alone."""
    return Prefix(tmp_path / "prefix", native)


@contextmanager
def answering(
    path: Path, answer: bytes | Callable[[socket.socket], object] = ANSWER
) -> Iterator[list[bytes]]:
    """A socket that answers whoever asks; what it was asked."""
    asked: list[bytes] = []
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    asked.append(client.recv(4096))
                    with suppress(OSError):  # the launcher has had enough
                        answer(client) if callable(answer) else client.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield asked
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as made:
        yield made


# --- both ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["none", "absolute", "relative"])
def test_it_asks_the_agent(prefix: Prefix, tmp_path: Path, folder: Path, link: str) -> None:
    program = prefix.launcher
    if link != "none":
        linked = tmp_path / "keyfob-token"
        linked.symlink_to(program if link == "absolute" else program.relative_to(tmp_path))
        program = linked
    sock = str(folder / "a.sock")
    with answering(folder / "a.sock") as asked:
        done = prefix.run("github/me", "--min-life", "5", program=program, KEYFOB_SOCK=sock)
        gone = prefix.run("--help", program=program, KEYFOB_SOCK=sock)
    assert (done.returncode, done.stdout, done.stderr) == (0, "secret\n", "")
    assert asked[0].startswith(b"GET /v1/token/github/me?min_life=5 HTTP/1.1\r\n")
    assert gone.stdout == "whole: <token> <--help>"
    assert len(asked) == 1


@pytest.mark.parametrize(
    "words", [("--help",), ("a b", "", "it's", "$HOME"), ("github", "--rejected-stdin"), ()]
)
def test_what_takes_the_whole_program_gets_it(prefix: Prefix, tmp_path: Path, words: tuple[str, ...]) -> None:
    done = prefix.run(*words, KEYFOB_HOME=str(tmp_path / "nowhere"))
    assert done.stdout == "whole: <token>" + "".join(f" <{word}>" for word in words)
    assert (done.returncode, done.stderr) == (7, "")
    assert not (tmp_path / "nowhere").exists()


def test_the_whole_program_gets_the_passphrases_descriptor(prefix: Prefix, tmp_path: Path) -> None:
    write(prefix.whole, "cat /dev/fd/$KEYFOB_PASSPHRASE_FD")
    read, writer = os.pipe()
    os.write(writer, b"passphrase")
    os.close(writer)
    done = subprocess.run(
        [str(prefix.launcher), "github"], pass_fds=(read,), capture_output=True, text=True, timeout=30,
        env={"PATH": os.environ["PATH"], "KEYFOB_HOME": str(tmp_path), "KEYFOB_PASSPHRASE_FD": str(read)},
        check=True,
    )  # fmt: skip
    os.close(read)
    assert done.stdout == "passphrase"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["example"], (0, "access-1\n", "")),
        (["--min-life", "60", "example/alice"], (0, "access-1\n", "")),
        (["example", "--min-life=60", "--header"], (0, "Authorization: Bearer access-1\n", "")),
        (["example", "--json"], None),
        (["nobody"], (7, "", f"keyfob: {NOBODY}\n")),
        (["nobody", "--json"], None),
        (["nobody", "--header"], None),
    ],
)  # fmt: skip
def test_it_prints_what_the_command_prints(
    prefix: Prefix,
    tmp_path: Path,
    folder: Path,
    arguments: list[str],
    expected: tuple[int, str, str] | None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """From a real agent, beside the Python client."""
    sock = str(folder / "agent.sock")
    monkeypatch.setenv("KEYFOB_SOCK", sock)
    rig = AgentRig(tmp_path)
    rig.connect()
    with rig.serving(unix(folder)):
        done = prefix.run(*arguments, KEYFOB_SOCK=sock)
        code = fast_token(arguments)
    told = (done.returncode, done.stdout, done.stderr)
    assert told == (code, *capfd.readouterr())
    assert expected in (None, told)
    assert told[1] or told[2]


@pytest.mark.parametrize(
    "arguments",
    [["a", "b"], ["example", "--min-life", "1.5"], ["example", "--min-life"], ["example", "--min-life=-1"],
     ["a b"], ["../x"], ["a/../b"], ["é"], ["a\r\nHost: x"], ["example", "--json", "--header"], ["-"],
     ["x" * 4000], ["example", "--min-life", "9" * 4000]],
)  # fmt: skip
def test_what_the_fast_path_does_not_know_is_the_commands(
    program: Prefix, folder: Path, arguments: list[str]
) -> None:
    with answering(folder / "a.sock") as asked:
        done = program.run(*arguments, KEYFOB_SOCK=str(folder / "a.sock"))
    told = "".join(f" <{word}>" for word in arguments).replace("\r\n", "\n")  # read as text
    assert done.stdout == f"whole: <token>{told}"
    assert asked == []


# --- the script ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["interpreter", "package"])
def test_without_its_parts_the_script_is_the_command(tmp_path: Path, missing: str) -> None:
    prefix = Prefix(tmp_path / "prefix", ROOT / "packaging" / "scripts" / "keyfob-token")
    (prefix.scripts / VERSION if missing == "interpreter" else prefix.packages / "keyfob").unlink()
    assert prefix.run("github").stdout == "whole: <token> <github>"


def test_the_script_is_in_the_wheel() -> None:
    import tomllib

    told = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    scripts = told["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-scripts"]
    assert scripts == {"packaging/scripts/keyfob-token": "keyfob-token"}
    assert (ROOT / "packaging/scripts/keyfob-token").stat().st_mode & 0o111


# --- the native program: where it looks ---------------------------------------------------------------------


def test_it_finds_the_socket_as_python_does(
    program: Prefix, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By KEYFOB_SOCK, KEYFOB_HOME, the runtime folder, the state folder."""
    (folder / "rt").mkdir()
    elsewhere = {"XDG_RUNTIME_DIR": str(folder / "no")}
    cases: list[dict[str, str]] = [
        {"KEYFOB_SOCK": f"{folder}/s/any"},
        {"KEYFOB_SOCK": f"{folder}//s/./other", "KEYFOB_HOME": f"{folder}/unused"},
        {"KEYFOB_HOME": f"{folder}/h"},
        {"KEYFOB_HOME": f"{folder}/h2/", "XDG_RUNTIME_DIR": f"{folder}/rt"},
        {"KEYFOB_SOCK": "", "KEYFOB_HOME": "", "XDG_RUNTIME_DIR": f"{folder}/rt"},
    ]
    if not Path(f"/run/user/{os.getuid()}").exists():  # else that folder comes first
        cases += [
            {"XDG_STATE_HOME": f"{folder}/st", "HOME": f"{folder}/unused", **elsewhere},
            {"HOME": f"{folder}/me", **elsewhere},
            {"HOME": f"{folder}/me2", "XDG_STATE_HOME": "", "XDG_RUNTIME_DIR": "relative"},
        ]
    names = {"KEYFOB_SOCK", "KEYFOB_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"}
    for env in cases:
        for name in names:
            monkeypatch.delenv(name, raising=False)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        with answering(Path(paths.socket_file(os.environ))) as asked:
            done = program.run("github", **{"HOME": "/nonexistent", **env})
        assert (done.stdout, len(asked)) == ("secret\n", 1), env


@pytest.mark.parametrize("rule", ["relative", "home sign", "port", "parent", "long"])
def test_a_path_that_takes_more_rules_is_the_commands(program: Prefix, folder: Path, rule: str) -> None:
    named = {
        "relative": "a.sock",
        "home sign": "~/a.sock",
        "port": f"{folder}/agent.json",
        "parent": f"{folder}/x/../a.sock",
        "long": f"{folder}/{'x' * 90}",
    }[rule]
    with answering(folder / "a.sock") as asked:
        assert program.run("github", KEYFOB_SOCK=named, HOME=str(folder)).stdout == "whole: <token> <github>"
    assert asked == []


def test_the_command_is_found_beside_it_above_it_then_on_the_path(
    program: Prefix, tmp_path: Path, folder: Path
) -> None:
    """In this order, and never in the current folder."""
    env = {"KEYFOB_SOCK": str(folder / "none")}
    for name in ("here", "first", "second"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "keyfob", f"echo {name}")
    (tmp_path / "odd" / "keyfob").mkdir(parents=True)
    above = write(tmp_path / "prefix" / "keyfob", "echo above")
    path = f"::.:here:{tmp_path}/odd:{tmp_path}/first:{tmp_path}/second:"
    run = [str(program.launcher), "github"]

    def found(path: str = path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            run, cwd=tmp_path / "here", env={**env, "PATH": path}, capture_output=True, text=True, check=False
        )

    assert found().stdout == "whole: <token> <github>"
    program.whole.unlink()
    assert found().stdout == "above\n"
    above.unlink()
    assert found().stdout == "first\n"
    (tmp_path / "first" / "keyfob").chmod(0o644)
    assert found().stdout == "second\n"
    lost = found(":.:here")
    assert (lost.returncode, lost.stdout) == (1, "")
    assert lost.stderr == (
        "keyfob: The keyfob command is neither beside keyfob-token nor on the PATH. Install Keyfob again.\n"
    )


def test_s109_a_socket_of_another_user_is_not_asked(program: Prefix, folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only an administrator can give a socket to another user")
    with answering(folder / "a.sock") as asked:
        os.chown(folder / "a.sock", 65534, 65534)
        assert program.run("github", KEYFOB_SOCK=str(folder / "a.sock")).stdout == "whole: <token> <github>"
    assert asked == []


# --- the native program: what it is answered ----------------------------------------------------------------


LOCKED = b"HTTP/1.1 503 X\r\nKeyfob-Exit: 4\r\nKeyfob-Code: %s\r\nContent-Length: 4\r\n\r\nShut"


@pytest.mark.parametrize(
    ("answer", "out"),
    [
        (b"", ""),
        (b"\0" * 5000, ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecr", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -6\r\n\r\nsecret", ""),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 400_000, ""),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\nsecret", ""),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", ""),
        (b"HTTP/1.1 500 Oh\r\nKeyfob-Exit: 256\r\nContent-Length: 2\r\n\r\nno", ""),
        (b"HTTP/1.1 500 Oh\r\nKeyfob-Exit: 5\r\nContent-Length: 2\r\n\r\nno", "keyfob: no\n"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", ""),
        (LOCKED % b"keychain_locked", ""),
        (LOCKED % b"agent_locked", ""),
        (b"HTTP/1.1 200 OK\r\n\r\nsecret", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Length: 6\r\n\r\nsecret", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000, "x" * 200_000 + "\n"),
    ],
)
def test_s109_an_odd_answer_is_left_to_the_command(
    program: Prefix, folder: Path, answer: bytes, out: str
) -> None:
    with answering(folder / "a.sock", answer):
        done = program.run("github", KEYFOB_SOCK=str(folder / "a.sock"))
    assert done.stdout + done.stderr == out or (not out and done.stdout == "whole: <token> <github>")


def test_an_answer_in_single_bytes_is_whole(program: Prefix, folder: Path) -> None:
    def slowly(client: socket.socket) -> None:
        for byte in ANSWER:
            client.sendall(bytes([byte]))

    with answering(folder / "a.sock", slowly):
        assert program.run("github", KEYFOB_SOCK=str(folder / "a.sock")).stdout == "secret\n"


def test_a_silent_agent_is_left_alone(program: Prefix, folder: Path) -> None:
    """One that takes connections and never answers. The command does not wait for it again."""
    write(program.whole, 'echo "$KEYFOB_SOCK"')
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "a.sock"))
        listener.listen()
        began = time.monotonic()
        done = program.run("github", KEYFOB_SOCK=str(folder / "a.sock"))
        took = time.monotonic() - began
    assert (done.returncode, done.stdout, done.stderr) == (0, "/dev/null\n", "")
    assert 9 < took < 25


def test_an_agent_that_works_is_waited_for_and_a_terminal_says_so(program: Prefix, folder: Path) -> None:
    """The program stops and continues meanwhile. What it reads is in memory that no core dump contains."""
    flags: list[str] = []
    started: list[subprocess.Popen[bytes]] = []

    def later(client: socket.socket) -> None:
        if len(asked) > 1:
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")  # to GET /v1/hello
            return

        def work() -> None:
            time.sleep(1)
            maps = Path(f"/proc/{started[0].pid}/smaps").read_text().split("VmFlags:")
            flags.extend(text.split("\n")[0] for text in maps[1:])
            os.kill(started[0].pid, 19)
            time.sleep(1)
            os.kill(started[0].pid, 18)
            time.sleep(3.5)
            with kept:
                kept.sendall(ANSWER)

        kept = client.dup()
        threading.Thread(target=work, daemon=True).start()

    leader, follower = pty.openpty()
    with answering(folder / "a.sock", later) as asked, subprocess.Popen(
        [str(program.launcher), "github"], stdout=subprocess.PIPE, stderr=follower,
        env={"KEYFOB_SOCK": str(folder / "a.sock")},
    ) as process:  # fmt: skip
        started.append(process)
        out, _ = process.communicate(timeout=30)
    os.close(follower)
    assert (process.returncode, out) == (0, b"secret\n")
    assert os.read(leader, 4096).decode() == "Waiting for the Keyfob agent…\r\n"
    os.close(leader)
    assert asked[1].startswith(b"GET /v1/hello ")
    assert any(" dd " in f"{text} " for text in flags)


# --- the native program: its surroundings -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ('"$0" github >&-', (0, "")),
        ('"$0" github <&- >&- 2>&-', (0, "")),
        ('"$0" github >/dev/full', (7, "")),
        ('"$0" github | true', (0, "")),
        ('"$0" github --header 2>&- | cat', (0, "secret\n")),
    ],
)
def test_what_the_caller_did_with_its_descriptors(
    program: Prefix, folder: Path, shell: str, expected: tuple[int, str]
) -> None:
    """Closed ones stay without the socket; a reader that has gone does not matter; on a full disk the command
    says so.
    """
    with answering(folder / "a.sock") as asked:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", shell, str(program.launcher)], capture_output=True, text=True,
            env={"PATH": os.environ["PATH"], "KEYFOB_SOCK": str(folder / "a.sock")}, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == expected
    assert len(asked) == 1
    assert b"secret" not in asked[0]


def test_the_command_gets_the_signals_as_they_were(program: Prefix, folder: Path) -> None:
    """Writing ignores SIGPIPE. The command that comes after it does not."""
    write(program.whole, "grep SigIgn /proc/self/status")
    with answering(folder / "a.sock"):
        done = subprocess.run(
            ["bash", "-c", '"$0" github >/dev/full || "$0" --help', str(program.launcher)],
            env={"PATH": os.environ["PATH"], "KEYFOB_SOCK": str(folder / "a.sock")},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert int(done.stdout.split()[1], 16) & 1 << 12 == 0


@pytest.mark.parametrize("place", ["frozen", "beside", "elsewhere"])
def test_consent_is_asked_for_the_program_that_started_it(
    program: Prefix, tmp_path: Path, folder: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for our other commands; a program of that name elsewhere is a program of its own."""
    if place == "frozen":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
        monkeypatch.setattr(sys, "executable", str(tmp_path / "prefix" / "keyfob"))
    if place == "beside":
        monkeypatch.setattr(sys, "argv", [str(program.whole), "agent"])
    seen: list[Program] = []

    def look(client: socket.socket) -> None:
        ucred = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        seen.append(program_at(int.from_bytes(ucred[:4], sys.byteorder)))
        client.sendall(ANSWER)

    with answering(folder / "a.sock", look):
        assert program.run("github", KEYFOB_SOCK=str(folder / "a.sock")).stdout == "secret\n"
    own = program_at(os.getpid())
    assert seen[0] == own if place != "elsewhere" else seen[0].executable == str(program.launcher)


def test_it_is_static_and_every_checkout_makes_the_same_bytes(native: Path, tmp_path: Path) -> None:
    raw = native.read_bytes()
    assert raw[16] == 3  # ET_DYN: its place in memory is random
    offset, size, count = (int.from_bytes(raw[a:b], "little") for a, b in ((32, 40), (54, 56), (56, 58)))
    kinds = {
        int.from_bytes(raw[offset + i * size : offset + i * size + 4], "little"): raw[offset + i * size + 4]
        for i in range(count)
    }
    assert 3 not in kinds, "it asks for a dynamic loader"
    assert kinds[0x6474E551] == 6, "its stack can be executed"
    assert 0x6474E552 in kinds, "its relocations stay writable"
    assert len(raw) < 1_000_000
    for name in ("build", "packaging"):
        shutil.copytree(ROOT / name, tmp_path / "another" / "place" / name)
    assert compiled(tmp_path, tmp_path / "another" / "place").read_bytes() == raw
