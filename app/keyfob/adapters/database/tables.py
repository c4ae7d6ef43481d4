"""The tables of a team's accounts (SQLAlchemy 2). Each row belongs to a tenant; "" is the server's own.

No column holds a secret in the clear: `SECRETS.sealed` and `DATA_KEYS.wrapped` are encrypted under keys that
are not in the database.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    func,
)

METADATA = MetaData()
TENANT_MOST, NAME_MOST = 255, 512  # characters

ACCOUNTS = Table(
    "keyfob_accounts",
    METADATA,
    Column("tenant", String(TENANT_MOST), primary_key=True),
    Column("key", String(NAME_MOST), primary_key=True),
    Column("provider", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("record", Text, nullable=False),
)
# An id belongs to one account, whatever the case of its letters.
Index("keyfob_accounts_id", ACCOUNTS.c.tenant, ACCOUNTS.c.provider, func.lower(ACCOUNTS.c.label), unique=True)

INTENTS = Table(
    "keyfob_intents",
    METADATA,
    Column("tenant", String(TENANT_MOST), primary_key=True),
    Column("key", String(NAME_MOST), primary_key=True),
    Column("intent", Text, nullable=False),
)
REVOCATIONS = Table(
    "keyfob_revocations",
    METADATA,
    Column("tenant", String(TENANT_MOST), primary_key=True),
    Column("entry", String(NAME_MOST), primary_key=True),
    Column("revocation", Text, nullable=False),
)
EVENTS = Table(
    "keyfob_events",
    METADATA,
    Column("seq", BigInteger, Identity(), primary_key=True),
    Column("tenant", String(TENANT_MOST), nullable=False),
    Column("at", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("account_key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("code", Text),
)
Index("keyfob_events_account", EVENTS.c.tenant, EVENTS.c.account_key, EVENTS.c.seq)
NAMED = Table(
    "keyfob_named",
    METADATA,
    Column("tenant", String(TENANT_MOST), primary_key=True),
    Column("name", String(NAME_MOST), primary_key=True),
    Column("value", Text, nullable=False),
)
# Grows with each write to the tenant's tables above.
VERSIONS = Table(
    "keyfob_versions",
    METADATA,
    Column("tenant", String(TENANT_MOST), primary_key=True),
    Column("version", BigInteger, nullable=False),
)
DATA_KEYS = Table(
    "keyfob_data_keys",
    METADATA,
    Column("tenant", String(TENANT_MOST), primary_key=True),
    Column("key_id", String(32), primary_key=True),
    Column("master_id", String(64), nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("retired_at", DateTime(timezone=True)),  # no secret is sealed under it any more
)
SECRETS = Table(
    "keyfob_secrets",
    METADATA,
    Column("tenant", String(TENANT_MOST), primary_key=True),
    Column("name", String(NAME_MOST), primary_key=True),
    Column("key_id", String(32), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)
