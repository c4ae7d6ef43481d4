"""The account store."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the tables."""
    op.create_table(
        "keyfob_changes",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "keyfob_accounts",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
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
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("intent", sa.Text, nullable=False),
    )
    op.create_table(
        "keyfob_revocations",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("entry", sa.Text, primary_key=True),
        sa.Column("revocation", sa.Text, nullable=False),
    )
    op.create_table(
        "keyfob_events",
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("account_key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("code", sa.Text),
    )
    op.create_index("keyfob_events_tenant", "keyfob_events", ["tenant", "seq"])
    op.create_index("keyfob_events_account", "keyfob_events", ["tenant", "account_key", "seq"])
    op.create_table(
        "keyfob_named",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drops them."""
    for name in ("named", "events", "revocations", "intents", "accounts", "changes"):
        op.drop_table(f"keyfob_{name}")
