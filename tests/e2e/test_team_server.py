"""A team's servers: several gateways, one PostgreSQL, one set of accounts. No session is lost."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from support.postgres import Postgres
from support.team_rig import Gateway, RotatingProvider, Team

pytestmark = [pytest.mark.servers, pytest.mark.network]
Shared = tuple[Team, RotatingProvider]
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename <> ''"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


@pytest.fixture(scope="module")
def shared(
    server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Team, RotatingProvider]]:
    with RotatingProvider() as provider:
        team = Team(tmp_path_factory.mktemp("team"), server.url, provider.issuer)
        team.start(4)
        yield team, provider
        team.close()


@pytest.fixture
def provider(shared: Shared) -> RotatingProvider:
    provider = shared[1]
    provider.delay, provider.grace = 0.0, False
    provider.rotated.clear()
    return provider


@pytest.fixture
def team(shared: Shared, provider: RotatingProvider) -> Team:
    return shared[0]


def served(team: Team, label: str, each: int = 2) -> list[int]:
    """The statuses of callers of all gateways at once."""
    with ThreadPoolExecutor(each * len(team.gateways)) as pool:
        calls = [pool.submit(gateway.get, label) for gateway in team.gateways for _ in range(each)]
        return [call.result().status_code for call in calls]


def test_an_expired_token_is_renewed_once_and_all_callers_are_served(
    team: Team, provider: RotatingProvider
) -> None:
    for number in range(3):
        team.fill(f"round{number}", left=-5)
        assert set(served(team, f"round{number}")) == {200}
        assert provider.given[f"round{number}"] == 1
    assert provider.dead == set()


def test_a_lock_outlives_a_slow_provider(team: Team, provider: RotatingProvider) -> None:
    """Longer than the database's statement timeout, and than the time that a lost holder has."""
    team.fill("slow", left=-5)
    provider.delay = 12.0
    assert set(served(team, "slow", each=1)) == {200}
    assert (provider.given["slow"], provider.dead) == (1, set())


@pytest.mark.parametrize("trouble", ["connections", "server"])
def test_the_database_goes_away_while_the_provider_answers(
    team: Team, provider: RotatingProvider, server: Postgres, trouble: str
) -> None:
    """The provider has rotated, nothing is saved yet, and every connection is gone."""
    label = f"away-{trouble}"
    team.fill(label, left=-5)
    provider.delay = 4.0
    first = threading.Thread(target=team.gateways[0].get, args=(label,))
    first.start()
    assert provider.rotated.wait(20)
    if trouble == "server":
        server.stop()
        time.sleep(1)
        server.start()
    else:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(CUT)
    end = time.monotonic() + 60
    while set(served(team, label, each=1)) != {200} and time.monotonic() < end:
        time.sleep(0.5)  # a gateway says 503 while it cannot reach the database
    first.join()
    assert set(served(team, label, each=1)) == {200}
    assert (provider.given[label], provider.dead) == (1, set())


def test_a_gateway_is_killed_while_the_provider_answers(team: Team, provider: RotatingProvider) -> None:
    """Another one finds the intent, and asks again at once, which this provider allows for a while."""
    team.fill("killed", left=-5)
    provider.delay, provider.grace = 5.0, True
    victim = team.gateways[-1]
    failed: list[Exception] = []

    def call() -> None:
        try:
            victim.get("killed")
        except Exception as error:  # its connection ends with the gateway
            failed.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    assert provider.rotated.wait(20)
    victim.process.send_signal(signal.SIGKILL)
    victim.process.wait(10)
    victim.close()
    caller.join()
    team.gateways.remove(victim)
    provider.delay = 0.0
    assert len(failed) == 1
    assert set(served(team, "killed", each=1)) == {200}
    assert (provider.given["killed"], provider.dead) == (1, set())


def test_the_servers_renew_ahead_and_each_account_once(team: Team, provider: RotatingProvider) -> None:
    """No caller asks: whichever gateway looks first takes the lock."""
    team.fill("ahead", left=30)
    team.fill("ahead-acme", left=30, tenant="acme")  # nobody of this tenant has called yet
    end = time.monotonic() + 90
    while not (provider.given["ahead"] and provider.given["ahead-acme"]) and time.monotonic() < end:
        time.sleep(0.5)
    assert (provider.given["ahead"], provider.given["ahead-acme"], provider.dead) == (1, 1, set())


def test_s63_a_tenant_does_not_see_the_servers_accounts(team: Team, provider: RotatingProvider) -> None:
    """The server's own account is not the tenant's, and the tenant does not see it."""
    team.fill("same", left=3000)
    others = team.keyfob("accounts", KEYFOB_TENANT="acme")
    assert (others.returncode, "shop/same" in others.stdout) == (0, False)
    assert team.gateways[0].get("same").status_code == 200


def test_commands_use_the_accounts_of_the_team(team: Team, provider: RotatingProvider) -> None:
    team.fill("cli", left=3000)
    listed = team.keyfob("accounts")
    assert "shop/cli" in listed.stdout
    token = team.keyfob("token", "shop/cli")
    assert (token.returncode, token.stdout.strip()) == (0, "a.cli.0")
    without = team.keyfob("token", "shop/cli", KEYFOB_MASTER_KEY_FILE="/nowhere/master.keys")
    assert (without.returncode, without.stdout) == (4, "")
    assert "/nowhere/master.keys has no master key" in without.stderr
    rotated = team.keyfob("gateway", "master-key", "rotate")
    assert rotated.returncode == 0, rotated.stderr
    finished = team.keyfob("gateway", "master-key", "rotate", "--finish", "--data-keys", "--json")
    assert json.loads(finished.stdout)["sealed_again"] > 0
    assert team.keyfob("token", "shop/cli").stdout.strip() == "a.cli.0"
    assert team.gateways[0].get("cli").status_code == 200
    here = team.keyfob("accounts", KEYFOB_DATABASE_URL="")
    assert "shop/cli" not in here.stdout


def test_a_tenants_key_reaches_its_own_account_alone(team: Team, provider: RotatingProvider) -> None:
    """Tenants are walls: what is another's answers as what is not there."""
    team.fill("tenants", left=-5, tenant="walls")
    team.fill("servers", left=600)
    made = team.keyfob(
        "grants", "create", "shop/tenants", "--account-tenant", "walls", "--name", "bot", "--json"
    )
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)["key"]
    stranger = team.keyfob("keys", "create", "--user", "eve", "--tenant", "rival", "--admin").stdout.strip()
    gateway = Gateway(team.env("tenants"), key=None)
    try:
        assert gateway.get("tenants", key).status_code == 200
        assert provider.given["tenants"] == 1
        others = [gateway.get("servers", key), gateway.get("nobody", key)]
        others += [gateway.get("tenants", stranger), gateway.get("nobody", stranger)]
        assert {answer.status_code for answer in others} == {403}
        assert len({answer.text for answer in others}) == 1
        listed = team.keyfob("accounts", "--json", KEYFOB_TENANT="walls")
        assert [account["id"] for account in json.loads(listed.stdout)["accounts"]] == ["shop/tenants"]
        assert "shop/tenants" not in team.keyfob("accounts").stdout
    finally:
        gateway.stop()
