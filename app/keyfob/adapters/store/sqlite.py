"""The account store on SQLite: its four parts over one database. It
contains no secret: the codec refuses them.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from keyfob.adapters.store.account_table import AccountTable, RuleOf
from keyfob.adapters.store.database import Database
from keyfob.adapters.store.event_table import EventTable
from keyfob.adapters.store.journal_tables import JournalTables
from keyfob.adapters.store.named_value_table import NamedValueTable
from keyfob.core.errors import Fault


class SqliteAccountStore(AccountTable, JournalTables, EventTable, NamedValueTable):
    """ports.AccountStore. Each call is one transaction. Thread-safe."""

    def __init__(self, path: Path, *, anew: bool = False, rule_of: RuleOf = lambda _record: None) -> None:
        """`rule_of` as in `AccountTable`. Raises as `Database`."""
        super().__init__(Database(path, anew=anew))
        self.rule_of = rule_of

    def close(self) -> None:
        """Close all connections. Later calls raise Fault."""
        self.database.close()

    def data_version(self) -> int:
        """As `Database.data_version`."""
        return self.database.data_version()

    def check(self) -> str | None:
        """As `Database.check`."""
        return self.database.check()


def set_aside(path: Path) -> Path | None:
    """Renames a store that is damaged as a whole, with its -wal. Returns its new path, or None if it is not
    damaged or absent. Only while no other process has it open. Raises Fault `store_too_new`,
    `store_unwritable`, `store_busy`.
    """
    try:
        with closing(SqliteAccountStore(path)) as store:
            fault = store.check()
    except Fault as error:
        if error.code != "store_damaged":
            raise
        fault = error.message
    found = [suffix for suffix in ("-wal", "-shm", "") if path.with_name(path.name + suffix).exists()]
    if fault is None or not found:
        return None
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    for suffix in found:
        path.with_name(path.name + suffix).replace(aside.with_name(aside.name + suffix))
    return aside
