"""KeePassXC as the keychain. It asks the person before a program replaces an entry, deletes one without a
recycle bin, or (unless told otherwise) reads what an earlier process wrote. No renewal may depend on such a
question being answered.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import secretstorage

from contract.vault_contract import HOME
from keyfob.adapters.vault.process import HelperVault
from keyfob.core.errors import KeychainError
from keyfob.core.secret import Secret
from support import keepassxc
from support.running import until
from support.session import DesktopSession

pytestmark = [pytest.mark.keychain, pytest.mark.screen, pytest.mark.timeout(120)]

A, B = "k1/a", "k1/b"


@pytest.fixture
def session() -> Iterator[DesktopSession]:
    with DesktopSession(keyring=False) as running, running.applied():
        running.start_screen(tray=False)
        yield running


@contextmanager
def another_process(*, idle: float = 60) -> Iterator[HelperVault]:
    """Each is a program that KeePassXC has not seen before."""
    vault = HelperVault(HOME, deadline=5, idle=idle)
    try:
        yield vault
    finally:
        vault.close()


@pytest.mark.parametrize("recycle_bin", [True, False])
def test_no_process_is_asked_about_to_read_write_or_delete(
    session: DesktopSession, recycle_bin: bool
) -> None:
    keepassxc.start(session, confirm=False, recycle_bin=recycle_bin)
    for number in range(2):
        with another_process() as vault:
            assert vault.probe().ok
            for text in (f"first {number}", f"second {number}"):
                vault.save(A, Secret(text))
                assert vault.load(A) == Secret(text)
            vault.save(B, Secret("passing"))
            vault.delete(B)
            assert vault.load(B) is None
        assert not keepassxc.asks(session)


def test_what_an_older_keyfob_wrote_is_read_and_written(session: DesktopSession) -> None:
    keepassxc.start(session, confirm=False)
    attributes = {
        "service": f"keyfob/{HOME}/{A}",
        "username": "keyfob",
        "application": "Python keyring library",
    }
    with session.bus() as connection:
        secretstorage.Collection(connection).create_item("old", attributes, b"older", replace=True)
    with another_process() as vault:
        assert vault.load(A) == Secret("older")
        vault.save(A, Secret("newer"))
        assert vault.load(A) == Secret("newer")
    with session.bus() as connection:
        items = list(secretstorage.Collection(connection).search_items(attributes))
        assert [item.get_secret() for item in items] == [b"newer"]


def test_entries_that_it_keeps_back_are_asked_for_once_and_by_a_person_s_wish_only(
    session: DesktopSession,
) -> None:
    keepassxc.start(session, confirm=True)
    with another_process() as vault:
        vault.save(A, Secret("kept"))
    with another_process(idle=0.5) as vault:
        for call in (lambda: vault.load(A), lambda: vault.save(A, Secret("new"))):
            with pytest.raises(KeychainError) as caught:
                call()
            assert caught.value.code == "keychain_withheld"
        health = vault.probe()
        assert (health.ok, health.code) == (False, "keychain_withheld")
        assert not keepassxc.asks(session)
        thread = threading.Thread(target=allow, args=(session,))
        thread.start()
        vault.unlock(30)
        thread.join(30)
        for _ in range(2):
            assert vault.load(A) == Secret("kept")
            assert vault.probe().ok
            time.sleep(1)  # longer than a process without this permission would stay
        assert not keepassxc.asks(session)


def allow(session: DesktopSession) -> None:
    """The person presses the question's first button, which allows the entries."""
    until(lambda: keepassxc.asks(session), "a question", 30)
    time.sleep(0.5)
    subprocess.run(["xdotool", "key", "Return"], env=session.env, check=True, timeout=10)
