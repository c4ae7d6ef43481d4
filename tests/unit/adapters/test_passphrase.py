"""Where the sealed vault's passphrase comes from, and where it must never appear."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from keyfob.adapters.vault.passphrase import Ask, find_passphrase
from keyfob.core.errors import KeychainError
from keyfob.core.secret import Secret
from keyfob.process.own_process import CREDENTIAL, FD_VARIABLE


def always(text: str) -> Ask:
    return lambda new: Secret(text)


def test_systemds_credential_comes_first(tmp_path: Path) -> None:
    (tmp_path / CREDENTIAL).write_bytes(b"from systemd\nmore")
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path), FD_VARIABLE: "99"}
    assert find_passphrase(always("typed"), env)(False) == Secret("from systemd")


def test_a_descriptor_is_read_once_and_kept() -> None:
    read, write = os.pipe()
    os.write(write, b"from a descriptor\r\n")
    os.close(write)
    passphrase = find_passphrase(always("typed"), {FD_VARIABLE: str(read)})
    assert passphrase(False) == Secret("from a descriptor")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(read)
    assert passphrase(True) == Secret("from a descriptor")


@pytest.mark.parametrize("number", ["", "x", "-1", "0", "1", "9999", "１"])
def test_a_descriptor_that_is_none_is_told(number: str) -> None:
    with pytest.raises(KeychainError) as caught:
        find_passphrase(None, {FD_VARIABLE: number})(False)
    assert caught.value.code == "keychain_locked"


def test_typed_last_and_nowhere_is_told() -> None:
    assert find_passphrase(always("typed"), {})(False) == Secret("typed")
    with pytest.raises(KeychainError) as caught:
        find_passphrase(None, {})(False)
    assert caught.value.code == "passphrase_needed"
    assert caught.value.code == "passphrase_needed"


# --- the terminal -------------------------------------------------------------------------------------------

CODE = """
import sys
from keyfob.adapters.vault import passphrase
from keyfob.core.errors import KeychainError
passphrase.TYPING_TIME = float(sys.argv[2])
try:
    print("tail", passphrase.ask_in_terminal(sys.argv[1] == "new").tail(), flush=True)
except KeychainError as error:
    print("code", error.code, flush=True)
"""


def terminal(kind: str, answers: list[str], seconds: float = 30.0) -> str:
    """What a program that asks in its terminal shows there, with `answers` typed at each question."""
    master, slave = pty.openpty()
    command = ["setsid", "--ctty", sys.executable, "-c", CODE, kind, str(seconds)]
    shown = b""
    waiting = list(answers)
    try:
        with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave) as process:
            os.close(slave)
            while True:
                try:
                    got = os.read(master, 1_024)
                except OSError:  # a pseudo-terminal's way to tell that nobody is left on the other side
                    break
                shown += got
                if waiting and shown.endswith(b": "):
                    os.write(master, waiting.pop(0).encode() + b"\n")
            process.wait(10)
    finally:
        os.close(master)
    return shown.decode()


def test_typed_in_a_terminal_it_is_read_and_not_shown() -> None:
    shown = terminal("old", ["a long correct horse"])
    assert "tail orse" in shown
    assert "correct" not in shown
    assert "again" not in shown


def test_for_a_new_vault_it_is_typed_twice() -> None:
    assert "tail orse" in terminal("new", ["a long correct horse"] * 2)
    assert "code passphrases_differ" in terminal("new", ["a long correct horse", "another horse"])


def test_a_person_who_types_nothing_is_not_waited_for() -> None:
    assert "code keychain_timeout" in terminal("old", [], 0.2)


def test_without_a_terminal_it_is_told() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CODE, "old", "30"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=60,
    )
    assert (ended.stdout, ended.stderr) == ("code passphrase_needed\n", "")
