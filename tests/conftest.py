import os
from contextlib import suppress

import pytest

with suppress(ImportError):  # where only trainers are, it is not
    from hypothesis import settings

    settings.load_profile("ci")  # the same examples each time, and no deadlines

KEYS = {"OPENAI_API_KEY", "ANTHROPIC_API_KEY"}


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory):
    """No test reads or writes what belongs to the person who runs it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("JOURNEYMAN_") or name in KEYS:
                patch.delenv(name)

        patch.setenv("JOURNEYMAN_HOME", str(tmp_path_factory.mktemp("home")))
        yield
