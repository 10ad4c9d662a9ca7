"""A tool as its server defines it, read leniently: one bad definition in a list leaves the others usable."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from journeyman.tools.schema import broken

if TYPE_CHECKING:
    from mcp_types import Tool

Notice = Callable[[str], None]


def usable(definition: Any, notice: Notice) -> "Tool | None":
    """The tool; None, and a word to `notice`, where it cannot be used.

    What it says of its results is taken out, in place: the SDK would check them by a stranger's schema, in any time.
    """
    from mcp_types import Tool  # noqa: PLC0415
    from pydantic import ValidationError  # noqa: PLC0415

    if isinstance(definition, dict):
        definition.pop("outputSchema", None)
        if isinstance(schema := definition.get("inputSchema"), dict):
            schema.setdefault("type", "object")

    try:
        tool = Tool.model_validate(definition, by_name=False)
        schema = definition["inputSchema"]
        problem = broken(schema) if schema["type"] == "object" else "its arguments are not an object"
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        tool, problem = None, f"{place}: {first['msg']}" if place else "it is not an object"

    if problem:
        name = definition.get("name") if isinstance(definition, dict) else definition
        notice(f"the tool {name!r} is left out: {problem}")
        return None

    return tool
