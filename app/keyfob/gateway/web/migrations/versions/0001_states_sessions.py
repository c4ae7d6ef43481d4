"""Sign-ins that have begun, and sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Creates the two tables."""
    op.create_table(
        "web_states",
        sa.Column("state_id", sa.String(64), primary_key=True),
        sa.Column("browser_id", sa.String(64), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False, index=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "web_sessions",
        sa.Column("session_id", sa.String(64), primary_key=True),
        sa.Column("subject", sa.String(512), primary_key=True),
        sa.Column("app", sa.String(64), nullable=False, index=True),
        sa.Column("format", sa.Integer, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("used_at", _MOMENT, nullable=False, index=True),
        sa.Column("due_at", _MOMENT, index=True),
        sa.Column("client_key", sa.String(128), index=True),
        sa.Column("profile", sa.LargeBinary, nullable=False),
        sa.Column("tokens", sa.LargeBinary),
        sa.Column("ended_at", _MOMENT, index=True),
        sa.Column("ended_why", sa.String(32)),
    )


def downgrade() -> None:
    """Drops them."""
    op.drop_table("web_sessions")
    op.drop_table("web_states")
