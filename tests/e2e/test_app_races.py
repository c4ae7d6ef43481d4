"""Many processes at once, and processes that die: one renewal, and nobody is signed out."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.app_run import Stage
from support.oidc_provider import OidcProvider, Person
from support.running import until
from support.session import DesktopSession

pytestmark = [pytest.mark.servers, pytest.mark.keychain, pytest.mark.timeout(300)]

PROCESSES = 16
KILLS = 20


@pytest.fixture
def server() -> Iterator[OidcProvider]:
    with OidcProvider(ACCESS_TTL="2") as made:
        yield made


@pytest.fixture
def stage(tmp_path: Path, session: DesktopSession, server: OidcProvider) -> Iterator[Stage]:
    """Connected, with an access token that lives for 2 s."""
    with Stage(tmp_path, session, server.issuer) as made:
        made.add("acme")
        connecting = made.start("connect", "acme", "--no-browser", "--json")
        assert connecting.stderr is not None
        url = next(line for line in connecting.stderr if "/auth" in line).strip()
        with Person("alice") as person:
            person.visit(url)
        out, err = connecting.communicate(timeout=60)
        assert connecting.returncode == 0, err
        assert '"connected"' in out
        yield made


def is_valid(server: OidcProvider, token: str) -> bool:
    """The server's own word."""
    answer = httpx.get(
        f"{server.issuer}/me", headers={"Authorization": f"Bearer {token}"}, timeout=10, trust_env=False
    )
    return answer.status_code == 200


def renewals(server: OidcProvider) -> int:
    return server.counts().get("grant refresh_token", 0)


def test_many_processes_and_one_expired_token_cost_one_renewal(stage: Stage, server: OidcProvider) -> None:
    server.ttl(AccessToken=600)
    time.sleep(2.5)
    server.reset()
    asking = [stage.start("token", "acme") for _ in range(PROCESSES)]
    answers = [process.communicate(timeout=120) for process in asking]
    assert [process.returncode for process in asking] == [0] * PROCESSES, answers
    tokens = {out.strip() for out, _ in answers}
    assert len(tokens) == 1
    assert is_valid(server, tokens.pop())
    assert renewals(server) == 1
    assert server.counts()["/token"] == 1


def test_many_processes_refused_with_one_token_cost_one_renewal(stage: Stage, server: OidcProvider) -> None:
    server.ttl(AccessToken=600)
    refused = stage.run("token", "acme").out
    server.reset()
    asking = [stage.start("token", "acme", "--rejected-stdin") for _ in range(PROCESSES)]
    for process in asking:
        assert process.stdin is not None
        process.stdin.write(refused)
        process.stdin.close()
        process.stdin = None
    answers = [process.communicate(timeout=120) for process in asking]
    assert [process.returncode for process in asking] == [0] * PROCESSES, answers
    tokens = {out for out, _ in answers}
    assert len(tokens) == 1
    assert tokens != {refused}
    assert server.counts()["/token"] == 1


def test_killed_at_any_moment_of_a_renewal_and_still_signed_in(stage: Stage, server: OidcProvider) -> None:
    # Without rotation: what a server with it has committed and could not tell, no client can know.
    server.behave(rotate=False)
    server.ttl(AccessToken=600)
    whole = stage.run("renew", "acme")
    assert whole.code == 0
    moments = random.Random()
    cut = 0
    for _ in range(KILLS):
        process = stage.start("renew", "acme")
        time.sleep(moments.uniform(0.2, 1.0) * whole.seconds)
        cut += process.poll() is None
        process.kill()
        process.communicate()
        status = stage.account("acme")["status"]
        assert status in ("connected", "renewing"), status
    assert cut > KILLS // 4, "most must have been killed in the midst of it"
    token = stage.run("token", "acme")
    assert token.code == 0, token.err
    assert is_valid(server, token.out.strip())
    renewed = stage.run("renew", "acme", "--json").json
    assert (renewed["status"], renewed["last_error"]) == ("connected", None)


def test_killed_while_the_server_takes_its_time_and_still_signed_in(
    stage: Stage, server: OidcProvider
) -> None:
    """The request has arrived, nothing is rotated yet: the next one finds
    the refresh token as good as before.
    """
    server.ttl(AccessToken=600)
    server.reset()
    server.outage("/token", status=503, times=1)
    process = stage.start("renew", "acme")
    until(lambda: server.counts().get("/token", 0) >= 1, "the request", 30)
    process.kill()
    process.communicate()
    until(lambda: stage.run("renew", "acme").code == 0, "a renewal", 60)
    assert stage.account("acme")["status"] == "connected"
