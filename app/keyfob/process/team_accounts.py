"""Whether the accounts are a team's, in PostgreSQL, or this computer's own. Read before anything else is
loaded, so it imports nothing.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DATABASE = "KEYFOB_DATABASE_URL"
TENANT = "KEYFOB_TENANT"
KEY_FILE = "KEYFOB_MASTER_KEY_FILE"
KEY_COMMAND = "KEYFOB_MASTER_KEY_COMMAND"


def team_database(env: Mapping[str, str]) -> str | None:
    """The PostgreSQL database with the accounts of commands and `keyfob serve`; None: this computer's own."""
    url = env.get(DATABASE) or ""
    return url if url.partition(":")[0].partition("+")[0] == "postgresql" else None


def without_agent(arguments: list[str]) -> bool:
    """Whether this command works with a team's accounts: no agent of this computer is asked then."""
    if team_database(os.environ) is None or (arguments and arguments[0] in ("agent", "window")):
        return False
    os.environ["KEYFOB_SOCK"] = os.devnull
    return True
