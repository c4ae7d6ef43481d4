"""Keys, users and the audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Creates the three tables."""
    op.create_table(
        "gateway_api_keys",
        sa.Column("key_id", sa.String(64), primary_key=True),
        sa.Column("salt", sa.LargeBinary(32), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False, index=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("tenant_id", sa.String(255), index=True),
        sa.Column("is_admin", sa.Boolean, nullable=False),
        sa.Column("subject_type", sa.String(16), nullable=False),
        sa.Column("subject_id", sa.String(255)),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("details", sa.JSON),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT),
        sa.Column("revoked_at", _MOMENT),
        sa.Column("last_used_at", _MOMENT),
        sa.Column("replaced_by", sa.String(64)),
    )
    op.create_table(
        "gateway_users",
        sa.Column("user_id", sa.String(255), primary_key=True),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("tenant_id", sa.String(255), index=True),
        sa.Column("is_admin", sa.Boolean, nullable=False),
        sa.Column("details", sa.JSON),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("password_changed_at", _MOMENT, nullable=False),
        sa.Column("disabled_at", _MOMENT),
    )
    op.create_table(
        "gateway_audit",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("key_id", sa.String(64)),
        sa.Column("user_id", sa.String(255)),
        sa.Column("tenant_id", sa.String(255)),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("detail", sa.String(255)),
    )
    op.create_index("ix_gateway_audit_at", "gateway_audit", ["at"])
    op.create_index("ix_gateway_audit_key_id", "gateway_audit", ["key_id"])


def downgrade() -> None:
    """Drops them."""
    for table in ("gateway_audit", "gateway_users", "gateway_api_keys"):
        op.drop_table(table)
