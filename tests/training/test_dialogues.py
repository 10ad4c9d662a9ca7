import pytest

from journeyman.errors import UsageError
from journeyman.traces.messages import AssistantMessage, Text, Thinking, ToolResult
from journeyman.training.dialogues import played
from journeyman.training.folder import lay_out
from journeyman.training.generate import generate
from journeyman.training.mixture import Mixture
from journeyman.training.play import play
from journeyman.training.tasks import OracleCall, Task
from journeyman.training.workshop import Workshop, builtin_specs

NAMES = (
    "calculator__calculate", "code__python", "files__edit", "files__info", "files__list", "files__read", "files__write",
    "search__open", "search__search", "update_plan",
)  # fmt: skip


async def test_the_built_in_tools_are_offered_in_one_order(tmp_path):
    assert tuple(spec.name for spec in await builtin_specs(tmp_path)) == NAMES


async def test_an_oracle_without_a_planner_does_not_plan(tmp_path):
    task = generate("plan", 1, seed=1, split="train")[0]
    lay_out(task.files, tmp_path)
    async with Workshop(tmp_path) as workshop:
        with_plan = await play(task, workshop.call, offered=NAMES)

    async with Workshop(tmp_path) as workshop:
        without = await play(task, workshop.call, offered=NAMES[:-1])

    called = [call.name for message in without if isinstance(message, AssistantMessage) for call in message.calls]
    assert called == [step.tool for step in task.oracle if step.tool != "update_plan"]
    assert (with_plan[0], with_plan[-1]) == (without[0], without[-1])


async def test_played_dialogues_call_only_what_they_were_offered(tmp_path):
    mixture = Mixture(await builtin_specs(tmp_path), tasks=400, seed=3)
    groups = await played(mixture, 12, size=4, seed=3)
    assert len(groups) == 12
    for group, told in groups:
        offered = {tool.name for tool in group.tools}
        messages = [message for _, dialogue in told for message in dialogue]
        assert [m.text for m in messages if m.type == "user"] == [task.prompt for task in group.tasks], "none is lost"
        assert {call.name for message in messages if message.type == "assistant" for call in message.calls} <= offered


async def test_each_call_can_be_thought_of_first(tmp_path):
    task = generate("word_problem", 1, seed=1, split="train")[0]
    async with Workshop(tmp_path) as workshop:
        plain = await play(task, workshop.call, offered=NAMES)
        aloud = await play(task, workshop.call, offered=NAMES, aloud=True)

    expression = task.oracle[0].arguments["expression"]
    said = aloud[1]
    assert isinstance(said, AssistantMessage)
    assert said.parts[0] == Thinking(text=f"calculator__calculate: {expression}")
    assert [plain[0], AssistantMessage(parts=said.parts[1:]), *aloud[2:]] == plain


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("6 * 7", "42"),
        ("17 / 3", "5.666666666666667"),
        ("sqrt(2)", "1.414213562373095"),
        ("-1 / 3", "-0.3333333333333333"),
    ],
)
async def test_the_perfect_agent_answers_with_one_number(tmp_path, expression, answer):
    task = Task(prompt="?", oracle=(OracleCall(tool="calculator__calculate", arguments={"expression": expression}),))
    async with Workshop(tmp_path) as workshop:
        assert (await play(task, workshop.call, offered=NAMES))[-1] == AssistantMessage(parts=(Text(text=answer),))


async def test_an_oracle_that_fails_is_dropped_not_learnt(tmp_path):
    """A tool that lies: no dialogue whose answer is not grounded in what a tool said may be trained on."""
    from journeyman.training.dialogues import _right  # noqa: PLC0415

    task = generate("search", 1, seed=1, split="train")[0]
    lay_out(task.files, tmp_path)
    async with Workshop(tmp_path) as workshop:
        messages = await play(task, workshop.call, offered=NAMES)

    lies = [
        message.model_copy(update={"text": "no"}) if isinstance(message, ToolResult) else message
        for message in messages
    ]
    assert (_right(task, messages, tmp_path), _right(task, lies, tmp_path)) == (True, False)


async def test_the_same_seed_gives_the_same_mixture(tmp_path):
    specs = await builtin_specs(tmp_path)
    one, two = (Mixture(specs, tasks=300, seed=5) for _ in range(2))
    assert [one.group(5) for _ in range(10)] == [two.group(5) for _ in range(10)]


async def test_a_call_to_a_server_that_is_not_ours_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no server 'weather'"):
        await Workshop(tmp_path).call("weather__get", {"city": "Oslo"})
