"""The client library that Nexus Mods publishes, run against our server: the server answers as clients expect.

What it accepts here, Keyfob's own client has to accept too (`tests/e2e/test_nexus_client.py`).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from support import node
from support.nexus_server import NexusServer, issue

pytestmark = pytest.mark.servers


@pytest.fixture
def server() -> Iterator[NexusServer]:
    with NexusServer() as made:
        yield made


def vendor(server: NexusServer, *credentials: str, **env: str) -> Any:
    """What `nexus_client/client.cjs` prints."""
    folder = node.installed("nexus_client")
    done = subprocess.run(
        [str(node.node(20)), "client.cjs", server.base, *credentials],
        cwd=folder,
        env={**os.environ, "NODE_NO_WARNINGS": "1", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_call_of_the_client_gets_what_it_expects(server: NexusServer) -> None:
    wanted = server.site.find(103)[2]
    got = vendor(server, "key-of-aldis", MD5=wanted.md5)
    assert (got["member"]["name"], got["member"]["is_premium"], got["member"]["user_id"]) == (
        "Aldis",
        True,
        1,
    )
    assert got["games"] == ["skyrimspecialedition", "eldenring"]
    assert (got["mod"]["name"], got["mod"]["endorsement"]["endorse_status"]) == ("Quiet Roads", "Endorsed")
    assert [each["file_id"] for each in got["files"]["files"]] == [101, 102, 103]
    assert [each["new_file_id"] for each in got["files"]["file_updates"]] == [102, 103]
    assert got["links"] == ["Amsterdam (Premium)", "Nexus Global Content Delivery Network"]
    assert got["track"] == {"message": "User 1 is now Tracking Mod: 13"}
    assert got["trackedTwice"] == {"message": "User 1 is already Tracking Mod: 13"}  # it takes 422 for that
    assert {"mod_id": 13, "domain_name": "skyrimspecialedition"} in got["tracked"]
    assert got["untrack"] == {"message": "User 1 is no longer tracking 13"}
    assert got["endorse"]["status"] == "Endorsed"
    assert got["byHash"]["value"][0]["file_details"]["file_id"] == 103
    assert (got["noSuchHash"]["status"], got["badHash"]["status"]) == (404, 422)
    assert got["noSuchFile"]["message"] == "File ID '999' not found"
    assert got["noSuchGame"]["message"] == "No Game Found: nowhere"
    assert got["hidden"]["status"] == 403
    assert got["wrongLink"]["status"] == 400
    assert 19_900 < got["limits"]["daily"] < 20_000
    assert got["limits"]["hourly"] == 500
    assert server.site.offences == []


def test_a_free_member_gets_a_link_only_with_what_the_site_gave(server: NexusServer) -> None:
    got = vendor(server, "key-of-brea")
    assert got["status"] == 403
    assert got["failed"].endswith("this is for premium users only.")


def test_a_token_is_renewed_by_the_client_and_an_expired_one_told_apart(server: NexusServer) -> None:
    first = issue(server.site, 1)
    got = vendor(server, "-", first["access_token"], first["refresh_token"], ONLY_GAMES="1")
    assert len(got["games"]["value"]) == 2
    assert "POST /oauth/token" in server.site.paths()
    assert first["refresh_token"] not in server.site.refresh  # it was used once


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("cloudflare", "NexusError", "API currently not reachable, please try again later."),
        ("521", "NexusError", "API currently offline"),
        ("202", "TimeoutError", "Not processed in time"),
    ],
)
def test_the_odd_answers_are_those_that_the_client_knows(
    server: NexusServer, fault: str, error: str, words: str
) -> None:
    server.site.faults = [("/games", fault)]
    got = vendor(server, "key-of-aldis", ONLY_GAMES="1")["games"]
    assert (got["error"], got["message"]) == (error, words)


def test_a_request_that_came_too_fast_is_sent_again(server: NexusServer) -> None:
    server.site.faults = [("/games", "too_fast")]
    assert len(vendor(server, "key-of-aldis", ONLY_GAMES="1")["games"]["value"]) == 2


def test_no_requests_are_left(server: NexusServer) -> None:
    member = server.site.members[1]
    member.daily_left, member.hourly_left = 0, 1  # enough for the key, and no more
    assert vendor(server, "key-of-aldis", ONLY_GAMES="1")["games"]["error"] == "RateLimitError"
