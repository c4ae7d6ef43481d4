"""The story by the command line: a real keychain, a real browser at a
real provider, each command a process.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.app_run import Stage
from support.oidc_provider import OidcProvider
from support.running import until
from support.session import DesktopSession

pytestmark = [pytest.mark.servers, pytest.mark.browser, pytest.mark.keychain, pytest.mark.timeout(240)]

LIFETIME = 6  # seconds


@pytest.fixture
def server() -> Iterator[OidcProvider]:
    with OidcProvider(ACCESS_TTL=str(LIFETIME)) as made:
        yield made


@pytest.fixture
def stage(tmp_path: Path, session: DesktopSession, server: OidcProvider) -> Iterator[Stage]:
    with Stage(tmp_path, session, server.issuer) as made:
        yield made


def test_the_story(stage: Stage, server: OidcProvider) -> None:
    stage.add("server")
    connected = stage.run("connect", "server", "--json", **stage.browser("alice"))
    account = connected.json
    assert (account["id"], account["status"], account["name"]) == ("server/alice", "connected", "Alice")
    assert stage.read_browser() == "Connected as Alice", "the browser's last page tells who it is"

    tokens = set()
    for _ in range(3):
        asked = stage.run("token", "server", "--min-life", "1", "--json").json
        assert datetime.fromisoformat(asked["expires_at"]) > datetime.now(UTC), (
            "no expired token is handed out"
        )
        tokens.add(asked["token"])
        time.sleep(LIFETIME)
    assert len(tokens) == 3, "a new token for each lifetime, with nobody asked to sign in"
    assert server.counts()["grant refresh_token"] >= 2
    assert stage.run("test", "server", "--json").json["subject"] == "alice"

    server.revoke("alice")
    time.sleep(LIFETIME)
    assert stage.run("token", "server", "--json").error["advice"] == "sign_in_again"
    ended = stage.account("server")
    assert (ended["status"], ended["last_error"]["code"]) == ("needs_sign_in", "grant_ended")
    asked_before = server.counts()["/token"]
    refused = stage.run("token", "server")
    assert (refused.code, refused.out) == (3, "")
    assert re.fullmatch(r"keyfob: .+\. .+\.", refused.err.strip())
    assert server.counts()["/token"] == asked_before, "a grant that has ended is not tried again"

    again = stage.run("reconnect", "server", "--json", **stage.browser("alice")).json
    assert (again["id"], again["status"], again["last_error"]) == ("server/alice", "connected", None)

    gone = stage.run("disconnect", "server", "--json").json
    assert (gone["revoked"], gone["account"]["status"]) == ("yes", "disconnected")
    assert stage.run("token", "server").code == 3
    assert stage.run("remove", "server").code == 0
    assert stage.run("accounts", "--json").json == {"accounts": []}
    assert stage.run("token", "server").code == 7


def test_a_failed_network_signs_nobody_out(stage: Stage, server: OidcProvider) -> None:
    stage.add("server")
    assert stage.run("connect", "server", **stage.browser("alice")).code == 0
    time.sleep(LIFETIME + 0.5)
    server.outage("/token", status=503)
    refused = stage.run("token", "server")
    assert (refused.code, refused.out) == (5, "")
    assert stage.account("server")["status"] == "stale"
    server.outage("/token", times=0)
    # A failed renewal is not hammered: the next one waits a few seconds.
    until(lambda: stage.run("token", "server").code == 0, "a token after the outage")
    assert stage.account("server")["status"] == "connected"


@pytest.mark.parametrize("client", ["basic client:1", "post"])
def test_secret_holding_clients(stage: Stage, client: str) -> None:
    from support.oidc_provider import BASIC_SECRET, POST_SECRET

    secret = POST_SECRET if client == "post" else BASIC_SECRET
    added = stage.run(
        "providers", "add", "work", "--issuer", stage.issuer, "--client-id", client, "--client-secret-stdin",
        "--redirect-port", "0", stdin=f"{secret}\n",
    )  # fmt: skip
    assert added.code == 0, added.err
    connected = stage.run("connect", "work", "--json", **stage.browser("alice"))
    assert connected.json["status"] == "connected", connected.err
    assert stage.run("renew", "work").code == 0
    for file in stage.home.rglob("*"):
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file
