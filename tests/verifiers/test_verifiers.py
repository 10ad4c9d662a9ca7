import pytest

from journeyman.errors import ConfigError
from journeyman.traces.events import CallFinished, CallProposed, ModelResponded, RunFinished, RunStarted
from journeyman.traces.messages import AssistantMessage, Text, Thinking, ToolCall, ToolResult, Usage
from journeyman.verifiers.case import Called, Case
from journeyman.verifiers.check import VERIFIERS, Check, verify_here
from journeyman.verifiers.recipe import recipe_id, reward
from journeyman.verifiers.score import Score


def call(tool: str, text: str = "", step: int = 1, status: str = "ok", **arguments: str) -> Called:
    return Called.model_validate({"step": step, "tool": tool, "arguments": arguments, "status": status, "text": text})


def case(answer: str | None = "", **rest: object) -> Case:
    return Case.model_validate({"prompt": "How many?", "answer": answer, **rest})


def value(verifier: str, case: Case, **parameters: object) -> float | None:
    return verify_here(Check.model_validate({"verifier": verifier, **parameters}), case).value


def test_a_case_is_made_of_a_run():
    calls = (ToolCall(id="c1", name="files__info", arguments='{"path": "a.txt"}'),)
    events = [
        RunStarted(prompt="How long is a.txt?", model="scripted"),
        ModelResponded(
            step=1,
            message=AssistantMessage(parts=(Thinking(text="look"), *calls)),
            usage=Usage(prompt_tokens=5, completion_tokens=7),
        ),
        CallProposed(call_id="c1", tool="files.info", arguments={"path": "a.txt"}),
        CallFinished(result=ToolResult(call_id="c1", name="files__info", text="18 bytes")),
        ModelResponded(step=2, message=AssistantMessage(parts=(Text(text="18"),)), usage=Usage(completion_tokens=2)),
        RunFinished(outcome="answered", answer="18"),
    ]
    assert Case.of(events, {"a.txt": "eighteen letters.\n"}) == Case(
        prompt="How long is a.txt?",
        answer="18",
        calls=(Called(step=1, tool="files.info", arguments={"path": "a.txt"}, status="ok", text="18 bytes"),),
        thoughts="look",
        files={"a.txt": "eighteen letters.\n"},
        tokens=9,
    )


@pytest.mark.parametrize("name", VERIFIERS)
def test_every_name_is_a_verifier_with_a_version(name):
    module, _, function = VERIFIERS[name].partition(":")
    found = getattr(__import__(module, fromlist=[function]), function)
    assert found.__verifier__.startswith(f"{name}/")


def test_a_verifier_that_does_not_exist_is_refused_with_a_near_one():
    with pytest.raises(ConfigError, match="'numerik'") as caught:
        Check(verifier="numerik").resolve()

    assert "Did you mean 'numeric'?" in caught.value.fix


def test_parameters_that_do_not_fit_are_refused_with_those_that_do():
    with pytest.raises(ConfigError, match=r"missing a required .*argument: 'expected'") as caught:
        Check(verifier="numeric").resolve()

    assert caught.value.fix == "numeric takes expected: str, tolerance: float = 1e-06."


@pytest.mark.parametrize(
    ("check", "told"),
    [
        ({"verifier": "length", "most": "x"}, "'length': most = 'x': Input should be a valid"),
        ({"verifier": "exact", "expected": 5}, "'exact': expected = 5: Input should be a valid string"),
        ({"verifier": "files", "absent": "a.txt"}, "'files': absent = 'a.txt': Input should be a valid"),
    ],
)
def test_a_parameter_of_another_type_is_refused(check, told):
    with pytest.raises(ConfigError) as caught:
        Check.model_validate(check).resolve()

    assert told in str(caught.value)
    assert caught.value.fix.startswith(f"{check['verifier']} takes ")


def test_a_function_that_was_not_marked_is_no_verifier():
    with pytest.raises(ConfigError, match="no verifier 'os:system'"):
        Check(verifier="os:system").resolve()


def test_no_answer_is_not_a_wrong_answer():
    check = Check(verifier="numeric", parameters={"expected": "5"})
    expected = Score(value=None, status="na", verifier="numeric/2", evidence="there is no answer")
    assert verify_here(check, case(None)) == expected


def test_a_verifier_that_fails_leaves_the_run_unjudged():
    check = Check(verifier="numeric", parameters={"expected": "five"})
    expected = Score(status="error", verifier="numeric/2", evidence="ValueError: 'five' is no number")
    assert verify_here(check, case("5")) == expected


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        (r"$\frac{1}{2}$", "0.5", 1),
        ("so x = 5 km", "5", 1),
        (r"\boxed{\{1, 2\}}", r"\{2, 1\}", 1),
        ("five", "5", 0),
        (r"\boxed{7 or 8}", "7", 0),
        ("6", "5", 0),
    ],
)
def test_mathematics_is_compared_as_such(answer, expected, right):
    assert value("math", case(answer), expected=expected) == right


def test_an_answer_fits_a_schema_or_not():
    number = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    answers = ('{"n": 5}', '```json\n{"n": 5}\n```', '{"n": "5"}', "{}", "five")
    assert [value("schema", case(answer), schema=number) for answer in answers] == [1, 1, 0, 0, 0]
    assert [value("schema", case('{"n": 5}'), expected={"n": n}) for n in (5, 6)] == [1, 0]


def test_what_the_files_say_counts_and_not_the_answer():
    done = case("I did nothing", files={"out.txt": "port = 8080\n", "picture": None})
    assert value("files", done, equal={"out.txt": "port = 8080\n"}) == 1
    assert value("files", done, contain={"out.txt": "8080"}, match={"out.txt": r"^port = \d+$"}, absent=["b"]) == 1
    assert value("files", done, equal={"out.txt": "port = 8081\n"}) == 0
    assert value("files", done, absent=["picture"]) == 0
    assert value("files", done, contain={"picture": "x"}) == 0
    assert value("files", case(None, files={}), equal={"a": ""}) == 0


def test_calls_are_asked_for_by_pattern_and_order():
    run = case(calls=[call("files.read"), call("calculator.calculate", step=2), call("files.write", status="error")])
    assert value("calls", run, made=["files.*", "calculator.*"], in_order=True) == 1
    assert value("calls", run, made=["calculator.*", "files.*"], in_order=True) == 0
    assert value("calls", run, made=["files.write"]) == 0
    assert value("calls", run, never=["files.write"]) == 0
    assert value("calls", run, most=2) == 0


def test_steps_are_scored_apart_from_the_outcome():
    run = case(
        calls=[call("a.f", step=1), call("a.f", step=2, status="error"), call("a.f", step=3), call("a.g", step=3)]
    )
    score = verify_here(Check(verifier="steps"), run)
    assert (score.value, score.steps) == (0.5, {1: 1.0, 2: 0.0, 3: 0.5})


def test_an_answer_is_grounded_in_what_was_found():
    found = [call("search.search", 'notes.txt:3: The budget is 1,200 euros, says "Maria Lopez".')]
    good = 'The budget is 1200 (notes.txt:3), as "Maria Lopez" says.'
    assert value("grounding", case(good, calls=found)) == 1
    assert value("grounding", case('It is 1300, says "Maria Lopez".', calls=found)) == 0.5
    assert value("grounding", case("A lot.", calls=found)) == 0
    assert value("grounding", case("A lot.")) is None


def test_a_format_is_a_pattern_for_all_of_it():
    assert value("format", case(r"so \boxed{5}", thoughts="2+3"), answer=r".*\\boxed\{\d+\}", thoughts=".+") == 1
    assert value("format", case(r"\boxed{5}", thoughts=""), thoughts=".+") == 0
    assert value("format", case("5 apples"), answer=r"\d+") == 0


def test_length_costs_only_past_the_limit():
    assert [value("length", case(tokens=n), most=100, slack=100) for n in (50, 100, 150, 200, 300)] == [1, 1, 0.5, 0, 0]


def test_a_thought_in_another_script_is_found():
    assert value("language", case("Five.", thoughts="let me think")) == 1
    mixed = value("language", case("Five", thoughts="\u6211\u60f3\u60f3\u770b"))
    assert mixed == 0.5
    assert value("language", case("\u041f\u044f\u0442\u044c"), script="latin") == 0
    assert value("language", case("5")) is None


def gate(name: str) -> Check:
    return Check(verifier=name, gate=True, weight=0)


@pytest.mark.parametrize(
    ("checks", "values", "expected"),
    [
        ([Check(verifier="a"), Check(verifier="b", weight=3)], [1.0, 0.0], 0.25),
        ([Check(verifier="a"), gate("b")], [1.0, 1.0], 1),
        ([Check(verifier="a"), gate("b")], [1.0, 0.5], 0),
        ([Check(verifier="a"), Check(verifier="b", weight=0)], [0.5, None], 0.5),
        ([gate("b")], [1.0], 1),
    ],
)
def test_a_reward_is_a_weighted_mean_behind_gates(checks, values, expected):
    scores = [Score(value=each, status="ok" if each is not None else "error") for each in values]
    result = reward(checks, scores)
    assert (result.value, result.verifier) == (expected, f"reward/{recipe_id(checks)}")


def test_a_check_that_could_not_judge_leaves_the_reward_unknown():
    checks = [Check(verifier="a"), Check(verifier="b")]
    assert reward(checks, [Score.of(1), Score.missing("no time", "timeout")]).value is None
    assert reward(checks, [Score.of(1), Score.missing("no answer")]).value == 0.5
