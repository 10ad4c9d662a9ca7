"""The trace store that commands read."""

from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from journeyman.traces.store import Store


def opened() -> "AbstractContextManager[Store]":
    """The store of the settings, closed at the end.

    Raises:
        ConfigError, StoreError: there is none that can be used.
    """
    from journeyman.config import load_settings
    from journeyman.traces.store import Store

    settings = load_settings()
    return closing(Store.open(settings.store, durable=settings.durable))
