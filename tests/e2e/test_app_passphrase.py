"""The encrypted file on a real screen: the app starts with it locked, and the window opens it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.app_run import Stage
from support.session import DesktopSession

pytestmark = [pytest.mark.screen, pytest.mark.timeout(300)]

PASSPHRASE = "correct horse battery staple"
BANNER = "The encrypted file is locked"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with DesktopSession() as session:
        session.start_screen()
        with Stage(tmp_path, session) as made:
            made.settings(first_start_done=True, vault="sealed")
            yield made


def test_s25_a_new_file_gets_its_passphrase_and_is_unlocked_at_the_next_start(stage: Stage) -> None:
    file = stage.home / "data" / "vault.sealed"
    with stage.window() as window:
        window.press(f"Unlock…: {BANNER}", seconds=30)
        window.type("Passphrase", PASSPHRASE)
        window.type("Passphrase again", PASSPHRASE)
        window.press("Create file", window="Choose a passphrase")
        window.gone(name=f"Unlock…: {BANNER}")
        assert file.exists()

    with stage.window() as window:
        window.press(f"Unlock…: {BANNER}", seconds=30)
        window.type("Passphrase", "correct house")
        window.press("Unlock", window="Unlock the encrypted file")
        window.find(has="The passphrase is wrong.", window="Unlock the encrypted file")
        assert window.there(name=f"Unlock…: {BANNER}")
        window.shot("passphrase-wrong")
        window.type("Passphrase", PASSPHRASE)
        window.press("Unlock", window="Unlock the encrypted file")
        window.gone(name=f"Unlock…: {BANNER}")
        window.gone(name="Unlock the encrypted file", role="dialog")
    for path in stage.home.rglob("*"):
        assert not path.is_file() or PASSPHRASE.encode() not in path.read_bytes(), path
