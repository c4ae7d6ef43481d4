"""Whose account a grant is for: a tenant's, or the server's own."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column. The grants of before are for the server's own accounts."""
    op.add_column("gateway_grants", sa.Column("account_tenant", sa.String(255)))


def downgrade() -> None:
    """Drops it."""
    op.drop_column("gateway_grants", "account_tenant")
