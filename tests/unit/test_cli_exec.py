"""`keyfob exec`: files of variables and the mask over a command's output."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from keyfob.cli import env_file
from keyfob.cli.exec_beside import hidden_words
from keyfob.cli.masking import Hidden, Mask
from keyfob.core.errors import Usage


def test_a_file_of_variables(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "# tokens come from Keyfob\n"
        "GITHUB_TOKEN=keyfob://github/alice\n"
        "export MODE='a b'  # with quotes\n"
        "\n"
        'LINES="one\\ntwo"\n'
        "PRICE=$5\n"
        "EMPTY=\n"
    )
    found = env_file.read(file)
    assert found == {
        "GITHUB_TOKEN": "keyfob://github/alice",
        "MODE": "a b",
        "LINES": "one\ntwo",
        "PRICE": "$5",
        "EMPTY": "",
    }
    assert {name: env_file.account_of(value) for name, value in found.items() if "keyfob" in value} == {
        "GITHUB_TOKEN": "github/alice"
    }
    assert env_file.account_of("https://keyfob://x") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"A=1\nSECRET='not closed\n", "Line 2 of"),
        (b"A=1\nALONE\n", "Line 2 of"),
        (b"\xff\xfe\n", "not a text file"),
        (b"A=1\nB=\x00\n", "null character"),
        (b"A=" + b"x" * (env_file.SIZE_MOST + 1), "longer"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_never_quoted(tmp_path: Path, text: bytes, said: str) -> None:
    file = tmp_path / "work.env"
    file.write_bytes(text)
    with pytest.raises(Usage) as caught:
        env_file.read(file)
    assert said in str(caught.value)
    assert "work.env" in str(caught.value)
    assert "not closed" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="cannot be read"):
        env_file.read(tmp_path / "no.env")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
def test_a_pipe_of_variables(tmp_path: Path) -> None:
    """As `--env-file <(sops decrypt work.env)` passes it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = threading.Thread(target=pipe.write_text, args=("A=1\nB=keyfob://github\n",))
    writing.start()
    assert env_file.read(pipe) == {"A": "1", "B": "keyfob://github"}
    writing.join()


def test_s25_each_part_of_a_key_of_two_parts_is_hidden() -> None:
    mask = Mask(Hidden(hidden_words("api-key-1234 app-key-5678")))
    assert mask.feed(b"only app-key-5678 and api-key-1234\n") == b"only *** and ***\n"
    assert hidden_words("abcd efgh") == ["abcd efgh"]
    assert hidden_words("one-token") == ["one-token", "one-token"]


def test_a_secret_is_hidden_however_the_output_is_cut() -> None:
    secrets = ["token-aaab", "token-aaabbb", "xyz", "wxyzq", "abab"]
    text = b"a token-aaabbb, token-aaab, tokn, xyxyz, wxyz wxyzq ababab token-aaa and an end: token-aaab"
    wanted = b"a ***, ***, tokn, xy***, w*** *** ***ab token-aaa and an end: ***"
    for seed in range(200):
        dice = random.Random(seed)
        mask, shown, rest = Mask(Hidden(secrets)), b"", text
        while rest:
            length = dice.randint(1, 9)
            shown += mask.feed(rest[:length])
            rest = rest[length:]
        assert shown + mask.end() == wanted


def test_output_without_a_secret_is_not_held_back() -> None:
    """A prompt must be seen while the command waits for the answer."""
    assert Mask(Hidden(["token"])).feed(b"Continue? [y/N] ") == b"Continue? [y/N] "


RUN = """
import sys
sys.path.insert(0, {app!r})
from keyfob.cli.child import relayed_signals, run
from keyfob.cli.masking import Hidden
command = [sys.executable, "-c", {script!r}]
with relayed_signals() as relay:
    sys.exit(run(sys.executable, command, {{"T": "abc-secret"}}, relay, Hidden(["abc-secret"])))
"""


def masked(script: str) -> list[str]:
    app = str(Path(env_file.__file__).resolve().parents[2])
    return [sys.executable, "-c", RUN.format(app=app, script=script)]


def test_both_outputs_are_masked_and_the_exit_is_the_commands() -> None:
    script = (
        "import os, sys; print(os.environ['T']); print('err', os.environ['T'], file=sys.stderr); sys.exit(7)"
    )
    done = subprocess.run(masked(script), capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (7, "***\n", "err ***\n")


def test_a_signal_reaches_the_command() -> None:
    script = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b'ended well\\n'), os._exit(3)))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen(masked(script), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.terminate()
        assert running.stdout.read() == "ended well\n"
        assert running.wait(60) == 3


def test_the_end_by_a_signal_is_said_as_shells_say_it() -> None:
    script = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    done = subprocess.run(masked(script), capture_output=True, check=False, timeout=60)
    assert done.returncode == 128 + signal.SIGKILL


def test_a_reader_that_goes_away_does_not_stop_the_command(tmp_path: Path) -> None:
    done = tmp_path / "done"
    script = f"for n in range(20000): print('line', n)\nopen({str(done)!r}, 'w').close()"
    with subprocess.Popen(masked(script), stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        running.stdout.close()
        running.wait(60)
    end = time.monotonic() + 30
    while not done.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert done.exists()
