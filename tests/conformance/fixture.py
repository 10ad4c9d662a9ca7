# ruff: noqa: T201 - it prints where it listens
"""The tools, resources and prompts that the conformance suite asks for, on the base of our own servers.

python fixture.py          listens on 127.0.0.1 and prints its port
"""

import base64
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any, cast

import anyio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts.base import Prompt, UserMessage
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    Completion,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import Field

from journeyman.mcp_servers.base import ToolServer
from journeyman.mcp_servers.serve import offer
from journeyman.mcp_servers.tasks import Tasks, background

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
WAV = base64.b64encode(b"RIFF\x04\0\0\0WAVE").decode()
tasks = Tasks()


@asynccontextmanager
async def lifespan(_: Any) -> AsyncGenerator[None]:
    async with tasks.running():
        yield


server = ToolServer("conformance", "For the conformance suite.", lifespan=lifespan, extensions=[tasks])
Answers = dict[str, Any]
Ctx = Context[Any, Any]


def text(words: str) -> TextContent:
    return TextContent(type="text", text=words)


def image() -> ImageContent:
    return ImageContent(type="image", data=PNG, mime_type="image/png")


def embedded(uri: str, mime: str, words: str) -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime, text=words))


def form(message: str, kind: str = "string", **properties: Any) -> ElicitRequest:
    fields = {name: {"type": kind} | (more or {}) for name, more in properties.items()}
    schema = {"type": "object", "properties": fields, "required": list(fields)}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(words: str, most: int = 100) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=text(words))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=most))


def answers(ctx: Ctx) -> Answers:
    return cast("Answers", ctx.input_responses or {})


@server.tool()
def test_simple_text() -> str:
    """Text."""
    return "This is a simple text response for testing."


@server.tool()
def test_image_content() -> list[ImageContent]:
    """An image."""
    return [image()]


@server.tool()
def test_audio_content() -> list[AudioContent]:
    """A sound."""
    return [AudioContent(type="audio", data=WAV, mime_type="audio/wav")]


@server.tool()
def test_embedded_resource() -> list[EmbeddedResource]:
    """A resource."""
    return [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


@server.tool()
def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    """All of them."""
    data = json.dumps({"test": "data", "value": 123})
    return [
        text("Multiple content types test:"),
        image(),
        embedded("test://mixed-content-resource", "application/json", data),
    ]


@server.tool()
async def test_tool_with_logging(ctx: Ctx) -> str:
    """Logs as it goes."""
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.session.send_log_message("info", words, related_request_id=ctx.request_id)
        await anyio.sleep(0.05)

    return "done"


@server.tool()
async def test_tool_with_progress(ctx: Ctx) -> str:
    """Tells how far it is."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100)
        await anyio.sleep(0.05)

    return "done"


@server.tool()
def test_error_handling() -> str:
    """Fails."""
    raise RuntimeError("This tool intentionally returns an error for testing")


@server.tool()
async def test_sampling(prompt: str, ctx: Ctx) -> str:
    """Has the client's model write."""
    messages = [SamplingMessage(role="user", content=text(prompt))]
    result = await ctx.session.create_message(messages, max_tokens=100, related_request_id=ctx.request_id)
    return f"LLM response: {cast('TextContent', result.content).text}"


async def elicited(ctx: Ctx, request: ElicitRequest) -> str:
    params = cast("ElicitRequestFormParams", request.params)
    found = await ctx.session.elicit_form(params.message, params.requested_schema, ctx.request_id)
    return f"User response: action={found.action}, content={json.dumps(found.content or {})}"


@server.tool()
async def test_elicitation(message: str, ctx: Ctx) -> str:
    """Asks the person."""
    return await elicited(ctx, form(message, username={}, email={}))


@server.tool()
async def test_elicitation_sep1034_defaults(ctx: Ctx) -> str:
    """Asks with something in every field."""
    fields: dict[str, Any] = {
        "name": {"default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return await elicited(ctx, form("Who are you?", **fields))


@server.tool()
async def test_elicitation_sep1330_enums(ctx: Ctx) -> str:
    """Asks for one or several of a few."""
    values = ["option1", "option2", "option3"]
    titled = [{"const": value, "title": value.title()} for value in values]
    several = {"type": "array", "items": {"type": "string", "enum": values}}
    fields: dict[str, Any] = {
        "untitledSingle": {"enum": values},
        "titledSingle": {"oneOf": titled},
        "legacyEnum": {"enum": values, "enumNames": [value.title() for value in values]},
        "untitledMulti": several,
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }
    return await elicited(ctx, form("Which?", **fields))


@server.tool()
async def test_missing_capability(ctx: Ctx) -> str:
    """Needs a client that samples."""
    if (known := ctx.session.client_capabilities) is None or known.sampling is None:
        needed = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "it needs sampling", needed)

    return "fine"


@server.tool()
async def test_trigger_tool_change(ctx: Ctx) -> str:
    """The list of tools changes."""
    await ctx.notify_tools_changed()
    return "changed"


@server.tool()
async def test_trigger_prompt_change(ctx: Ctx) -> str:
    """The list of prompts changes."""
    await ctx.notify_prompts_changed()
    return "changed"


@server.tool()
async def test_input_required_result_elicitation(ctx: Ctx) -> str | InputRequiredResult:
    """Asks for a name."""
    if answer := answers(ctx).get("user_name"):
        return f"Hello, {(answer.content or {}).get('name')}!"

    return InputRequiredResult(input_requests={"user_name": form("What is your name?", name={})})


@server.tool()
async def test_input_required_result_sampling(ctx: Ctx) -> str | InputRequiredResult:
    """Asks the client's model."""
    if answer := answers(ctx).get("capital_question"):
        return f"It says: {answer.content.text}"

    return InputRequiredResult(input_requests={"capital_question": sample("What is the capital of France?")})


@server.tool()
async def test_input_required_result_list_roots(ctx: Ctx) -> str | InputRequiredResult:
    """Asks for the client's folders."""
    if answer := answers(ctx).get("client_roots"):
        return f"Folders: {[str(root.uri) for root in answer.roots]}"

    return InputRequiredResult(input_requests={"client_roots": ListRootsRequest()})


def confirm() -> dict[str, Any]:
    return {"confirm": form("Please confirm", "boolean", ok={})}


@server.tool()
async def test_input_required_result_request_state(ctx: Ctx) -> str | InputRequiredResult:
    """Gets its state back."""
    if "confirm" in answers(ctx) and ctx.request_state == "asked":
        return "state-ok"

    return InputRequiredResult(input_requests=confirm(), request_state="asked")


@server.tool()
async def test_input_required_result_tampered_state(ctx: Ctx) -> str | InputRequiredResult:
    """Its state cannot be changed on the way."""
    return "state-ok" if ctx.request_state else InputRequiredResult(input_requests=confirm(), request_state="asked")


@server.tool()
async def test_input_required_result_multiple_inputs(ctx: Ctx) -> str | InputRequiredResult:
    """Asks three things at once."""
    asked: dict[str, Any] = {
        "user_name": form("What is your name?", name={}),
        "greeting": sample("Generate a greeting", 50),
        "client_roots": ListRootsRequest(),
    }
    if asked.keys() <= answers(ctx).keys():
        return "thanks"

    return InputRequiredResult(input_requests=asked, request_state="asked")


@server.tool()
async def test_input_required_result_multi_round(ctx: Ctx) -> str | InputRequiredResult:
    """Asks one thing after the other."""
    step = int(ctx.request_state or 0)
    step += f"step{step}" in answers(ctx)
    asked = {1: form("Step 1: What is your name?", name={}), 2: form("Step 2: What is your favorite color?", color={})}
    step = max(step, 1)
    return (
        InputRequiredResult(input_requests={f"step{step}": asked[step]}, request_state=str(step))
        if step in asked
        else "thanks"
    )


@server.tool()
async def test_input_required_result_capabilities(ctx: Ctx) -> InputRequiredResult:
    """Asks what the client can answer."""
    known = ctx.client_capabilities
    asked: dict[str, Any] = {}
    if known and known.sampling is not None:
        asked["sample"] = sample("Say hello")

    if known and known.elicitation is not None:
        asked["ask"] = form("What is your name?", name={})

    return InputRequiredResult(input_requests=asked, request_state="asked")


Region = Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]


@server.tool()
def test_x_mcp_header(region: Region) -> str:
    """Has an argument that is a header too."""
    return region


@server.tool()
def json_schema_2020_12_tool() -> str:
    """Has a schema with everything in it."""
    return "fine"


schema_tool = server._tool_manager.get_tool("json_schema_2020_12_tool")
assert schema_tool is not None
schema_tool.parameters = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {"street": {"type": "string"}}}},
    "properties": {
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


@server.tool()
def greet(name: str) -> str:
    """Greet at once."""
    return f"Hello, {name}!"


@server.tool()
async def slow_compute(seconds: float, label: str = "") -> str:
    """Take some time."""
    task = await background()
    task.report(label)
    await anyio.sleep(seconds)
    return f"{label}: done after {seconds:g} s"


@server.tool()
async def failing_job() -> str:
    """Fail in the background."""
    await background(required=True)
    raise RuntimeError("it failed")


@server.tool()
async def protocol_error_job() -> str:
    """Fail below the tools."""
    await background()
    raise MCPError(INTERNAL_ERROR, "it broke")


async def asked(*messages: str) -> str:
    task = await background()
    found: dict[str, Any] = {}

    async def ask(message: str) -> None:
        question = cast("ElicitRequestFormParams", form(message, "boolean", confirm={}).params)
        found[message] = await task.ask(question)

    async with anyio.create_task_group() as group:
        for message in messages:
            group.start_soon(ask, message)

    return ", ".join(answer.action for answer in found.values())


@server.tool()
async def confirm_delete(filename: str) -> str:
    """Ask in the background."""
    return await asked(f"Delete {filename}?")


@server.tool()
async def multi_input() -> str:
    """Ask two things in the background."""
    return await asked("The first?", "The second?")


@server.tool()
async def test_tool_with_task(ctx: Ctx) -> str | InputRequiredResult:
    """Ask first, then go on in the background."""
    if (answer := answers(ctx).get("user_name")) is None:
        return InputRequiredResult(input_requests={"user_name": form("What is your name?", name={})})

    await background(required=True)
    return f"Hello, {(answer.content or {}).get('name')}!"


@server.resource("test://static-text", mime_type="text/plain")
def static_text() -> str:
    """A text."""
    return "This is the content of the static text resource."


@server.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    """An image."""
    return base64.b64decode(PNG)


@server.resource("test://template/{id}/data", mime_type="application/json")
def template(id: str) -> str:  # noqa: A002 - the suite's own name
    """Any number of them."""
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


@server.resource("test://watched-resource")
def watched() -> str:
    """One to subscribe to."""
    return "watched"


def said(*contents: Any) -> list[UserMessage]:
    return [UserMessage(role="user", content=content) for content in contents]


def test_simple_prompt() -> list[UserMessage]:
    """Say something."""
    return said(text("This is a simple prompt for testing."))


def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    """Say what is given."""
    return said(text(f"Prompt with arguments: arg1={arg1!r}, arg2={arg2!r}"))


def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803 - the suite's own name
    """Say what is in there."""
    resource = embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
    return said(resource, text("Please process the embedded resource above."))


def test_prompt_with_image() -> list[UserMessage]:
    """Show something."""
    return said(image(), text("Please analyze the image above."))


async def test_input_required_result_prompt(ctx: Ctx) -> list[UserMessage] | InputRequiredResult:
    """Ask before it says something."""
    if answer := answers(ctx).get("user_context"):
        return said(text(f"In the context of {(answer.content or {}).get('context')}"))

    return InputRequiredResult(input_requests={"user_context": form("What context should the prompt use?", context={})})


for prompt in (
    test_simple_prompt,
    test_prompt_with_arguments,
    test_prompt_with_embedded_resource,
    test_prompt_with_image,
    test_input_required_result_prompt,
):
    server.add_prompt(Prompt.from_function(prompt))


@server.completion()
async def complete(*_: Any) -> Completion:
    return Completion(values=[], total=0, has_more=False)


async def accept(_ctx: Any, _params: Any) -> EmptyResult:
    return EmptyResult()


for method, params in (
    ("logging/setLevel", SetLevelRequestParams),
    ("resources/subscribe", SubscribeRequestParams),
    ("resources/unsubscribe", UnsubscribeRequestParams),
):
    server._lowlevel_server.add_request_handler(method, params, accept)  # the base has no other way in


if __name__ == "__main__":
    anyio.run(lambda: offer(server, ("127.0.0.1", 0), token=None, ready=lambda url: print(url, flush=True)))
