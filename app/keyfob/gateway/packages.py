"""Whether the gateway's packages are installed, and where the person's own database is. Imports none."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from keyfob.core.errors import SettingWrong

NEEDED: tuple[str, ...] = ("sqlalchemy", "alembic", "aiohttp", "prometheus_client")
FILE = "gateway.db"  # in the data folder


def check_packages() -> None:
    """Raises SettingWrong `gateway_not_installed`."""
    if any(find_spec(name) is None for name in NEEDED):
        raise SettingWrong("The gateway’s packages are not installed", code="gateway_not_installed")


def own_file(data: Path) -> Path:
    """The person's own database, in the home's data folder. It need not exist."""
    return data / FILE


def own_url(data: Path) -> str:
    """The address of `own_file`, which is made if it is new. Raises OSError."""
    file = own_file(data)
    # SQLite would create it with the modes of the umask.
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    return f"sqlite:///{file}"
