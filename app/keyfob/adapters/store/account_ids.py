"""The ids of all accounts, for completion in a shell: read from the store without the engine.

Imports what reading takes and no more, because somebody waits for it who pressed Tab.
"""

from __future__ import annotations

from keyfob.adapters.store.schema import MIGRATIONS

BUSY_TIMEOUT = 0.2  # seconds; then nothing is completed


def account_ids(path: str) -> list[str]:
    """By provider and label; none of a store of another version. Raises sqlite3.Error, also if there is no
    store.
    """
    import sqlite3
    from urllib.parse import quote

    connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=BUSY_TIMEOUT)
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] != len(MIGRATIONS):
            return []
        rows = connection.execute("SELECT provider, label FROM accounts ORDER BY provider, label")
        return [f"{provider}/{label}" for provider, label in rows]
    finally:
        connection.close()
