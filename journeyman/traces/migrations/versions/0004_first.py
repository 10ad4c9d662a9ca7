"""The store of the first release. New stores are made whole (`schema.create`), older ones rewritten (`first.py`)."""

revision = "0004"
down_revision = None


def upgrade() -> None:
    """Nothing is older."""
