import os

import pytest
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)  # a busy machine makes no test fail
settings.load_profile("unhurried")
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
