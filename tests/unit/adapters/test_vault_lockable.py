"""A vault that its user closes for one process: nothing passes until it is opened again."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyfob.adapters.vault.choice import encrypted_file
from keyfob.adapters.vault.lockable import LockableVault
from keyfob.adapters.vault.memory import MemoryVault
from keyfob.adapters.vault.passphrase import ask_nowhere
from keyfob.adapters.vault.sealed import Cost, SealedVault
from keyfob.core.errors import KeychainError
from keyfob.core.secret import Secret
from keyfob.process.home import Home, open_home

RIGHT = Secret("canary-right")


def locked_out(vault: LockableVault) -> None:
    for call in (lambda: vault.load("a"), lambda: vault.save("a", Secret("v")), lambda: vault.delete("a")):
        with pytest.raises(KeychainError) as caught:
            call()
        assert caught.value.code == "agent_locked"
    assert vault.probe().code == "agent_locked"
    assert (vault.locked, vault.is_open) == (True, False)


def test_a_keychain_is_opened_again_without_a_passphrase() -> None:
    vault = LockableVault(MemoryVault())
    vault.save("a", Secret("v"))
    assert (vault.locked, vault.is_open) == (False, True)
    vault.lock()
    vault.lock()
    locked_out(vault)
    vault.open(None)
    assert vault.load("a") == Secret("v")
    vault.lock()
    vault.unlock(1)  # the window's button
    assert vault.load("a") == Secret("v")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home({"KEYFOB_HOME": str(tmp_path / "home")})


@pytest.fixture
def sealed(home: Home) -> LockableVault:
    vault = LockableVault(
        SealedVault(home.id, home.data / "vault.sealed", lambda _new: RIGHT, cost=Cost(1, 1, 32))
    )
    vault.save("a", Secret("v"))
    return vault


def test_an_encrypted_file_needs_its_passphrase_again(sealed: LockableVault, home: Home) -> None:
    sealed.lock()
    locked_out(sealed)
    for way in (lambda: sealed.open(None), lambda: sealed.unlock(1)):
        with pytest.raises(KeychainError) as caught:
            way()
        assert caught.value.code == "passphrase_needed"
    with pytest.raises(KeychainError) as caught:
        sealed.open(Secret("wrong"))
    assert caught.value.code == "passphrase_wrong"
    locked_out(sealed)
    # As the window opens it.
    encrypted_file(home, sealed).open_with(RIGHT)
    assert sealed.load("a") == Secret("v")


def test_a_wrong_passphrase_closes_no_file_that_is_open(sealed: LockableVault) -> None:
    with pytest.raises(KeychainError):
        sealed.open(Secret("wrong"))
    assert sealed.load("a") == Secret("v")
    assert sealed.is_open


def test_the_passphrase_is_not_kept_for_later(tmp_path: Path, home: Home) -> None:
    vault = SealedVault(home.id, tmp_path / "new.sealed", ask_nowhere, cost=Cost(1, 1, 32))
    vault.open_with(RIGHT)
    vault.close()
    with pytest.raises(KeychainError) as caught:
        vault.load("a")
    assert caught.value.code == "passphrase_needed"
