"""The sealed secrets and their data keys."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the tables."""
    op.create_table(
        "keyfob_data_keys",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    )
    op.create_index(
        "keyfob_data_keys_active",
        "keyfob_data_keys",
        ["tenant"],
        unique=True,
        postgresql_where=sa.text("active"),
    )
    op.create_table(
        "keyfob_wrapped_keys",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("master_id", sa.Text, primary_key=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "key_id"],
            ["keyfob_data_keys.tenant", "keyfob_data_keys.key_id"],
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "keyfob_secrets",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["tenant", "key_id"], ["keyfob_data_keys.tenant", "keyfob_data_keys.key_id"]),
    )


def downgrade() -> None:
    """Drops them."""
    for name in ("secrets", "wrapped_keys", "data_keys"):
        op.drop_table(f"keyfob_{name}")
