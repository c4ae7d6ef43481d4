"""S-67, S-69, S-70: what the keychain does to us, and what of it reaches
the caller. With a real GNOME Keyring.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import secretstorage
from keyring.backends import SecretService

from contract.vault_contract import HOME
from keyfob.adapters.vault.choice import choose_vault
from keyfob.adapters.vault.deadline import DeadlineVault
from keyfob.adapters.vault.helper import EXIT_IDLE, EXIT_ORPHAN, EXIT_STUCK
from keyfob.adapters.vault.keyring_backend import USER, KeyringVault
from keyfob.adapters.vault.process import HelperProcess, HelperVault, helper_command
from keyfob.adapters.vault.secret_service import SecretServiceVault
from keyfob.adapters.vault.system import SystemVault
from keyfob.core.errors import KeychainError, SignInEnded
from keyfob.core.secret import Secret
from keyfob.core.settings import Settings
from keyfob.ports import Vault
from keyfob.process.home import Home
from support.running import until
from support.session import PASSWORD, DesktopSession

pytestmark = pytest.mark.keychain

A, B = "accounts/k1/a", "accounts/k1/b"
CANARY = "canary-7f3a"
# Seconds for a loaded machine, over the deadline that is judged.
SLACK = 3.0


@pytest.fixture
def session(request: pytest.FixtureRequest) -> Iterator[DesktopSession]:
    """With the parameter None, its keychain was never set up."""
    with DesktopSession(keyring=not hasattr(request, "param")) as running, running.applied():
        if hasattr(request, "param"):
            running.start_keyring(unlocked=False)
        yield running
    # A call that hung was given up on, by design with the connection it hung on. That is collected here, and
    # not in the middle of another test, which would be blamed for it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(params=["process", "deadline", "service"])
def vault(request: pytest.FixtureRequest, session: DesktopSession) -> Iterator[Vault]:
    made: HelperVault | DeadlineVault | SecretServiceVault
    match request.param:
        case "process":
            made = HelperVault(HOME)
        case "deadline":
            made = DeadlineVault(SystemVault(HOME))
        case _:
            made = SecretServiceVault(HOME)
    yield made
    made.close()


@pytest.fixture
def helper(session: DesktopSession) -> Iterator[HelperVault]:
    made = HelperVault(HOME, deadline=1.5)
    yield made
    made.close()


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(KeychainError) as caught:
        call()
    assert CANARY not in str(caught.value) + caught.value.detail
    return caught.value.code


@contextmanager
def ends_within(seconds: float) -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


def save(vault: Vault, name: str, text: str) -> None:
    vault.save(name, Secret(text))


# --- locked -------------------------------------------------------------------------------------------------


def test_a_locked_keychain_is_told_at_once(session: DesktopSession, vault: Vault) -> None:
    save(vault, A, CANARY)
    session.lock_keyring()
    for call in (
        lambda: vault.load(A),
        lambda: vault.load("never/saved"),
        lambda: save(vault, A, "other"),
        lambda: vault.delete(A),
    ):
        with ends_within(SLACK):
            assert code_of(call) == "keychain_locked"
    assert vault.probe().code == "keychain_locked"
    session.unlock_keyring()
    assert vault.load(A) == Secret(CANARY)


@pytest.mark.screen
def test_a_locked_keychain_with_a_screen_opens_no_prompt(session: DesktopSession, vault: Vault) -> None:
    session.start_screen(tray=False)
    save(vault, A, CANARY)
    session.lock_keyring()
    with ends_within(SLACK):
        assert code_of(lambda: vault.load(A)) == "keychain_locked"
        assert code_of(lambda: save(vault, B, CANARY)) == "keychain_locked"
    assert not prompts(session)


@pytest.mark.screen
def test_asked_to_unlock_it_prompts_and_ends_in_time(session: DesktopSession, helper: HelperVault) -> None:
    session.start_screen(tray=False)
    save(helper, A, CANARY)
    session.lock_keyring()
    with ends_within(2 + SLACK):
        assert code_of(lambda: helper.unlock(2)) == "keychain_timeout"
    assert prompts(session)
    session.unlock_keyring()
    helper.unlock(5)
    assert helper.load(A) == Secret(CANARY)


@contextmanager
def person(session: DesktopSession, *keys: list[str]) -> Iterator[None]:
    """Somebody who answers the prompt that opens meanwhile."""
    thread = threading.Thread(target=session.answer_prompt, args=keys)
    thread.start()
    yield
    thread.join(30)


@pytest.mark.screen
def test_a_person_who_answers_the_prompt_unlocks_it(session: DesktopSession, vault: Vault) -> None:
    session.start_screen(tray=False)
    save(vault, A, CANARY)
    session.lock_keyring()
    with person(session, ["type", "--delay", "20", PASSWORD], ["key", "Return"]):
        vault.unlock(40)
    assert vault.load(A) == Secret(CANARY)


@pytest.mark.screen
def test_a_person_who_closes_the_prompt_is_told_that_it_is_locked(
    session: DesktopSession, vault: Vault
) -> None:
    session.start_screen(tray=False)
    save(vault, A, CANARY)
    session.lock_keyring()
    with person(session, ["key", "Escape"]):
        assert code_of(lambda: vault.unlock(40)) == "keychain_locked"


@pytest.mark.screen
@pytest.mark.parametrize("session", [None], indirect=True)
def test_a_person_sets_the_keychain_up(session: DesktopSession, vault: Vault) -> None:
    """A keychain that was never used has no collection yet."""
    session.start_screen(tray=False)
    assert vault.probe().code == "keychain_not_set_up"
    with person(session, ["key", "Escape"]):
        assert code_of(lambda: vault.unlock(40)) == "keychain_not_set_up"
    typed = ["type", "--delay", "20", PASSWORD]
    with person(session, typed, ["key", "Tab"], typed, ["key", "Return"]):
        vault.unlock(40)
    assert vault.probe().ok
    save(vault, A, CANARY)
    assert vault.load(A) == Secret(CANARY)


@pytest.mark.screen
@pytest.mark.parametrize("vault", ["process", "deadline"], indirect=True)
def test_while_the_prompt_is_open_nobody_waits_for_it_and_it_can_be_given_up(
    session: DesktopSession, vault: Vault
) -> None:
    session.start_screen(tray=False)
    save(vault, A, CANARY)
    session.lock_keyring()
    gave_up = threading.Event()
    ends: list[str] = []

    def ask() -> None:
        try:
            vault.unlock(40, gave_up)
        except SignInEnded as error:
            ends.append(error.code)

    asking = threading.Thread(target=ask)
    asking.start()
    session.see_prompt()
    if isinstance(vault, HelperVault):  # a command does one thing at a time
        with ends_within(1):
            assert code_of(lambda: vault.load(A)) == "keychain_locked"
    with ends_within(SLACK):
        gave_up.set()
        asking.join(30)
    assert ends == ["cancelled"]
    session.unlock_keyring()
    if isinstance(vault, HelperVault):
        assert vault.load(A) == Secret(CANARY)


def prompts(session: DesktopSession) -> bool:
    """Whether the desktop's prompter has been started: it owns a name on the bus then."""
    with session.bus() as connection:
        from jeepney import DBusAddress, new_method_call

        bus = DBusAddress(
            "/org/freedesktop/DBus", bus_name="org.freedesktop.DBus", interface="org.freedesktop.DBus"
        )
        names = connection.send_and_get_reply(new_method_call(bus, "ListNames"), timeout=5).body[0]
    return "org.gnome.keyring.SystemPrompter" in names


# --- absent -------------------------------------------------------------------------------------------------


def test_a_keychain_that_was_killed_is_absent_and_may_come_back(
    session: DesktopSession, vault: Vault
) -> None:
    save(vault, A, CANARY)
    session.kill_keyring()
    for call in (lambda: vault.load(A), lambda: save(vault, A, "other"), lambda: vault.delete(A)):
        with ends_within(SLACK):
            assert code_of(call) == "keychain_absent"
    assert vault.probe().code == "keychain_absent"
    session.start_keyring()
    assert vault.load(A) == Secret(CANARY)
    save(vault, A, "other")
    assert vault.load(A) == Secret("other")


@pytest.mark.parametrize("address", [None, "unix:path=/nonexistent/bus", "tcp:host=127.0.0.1,port=1", "junk"])
def test_without_a_bus_it_is_absent_at_once(
    address: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    if address is not None:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    helper = HelperVault(HOME)
    try:
        for vault in (helper, DeadlineVault(SystemVault(HOME)), SecretServiceVault(HOME)):
            with ends_within(SLACK):
                found = code_of(lambda vault=vault: vault.load(A))  # type: ignore[misc]
                assert found == ("keychain_no_session" if address is None else "keychain_absent")
    finally:
        helper.close()


def test_a_bus_without_the_address_in_the_environment_is_found(
    session: DesktopSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell over SSH has a runtime folder and no address."""
    session.run.joinpath("bus").symlink_to(session.root / "bus")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    vault = SecretServiceVault(HOME)
    save(vault, A, CANARY)
    assert vault.load(A) == Secret(CANARY)
    vault.close()


@pytest.mark.parametrize("session", [None], indirect=True)
def test_no_default_collection_yet_is_told_as_what_it_is(session: DesktopSession, vault: Vault) -> None:
    with ends_within(SLACK):
        assert code_of(lambda: vault.load(A)) == "keychain_not_set_up"
        assert code_of(lambda: save(vault, A, CANARY)) == "keychain_not_set_up"
    health = vault.probe()
    assert health.code == "keychain_not_set_up"


# --- hung ---------------------------------------------------------------------------------------------------


def test_a_hung_keychain_ends_at_the_deadline(session: DesktopSession, helper: HelperVault) -> None:
    save(helper, A, CANARY)
    session.hang_keyring()
    for call in (lambda: helper.load(A), lambda: save(helper, A, "other"), lambda: helper.delete(A)):
        start = time.monotonic()
        assert code_of(call) == "keychain_timeout"
        assert 1.4 < time.monotonic() - start < 1.5 + SLACK
    assert helper.probe().code == "keychain_timeout"
    session.resume_keyring()
    assert helper.load(A) == Secret(CANARY)


def test_many_callers_of_a_hung_keychain_all_end_at_their_own_deadline(
    session: DesktopSession, helper: HelperVault
) -> None:
    save(helper, A, CANARY)
    session.hang_keyring()
    took: list[float] = []

    def ask() -> None:
        start = time.monotonic()
        assert code_of(lambda: helper.load(A)) == "keychain_timeout"
        took.append(time.monotonic() - start)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(took) == 8
    assert max(took) < 1.5 + SLACK


def test_a_timed_out_write_never_lands_later(session: DesktopSession, helper: HelperVault) -> None:
    save(helper, A, "good")
    session.hang_keyring()
    assert code_of(lambda: save(helper, A, "late")) == "keychain_timeout"
    session.resume_keyring()
    time.sleep(0.5)
    with session.bus() as connection:
        items = secretstorage.Collection(connection).search_items({"service": f"keyfob/{HOME}/{A}"})
        assert [item.get_secret() for item in items] == [b"good"]
    assert helper.load(A) == Secret("good")


def test_after_a_timed_out_write_the_entry_is_read_before_its_account_is_written(
    session: DesktopSession, helper: HelperVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.hang_keyring()
    assert code_of(lambda: save(helper, A, "unknown")) == "keychain_timeout"
    session.resume_keyring()
    asked: list[tuple[str, str]] = []
    ask = HelperProcess.ask

    def spy(self: HelperProcess, request: dict[str, Any], *rest: Any) -> dict[str, Any] | None:
        asked.append((request["op"], request["name"]))
        return ask(self, request, *rest)

    monkeypatch.setattr(HelperProcess, "ask", spy)
    save(helper, "accounts/k2/a", "another account waits for nothing")
    save(helper, B, "other slot")
    save(helper, A, "again")
    assert asked == [("save", "accounts/k2/a"), ("load", A), ("save", B), ("save", A)]


def test_a_helper_that_was_killed_midway_is_replaced(session: DesktopSession, helper: HelperVault) -> None:
    save(helper, A, CANARY)
    with killed_midway(session, helper):
        assert code_of(lambda: save(helper, B, CANARY)) == "keychain_timeout"
    session.resume_keyring()
    assert helper.load(B) is None
    assert helper.load(A) == Secret(CANARY)


@contextmanager
def killed_midway(session: DesktopSession, helper: HelperVault, *, resume: bool = False) -> Iterator[None]:
    """The helper is killed while the keychain keeps it waiting; with
    `resume` the keychain then answers again.
    """
    session.hang_keyring()

    def kill() -> None:
        time.sleep(0.3)
        os.kill(pid_of(helper), signal.SIGKILL)
        if resume:
            session.resume_keyring()

    killer = threading.Thread(target=kill)
    killer.start()
    yield
    killer.join(10)


def test_a_read_whose_helper_was_killed_is_repeated(session: DesktopSession) -> None:
    helper = HelperVault(HOME, deadline=20)
    save(helper, A, CANARY)
    with killed_midway(session, helper, resume=True):
        assert helper.load(A) == Secret(CANARY)
    with killed_midway(session, helper, resume=True):
        assert helper.probe().ok
    helper.close()


def test_a_write_whose_helper_was_killed_is_read_back_and_then_decided(
    session: DesktopSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = HelperVault(HOME, deadline=20)
    save(helper, A, CANARY)
    asked: list[str] = []
    ask = HelperProcess.ask

    def spy(self: HelperProcess, request: dict[str, Any], *rest: Any) -> object:
        asked.append(request["op"])
        return ask(self, request, *rest)

    monkeypatch.setattr(HelperProcess, "ask", spy)
    with killed_midway(session, helper, resume=True):
        save(helper, A, "newer")
    assert asked[:2] == ["save", "load"]
    assert asked[2:] in ([], ["save"])  # whether the keychain had heard of it is chance
    assert helper.load(A) == Secret("newer")
    asked.clear()
    with killed_midway(session, helper, resume=True):
        helper.delete(A)
    assert asked[:2] == ["delete", "load"]
    assert helper.load(A) is None
    helper.close()


def test_a_command_alone_ends_itself_at_the_deadline(session: DesktopSession) -> None:
    session.hang_keyring()
    code = (
        "from keyfob.adapters.vault.system import SystemVault\n"
        "from keyfob.adapters.vault.deadline import DeadlineVault\n"
        "from keyfob.core.errors import KeychainError\n"
        f"vault = DeadlineVault(SystemVault({HOME!r}), 1)\n"
        "try:\n    vault.load('accounts/k1/a')\n"
        "except KeychainError as error:\n    print(error.code)\n"
        "vault.close()\n"
    )
    with ends_within(1 + 2 * SLACK):
        ended = subprocess.run(
            [sys.executable, "-c", code], env=session.env, capture_output=True, text=True, timeout=60
        )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "keychain_timeout\n", "")


# --- what a person sees of it in the keychain's own program -------------------------------------------------


@pytest.mark.parametrize("kind", ["process", "deadline"])
def test_an_entry_is_called_by_its_account(session: DesktopSession, kind: str) -> None:
    names = {A: "Keyfob: plain/alice"}

    def labels(name: str) -> str:
        return names.get(name, "Keyfob")

    made = HelperVault(HOME, labels=labels) if kind == "process" else DeadlineVault(SystemVault(HOME, labels))
    attributes = {
        "service": f"keyfob/{HOME}/{A}",
        "username": "keyfob",
        "application": "Python keyring library",
    }
    with session.bus() as connection:
        collection = secretstorage.Collection(connection)

        def label(name: str) -> list[str]:
            found = collection.search_items({"service": f"keyfob/{HOME}/{name}"})
            return [item.get_label() for item in found]

        collection.create_item(f"Password for 'keyfob' on 'keyfob/{HOME}/{A}'", attributes, b"an older one's")
        assert made.load(A) == Secret("an older one's")
        save(made, A, CANARY)
        save(made, B, CANARY)
        assert label(A) == ["Keyfob: plain/alice"]
        assert label(B) == ["Keyfob"]
        names[A] = "Keyfob: plain/renamed"
        save(made, A, CANARY)
        assert label(A) == ["Keyfob: plain/renamed"]
        assert made.load(A) == Secret(CANARY)
    made.close()


# --- the helper's own life ----------------------------------------------------------------------------------


def pid_of(vault: HelperVault) -> int:
    assert vault.pid is not None
    return vault.pid


def wait_for_end(pid: int) -> None:
    """Until the vault's process has ended and its parent has taken note."""
    until(lambda: not Path(f"/proc/{pid}").exists(), "the helper to end", 10)


def begin(session: DesktopSession, *, idle: float = 60.0) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        helper_command(), env=session.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    say(process, {"home": HOME, "idle": idle})
    return process


def say(process: subprocess.Popen[bytes], data: dict[str, object]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(data).encode() + b"\n")


def test_an_idle_helper_ends_and_the_next_call_starts_another(session: DesktopSession) -> None:
    with begin(session, idle=0.2) as process:
        assert process.wait(10) == EXIT_IDLE
    vault = HelperVault(HOME, idle=0.2)
    save(vault, A, CANARY)
    first = pid_of(vault)
    wait_for_end(first)
    for _ in range(3):
        assert vault.load(A) == Secret(CANARY)
        time.sleep(0.25)
    assert pid_of(vault) != first
    vault.close()


def test_a_helper_whose_parent_is_gone_does_what_it_was_asked_and_ends(session: DesktopSession) -> None:
    """A token that was handed over for saving is not lost with the app that was killed right after."""
    with begin(session) as process:
        assert process.stdin is not None
        say(process, {"id": 1, "op": "save", "name": A, "value": "last words", "seconds": 10})
        say(process, {"id": 2, "op": "save", "name": B, "value": "these too", "seconds": 10})
        process.stdin.write(b'{"id": 3, "op": "save", "name": "accounts/k1/a", "value": "cut o')
        process.stdin.close()
        assert process.wait(10) == EXIT_ORPHAN
    vault = SecretServiceVault(HOME)
    assert (vault.load(A), vault.load(B)) == (Secret("last words"), Secret("these too"))
    vault.close()


def test_a_helper_whose_parent_is_gone_does_not_outlast_its_deadline(session: DesktopSession) -> None:
    session.hang_keyring()
    with begin(session) as process:
        assert process.stdin is not None
        say(process, {"id": 1, "op": "save", "name": A, "value": "late", "seconds": 0.5})
        process.stdin.close()
        with ends_within(SLACK):
            assert process.wait(10) == EXIT_STUCK
    session.resume_keyring()
    vault = SecretServiceVault(HOME)
    assert vault.load(A) is None
    vault.close()


def test_the_helper_ends_with_its_parent(session: DesktopSession) -> None:
    code = (
        "from keyfob.adapters.vault.process import HelperProcess, HelperVault\n"
        "import os, sys\n"
        f"vault = HelperVault({HOME!r})\n"
        "vault.load('accounts/k1/a')\n"
        "print(vault._helper._process.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], env=session.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    until(lambda: not alive(pid), "the helper to end with its parent", 10)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_no_secret_in_the_helpers_arguments_environment_or_errors(
    session: DesktopSession, helper: HelperVault
) -> None:
    """S-25."""
    save(helper, A, CANARY)
    pid = pid_of(helper)
    for file in ("cmdline", "environ"):
        assert CANARY.encode() not in Path(f"/proc/{pid}/{file}").read_bytes()
    assert Path(f"/proc/{pid}/fd/2").readlink() == Path(os.devnull)


def test_a_helper_that_cannot_start_is_told(session: DesktopSession) -> None:
    vault = HelperVault(HOME, command=[sys.executable, "-c", "raise SystemExit(3)"])
    assert code_of(lambda: vault.load(A)) == "keychain_refused"
    assert code_of(lambda: save(vault, A, CANARY)) == "keychain_timeout"
    assert not vault.probe().ok
    vault.close()


# --- S-67: nothing but the keychain -------------------------------------------------------------------------

REFUSED = {
    "keyring.backends.null.Keyring": "keychain_plaintext",
    "keyrings.alt.file.PlaintextKeyring": "keychain_plaintext",
    "keyrings.alt.file.EncryptedKeyring": "keychain_plaintext",
    "no.such.Keyring": "keychain_plaintext",
    "keyring.backends.fail.Keyring": "keychain_off",
}


@pytest.mark.parametrize("named", REFUSED)
@pytest.mark.parametrize("setting", ["variable", "file"])
def test_a_setting_that_names_no_keychain_is_refused(
    session: DesktopSession, named: str, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-67: even where a good keychain is there, since the setting is meant."""
    if setting == "variable":
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", named)
    else:
        write_settings(session, named)
    helper = HelperVault(HOME)
    for vault in (helper, DeadlineVault(SystemVault(HOME))):
        for call in (
            lambda vault=vault: save(vault, A, CANARY),  # type: ignore[misc]
            lambda vault=vault: vault.load(A),  # type: ignore[misc]
        ):
            assert code_of(call) == REFUSED[named]
        assert vault.probe().code == REFUSED[named]
    assert code_of(lambda: KeyringVault(HOME)) == REFUSED[named]
    helper.close()
    with session.bus() as connection:
        assert list(secretstorage.Collection(connection).get_all_items()) == []
    assert not [p for p in session.home.rglob("*") if p.is_file() and CANARY.encode() in p.read_bytes()]


@pytest.mark.parametrize(
    "named", ["keyring.backends.chainer.ChainerBackend", "keyring.backends.SecretService.Keyring"]
)
@pytest.mark.parametrize("setting", ["variable", "file"])
def test_a_setting_that_names_the_keychain_is_followed(
    session: DesktopSession, named: str, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting == "variable":
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", named)
    else:
        write_settings(session, named)
    vault = SystemVault(HOME)
    save(vault, A, CANARY)
    assert vault.load(A) == Secret(CANARY)
    assert vault.probe().name == "GNOME Keyring"
    vault.close()


def write_settings(session: DesktopSession, named: str) -> None:
    folder = session.home / ".config/python_keyring"
    folder.mkdir(parents=True)
    (folder / "keyringrc.cfg").write_text(f"[backend]\ndefault-keyring={named}\n")


# --- entries ------------------------------------------------------------------------------------------------


def test_keyring_and_secretstorage_read_and_replace_each_others_entries(session: DesktopSession) -> None:
    direct, through = SecretServiceVault(HOME), KeyringVault(HOME)
    keyring = SecretService.Keyring()
    save(direct, A, "direct")
    assert through.load(A) == Secret("direct")
    assert keyring.get_password(f"keyfob/{HOME}/{A}", USER) == "direct"
    save(through, A, "through")
    assert direct.load(A) == Secret("through")
    with session.bus() as connection:
        assert len(list(secretstorage.Collection(connection).get_all_items())) == 1
    direct.delete(A)
    assert through.load(A) is None
    direct.close()


def test_each_entry_has_a_service_name_of_its_own(session: DesktopSession) -> None:
    """S-69: and its home's id in it."""
    vault = SecretServiceVault(HOME)
    save(vault, A, "1")
    save(vault, B, "2")
    with session.bus() as connection:
        services = [
            i.get_attributes()["service"] for i in secretstorage.Collection(connection).get_all_items()
        ]
    assert sorted(services) == [f"keyfob/{HOME}/{A}", f"keyfob/{HOME}/{B}"]
    vault.close()


def test_one_session_serves_all_reads(session: DesktopSession, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    real = secretstorage.item.open_session

    def counted(connection: object) -> object:
        opened.append(connection)
        return real(connection)

    for module in (secretstorage.item, secretstorage.collection):
        monkeypatch.setattr(module, "open_session", counted)
    vault = SecretServiceVault(HOME)
    for number in range(5):
        save(vault, A, str(number))
        assert vault.load(A) == Secret(str(number))
    assert len(opened) == 1
    vault.close()


def test_the_choice_follows_the_settings(session: DesktopSession, tmp_path: Path) -> None:
    home = Home(*(tmp_path for _ in range(6)), id=HOME)
    in_process = choose_vault(Settings(), home, in_process=True)
    lasting = choose_vault(Settings(), home, in_process=False)
    assert isinstance(in_process, DeadlineVault)
    assert isinstance(lasting, HelperVault)
    for vault in (in_process, lasting):
        assert vault.probe().name == "GNOME Keyring"
        vault.close()
    sealed = choose_vault(Settings(vault="sealed"), home, in_process=True, ask=lambda new: Secret("pw"))
    assert sealed.probe().name == "encrypted file"
    assert choose_vault(Settings(vault="pass"), home, in_process=False).probe().name == "pass"
