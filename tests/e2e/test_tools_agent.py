"""The helpers through a running agent: it answers what they could not
open themselves, and its refusals are theirs.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from support.running import until
from support.session import DesktopSession
from support.workshop import Bench, bench_at

pytestmark = [pytest.mark.network, pytest.mark.keychain]


@pytest.fixture(scope="module")
def bench(session: DesktopSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The agent has the keychain; everything else that is started here has none."""
    folder = tmp_path_factory.mktemp("bench")
    with bench_at(folder, session.env) as made:
        made.connect()
        made.connect("closed", share=False)
        socket = session.root / "agent.sock"
        made.env["KEYFOB_SOCK"] = str(socket)
        agent = subprocess.Popen(
            ["keyfob", "agent"], env=made.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        try:
            until(lambda: socket.exists() or agent.poll() is not None, "the agent")
            assert agent.poll() is None
            made.env["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={folder}/none"
            yield made
        finally:
            agent.terminate()
            agent.wait(30)


def test_every_helper_asks_the_agent(bench: Bench) -> None:
    done = bench.keyfob("exec", "workshop", "--", "printenv", "WORKSHOP_TOKEN")
    assert done.code == 0, done.err
    token = done.out.strip()
    assert bench.shop.takes(token)
    bench.shop.repository()
    bench.run("git", "config", "--global", "credential.helper", "keyfob")
    cloned = bench.run("git", "clone", "-q", f"{bench.shop.base}/git/box.git")
    assert cloned.code == 0, cloned.err
    docker = bench.run("docker-credential-keyfob", "get", stdin=bench.shop.base)
    assert docker.json["Secret"] == token
    assert bench.run("keyfob-keyring", "get", f"{bench.shop.base}/simple/", "alice").out == token + "\n"
    assert bench.keyfob("credential", "kubectl", "workshop").json["status"]["token"] == token
    headers = bench.keyfob("credential", "headers", "workshop").json
    assert headers == {"Authorization": f"Bearer {token}"}


def test_a_refused_token_is_replaced_by_the_agent(bench: Bench) -> None:
    old = bench.keyfob("exec", "workshop", "--", "printenv", "WORKSHOP_TOKEN").out.strip()
    asked = f"protocol=http\nhost={bench.shop.host}\nusername=alice\npassword={old}\n\n"
    before = bench.provider.counters.get("renewals", 0)
    assert bench.run("git-credential-keyfob", "erase", stdin=asked).code == 0
    assert bench.run("git-credential-keyfob", "erase", stdin=asked).code == 0
    assert bench.provider.counters["renewals"] == before + 1
    got = bench.run("git-credential-keyfob", "get", stdin=f"protocol=http\nhost={bench.shop.host}\n\n")
    assert old not in got.out
    assert "password=" in got.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("exec", "closed", "--", "true"), 8, "does not let other tools"),
        (("credential", "headers", "closed"), 8, "does not let other tools"),
        (("exec", "nobody", "--", "true"), 7, "no account"),
        (("credential", "aws", "workshop"), 8, "not an AWS key pair"),
    ],
)
def test_its_refusals_are_the_commands(bench: Bench, words: tuple[str, ...], code: int, said: str) -> None:
    done = bench.keyfob(*words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_the_agent_tells_each_accounts_hosts(bench: Bench) -> None:
    accounts = json.loads(
        bench.run("sh", "-c", "curl -s --unix-socket $KEYFOB_SOCK http://keyfob/v1/accounts").out
    )
    assert {row["id"] for row in accounts["accounts"]} == {"workshop/alice", "closed/alice"}
    assert all(bench.shop.host in row["hosts"] for row in accounts["accounts"])
