"""More access for an account, asked for in the window, with a real server, browser, keychain and screen."""

from __future__ import annotations

from collections.abc import Iterator
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

ACCESS = """
[[access]]
id = "contact"
title = "Your e-mail address"
scopes = ["email"]
allows = "To write to you"
"""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with DesktopSession() as session, OidcProvider() as server:
        session.start_screen()
        with Stage(tmp_path, session, server.issuer) as made:
            made.add("acme")
            preset = made.home / "config" / "providers" / "acme.toml"
            text = preset.read_text("utf-8")
            assert '"email", ' in text
            preset.write_text(text.replace('"email", ', "") + ACCESS, "utf-8")
            made.settings(first_start_done=True)
            yield made


def test_more_access_is_asked_for_in_the_window_and_the_old_sign_in_stands_until_then(stage: Stage) -> None:
    assert stage.run("connect", "acme", "--access", "contact", **stage.browser("alice")).code == 0
    assert stage.account("acme")["access"] == [{"id": "contact", "title": "Your e-mail address"}]
    stage.read_browser()
    assert stage.run("remove", "acme").code == 0
    assert stage.run("connect", "acme", **stage.browser("alice")).code == 0
    stage.read_browser()
    before = stage.account("acme")
    assert before["access"] == []
    with stage.window(**stage.browser("alice+declines")) as window:
        window.row("acme/alice", "connected")
        window.press("Ask for more…", window="Keyfob")
        window.press("Your e-mail address", window="Connect Account")
        window.press("Continue", window="Connect Account")
        window.find(has="was not signed in again", window="Connect Account", seconds=60)
        assert stage.read_browser() == "Access was declined"
        window.press("Cancel", window="Connect Account")
        window.row("acme/alice", "connected")
        assert stage.run("test", "acme").code == 0
        assert stage.account("acme")["access"] == []
    with stage.window(**stage.browser("alice")) as window:
        window.row("acme/alice", "connected")
        window.press("Ask for more…", window="Keyfob")
        window.press("Your e-mail address", window="Connect Account")
        window.press("Continue", window="Connect Account")
        window.find(name="Connected as Alice", window="Connect Account", seconds=60)
        window.press("Done", window="Connect Account")
        window.find(name="Your e-mail address", window="Keyfob")
        window.gone(name="Ask for more…", window="Keyfob")
    after = stage.account("acme")
    assert after["access"] == [{"id": "contact", "title": "Your e-mail address"}]
    assert (after["id"], after["subject"]) == (before["id"], before["subject"])
