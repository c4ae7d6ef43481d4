"""The engines of a team's accounts in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from keyfob.core.errors import SettingWrong
from keyfob.engine import Engine, build, server_ports, team_database
from keyfob.process import team_accounts
from keyfob.process.home import Home

if TYPE_CHECKING:
    from keyfob.engine import TeamDatabase


def open_team(home: Home, environment: Mapping[str, str]) -> TeamDatabase:
    """The database that the environment names. Opens nothing yet. Raises SettingWrong."""
    url = team_accounts.team_database(environment)
    if url is None:
        raise SettingWrong(
            "There is no PostgreSQL database for a team's accounts",
            remedy=f"Set {team_accounts.DATABASE}, such as postgresql://keyfob@db.example.org/keyfob.",
        )
    return team_database(url, home, environment)


def team_engine(home: Home, environment: Mapping[str, str], tenant: str | None) -> Engine:
    """The engine of a tenant's accounts, which closes the database at its end. Raises SettingWrong."""
    return build(server_ports(open_team(home, environment), tenant, home, closes=True))
