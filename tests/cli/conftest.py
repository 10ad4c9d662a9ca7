import pytest

from tests.cli.command import Place


@pytest.fixture
def journeyman(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    return Place(folder, tmp_path / "home")
