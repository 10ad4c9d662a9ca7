"""The models that an engine's sessions have open: those of this machine are loaded once, however many use them."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from journeyman.agent.models.engine import Engine
from journeyman.agent.models.model import Model
from journeyman.agent.models.spec import make_model


class Models:
    def __init__(self) -> None:
        self._lent: dict[Any, tuple[Model, list[Model]]] = {}
        """By what makes two the same: the model, and whom it is lent to."""

    def make(self, spec: str, engine: Engine) -> Model:
        """The model of a spec; one that another session has open is shared with it, with one place to decode at.

        Raises:
            ModelNotFound, KeyRefused: as `make_model`.
        """
        model = make_model(spec, engine)
        files = getattr(model, "files", None)
        if files is None:  # a server's, or a script, which every session plays from its beginning
            return model

        key = model.spec, files, engine
        model, borrowers = self._lent.setdefault(key, (model, []))

        async def give_back() -> None:
            borrowers.remove(borrowed)
            if not borrowers:
                del self._lent[key]
                await model.close()

        borrowed = cast("Model", Borrowed(model, give_back))
        borrowers.append(borrowed)
        return borrowed


class Borrowed:
    """A model that others may use too: closing it is giving it back."""

    def __init__(self, model: Model, give_back: Callable[[], Awaitable[None]]) -> None:
        self._model = model
        self._give_back: Callable[[], Awaitable[None]] | None = give_back

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    async def close(self) -> None:
        if give_back := self._give_back:
            self._give_back = None
            await give_back()
