"""The database of the gateway's keys and users, for `keys`, `users` and `audit`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from keyfob.core.errors import SettingWrong
from keyfob.process.home import open_home

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

VARIABLE = "KEYFOB_DATABASE_URL"
FILE = "gateway.db"


@contextmanager
def database() -> Iterator[Session]:
    """A transaction: what the caller does is kept if it raises nothing. Blocks. Raises SettingWrong if the
    packages are missing or the address is wrong, Transient if the database cannot be reached.
    """
    packages()
    from keyfob.gateway.auth.tables import close_database, open_database

    sessions = open_database(database_url())
    try:
        with sessions.begin() as session:
            yield session
    finally:
        close_database(sessions)


def packages() -> None:
    """Raises SettingWrong if the gateway's packages are not installed."""
    for name in ("sqlalchemy", "alembic", "aiohttp", "prometheus_client"):
        if find_spec(name) is None:
            if getattr(sys, "frozen", False):
                raise SettingWrong(
                    "This package does not contain the gateway",
                    remedy="Install it with Python: pipx install 'keyfob[gateway]'",
                )
            raise SettingWrong(
                "The gateway's packages are not installed", remedy="Run: pip install 'keyfob[gateway]'"
            )


def database_url() -> str:
    """What KEYFOB_DATABASE_URL names, else a file in the data folder."""
    return os.environ.get(VARIABLE) or _own_file()


def _own_file() -> str:
    file = Path(open_home().data) / FILE
    # SQLite would create it with the modes of the umask.
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    return f"sqlite:///{file}"
