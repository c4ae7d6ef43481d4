"""What the gateway makes of a provider's challenge."""

from __future__ import annotations

import pytest

from keyfob.gateway.proxy.challenges import is_discovery, lacking
from keyfob.gateway.proxy.headers import to_caller

LACKS = (
    'Bearer error="insufficient_scope", scope="files:read files:write", resource_metadata="https://a.example"'
)


def test_the_command_asks_for_what_the_server_names() -> None:
    said = lacking("mcp-example-com/me", 403, LACKS)
    assert said is not None
    assert said.endswith("run: keyfob reconnect mcp-example-com/me --scope files:read --scope files:write")


def test_s75_nothing_of_the_servers_gets_into_the_command() -> None:
    challenge = (
        'Bearer error="insufficient_scope", scope="$(reboot) `a` x;y \u202e", error_description="a\x1b[2Jb"'
    )
    said = lacking("work/me", 403, challenge) or ""
    assert said.endswith("--scope '$(reboot)' --scope '`a`' --scope 'x;y'")
    assert "\x1b" not in said
    assert "\u202e" not in said


@pytest.mark.parametrize(
    ("status", "challenge"),
    [(403, ""), (403, 'Bearer error="invalid_token"'), (404, LACKS), (200, LACKS), (403, "Basic realm=x")],
)
def test_another_answer_is_passed_on(status: int, challenge: str) -> None:
    assert lacking("work/me", status, challenge) is None


def test_the_providers_challenge_stays_here() -> None:
    assert to_caller([("WWW-Authenticate", LACKS), ("Content-Type", "a/b")]) == [("Content-Type", "a/b")]


def test_where_clients_look_for_an_authorization_server() -> None:
    for path in (
        "/x/y/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/x/y",
        "/x/y/.well-known/openid-configuration",
    ):
        assert is_discovery(path), path
    for path in ("/x/y/.well-known/security.txt", "/x/.well-known/openid-configurations", "/x/y"):
        assert not is_discovery(path), path
