"""The store of the first release. New stores are made whole (`schema.create`); steps from here on stand beside this."""

revision = "0004"
down_revision = None


def upgrade() -> None:
    """Nothing is older."""
