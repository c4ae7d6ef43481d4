"""`keyfob connect --server`: a person signs in on their own desktop, and a gateway has the account."""

from __future__ import annotations

import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from keyfob.core.times import to_rfc3339
from support.oidc_provider import OidcProvider
from support.postgres import Postgres
from support.running import until
from support.session import DesktopSession
from support.two_homes import Stage, two_homes
from support.workshop import Bench

pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.keychain, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with OidcProvider(ACCESS_TTL="300") as made:
        yield made


@pytest.fixture
def stage(session: DesktopSession, tmp_path: Path, provider: OidcProvider) -> Iterator[Stage]:
    with two_homes(tmp_path, session.env, provider) as made:
        yield made


def test_the_server_has_the_account_and_the_desktop_nothing(stage: Stage) -> None:
    stage.provider.ttl(AccessToken=6)
    try:
        connected = stage.connect("--label", "team")
        assert connected.code == 0, connected.err
        host = urlsplit(stage.url).netloc
        assert connected.out == f"Connected as Alice on {host}: op/team\n"
        assert stage.desktop.keyfob("accounts", "--json").json == {"accounts": []}
        assert stage.connect("--json").json["id"] == "op/team", "signed in again, it is the same account"
        shutil.rmtree(stage.desktop.keyfob_home)

        made = stage.server.keyfob("grants", "create", "op", "--json").json
        first = stage.me(made["key"], "op/team")
        assert (first.status_code, first.json()["sub"]) == (200, "alice")
        ends = stage.accounts()[0]["expires_at"]
        until(lambda: now() > ends, "the end of the token", 30)
        assert stage.me(made["key"], "op/team").json()["sub"] == "alice"
        assert stage.provider.counts()["grant refresh_token"] >= 1, "the server renews"
    finally:
        stage.provider.ttl(AccessToken=300)


def now() -> str:
    return str(to_rfc3339(datetime.now(UTC)))


def test_what_the_server_does_not_keep_is_revoked(stage: Stage) -> None:
    (stage.server.keyfob_home / "config" / "providers" / "op.toml").unlink()
    refused = stage.connect()
    assert (refused.code, refused.out) == (8, "")
    assert "The server has no preset op" in refused.err
    assert "Keyfob revokes the sign-in" in refused.err
    assert stage.provider.live("alice") == []
    assert stage.desktop.keyfob("accounts", "--json").json == {"accounts": []}


def test_before_the_browser_opens_a_wrong_key_is_reported(stage: Stage) -> None:
    for key, code in (("sk-aaaaaaaaaaaa-" + "0" * 32, 8), ("", 2)):
        refused = stage.connect(KEYFOB_SERVER_KEY=key)
        assert refused.code == code
        assert "Waiting for the browser" not in refused.err
    someone = stage.server.keyfob("keys", "create", "--user", "bob", "--json").json["key"]
    assert "Only an administrator" in stage.connect(KEYFOB_SERVER_KEY=someone).err
    plain_http = stage.connect(url="http://gateway.example.com")
    assert plain_http.code == 2
    assert "https://" in plain_http.err
    assert stage.provider.live("alice") == []


@contextmanager
def answers_lost(url: str, count: int) -> Iterator[tuple[str, list[int]]]:
    """In front of a server: it gets each request, and the first `count` answers to a handover are lost."""
    target = urlsplit(url)
    lost: list[int] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += connection.recv(65536)
            head, _, body = asked.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            while length and len(body) < int(length[1]):
                body += connection.recv(65536)
            head = re.sub(rb"(?i)host: [^\r]+", b"Host: " + target.netloc.encode(), head)
            with socket.create_connection((target.hostname or "", target.port or 0), timeout=30) as server:
                server.sendall(head + b"\r\n\r\n" + body)
                answer = b""
                while part := server.recv(65536):
                    answer += part
            if head.startswith(b"POST") and len(lost) < count:
                lost.append(int(answer.split()[1]))
            else:
                connection.sendall(answer)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", lost
    finally:
        listener.close()


def test_a_lost_answer_is_asked_for_again(stage: Stage) -> None:
    with answers_lost(stage.url, 2) as (url, lost):
        connected = stage.connect("--json", url=url)
    assert connected.code == 0, connected.err
    assert lost == [201, 201]
    assert [row["id"] for row in stage.accounts()] == [connected.json["id"]]
    assert len(stage.provider.live("alice")) == 1
    history = stage.server.keyfob("events", "--json").out
    assert history.count('"connected"') == 1, "kept once"
    trail = stage.server.keyfob("audit", "--kind", "account_added", "--json").json["events"]
    assert {row["by"] for row in trail} == {"user:root"}


def test_if_no_answer_comes_the_sign_in_is_revoked(stage: Stage) -> None:
    with answers_lost(stage.url, 99) as (url, lost):
        refused = stage.connect(url=url)
    assert refused.code == 5
    assert len(lost) == 4
    assert "Keyfob revokes the sign-in" in refused.err
    assert stage.provider.live("alice") == []


def test_accounts_of_a_server_from_afar(stage: Stage) -> None:
    remote = {"KEYFOB_SERVER": stage.url, "KEYFOB_SERVER_KEY": stage.key}
    account = stage.connect("--json").json["id"]
    listed = stage.desktop.keyfob("accounts", **remote)
    assert account in listed.out
    ended = stage.desktop.keyfob("disconnect", account, "--json", **remote)
    assert ended.json["revoked"] == "yes"
    assert stage.provider.live("alice") == []
    assert stage.accounts()[0]["status"] == "disconnected"


def test_s28_no_token_and_no_key_is_in_a_file(stage: Stage) -> None:
    account = stage.connect("--json").json["id"]
    token = stage.server.keyfob("token", account).out.strip()
    files = [file for bench in (stage.server, stage.desktop) for file in bench.keyfob_home.rglob("*")]
    assert len(files) > 5
    for file in files:
        if file.is_file():
            content = file.read_bytes()
            assert token.encode() not in content, file
            assert stage.key.encode() not in content, file


def test_a_tenants_accounts_in_postgresql(
    session: DesktopSession, tmp_path: Path, provider: OidcProvider
) -> None:
    """Callers of the tenant use its account, and nobody else. S-72: its administrator names no address of the
    server.
    """

    def prepare(server: Bench) -> None:
        server.env["KEYFOB_DATABASE_URL"] = database.url
        server.env["KEYFOB_MASTER_KEY_FILE"] = str(tmp_path / "master.keys")
        made = server.keyfob("gateway", "master-key", "new")
        assert made.code == 0, made.err

    with Postgres() as database, two_homes(tmp_path, session.env, provider, prepare=prepare) as stage:
        keys = {
            tenant: stage.server.keyfob(
                "keys", "create", "--user", "ann", "--tenant", tenant, "--admin", "--json"
            ).json["key"]
            for tenant in ("acme", "rival")
        }
        inside = stage.connect("--json", KEYFOB_SERVER_KEY=keys["acme"])
        assert inside.error["code"] == "endpoint_unsafe", "this provider is on the server's own computer"
        assert stage.provider.live("alice") == []
        connected = stage.connect("--label", "bot", "--tenant", "acme", "--json")
        assert connected.json["id"] == "op/bot", connected.err
        assert stage.accounts() == [], "the server's own accounts are others"
        remote = {"KEYFOB_SERVER": stage.url, "KEYFOB_SERVER_KEY": keys["acme"]}
        granted = stage.desktop.keyfob("grants", "create", "op/bot", "--json", **remote).json
        assert (granted["tenant_id"], granted["account_tenant"]) == ("acme", "acme")
        assert stage.me(granted["key"], "op/bot").json()["sub"] == "alice"
        by_operator = stage.server.keyfob("grants", "create", "op", "--account-tenant", "acme", "--json").json
        assert stage.me(by_operator["key"], "op/bot").json()["sub"] == "alice"
        here = stage.server.keyfob("grants", "create", "op", "--json", KEYFOB_TENANT="acme").json
        assert (here["account"], here["account_tenant"]) == ("op/bot", "acme")
        rivals = remote | {"KEYFOB_SERVER_KEY": keys["rival"]}
        assert stage.desktop.keyfob("accounts", "--json", **rivals).json == {"accounts": []}
        assert stage.desktop.keyfob("grants", "create", "op/bot", **rivals).code == 7
        assert stage.me(keys["rival"], "op/bot").json()["code"] == "not_granted"
