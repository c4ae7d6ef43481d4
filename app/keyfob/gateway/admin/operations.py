"""All operations."""

from __future__ import annotations

from typing import Final

from keyfob.gateway.admin import accounts, audit, grants, keys, users
from keyfob.gateway.admin.operation import Operation

OPERATIONS: Final[tuple[Operation, ...]] = (
    *grants.OPERATIONS,
    *keys.OPERATIONS,
    *users.OPERATIONS,
    *audit.OPERATIONS,
    *accounts.OPERATIONS,
)
BY_NAME: Final = {one.name: one for one in OPERATIONS}
