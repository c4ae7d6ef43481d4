"""The database of the gateway's keys and users, for `keys`, `users` and `audit`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from keyfob.core.errors import SettingWrong
from keyfob.gateway.packages import check_packages, own_file, own_url
from keyfob.process.home import open_home

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

VARIABLE = "KEYFOB_DATABASE_URL"


@contextmanager
def database() -> Iterator[Session]:
    """A transaction: what the caller does is kept if it raises nothing. Blocks. Raises SettingWrong if the
    packages are missing or the address is wrong, Transient if the database cannot be reached.
    """
    check_packages()
    from keyfob.gateway.auth.tables import close_database, open_database

    sessions = open_database(database_url())
    try:
        with sessions.begin() as session:
            yield session
    finally:
        close_database(sessions)


def is_there() -> bool:
    """Whether somebody made the database, and this installation can open it. Makes none."""
    try:
        check_packages()
    except SettingWrong:
        return False
    return bool(os.environ.get(VARIABLE)) or own_file(open_home().data).exists()


def database_url() -> str:
    """What KEYFOB_DATABASE_URL names, else a file in the data folder."""
    return os.environ.get(VARIABLE) or own_url(open_home().data)
