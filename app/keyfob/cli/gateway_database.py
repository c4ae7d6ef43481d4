"""The database of the gateway's keys and users, for `keys`, `users` and `audit`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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
    try:
        from keyfob.gateway.auth.tables import close_database, open_database
    except ModuleNotFoundError:
        raise SettingWrong(
            "The gateway's packages are not installed", remedy="Run: pip install 'keyfob[gateway]'"
        ) from None
    sessions = open_database(os.environ.get(VARIABLE) or _own_file())
    try:
        with sessions.begin() as session:
            yield session
    finally:
        close_database(sessions)


def _own_file() -> str:
    file = Path(open_home().data) / FILE
    # SQLite would create it with the modes of the umask.
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    return f"sqlite:///{file}"
