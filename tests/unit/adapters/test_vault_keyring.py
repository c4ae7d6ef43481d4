"""keyring's backends as Keyfob uses them: what they raise, what they lose, what they leave behind."""

from __future__ import annotations

import pytest
from keyring import errors
from keyring.backend import KeyringBackend

from keyfob.adapters.vault import keyring_choice
from keyfob.adapters.vault.keyring_backend import USER, KeyringVault
from keyfob.core.errors import KeychainError
from keyfob.core.secret import Secret
from support.keyring_fakes import apple, windows

HOME = "1f" * 16
CANARY = "canary-7f3a"


class Scripted(KeyringBackend):
    """Raises what it is given, whatever it is asked."""

    priority = 1  # type: ignore[assignment]

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def get_password(self, service: str, username: str) -> str | None:
        raise self.error

    def set_password(self, service: str, username: str, password: str) -> None:
        raise self.error

    def delete_password(self, service: str, username: str) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.KeyringLocked(CANARY), "keychain_locked"),
        (errors.NoKeyringError(CANARY), "keychain_absent"),
        (errors.InitError(CANARY), "keychain_refused"),
        (errors.PasswordSetError(CANARY), "keychain_refused"),
        (errors.PasswordDeleteError(CANARY), "keychain_refused"),
        (OSError(CANARY), "keychain_refused"),
        (RuntimeError(CANARY), "keychain_refused"),
    ],
)
def test_what_a_backend_raises_is_told_by_code_and_without_its_words(error: Exception, code: str) -> None:
    vault = KeyringVault(HOME, backend=Scripted(error))
    for call in (
        lambda: vault.load("a"),
        lambda: vault.save("a", Secret(CANARY)),
        lambda: vault.delete("a"),
    ):
        with pytest.raises(KeychainError) as caught:
            call()
        assert caught.value.code == code
        assert CANARY not in caught.value.sentence() + caught.value.detail
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
    assert vault.probe().code == code


def test_macos_deletes_then_adds_and_the_other_slot_survives(monkeypatch: pytest.MonkeyPatch) -> None:
    """S-69: a grant is written to the slot that does not hold the last good one."""
    backend, keychain = apple(monkeypatch)
    vault = KeyringVault(HOME, backend=backend)
    vault.save("accounts/k1/a", Secret("generation 1"))
    vault.save("accounts/k1/b", Secret("generation 0"))

    def fail() -> None:
        raise keychain.Error(-25293)

    keychain.between = fail
    with pytest.raises(KeychainError) as caught:
        vault.save("accounts/k1/b", Secret("generation 2"))
    assert caught.value.code == "keychain_refused"
    assert vault.load("accounts/k1/a") == Secret("generation 1")
    assert vault.load("accounts/k1/b") is None


def test_macos_denied_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, keychain = apple(monkeypatch)

    def deny(*args: object) -> None:
        raise keychain.KeychainDenied

    for name in ("find_generic_password", "set_generic_password"):
        monkeypatch.setattr(keychain, name, deny)
    assert KeyringVault(HOME, backend=backend).probe().code == "keychain_locked"


def test_windows_own_limit_is_real_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """S-68: error 1783 beyond 2,560 bytes of UTF-16, which splitting keeps away."""
    backend, _ = windows(monkeypatch)
    backend.set_password("service", "user", "x" * 1_280)
    with pytest.raises(Exception, match="stub received bad data"):
        backend.set_password("other", "user", "x" * 1_281)
    unsplit = KeyringVault(HOME, backend=backend, limit=100_000)
    with pytest.raises(KeychainError) as caught:
        unsplit.save("big", Secret("x" * 1_281))
    assert (caught.value.code, caught.value.detail) == ("keychain_refused", "WinError 1783")
    split = KeyringVault(HOME, backend=backend)
    split.save("big", Secret("x" * 20_480))
    assert split.load("big") == Secret("x" * 20_480)


def test_windows_keeps_no_older_secret_beside_the_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """S-69: keyring itself leaves a copy of the older one under user@service."""
    backend, manager = windows(monkeypatch)
    for text in ("old", "new"):
        backend.set_password("plain", USER, text)
    assert f"{USER}@plain" in manager.targets
    manager.targets.clear()
    vault = KeyringVault(HOME, backend=backend)
    for text in ("old", "new", "newest"):
        vault.save("a", Secret(text))
    assert list(manager.targets) == [f"keyfob/{HOME}/a"]


def test_windows_killed_between_the_copy_and_the_write_keeps_the_old_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend, manager = windows(monkeypatch)
    vault = KeyringVault(HOME, backend=backend)
    vault.save("a", Secret("old"))

    def killed(target: str) -> None:
        if "@" not in target:
            raise KeyboardInterrupt

    manager.before_write = killed
    with pytest.raises(KeyboardInterrupt):
        vault.save("a", Secret("new"))
    assert vault.load("a") == Secret("old")
    manager.before_write = lambda target: None
    vault.save("a", Secret("newer"))
    assert [entry["CredentialBlob"].decode("utf-16-le") for entry in manager.targets.values()] == ["newer"]


def test_the_first_allowed_backend_that_works_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never keyring's own choice, which takes whatever has the highest priority, plaintext files included."""
    looked: list[str] = []

    def viable(name: str) -> KeyringBackend | None:
        looked.append(name)
        return Scripted(OSError()) if "kwallet" in name else None

    monkeypatch.setattr(keyring_choice, "_viable", viable)
    assert isinstance(keyring_choice.choose_backend({}), Scripted)
    assert looked == list(keyring_choice.ALLOWED[:5])
    looked.clear()
    with pytest.raises(KeychainError) as caught:
        keyring_choice.choose_backend({"PYTHON_KEYRING_BACKEND": keyring_choice.WINDOWS})
    assert (caught.value.code, looked) == ("keychain_absent", [keyring_choice.WINDOWS])


@pytest.mark.parametrize(
    "text", ["", "[backend]\n", "no section", "[backend]\ndefault-keyring=\n", "\xff\xfe"]
)
def test_settings_that_name_no_backend_leave_the_choice_to_us(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.mktemp("config")
    (base / "python_keyring").mkdir()
    (base / "python_keyring/keyringrc.cfg").write_bytes(text.encode("latin-1"))
    assert keyring_choice.allowed_name({"XDG_CONFIG_HOME": str(base)}) is None
    assert keyring_choice.allowed_name({"XDG_CONFIG_HOME": str(base / "none")}) is None


def test_a_hostile_name_in_the_settings_is_shown_inert() -> None:
    """S-65."""
    with pytest.raises(KeychainError) as caught:
        keyring_choice.allowed_name({"PYTHON_KEYRING_BACKEND": "evil\x1b[2J\r\nx" + "y" * 500})
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 200
