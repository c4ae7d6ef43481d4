"""How an account's token may be handed out without the engine: what
`keyfob token` needs besides the keychain.

The engine writes the rule next to the account's record, in the same transaction. It is JSON: the account's
id, what comes before the token in a header line for each token type, and the stamps of the preset files that
it was made from. An account whose token may not be handed out, and one that needs its person, have none. No
secret is in it.

A rule counts while it was made by this very installation and none of its files has changed. Otherwise the
engine answers, and writes the rule again. Imports what reading takes and no more, because the fast path waits
for it.
"""

from __future__ import annotations

import json
import os

import keyfob
from keyfob.adapters.store.schema import MIGRATIONS
from keyfob.process.own_process import package_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

BUSY_TIMEOUT = 2.0  # seconds; then the engine asks, which waits longer


def text_of(account_id: str, headers: Mapping[str, str], stamps: Mapping[str, list[int] | None]) -> str:
    """The rule as it is stored. `headers`: for each token type, the header line up to the token."""
    return json.dumps(
        {"by": _installation(), "account": account_id, "headers": dict(headers), "made_of": dict(stamps)}
    )


def stamps_of(paths: Iterable[str]) -> dict[str, list[int] | None]:
    """A mark that changes with each of these files; None for one that does not exist."""
    return {path: _stamp(path) for path in paths}


def find(path: str, ref: str) -> tuple[str, dict[str, Any], bool] | None:
    """The key and the rule of the one account that `ref` means, and whether a renewal of it was sent whose
    answer is not saved yet. None when the engine must answer. Raises OSError, ValueError, KeyError and
    sqlite3.Error.
    """
    import sqlite3
    from urllib.parse import quote

    provider, _, label = ref.partition("/")
    connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=BUSY_TIMEOUT)
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] != len(MIGRATIONS):
            return None
        rows = connection.execute(
            "SELECT label, key, token_rule, intent FROM accounts LEFT JOIN intents USING (key) WHERE "
            "provider = ?",
            (provider,),
        )
        same = [row for row in rows if not label or row[0] == label]
    finally:
        connection.close()
    if len(same) != 1 or same[0][2] is None:
        return None
    rule: dict[str, Any] = json.loads(same[0][2])
    if rule["by"] != _installation() or stamps_of(rule["made_of"]) != rule["made_of"]:
        return None
    return same[0][1], rule, same[0][3] is not None


def _installation() -> str:
    # The launcher comes by another path to the same files.
    return f"{keyfob.__version__} {os.path.realpath(package_root())}"


def _stamp(path: str) -> list[int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_mtime_ns, found.st_size, found.st_ino]
