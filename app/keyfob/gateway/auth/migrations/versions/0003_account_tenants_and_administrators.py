"""Whose account a grant is for, and which administrator did what the audit trail says."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the columns. The grants of before are for the server's own accounts."""
    op.add_column("gateway_grants", sa.Column("account_tenant", sa.String(255)))
    op.add_column("gateway_audit", sa.Column("done_by", sa.String(300)))


def downgrade() -> None:
    """Drops them."""
    op.drop_column("gateway_audit", "done_by")
    op.drop_column("gateway_grants", "account_tenant")
