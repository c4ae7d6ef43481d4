"""Grants in the database, and how the database of an older version changes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from keyfob.core.errors import Usage
from keyfob.gateway.auth.tables import MIGRATIONS, Base, close_database, open_database
from keyfob.gateway.grant_store import create_grant, grants


def test_a_grant_of_the_second_version_is_for_the_servers_own_account(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        connection.execute(
            text(
                "INSERT INTO gateway_grants (grant_id, account, who, name, methods, paths, created_at)"
                " VALUES ('g1', 'github/you', 'anyone', 'bot', '[\"GET\"]', '[]', '2026-01-01 00:00:00')"
            )
        )
    engine.dispose()
    sessions = open_database(url)
    with sessions() as session:
        (grant,) = grants(session)
    close_database(sessions)
    assert (grant.grant_id, grant.methods, grant.account_tenant) == ("g1", ("GET",), None)
    assert grant.created_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_the_migrations_make_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    sessions = open_database(f"sqlite:///{tmp_path / 'gateway.db'}")
    with sessions() as session:
        found = compare_metadata(MigrationContext.configure(session.connection()), Base.metadata)
    close_database(sessions)
    assert found == []


def test_a_grant_on_a_tenants_account_is_for_the_tenant(tmp_path: Path) -> None:
    sessions = open_database(f"sqlite:///{tmp_path / 'gateway.db'}")
    with sessions.begin() as session:
        made = create_grant(session, "github/you", "anyone", account_tenant="acme")
        assert (made.tenant_id, made.account_tenant) == ("acme", "acme")
        with pytest.raises(Usage, match="alone"):
            create_grant(session, "github/you", "anyone", account_tenant="acme", tenant_id="rival")
    with sessions() as session:
        assert grants(session) == [made]
    close_database(sessions)
