"""Searches through the SDK's face, with a scripted model and real tools."""

import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from journeyman import Agent, Policy, ScriptedModel, tool
from journeyman.agent.budget import Limits
from journeyman.agent.models.model import Capabilities, Sampling
from journeyman.agent.replay import replay
from journeyman.agent.strategies.branch import Ground
from journeyman.agent.strategies.search import Candidate
from journeyman.agent.strategies.spec import strategy
from journeyman.errors import BudgetExceeded, ModelNotFound, RunTimeout, UsageError
from journeyman.tools.catalog import Catalog
from journeyman.tools.target import Builtin
from journeyman.traces.events import CallFinished, CandidateChosen, CandidateScored, CandidateTried, RunStarted
from journeyman.traces.export import Skip
from journeyman.traces.export.sequences import demand_trainable
from journeyman.traces.messages import ToolSpec
from journeyman.traces.store import Store
from journeyman.traces.transcript import transcript
from tests.need import need

SEEDED = Sampling(seed=0)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path / "home"))


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "runs.db") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "notes.txt").write_text("one\n")
    return tmp_path / "work"


def seed(request):
    return request.sampling.seed or 0


def agent(model, how, store, **more):
    script = ScriptedModel(model) if callable(model) or isinstance(model, list) else model
    more.setdefault("tools", [])
    return Agent(script, strategy=how, store=store, sampling=more.pop("sampling", SEEDED), **more)


def events(store, run_id, *kinds):
    return [each.event for each in store.own_events(run_id) if not kinds or isinstance(each.event, kinds)]


def said(*answers):
    return lambda request: answers[seed(request)]


async def test_most_of_the_voters_are_believed_and_each_is_a_run_of_the_group(store):
    result = await agent(said("5", "7", "It is 5.", "7", "the answer is 5"), "vote(5)", store).run("2+3?")

    tried = events(store, result.run_id, CandidateTried)
    (chosen,) = events(store, result.run_id, CandidateChosen)
    assert (result.answer, result.chosen, result.steps) == ("5", tried[0].run_id, 5)
    assert chosen.why == "3 of 5 agree"
    for one in tried:
        (started,) = events(store, one.run_id, RunStarted)
        assert (started.group, started.strategy, started.prompt) == (result.run_id, "plain", "2+3?")

    assert events(store, result.run_id, RunStarted)[0].strategy == "vote"
    assert store.resolve("last") == result.run_id


async def test_no_voter_is_asked_who_could_not_change_the_result(store):
    result = await agent(said("5", "5", "5", "7", "7"), "vote(5)", store).run("2+3?")

    assert len(events(store, result.run_id, CandidateTried)) == 3


async def test_a_search_is_shown_as_a_tree_of_who_was_tried_and_why_chosen(store):
    def script(request):
        text = request.messages[-1].text
        if text.startswith("You check"):
            return "RIGHT" if "Answer: 5" in text else "It is one too many."

        return "5" if text.startswith("Somebody") else "6"

    result = await agent(script, "refine(2)", store).run("2+3?")

    runs = [event.run_id for event in events(store, result.run_id, CandidateTried)]
    lines = list(transcript(store.events(result.run_id), str))[1:-1]
    for n, run_id in enumerate(runs):
        lines = [line.replace(run_id, f"run{n}") for line in lines]

    assert [line.partition(" (")[0] for line in lines] == snapshot(
        [
            "user: 2+3?",
            "└─ candidate 0 run0 plain: 6",
            "   ├─ judgement 1 run1 plain: It is one too many.",
            "   └─ * revision 2 run2 plain: 5",
            "      └─ judgement 3 run3 plain: RIGHT",
            "chosen run2: the critic found nothing wrong after 1 revisions",
        ]
    )
    assert (await replay([each.event for each in store.events(runs[2])])).same


async def test_the_best_is_whom_the_judge_likes_most(store):
    def script(request):
        text = request.messages[-1].text
        mark = 9 if '"answer": "5"' in text else 2
        return json.dumps({"mark": mark}) if text.startswith("You check") else f"{seed(request) + 4}"

    result = await agent(script, "best(3)", store).run("2+3?")

    scored = events(store, result.run_id, CandidateScored)
    assert (result.answer, [(event.by, event.score) for event in scored]) == (
        "5", [("judge", 0.2), ("judge", 0.9), ("judge", 0.2)]
    )  # fmt: skip


async def test_a_verified_answer_ends_the_search(store):
    how = strategy("best(4, by=verifier)")
    asked = agent(said("x", "5", "6", "7"), how, store)

    assert await asked.run("2+3?", returns=int) == 5
    assert len(events(store, store.resolve("last"), CandidateTried)) == 2


async def test_a_callers_own_verifier_is_asked(store):
    asked = agent(said("3", "4", "5", "6"), "best(4, by=verifier)", store, verify=lambda run: run.answer == "5")

    result = await asked.run("2+3?")

    assert (result.answer, result.steps) == ("5", 3)


async def test_nothing_trains_on_a_search_itself(store):
    result = await agent(said("5"), "vote(1)", store).run("2+3?")

    demand_trainable(list(store.events(result.chosen)))
    with pytest.raises(Skip, match="is a search"):
        demand_trainable(list(store.events(result.run_id)))


async def test_without_a_verifier_there_is_nothing_to_ask(store):
    with pytest.raises(UsageError, match="nothing that verifies"):
        await agent(["5"], "best(4, by=verifier)", store).run("2+3?")


async def test_effort_is_spent_only_where_the_first_answer_is_in_doubt(store):
    def script(request):
        return (
            "5"
            if "easy" in request.messages[0].text
            else str(seed(request) % 3 + int(request.sampling.temperature > 0))
        )

    asked = agent(script, "route(plain, vote(3))", store)
    easy, hard = await asked.run("easy"), await asked.run("hard")

    assert [len(events(store, each.run_id, CandidateTried)) for each in (easy, hard)] == [2, 5]
    assert "was enough" in events(store, easy.run_id, CandidateChosen)[0].why
    assert "in doubt" in events(store, hard.run_id, CandidateChosen)[0].why


async def test_what_is_in_doubt_goes_to_another_model_in_the_same_search(store, tmp_path):
    (tmp_path / "large.json").write_text('["42"]')
    large = f"scripted:{tmp_path / 'large.json'}"
    asked = agent(lambda request: "7" if request.sampling.temperature else "6", f"route(plain, on({large!r}))", store)
    result = await asked.run("6*7?")

    tried = events(store, result.run_id, CandidateTried)
    models = [events(store, one.run_id, RunStarted)[0].model for one in tried]
    assert (result.answer, result.steps, models) == ("42", 3, ["scripted", "scripted", large])


async def test_another_model_that_is_asked_first_is_asked_twice_before_it_is_believed(store, tmp_path):
    (tmp_path / "small.json").write_text('["7"]')
    small = f"on({f'scripted:{tmp_path}/small.json'!r})"
    result = await agent(said("42"), f"route({small}, plain)", store).run("6*7?")

    tried, [chosen] = events(store, result.run_id, CandidateTried), events(store, result.run_id, CandidateChosen)
    assert ([one.strategy for one in tried], chosen.why) == ([small, small], f"{small} was enough: two of two agree")


async def test_a_model_that_a_strategy_names_must_be_there(store):
    with pytest.raises(ModelNotFound, match=r"nowhere\.json"):
        await agent(said("5"), "route(plain, on('scripted:nowhere.json'))", store).run("2+3?")

    assert store.runs() == []


async def test_candidates_share_one_budget(store):
    few = await agent(said("5", "7", "7", "7", "7"), "vote(5)", store, limits=Limits(steps=2)).run("2+3?")

    assert (few.answer, few.steps) == ("5", 2)
    with pytest.raises(BudgetExceeded, match="No candidate had answered") as caught:
        await agent([{"tool": "no", "arguments": {}}] * 9, "vote(5)", store, limits=Limits(steps=2)).run("2+3?")

    assert "--max-steps 4" in caught.value.fix


@pytest.mark.parametrize("how", ["vote(3)", "best(2)", "tree(2)", "route(plain, vote(2))"])
async def test_a_limit_that_cannot_be_kept_is_told_as_in_a_plain_run(store, how):
    model = ScriptedModel(said("5", "5", "5"))
    model.capabilities = Capabilities(priced=False)
    with pytest.raises(BudgetExceeded, match="price is not known"):
        await agent(model, how, store, limits=Limits(usd=1)).run("2+3?")


async def test_a_search_that_is_stopped_stops_its_candidates(store):
    slow = ScriptedModel(["5"], delay=60)
    with pytest.raises(RunTimeout):
        await agent(slow, "vote(2)", store, timeout=5).run("2+3?")

    (tried,) = events(store, store.resolve("last"), CandidateTried)
    assert tried.outcome == "interrupted"
    assert events(store, tried.run_id)[-1].outcome == "interrupted"


def write(request):
    if len(request.messages) > 1:
        return f"{seed(request) % 2}"

    return {"tool": "files__write", "arguments": {"path": "notes.txt", "content": f"{seed(request) % 2}"}}


WRITERS = Policy.allow("files.write")


async def test_only_what_the_chosen_one_wrote_is_written(store, folder):
    asked = agent(write, "vote(3)", store, tools=["files"], root=folder, policy=WRITERS)
    result = await asked.run("Write.")

    (chosen,) = events(store, result.run_id, CandidateChosen)
    assert (result.answer, chosen.applied, chosen.kept_back) == ("0", ("notes.txt",), "")
    assert (folder / "notes.txt").read_text() == "0"


async def test_a_rule_about_a_folder_of_the_real_one_holds_in_every_candidate(store, folder):
    (folder / "secrets").mkdir()

    def script(request):
        if len(request.messages) > 1:
            return "Done."

        return {"tool": "files__write", "arguments": {"path": "secrets/key", "content": "mine"}}

    policy = Policy.preset("auto").deny("files.*", where={"path": {"under": str(folder / "secrets")}})
    result = await agent(script, "vote(2)", store, tools=["files"], root=folder, policy=policy).run("Write.")

    assert result.denied
    assert list((folder / "secrets").iterdir()) == []


async def test_what_the_chosen_one_deleted_is_deleted(folder, tmp_path):
    (folder / "kept.txt").write_text("two\n")
    async with changed(folder, tmp_path / "scratch") as (ground, copy):
        (copy / "notes.txt").unlink()

    assert sorted(path.name for path in folder.iterdir()) == ["kept.txt", "notes.txt"]
    assert ground.apply(copy) == (("notes.txt",), "")
    assert [path.name for path in folder.iterdir()] == ["kept.txt"]


@asynccontextmanager
async def changed(folder, scratch):
    """A candidate's copy of the folder, and the ground it stands on."""
    async with Catalog([Builtin("files", folder)]) as catalog:
        ground = Ground(str(folder), scratch, catalog, catalog, Policy.preset("ask").only_reads)
        await ground.survey()
        async with ground.branch(None) as (_, copy):
            assert copy
            yield ground, copy


async def test_files_of_any_kind_are_carried_over_with_their_modes(folder, tmp_path):
    (folder / "data").mkdir()
    (folder / "data" / "old").write_text("old")
    async with changed(folder, tmp_path / "scratch") as (ground, copy):
        (copy / "large").write_bytes(bytes(5 << 20))
        (copy / "run.sh").write_text("true")
        for name in ("run.sh", "notes.txt"):
            (copy / name).chmod(0o755)

        (copy / "data" / "old").unlink()
        (copy / "data").rmdir()
        (copy / "data").write_text("a file now")

    assert ground.apply(copy) == (("data", "data/old", "large", "notes.txt", "run.sh"), "")
    found = {path.name: (path.stat().st_size, path.stat().st_mode & 0o777) for path in folder.iterdir()}
    assert found.pop("data")[0] == 10
    assert found.pop("large")[0] == 5 << 20
    assert found == {"run.sh": (4, 0o755), "notes.txt": (4, 0o755)}


async def test_where_one_file_cannot_be_carried_over_none_is(folder, tmp_path):
    (folder / "gone.sh").write_text("gone")
    (folder / "gone.sh").chmod(0o755)
    (folder / "zlink").symlink_to("notes.txt")
    async with changed(folder, tmp_path / "scratch") as (ground, copy):
        (copy / "gone.sh").unlink()
        (copy / "notes.txt").write_text("other")
        (copy / "notes.txt").chmod(0o444)
        (copy / "new.txt").write_text("new")
        (copy / "zlink").unlink()
        (copy / "zlink").write_text("no link")

    assert ground.apply(copy) == ((), "nothing was changed: zlink is a link; write to the file it points to")
    assert {path.name: (path.read_text(), path.stat().st_mode & 0o111) for path in folder.iterdir()} == {
        "gone.sh": ("gone", 0o111), "notes.txt": ("one\n", 0), "zlink": ("one\n", 0)
    }  # fmt: skip


async def test_a_name_that_cannot_be_told_keeps_everything_back(folder, tmp_path):
    async with changed(folder, tmp_path / "scratch") as (ground, copy):
        (copy / "a.txt").write_text("a")
        (copy / "z\x1b.txt").write_text("z")

    assert ground.apply(copy) == ((), "nothing was changed: z\\x1b.txt is no name for a file")
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


async def test_the_same_words_about_other_files_are_another_answer(store, folder):
    def script(request):
        return "Done." if len(request.messages) > 1 else write(request)

    asked = agent(script, "vote(3)", store, tools=["files"], root=folder, policy=WRITERS)
    result = await asked.run("Write.")

    assert events(store, result.run_id, CandidateChosen)[0].why == "2 of 3 agree"
    assert (folder / "notes.txt").read_text() == "0"


async def test_what_somebody_else_changed_meanwhile_is_left_as_it_is(store, folder):
    def script(request):
        (folder / "notes.txt").write_text("mine, and longer\n")
        return write(request)

    asked = agent(script, "vote(1)", store, tools=["files"], root=folder, policy=WRITERS)
    result = await asked.run("Write.")

    (chosen,) = events(store, result.run_id, CandidateChosen)
    assert (chosen.applied, chosen.kept_back) == (
        (), "nothing was changed: notes.txt was changed by somebody else meanwhile"
    )  # fmt: skip
    assert (folder / "notes.txt").read_text() == "mine, and longer\n"


HELD = 'held back in every candidate: {} (label what only reads: does = "read")'


async def test_no_candidate_touches_the_world_outside_of_its_folder(store, folder):
    sent = []

    @tool
    def send(text: str) -> str:
        """Send a letter."""
        sent.append(text)
        return "sent"

    def script(request):
        return "Done." if len(request.messages) > 1 else {"tool": "send", "arguments": {"text": "x"}}

    result = await agent(script, "vote(3)", store, tools=[send], root=folder).run("Send it.")

    assert sent == []
    assert events(store, result.run_id, CandidateChosen)[0].kept_back == HELD.format("python.send")


def test_that_a_tool_only_reads_is_for_its_label_to_say_and_not_for_a_strange_server():
    claims = ToolSpec(name="notes__list", server="notes", tool="list", read_only=True)
    policy = Policy.preset("ask")

    assert not policy.only_reads(claims)
    assert policy.label("notes.list", does="read").only_reads(claims)
    assert not policy.label("notes.list", does=["read", "external"]).only_reads(claims)
    assert policy.only_reads(claims.model_copy(update={"server": "python"}))


@pytest.mark.parametrize("confined", [{"hosts": ("example.org",)}, {"sandbox": "unsafe-subprocess"}])
async def test_code_that_may_reach_the_world_is_run_in_no_candidate(store, folder, confined):
    def script(request):
        return "Done." if len(request.messages) > 1 else {"tool": "code__python", "arguments": {"code": "post()"}}

    tools = [Builtin("files", folder), Builtin("code", folder, **confined)]
    asked = agent(script, "beam(1, branch=1)", store, tools=tools, root=folder, policy=Policy.allow("code.*"))
    result = await asked.run("Post it.")

    assert events(store, result.run_id, CandidateChosen)[0].kept_back == HELD.format("code.python")
    calls = [event for each in store.events(result.chosen) if isinstance(event := each.event, CallFinished)]
    assert [event.status for event in calls] == ["error"]


async def test_a_search_goes_on_from_what_it_chose(store):
    asked = agent(said("5", "5"), "vote(2)", store)
    result = await asked.run("2+3?")

    async with asked:
        from journeyman.agent.order import Order  # noqa: PLC0415 - beside its use

        assert asked._entered
        again = await asked._entered.resume(result.run_id, Order("And?", sampling=SEEDED))

    assert (again.run_id, again.answer) == (result.chosen, "5")


async def test_thinking_aloud_ends_with_the_answer_and_comes_out_the_same_again(store):
    result = await agent(["Two and three...\nAnswer: 5"], "cot", store).run("2+3?")

    assert result.answer == "5"
    assert (await replay(events(store, result.run_id))).same


async def test_a_search_itself_cannot_be_replayed(store):
    result = await agent(said("5"), "vote(1)", store).run("2+3?")

    with pytest.raises(UsageError, match="is a search"):
        await replay(events(store, result.run_id))


def looking(request):
    """The first one looks for a file that is not there; each says what it has read."""
    read = [message for message in request.messages if message.type == "tool_result"]
    if read:
        return f"It says {read[-1].text}" if not read[-1].is_error else "It says nothing."

    path = "nowhere.txt" if seed(request) == 0 else "notes.txt"
    return {"tool": "files__read", "arguments": {"path": path}}


@pytest.mark.parametrize("how", ["beam(1)", "tree(6)"])
async def test_a_step_that_fails_is_left_for_one_that_does_not(store, folder, how):
    result = await agent(looking, how, store, tools=["files"], root=folder).run("Read.")

    tried = events(store, result.run_id, CandidateTried)
    assert "one" in result.answer
    assert {event.outcome for event in tried} == {"budget", "answered"}
    of = {event.run_id: event.of for event in tried}
    assert of[result.chosen] in of
    assert (await replay([each.event for each in store.events(result.chosen)])).same


async def test_a_branch_remembers_what_its_code_did(store, folder):
    need("native")

    def script(request):
        last = request.messages[-1]
        if last.type == "tool_result":
            return (
                last.text if len(request.messages) > 3 else {"tool": "code__python", "arguments": {"code": "print(x)"}}
            )

        return {"tool": "code__python", "arguments": {"code": f"x = {41 + seed(request)}"}}

    policy = Policy.allow("code.*")
    result = await agent(script, "beam(1, branch=1)", store, tools=["code"], root=folder, policy=policy).run("Go.")

    assert result.answer.strip() == "41"


async def test_the_best_is_revised_by_what_sets_it_apart_from_the_worst(store):
    def script(request):
        text = request.messages[-1].text
        if "How sure" in text:
            return json.dumps({"mark": int(text.partition('"answer": "')[2].partition('"')[0])})

        return (
            "Be larger."
            if "Better answer: 3" in text
            else "9"
            if text.startswith("Somebody")
            else f"{seed(request) + 1}"
        )

    result = await agent(script, "tpo(3)", store).run("How much?")

    assert result.answer == "9"
    assert [event.role for event in events(store, result.run_id, CandidateTried)].count("revision") == 3


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "cot",
        "vote(8)",
        "best(4, by=judge)",
        "route(plain, vote(3, of=cot))",
        "on('local:a b.gguf', of=vote(3))",
    ],
)
def test_a_strategy_is_read_as_it_is_written(text):
    again = strategy(str(strategy(text)))

    assert again == strategy(text)
    assert isinstance(again.width, int)


@pytest.mark.parametrize(
    "text", ["", "vot(3)", "vote(0)", "vote(3, 4, 5)", "vote('a')", "1+1", "vote(**x)", "vote(x=1)"]
)
def test_what_is_no_strategy_is_told_with_what_is(text):
    with pytest.raises(UsageError) as caught:
        strategy(text)

    assert caught.value.fix


def test_equal_answers_are_known_whatever_the_words():
    from journeyman.agent.strategies.vote import key  # noqa: PLC0415 - beside its use

    class Said(Candidate):
        @property
        def answer(self):
            return self.why

    def of(words):
        return key(Said(None, 0, (), why=words))  # ty: ignore[invalid-argument-type]

    assert of("1,579") == of("The result is 1579.") == of("37 * 43 - 12 = 1579")
    assert of("Paris.") == of("paris")
    assert of("5 of 7") != of("5")
