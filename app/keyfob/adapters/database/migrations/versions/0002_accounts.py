"""Accounts, what is in progress, history, and sealed secrets."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _tenant() -> sa.Column[str]:
    return sa.Column("tenant", sa.String(255), primary_key=True)


def upgrade() -> None:
    """Creates the tables."""
    op.create_table(
        "keyfob_accounts",
        _tenant(),
        sa.Column("key", sa.String(512), primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    )
    op.create_index(
        "keyfob_accounts_id",
        "keyfob_accounts",
        ["tenant", "provider", sa.text("lower(label)")],
        unique=True,
    )
    op.create_table(
        "keyfob_intents",
        _tenant(),
        sa.Column("key", sa.String(512), primary_key=True),
        sa.Column("intent", sa.Text, nullable=False),
    )
    op.create_table(
        "keyfob_revocations",
        _tenant(),
        sa.Column("entry", sa.String(512), primary_key=True),
        sa.Column("revocation", sa.Text, nullable=False),
    )
    op.create_table(
        "keyfob_events",
        sa.Column("seq", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("tenant", sa.String(255), nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("account_key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("code", sa.Text),
    )
    op.create_index("keyfob_events_account", "keyfob_events", ["tenant", "account_key", "seq"])
    op.create_table(
        "keyfob_named",
        _tenant(),
        sa.Column("name", sa.String(512), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table("keyfob_versions", _tenant(), sa.Column("version", sa.BigInteger, nullable=False))
    op.create_table(
        "keyfob_data_keys",
        _tenant(),
        sa.Column("key_id", sa.String(32), primary_key=True),
        sa.Column("master_id", sa.String(64), nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "keyfob_secrets",
        _tenant(),
        sa.Column("name", sa.String(512), primary_key=True),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
