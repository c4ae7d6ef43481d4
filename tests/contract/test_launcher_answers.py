"""How the native `keyfob-token` reads an answer and its arguments, under the address and undefined-behaviour
sanitizers, beside the Python client: what it prints is what Python prints, or it leaves it to the command.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from keyfob.client import connection
from keyfob.client.connection import AgentGoneError, account_path, parse_response
from keyfob.client.fast_token import asked_for

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "packaging" / "launcher" / "corpus"
COMPILES = (
    "import sys; from pathlib import Path; import _launcher; "
    "_launcher.fuzzer(Path(sys.argv[1]), libfuzzer=False)"
)

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the native program is for Linux"
)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fuzz") / "reader"
    done = subprocess.run(
        [sys.executable, "-c", COMPILES, str(out)], cwd=ROOT / "build", capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


def read(reader: Path, inputs: list[bytes], folder: Path) -> list[tuple[str, int, bytes]]:
    """For each input: exit code (or `asks`, `command`), descriptor, and the text."""
    names = []
    for number, data in enumerate(inputs):
        names.append(str(folder / str(number)))
        Path(names[-1]).write_bytes(data)
    # A sanitizer that finds something ends the program with its report.
    env = {"ASAN_OPTIONS": "detect_leaks=0", "PATH": os.environ["PATH"]}
    done = subprocess.run([str(reader), *names], capture_output=True, env=env, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-3000:]
    found, rest = [], done.stdout
    for _ in inputs:
        head, _, rest = rest.partition(b"\n")
        what, where, size = head.split()
        found.append((what.decode(), int(where), rest[: int(size)]))
        rest = rest[int(size) :]
    assert rest == b""
    return found


def by_python(data: bytes) -> tuple[str, int, bytes] | None:
    """The same by the Python client; None if it leaves it to the command."""
    if data[:1] not in (b"j", b"p"):
        words = [os.fsdecode(word) for word in data[1:].split(b"\0")]
        asked = asked_for(words if words[-1] else words[:-1])
        if asked is None:
            return None
        ref, life, accept = asked
        try:
            path = account_path("token", ref, f"?min_life={life}" if life else "")
        except AgentGoneError:
            return None
        head = f"GET {path} HTTP/1.1\r\nHost: keyfob\r\nConnection: close\r\nAccept: {accept}\r\n"
        return "asks", 0, f"{head}Content-Length: 0\r\n\r\n".encode()
    try:
        status, headers, body = parse_response(data[1:])
    except AgentGoneError:
        return None
    if status == 200:
        return "0", 1, body if body.endswith(b"\n") else body + b"\n"
    code = headers.get("keyfob-exit", "")
    if not code.isdecimal() or (code == "4" and headers.get("keyfob-code") != "agent_locked"):
        return None
    return str(int(code)), 2, body if data[:1] == b"j" else b"keyfob: " + body + b"\n"


def mutated(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(1, len(made))
        match chance.randrange(5):
            case 0:
                made[at:at] = chance.choice(
                    [b"\r\n", b"\r\n\r\n", b"\0", b"..", b"0", b"9" * 12, b" ", b":", b"\xff"]
                )
            case 1:
                del made[at : at + chance.randint(1, 9)]
            case 2:
                made[at : at + 1] = bytes([chance.randrange(256)])
            case 3:
                other = chance.choice(others)
                made[at:] = other[chance.randrange(len(other)) :]
            case _:
                made[at:at] = chance.choice(
                    [b"Keyfob-Exit: 5\r\n", b"Content-Length: 3\r\n", b"keyfob-exit:7\r\n"]
                )
    return bytes(made)


def test_the_corpus_is_read_as_python_reads_it(reader: Path, tmp_path: Path) -> None:
    files = sorted(CORPUS.iterdir())
    found = dict(
        zip(
            (file.name for file in files),
            read(reader, [f.read_bytes() for f in files], tmp_path),
            strict=True,
        )
    )
    for file in files:
        expected = by_python(file.read_bytes())
        assert found[file.name] in (expected, ("command", 0, b"")), file.name
    answered = {name: told for name, told in found.items() if told[0] != "command"}
    assert answered["token"] == ("0", 1, b"access-1\n")
    assert answered["refused"] == ("7", 2, b"keyfob: No such one.\n")
    assert set(answered) == {
        "token", "token-line", "token-json", "empty", "lower-case", "refused", "refused-json", "arguments",
         "arguments-all", "arguments-equals",
    }  # fmt: skip


def test_s109_what_is_made_up_is_read_as_python_reads_it_or_left_to_the_command(
    reader: Path, tmp_path: Path
) -> None:
    seed = random.randrange(1 << 32)
    chance, seeds = random.Random(seed), [file.read_bytes() for file in sorted(CORPUS.iterdir())]
    inputs = [mutated(chance.choice(seeds), seeds, chance) for _ in range(3000)]
    answered = 0
    for data, told in zip(inputs, read(reader, inputs, tmp_path), strict=True):
        if told[0] != "command":
            answered += 1
            assert told == by_python(data), (seed, data)
    assert answered > 100


def test_the_deadlines_are_the_python_clients() -> None:
    source = (ROOT / "packaging" / "launcher" / "keyfob-token.c").read_text("utf-8")
    for name in ("TIMEOUT", "SILENCE", "SIGN_OF_LIFE"):
        assert f"{name} = {getattr(connection, name):.0f}" in source
