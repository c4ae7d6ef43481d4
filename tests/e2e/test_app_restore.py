"""S-83 on a real screen: damaged account data is restored from the window, with a real keychain."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from support.app_run import Stage
from support.oidc_provider import OidcProvider
from support.session import DesktopSession

pytestmark = [
    pytest.mark.servers,
    pytest.mark.browser,
    pytest.mark.keychain,
    pytest.mark.screen,
    pytest.mark.timeout(300),
]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with DesktopSession() as session, OidcProvider() as server:
        session.start_screen()
        with Stage(tmp_path, session, server.issuer) as made:
            made.add("acme")
            made.settings(first_start_done=True)
            assert made.run("connect", "acme", **made.browser("alice")).code == 0
            yield made


def test_a_damaged_file_is_restored_at_the_start(stage: Stage) -> None:
    file = stage.home / "data" / "accounts.db"
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    file.write_bytes(b"not a database" * 500)
    with stage.window() as window:
        restore = window.find(starts="Restore accounts…: ", seconds=30)["name"]
        window.shot("store-damaged")
        window.press(restore)
        window.press("Restore")
        window.row("acme/alice", "connected", seconds=40)
        window.heard("Restored acme/alice.")
    assert [each for each in file.parent.iterdir() if ".damaged-" in each.name]
    assert stage.run("test", "acme", "--json").json["name"] == "Alice"


def test_a_damaged_account_is_restored_from_check_everything(stage: Stage) -> None:
    with closing(sqlite3.connect(stage.home / "data" / "accounts.db")) as vandal:
        vandal.execute("UPDATE accounts SET record = '{}'")
        vandal.commit()
    with stage.window() as window:
        window.press("Check everything", seconds=30)
        window.press("Restore accounts: Accounts", seconds=60)
        window.press("Restore")
        window.row("acme/alice", "connected", seconds=40)
        window.gone(name="Restore accounts: Accounts", seconds=60)
    assert stage.account("acme")["status"] == "connected"
