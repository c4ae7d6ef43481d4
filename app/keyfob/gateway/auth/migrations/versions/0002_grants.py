"""Grants and how often they are used."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Creates the two tables."""
    op.create_table(
        "gateway_grants",
        sa.Column("grant_id", sa.String(32), primary_key=True),
        sa.Column("account", sa.String(512), nullable=False, index=True),
        sa.Column("who", sa.String(300), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("methods", sa.JSON, nullable=False),
        sa.Column("paths", sa.JSON, nullable=False),
        sa.Column("until", _MOMENT),
        sa.Column("per_hour", sa.Integer),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT),
        sa.Column("tenant_id", sa.String(255), index=True),
    )
    op.create_table(
        "gateway_grant_uses",
        sa.Column("grant_id", sa.String(32), primary_key=True),
        sa.Column("hour", _MOMENT, primary_key=True),
        sa.Column("allowed", sa.Integer, nullable=False),
        sa.Column("refused", sa.Integer, nullable=False),
        sa.Column("last_at", _MOMENT, nullable=False),
    )


def downgrade() -> None:
    """Drops them."""
    op.drop_table("gateway_grant_uses")
    op.drop_table("gateway_grants")
