"""When a session's refresh token was sent, until the answer is saved."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column."""
    op.add_column("web_sessions", sa.Column("sent_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Drops it."""
    op.drop_column("web_sessions", "sent_at")
