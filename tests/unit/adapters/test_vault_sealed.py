"""The sealed vault's file: what it tells apart, what it withstands, and where its passphrase comes from."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from keyfob.adapters.vault.passphrase import Ask
from keyfob.adapters.vault.sealed import Cost, SealedVault
from keyfob.core.errors import KeychainError
from keyfob.core.secret import Secret

HOME = "1f" * 16
CHEAP = Cost(iterations=1, lanes=1, memory_kib=64)
CANARY = "canary-7f3a"


def always(text: str) -> Ask:
    return lambda new: Secret(text)


def sealed(path: Path, passphrase: str = "correct horse", **more: float) -> SealedVault:
    return SealedVault(HOME, path, always(passphrase), cost=CHEAP, **more)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "vault.sealed"
    sealed(file).save("accounts/k1/a", Secret(CANARY))
    return file


def code_of(vault: SealedVault) -> str:
    with pytest.raises(KeychainError) as caught:
        vault.load("accounts/k1/a")
    return caught.value.code


def test_the_file_is_the_owners_and_shows_neither_names_nor_values(path: Path) -> None:
    """S-25."""
    data = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for word in (CANARY, "accounts", "k1", HOME, "correct horse"):
        assert word.encode() not in data
    assert {p.name for p in path.parent.iterdir()} == {"vault.sealed", "vault.sealed.lock"}
    assert stat.S_IMODE((path.parent / "vault.sealed.lock").stat().st_mode) == 0o600


def test_a_wrong_passphrase_is_told_and_changes_nothing(path: Path) -> None:
    before = path.read_bytes()
    wrong = sealed(path, "wrong horse")
    assert code_of(wrong) == "passphrase_wrong"
    for call in (lambda: wrong.save("a", Secret("x")), lambda: wrong.delete("accounts/k1/a")):
        with pytest.raises(KeychainError) as caught:
            call()
        assert caught.value.code == "passphrase_wrong"
    assert path.read_bytes() == before


def test_the_passphrase_may_be_right_at_the_second_try(path: Path) -> None:
    tries = iter(["wrong", "correct horse"])
    vault = SealedVault(HOME, path, lambda new: Secret(next(tries)), cost=CHEAP)
    assert code_of(vault) == "passphrase_wrong"
    assert vault.load("accounts/k1/a") == Secret(CANARY)
    assert vault.load("accounts/k1/a") == Secret(CANARY)  # and is not asked for again


def test_every_byte_of_the_file_is_under_the_sum(path: Path) -> None:
    """Damage is told from a wrong passphrase, whichever byte it hits, and before one is asked for."""
    data = path.read_bytes()

    def never(new: bool) -> Secret:
        raise AssertionError("asked for a passphrase")

    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x20]) + data[place + 1 :])
        assert code_of(SealedVault(HOME, path, never)) == "vault_damaged"
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        assert code_of(SealedVault(HOME, path, never)) == "vault_damaged"


def reseal(path: Path, change: dict[str, object], *, flip: bool = False) -> None:
    """The file with another header or body and a sum that fits, as somebody who means harm would make it."""
    magic, line, _, body = path.read_bytes().split(b"\n", 3)
    told = json.dumps({**json.loads(line), **change}).encode() + b"\n"
    if flip:
        body = body[:-1] + bytes([body[-1] ^ 1])
    import hashlib

    total = hashlib.sha256(told + body).hexdigest().encode()
    path.write_bytes(magic + b"\n" + told + total + b"\n" + body)


def test_a_body_that_was_tampered_with_is_damaged(path: Path) -> None:
    reseal(path, {}, flip=True)
    assert code_of(sealed(path)) == "vault_damaged"


@pytest.mark.parametrize(
    "change",
    [
        {"memory_kib": 1 << 31},
        {"iterations": 10**9},
        {"lanes": 0},
        {"kdf": "scrypt"},
        {"salt": "zz"},
        {"memory_kib": None},
        {"iterations": "many"},
    ],
)
def test_a_header_that_asks_too_much_is_refused(path: Path, change: dict[str, object]) -> None:
    reseal(path, change)
    assert code_of(sealed(path)) == "vault_damaged"


def test_a_save_that_fails_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(KeychainError) as caught:
        sealed(path).save("accounts/k1/a", Secret("new"))
    assert caught.value.code == "vault_unwritable"
    assert "No space left" in caught.value.message
    assert path.read_bytes() == before
    assert {p.name for p in path.parent.iterdir()} == {"vault.sealed", "vault.sealed.lock"}


def test_a_lock_that_is_held_ends_in_time(path: Path) -> None:
    """S-70."""
    with FileLock(f"{path}.lock"), pytest.raises(KeychainError) as caught:
        sealed(path, lock_time=0.2).save("a", Secret("x"))
    assert caught.value.code == "keychain_timeout"


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from keyfob.adapters.vault.sealed import Cost, SealedVault\nfrom keyfob.core.secret import Secret\n"
        f"vault = SealedVault({HOME!r}, Path(sys.argv[1]), lambda new: Secret('pw'), cost=Cost(1, 1, 64))\n"
        "for turn in range(10):\n    vault.save(f'p{sys.argv[2]}/{turn}', Secret(sys.argv[2]))\n"
    )
    path = tmp_path / "vault.sealed"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), str(n)]) for n in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    vault = sealed(path, "pw")
    assert all(vault.load(f"p{n}/{turn}") == Secret(str(n)) for n in range(4) for turn in range(10))


def test_the_person_is_asked_twice_for_a_new_vault_only(tmp_path: Path) -> None:
    asked: list[bool] = []

    def ask(new: bool) -> Secret:
        asked.append(new)
        return Secret("pw")

    path = tmp_path / "vault"
    first = SealedVault(HOME, path, ask, cost=CHEAP)
    assert first.load("a") is None
    first.delete("a")
    assert asked == []
    first.save("a", Secret("1"))
    first.save("b", Secret("2"))
    assert asked == [True]
    assert SealedVault(HOME, path, ask, cost=CHEAP).load("a") == Secret("1")
    assert asked == [True, False]


def test_an_empty_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeychainError) as caught:
        sealed(tmp_path / "vault", "").save("a", Secret("x"))
    assert caught.value.code == "passphrase_wrong"
    assert not (tmp_path / "vault").exists()


def test_the_real_cost_is_the_recommended_one(tmp_path: Path) -> None:
    """RFC 9106 §4: 64 MiB, three passes, four lanes; and the header says so."""
    vault = SealedVault(HOME, tmp_path / "vault", always("pw"))
    vault.save("a", Secret("x"))
    told = json.loads((tmp_path / "vault").read_bytes().split(b"\n")[1])
    assert (told["kdf"], told["memory_kib"], told["iterations"], told["lanes"]) == ("argon2id", 65_536, 3, 4)
    assert vault.load("a") == Secret("x")
