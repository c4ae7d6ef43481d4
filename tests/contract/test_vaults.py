"""The vault contract, held against each vault there is, the real ones over a private keychain."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from contract.vault_contract import HOME, Make, VaultContract
from keyfob.adapters.vault.deadline import DeadlineVault
from keyfob.adapters.vault.keyring_backend import KeyringVault
from keyfob.adapters.vault.memory import MemoryVault
from keyfob.adapters.vault.password_store import PassVault
from keyfob.adapters.vault.process import HelperVault
from keyfob.adapters.vault.sealed import Cost, SealedVault
from keyfob.adapters.vault.secret_service import SecretServiceVault
from keyfob.core.errors import KeychainError
from keyfob.core.secret import Secret
from support.keyring_fakes import CredentialManager, apple, windows
from support.session import DesktopSession

CHEAP = Cost(iterations=1, lanes=1, memory_kib=64)


class TestMemory(VaultContract):
    persistent = False

    @pytest.fixture
    def make(self) -> Make:
        return lambda home: MemoryVault()


class TestDeadline(VaultContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        path = tmp_path / "vault"
        return lambda home: DeadlineVault(SealedVault(home, path, lambda new: Secret("pw"), cost=CHEAP), 30)


class TestSealed(VaultContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        path = tmp_path / "vault"
        return lambda home: SealedVault(home, path, lambda new: Secret("correct horse"), cost=CHEAP)


class TestApple(VaultContract):
    @pytest.fixture
    def make(self, monkeypatch: pytest.MonkeyPatch) -> Make:
        backend, _ = apple(monkeypatch)
        return lambda home: KeyringVault(home, backend=backend)


class TestWindows(VaultContract):
    @pytest.fixture
    def manager(self) -> list[CredentialManager]:
        return []

    @pytest.fixture
    def make(self, monkeypatch: pytest.MonkeyPatch, manager: list[CredentialManager]) -> Make:
        backend, made = windows(monkeypatch)
        manager.append(made)
        return lambda home: KeyringVault(home, backend=backend)

    def test_no_entry_is_beyond_the_limit_and_none_is_left(
        self, make: Make, manager: list[CredentialManager]
    ) -> None:
        """S-68, S-69: neither parts nor the copies under user@service outlive their entry."""
        vault = make(HOME)
        for length in (20_480, 100, 9_000, 9_000):
            vault.save("accounts/k1/a", Secret("z" * length))
        assert all(len(entry["CredentialBlob"]) <= 2_560 for entry in manager[0].targets.values())
        assert not [target for target in manager[0].targets if "@" in target]
        vault.delete("accounts/k1/a")
        assert vault.probe().ok
        assert manager[0].targets == {}


@pytest.fixture
def session() -> Iterator[DesktopSession]:
    with DesktopSession() as running, running.applied():
        yield running


@pytest.mark.keychain
@pytest.mark.usefixtures("session")
class TestSecretService(VaultContract):
    @pytest.fixture
    def make(self, session: DesktopSession) -> Iterator[Make]:
        with ExitStack() as stack:

            def made(home: str) -> SecretServiceVault:
                vault = SecretServiceVault(home)
                stack.callback(vault.close)
                return vault

            yield made


@pytest.mark.keychain
class TestKeyring(VaultContract):
    @pytest.fixture
    def make(self, session: DesktopSession) -> Make:
        return lambda home: KeyringVault(home)


@pytest.mark.keychain
class TestProcess(VaultContract):
    @pytest.fixture
    def make(self, session: DesktopSession) -> Iterator[Make]:
        with ExitStack() as stack:

            def made(home: str) -> HelperVault:
                vault = HelperVault(home, deadline=30)
                stack.callback(vault.close)
                return vault

            yield made


KEY = """\
%no-protection
Key-Type: EDDSA
Key-Curve: ed25519
Subkey-Type: ECDH
Subkey-Curve: cv25519
Name-Real: Tester
Name-Email: tester@example.test
Expire-Date: 0
%commit
"""


@pytest.fixture(scope="module")
def gnupg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A GnuPG home with one key that has no passphrase. Short, since its agent's socket is in it."""
    for program in ("pass", "gpg", "gpgconf"):
        if shutil.which(program) is None:
            raise RuntimeError(f"install pass and gnupg: {program} is needed")
    home = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    env = {**os.environ, "GNUPGHOME": str(home)}
    try:
        subprocess.run(
            ["gpg", "--batch", "--gen-key"], input=KEY, env=env, check=True, capture_output=True, text=True
        )
        yield home
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env=env, capture_output=True, check=False)
        shutil.rmtree(home, ignore_errors=True)


@pytest.mark.keychain
class TestPass(VaultContract):
    @pytest.fixture
    def make(self, gnupg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
        monkeypatch.setenv("GNUPGHOME", str(gnupg))
        monkeypatch.setenv("PASSWORD_STORE_DIR", str(tmp_path / "store"))
        subprocess.run(["pass", "init", "tester@example.test"], check=True, capture_output=True)
        return lambda home: PassVault(home)

    @pytest.mark.parametrize("kept", [0, 20, 60, 100, 140, -1])
    def test_a_file_that_was_cut_off_is_damaged(self, make: Make, tmp_path: Path, kept: int) -> None:
        vault = make(HOME)
        vault.save("accounts/k1/a", Secret("token" * 100))
        (file,) = (tmp_path / "store").rglob("*.gpg")
        file.write_bytes(file.read_bytes()[:kept])
        with pytest.raises(KeychainError) as caught:
            vault.load("accounts/k1/a")
        assert caught.value.code == "entry_damaged"


def test_a_store_that_was_never_made_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD_STORE_DIR", str(tmp_path / "none"))
    health = PassVault(HOME).probe()
    assert (health.ok, health.code) == (False, "pass_not_set_up")


def test_pass_that_is_not_installed_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD_STORE_DIR", str(tmp_path))
    (tmp_path / ".gpg-id").write_text("tester\n")
    health = PassVault(HOME, program=str(tmp_path / "no-such-program")).probe()
    assert (health.ok, health.code) == (False, "pass_missing")


def test_pass_that_hangs_is_killed_at_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S-70: and with it what it started."""
    monkeypatch.setenv("PASSWORD_STORE_DIR", str(tmp_path / "store"))
    (tmp_path / "store").mkdir()
    (tmp_path / "store/.gpg-id").write_text("tester\n")
    landed = tmp_path / "landed"
    program = tmp_path / "pass"
    program.write_text(f"#!/bin/sh\n(sleep 1.5; echo late > {landed}) &\nwait\n")
    program.chmod(0o700)
    vault = PassVault(HOME, program=str(program), deadline=0.3)
    with pytest.raises(KeychainError) as caught:
        vault.save("accounts/k1/a", Secret("token"))
    assert caught.value.code == "keychain_timeout"
    subprocess.run(["sleep", "1.8"], check=True)
    assert not landed.exists()
