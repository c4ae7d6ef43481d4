"""S-75: SQL, header and log injection in names, paths and keys is inert."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from sqlalchemy import inspect

from keyfob.gateway.auth import create_auth_provider
from keyfob.gateway.auth.database import DatabaseAPIKeyAuth
from keyfob.gateway.auth.tables import close_database, open_database
from keyfob.gateway.grant_store import create_grant, grants
from keyfob.gateway.proxy.serving import AccessLog

HOSTILE = ("'; DROP TABLE gateway_grants; --", "x' OR '1'='1", '"; --', "%s%(x)s{0}{{x}}", "a\r\nX-Admin: 1")


def test_s75_sql_in_names_and_keys(tmp_path: Path) -> None:
    sessions = open_database(f"sqlite:///{tmp_path / 'g.db'}")
    try:
        with sessions.begin() as session:
            tables = set(inspect(session.connection()).get_table_names())
            for text in HOSTILE:
                create_grant(session, text, f"user:{text}", name=text, paths=[text])
                DatabaseAPIKeyAuth.create_key(session, text, text, tenant_id=text)
        with sessions.begin() as session:
            assert set(inspect(session.connection()).get_table_names()) == tables
            assert {one.name for one in grants(session)} == set(HOSTILE)
            assert [one.account for one in grants(session, account=HOSTILE[1])] == [HOSTILE[1]]
        provider = create_auth_provider("database", {"session_factory": sessions})
        assert provider is not None

        async def tried() -> list[bool]:
            tokens = [*HOSTILE, *(f"sk-{text}-{'0' * 32}" for text in HOSTILE)]
            return [(await provider.authenticate(token)).authenticated for token in tokens]

        assert not any(asyncio.run(tried()))
        provider.close()
    finally:
        close_database(sessions)


def test_s75_nobody_but_an_engine_chooses_what_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = AccessLog(logging.getLogger("keyfob.gateway.access"), "")
    asked = {"X-Original-Method": "GET", "X-Original-URI": "/a/b/c?secret=1"}
    request = make_mocked_request("GET", "/decide", asked)
    log.log(request, web.Response(status=404), 0.001)
    log.log(request, web.Response(status=200), 0.001)
    log.log(make_mocked_request("GET", "/a/b/%0d%0aGET?q=1"), web.Response(), 0.001)
    assert [record.getMessage() for record in caplog.records] == [
        "GET /decide 404 1 ms",
        "GET /a/b/c 200 1 ms",
        "GET /a/b/%0d%0aGET 200 1 ms",
    ]
