from journeyman.agent.models.model import Request
from journeyman.agent.models.scripted import ScriptedModel
from journeyman.traces.events import RunStarted
from journeyman.traces.messages import AssistantMessage, Text, ToolCall
from journeyman.traces.store import Store
from journeyman.training.rollout import Batch, attempts, rollout, runs_of
from journeyman.training.tasks import OracleCall, Task

TASK = Task(
    prompt="How many lines does a.txt have?",
    answer="2",
    match="numeric",
    files={"a.txt": "one\ntwo\n"},
    oracle=(OracleCall(tool="files__info", arguments={"path": "a.txt"}),),
)


async def test_a_hint_is_the_order_of_tools_and_nothing_more(tmp_path):
    asked: list[Request] = []

    def answer(request: Request) -> AssistantMessage:
        asked.append(request)
        call = ToolCall(id="c1", name="files__info", arguments='{"path": "a.txt"}')
        return AssistantMessage(parts=(call,) if request.step == 1 else (Text(text="2"),))

    with Store.open(tmp_path / "runs.db") as store:
        await rollout(Batch("b", [TASK], n=1, hint=True), ScriptedModel(answer), store)
        assert [(each.choice, each.offered) for each in asked] == [
            ("required", frozenset({"files__info"})),
            ("none", None),
        ]
        assert [each.reward for each in attempts(store, "b").values()] == [1.0]
        started = next(iter(store.events(runs_of(store, "b")[0]))).event
        assert isinstance(started, RunStarted)
        assert started.model_info["hint"] == ["files__info"]
