"""Checks of callers' keys: `key_checks.py SQLITE_URL POSTGRESQL_URL SECONDS` prints figures as JSON.

`known` asks for keys that were asked for a moment ago, `read` takes each from the database, with 256 callers
at once.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

from keyfob.gateway.auth import database
from keyfob.gateway.auth.database import DatabaseAPIKeyAuth
from keyfob.gateway.auth.tables import close_database, open_database

CALLERS = 256
TIMES = 10
ELSEWHERE = """
import sys
from keyfob.gateway.auth.database import DatabaseAPIKeyAuth
from keyfob.gateway.auth.tables import open_database
with open_database(sys.argv[1]).begin() as session:
    DatabaseAPIKeyAuth.revoke_key(session, sys.argv[2])
"""


async def rate(auth: DatabaseAPIKeyAuth, tokens: list[str], seconds: float) -> float:
    done, until = 0, time.perf_counter() + seconds

    async def caller(token: str) -> None:
        nonlocal done
        while time.perf_counter() < until:
            for _ in range(20):
                assert (await auth.authenticate(token)).authenticated
            done += 20
            await asyncio.sleep(0)

    started = time.perf_counter()
    await asyncio.gather(*(caller(token) for token in tokens))
    return done / (time.perf_counter() - started)


async def figures(url: str, seconds: float) -> dict[str, float]:
    sessions = open_database(url)
    with sessions.begin() as session:
        tokens = [DatabaseAPIKeyAuth.create_key(session, f"user{n}", "bench")[1] for n in range(CALLERS)]
    auth = DatabaseAPIKeyAuth(sessions)
    usual = database.KNOWN_FOR
    known = await rate(auth, tokens, seconds)
    database.KNOWN_FOR = 0.0
    auth = DatabaseAPIKeyAuth(sessions)
    read = await rate(auth, tokens, seconds)
    database.KNOWN_FOR = usual
    auth.close()
    close_database(sessions)
    return {"known": known, "read": read}


async def revoked(url: str) -> float:
    """The longest time from another process's commit until this one refuses, while it asks all the time."""
    sessions = open_database(url)
    auth = DatabaseAPIKeyAuth(sessions)
    longest = 0.0
    for _ in range(TIMES):
        with sessions.begin() as session:
            key_id, token = DatabaseAPIKeyAuth.create_key(session, "alice", "bench")
        assert (await auth.authenticate(token)).authenticated
        other = subprocess.Popen([sys.executable, "-c", ELSEWHERE, url, key_id])
        while other.poll() is None:
            await auth.authenticate(token)
            await asyncio.sleep(0.001)
        ended = time.perf_counter()
        while (await auth.authenticate(token)).authenticated:
            await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - ended)
    auth.close()
    close_database(sessions)
    return longest


async def main() -> None:
    sqlite, postgresql, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    found: dict[str, object] = {
        "sqlite": await figures(sqlite, seconds),
        "postgresql": await figures(postgresql, seconds),
        "revoked": await revoked(postgresql),
        "times": TIMES,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
