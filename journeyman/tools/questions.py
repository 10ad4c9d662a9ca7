"""What a server asks of the user during a call (elicitation), put through that call's door.

The person sees the question as a call of `elicitation.SERVER` and answers by editing its `answer`; a link is shown and
never followed here. Outside of a call nobody is asked: a server has no business then; nor where several are under way
and the server does not say which it is about.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from journeyman.errors import JourneymanError, ToolError
from journeyman.tools.door import Door, Question
from journeyman.tools.schema import Schema, broken
from journeyman.traces.messages import ToolSpec

if TYPE_CHECKING:
    from mcp_types import ElicitResult


async def elicited(server: str, params: Any, door: Door | None) -> "ElicitResult":
    """What the person says. Declined where a rule, the person or the absence of one says no."""
    from mcp_types import ElicitResult  # noqa: PLC0415

    if door is None:
        return ElicitResult(action="cancel")

    link = getattr(params, "url", None)
    schema: Mapping[str, Any] = {} if link else params.requested_schema
    if broken(schema):
        return ElicitResult(action="cancel")

    form = ToolSpec(name="answer", server=server, tool="answer", parameters=dict(schema))
    asked = {"message": params.message, "url": link} if link else _asked(params.message, schema)

    def check(values: dict[str, JsonValue]) -> None:
        if values != asked:  # as it was asked it may have gaps
            _fits(form, values)

    try:
        output = await door(Question("elicitation", server, check), json.dumps(asked))
        if output.is_error or not isinstance(output.data, dict):
            return ElicitResult(action="decline")

        _fits(form, output.data)
    except ToolError:  # it was agreed to with the gaps in it
        return ElicitResult(action="decline")
    except JourneymanError:  # the run is over, and says so itself
        return ElicitResult(action="cancel")

    answer: Any = None if link else output.data.get("answer")
    return ElicitResult(action="accept", content=answer)


def _asked(message: str, schema: Mapping[str, Any]) -> dict[str, JsonValue]:
    """The question with the answer that the server suggests; what has no default is left empty."""
    fields = schema.get("properties", {})
    known = {name: field if isinstance(field, dict) else {} for name, field in fields.items()}
    return {
        "message": message,
        "answer": {name: field["default"] for name, field in known.items() if "default" in field},
        "form": dict(schema),
    }


def _fits(form: ToolSpec, values: dict[str, JsonValue]) -> None:
    """Pass or refuse what a person made of it.

    Raises:
        ToolError: it is no answer.
    """
    if form.parameters:
        answer = values.get("answer")
        if not isinstance(answer, dict):
            raise ToolError("the answer is no object")

        Schema(form).check(answer)
