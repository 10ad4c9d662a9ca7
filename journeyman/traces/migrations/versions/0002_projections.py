"""The hash chain, tombstones, forks, and what the list of runs knows from projections."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("event", sa.Column("link", sa.LargeBinary))
    op.add_column("run", sa.Column("parent_seq", sa.Integer))
    op.add_column("run", sa.Column("projected", sa.Integer, nullable=False, server_default="0"))
    op.add_column("run", sa.Column("reward", sa.Float))
    op.add_column("run", sa.Column("cost_usd", sa.Float))
    op.add_column("run", sa.Column("calls", sa.Integer))
    op.add_column("run", sa.Column("errors", sa.Integer))
    op.add_column("run", sa.Column("level", sa.String(8)))
    op.create_index("run_unprojected", "run", ["projected"], sqlite_where=sa.text("projected = 0"))
    op.create_table(
        "tombstone",
        sa.Column("run_id", sa.String(32), primary_key=True),
        sa.Column("deleted_at", sa.BigInteger, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("link", sa.LargeBinary),
        sqlite_with_rowid=False,
    )
