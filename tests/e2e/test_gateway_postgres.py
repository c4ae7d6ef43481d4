"""Keys and users in a real PostgreSQL: several processes, a server that goes away and comes back."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from keyfob.core.errors import Transient
from keyfob.gateway.auth import create_auth_provider
from keyfob.gateway.auth.database import DatabaseAPIKeyAuth
from keyfob.gateway.auth.tables import close_database, open_database
from support.postgres import Postgres

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


def keyfob(url: str, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "KEYFOB_HOME": str(home / "keyfob"),
        "KEYFOB_DATABASE_URL": url,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-m", "keyfob", *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_key_made_by_one_process_is_taken_and_revoked_in_another(server: Postgres, tmp_path: Path) -> None:
    made = keyfob(server.url, tmp_path, "keys", "create", "--user", "alice", "--tenant", "acme", "--json")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)
    provider = create_auth_provider("database", {"database_url": server.url})
    assert provider is not None

    async def run() -> None:
        found = await provider.authenticate(key["key"])
        assert (found.authenticated, found.user_id, found.tenant_id) == (True, "alice", "acme")
        revoked = await asyncio.to_thread(keyfob, server.url, tmp_path, "keys", "revoke", key["key_id"])
        assert revoked.returncode == 0, revoked.stderr
        await asyncio.sleep(1)
        assert not (await provider.authenticate(key["key"])).authenticated

    asyncio.run(run())
    provider.close()
    rows = json.loads(keyfob(server.url, tmp_path, "audit", "--key", key["key_id"], "--json").stdout)[
        "events"
    ]
    assert {row["kind"] for row in rows} == {"created", "used", "revoked", "refused"}


def test_many_processes_migrate_an_empty_database_at_once(server: Postgres) -> None:
    address = server.url.replace("postgresql:", "postgresql+psycopg:")
    engine = create_engine(address, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE fresh"))
    url = server.url.replace("/postgres?", "/fresh?")
    faults: list[BaseException] = []

    def opened() -> None:
        try:
            sessions = open_database(url)
            with sessions.begin() as session:
                DatabaseAPIKeyAuth.create_key(session, "alice", "laptop")
            close_database(sessions)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=opened) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


@pytest.mark.logs
def test_a_server_that_goes_away_is_no_refusal_and_the_trail_is_kept(server: Postgres) -> None:
    sessions = open_database(server.url)
    with sessions.begin() as session:
        key_id, raw = DatabaseAPIKeyAuth.create_key(session, "alice", "laptop")
    provider = DatabaseAPIKeyAuth(sessions)

    async def run() -> None:
        assert (await provider.authenticate(raw)).authenticated
        await asyncio.to_thread(server.stop)
        try:
            assert (await provider.authenticate(raw)).authenticated, "known for a moment"
            await asyncio.sleep(1)
            with pytest.raises(Transient):
                await provider.authenticate(raw)
            provider.close()  # cannot write now
        finally:
            await asyncio.to_thread(server.start)
        assert (await provider.authenticate(raw)).authenticated

    asyncio.run(run())
    provider.close()
    with sessions() as session:
        used = session.execute(
            text("SELECT sum(count) FROM gateway_audit WHERE kind = 'used' AND key_id = :key"),
            {"key": key_id},
        ).scalar()
    assert used == 3
    close_database(sessions)
