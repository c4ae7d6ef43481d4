"""Check everything on a real screen: a port that another program has, a keychain that is locked, and the way
back to "Everything works".
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.app_run import Stage
from support.oidc_provider import OidcProvider
from support.session import PASSWORD, DesktopSession

pytestmark = [
    pytest.mark.servers,
    pytest.mark.browser,
    pytest.mark.keychain,
    pytest.mark.screen,
    pytest.mark.timeout(300),
]

UNLOCKS = (["type", "--delay", "20", PASSWORD], ["key", "Return"])


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with DesktopSession() as session, OidcProvider() as server:
        session.start_screen()
        with Stage(tmp_path, session, server.issuer) as made:
            made.add("acme")
            made.settings(first_start_done=True)
            assert made.run("connect", "acme", **made.browser("alice")).code == 0
            yield made


def test_a_taken_port_and_a_locked_keychain_are_solved_from_the_page(stage: Stage) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        stage.settings(callback_port=(port := other.getsockname()[1]))
        with stage.window(**stage.browser("alice")) as window:
            window.row("acme/alice", "connected")
            window.press("Check everything")
            window.heard("Check everything: 1 problem.", seconds=60)
            window.find(has=f"Port {port} is in use by ")
            window.find(has="1 problem. Checked at ")
            window.find(has="Answers. alice is signed in.")
            window.shot("check-port-taken")
            window.press("Change port: Callback port")
            field = window.find(name="Callback port", role="text|entry", window="Settings")
            assert (field["text"], field["focused"]) == (str(port), True)

            other.close()
            window.press("Done", window="Settings")  # the page checks again by itself
            window.heard("Check everything: Everything works.", seconds=60)
            window.find(has=f"127.0.0.1:{port} is free.")
            window.gone(name="Change port: Callback port")

            stage.session.lock_keyring()
            window.press("Check again")
            window.press("Unlock: Keychain", seconds=60)
            stage.session.answer_prompt(*UNLOCKS)
            window.gone(name="Unlock: Keychain", seconds=60)
            window.find(has="Everything works. Checked at ", seconds=60)
            window.shot("check-well")
            assert not stage.session.prompt_shows()
