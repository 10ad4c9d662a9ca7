"""Attempts at tasks, in batches, and what each of their checks said."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("run", sa.Column("batch", sa.Text))
    op.add_column("run", sa.Column("task", sa.String(16)))
    op.add_column("run", sa.Column("attempt", sa.Integer))
    op.create_index("run_by_batch", "run", ["batch", "task"])
    if sa.inspect(op.get_bind()).has_table("reward"):
        op.add_column("reward", sa.Column("name", sa.Text, nullable=False, server_default=""))
