import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeyman.errors import ServerError, UsageError
from journeyman.mcp_servers.registry import BASIC, SERVERS
from journeyman.tools.alias import may_be, named
from journeyman.tools.catalog import Catalog, Toolbox
from journeyman.tools.function import tool
from journeyman.tools.target import Builtin, Url
from journeyman.tools.tool import Output
from journeyman.traces.messages import ToolSpec


def silent(text: str, fraction: float | None) -> None:
    pass


async def call(toolbox: Toolbox, name: str, arguments: str = "{}") -> Output:
    found = toolbox.find(name)
    assert found is not None
    return await found.call(found.parse(arguments), silent)


@tool
def add(a: int, b: int = 0) -> int:
    """Add two numbers."""
    return a + b


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_built_in_servers_and_functions_stand_under_one_roof(tmp_path):
    (tmp_path / "notes.txt").write_text("one\ntwo\n")
    async with Catalog([add, Builtin("files", tmp_path), Builtin("calculator", tmp_path)]) as catalog:
        names = [spec.name for spec in catalog.specs]
        assert (names[0], names[-1]) == ("calculator__calculate", "add")
        assert names[:-1] == sorted(names[:-1])
        assert (await call(catalog, "calculator__calculate", '{"expression": "37 * 43 - 12"}')).text == "1579"
        assert "2 lines" in (await call(catalog, "files__info", '{"path": "notes.txt"}')).text
        assert (await call(catalog, "add", '{"a": 1}')).text == "1"
        assert (await call(catalog, "files__read", '{"path": "../etc/passwd"}')).is_error


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_built_in_server_without_its_folder_is_a_problem_and_the_others_work(tmp_path):
    async with Catalog([Builtin("files", tmp_path / "none"), Builtin("calculator", tmp_path)]) as catalog:
        assert [spec.name for spec in catalog.specs] == ["calculator__calculate"]
        assert [(type(problem), bool(problem.fix)) for problem in catalog.problems] == [(ServerError, True)]


async def test_only_functions_need_no_server(anyio_backend_name):
    async with Catalog([add]) as catalog:
        assert [spec.identity for spec in catalog.specs] == ["python.add"]


def test_names_that_would_clash_are_refused():
    with pytest.raises(UsageError, match="two functions are called 'add'"):
        Catalog([add, add])

    with pytest.raises(UsageError, match="two servers are called 'x'"):
        Catalog([Url("x", "http://a"), Url("x", "http://b")])

    with pytest.raises(UsageError, match="the agent's own"):
        Catalog([tool(name="update_plan")(lambda: None)])


def spec(server: str, name: str) -> ToolSpec:
    return ToolSpec(name="unnamed", server=server, tool=name)


def test_aliases_that_would_clash_are_marked_whatever_the_order():
    specs = [spec("a", "b.c"), spec("a", "b/c"), spec("a", "d"), spec("x", "y" * 62)]
    names = {each.identity: each.name for each in named(specs, taken=["a__d"])}
    assert names == (
        {
            "a.b.c": "a__b_c_845e30",
            "a.b/c": "a__b_c_fc7cd9",
            "a.d": "a__d_b3e11f",
            "x." + "y" * 62: "x__" + "y" * 54 + "_e17e7e",
        }
    )
    assert {each.identity: each.name for each in named(specs[::-1], taken=["a__d"])} == names


def test_a_tool_cannot_take_the_name_that_another_one_s_mark_gives():
    specs = [spec("a", "b.c"), spec("a", "b_c"), spec("a", "b_c_845e30")]
    names = {each.identity: each.name for each in named(specs)}
    assert names == {
        "a.b.c": "a__b_c_845e30448809",
        "a.b_c": "a__b_c_5b8f93",
        "a.b_c_845e30": "a__b_c_845e30_a68b5f",
    }
    assert {each.identity: each.name for each in named(specs[::-1])} == names


NAMES = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=1, max_size=90)


@given(st.sets(st.tuples(st.sampled_from(["a", "a_b", "srv"]), NAMES), max_size=12))
def test_every_tool_has_one_alias_that_models_accept(identities):
    specs = named([spec(server, name) for server, name in sorted(identities)])
    names = [each.name for each in specs]
    assert len(set(names)) == len(names)
    assert all(
        0 < len(name) <= 64 and name.replace("-", "_").replace("_", "a").isalnum() and name.isascii() for name in names
    )
    assert all(may_be(each.name, each.identity) for each in specs)
    assert may_be("add", "python.add")
    assert not any(may_be(each.name, f"{each.server}.{each.tool}2") for each in specs)


def toolbox(*identities: str) -> Toolbox:
    tools = []
    for identity in identities:
        server, name = identity.split(".")
        function = tool(name=name if server == "python" else f"{server}__{name}")(lambda: None)
        function.spec = function.spec.model_copy(update={"server": server, "tool": name})
        tools.append(function)

    return Toolbox(tools)


def test_a_model_that_names_no_tool_is_told_what_it_may_have_meant():
    box = toolbox("calculator.calculate", "files.read", "python.add")
    assert [box.suggest(name) for name in ("calculate", "files.read", "calculator__calculat", "\x1bfly")] == [
        "there is no tool 'calculate'; did you mean calculator__calculate?",
        "there is no tool 'files.read'; did you mean files__read?",
        "there is no tool 'calculator__calculat'; did you mean calculator__calculate?",
        "there is no tool '⟪U+001B⟫fly'; there are: calculator__calculate, files__read, add",
    ]
    assert toolbox(*(f"python.t{n}" for n in range(25))).suggest("!").endswith("t18, t19 and 5 more")
    assert Toolbox().suggest("x") == "there is no tool 'x', nor any other; just answer"


ALL = (
    "calculator.calculate",
    "code.python",
    "files.edit",
    "files.info",
    "files.list",
    "files.read",
    "files.write",
    "search.open",
    "search.search",
    "python.weather",
)


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        ("What is 37 * 43 - 12?", "calculator__calculate"),
        ("how much is 15 percent of 240", "calculator__calculate"),
        ("How many lines does notes.txt have?", "files__info"),
        ("What is the port in config.ini?", "files__read"),
        ("What files are in this folder?", "files__list"),
        ("Write hello to greet.txt", "files__write"),
        ("In draft.md replace cat by dog", "files__edit"),
        ("Run this Python: print(sum(range(101)))", "code__python"),
        ("Who leads the team that owns project Alder?", "search__search"),
        ("What is the weather in Oslo?", "weather"),
    ],
)
def test_a_small_model_is_offered_what_the_prompt_is_about(prompt, wanted):
    chosen = toolbox(*ALL).choose(prompt, 3)
    names = [each.name for each in chosen.specs]
    assert wanted in names
    assert len(names) == 3
    assert names == [each.name for each in toolbox(*ALL).specs if each.name in names]


def test_few_tools_are_all_offered_and_the_rest_cannot_be_found():
    box = toolbox("files.read", "calculator.calculate")
    assert [each.name for each in box.choose("anything", 5).specs] == ["files__read", "calculator__calculate"]
    assert box.choose("2 + 2", 1).find("files__read") is None


async def test_a_small_model_is_offered_the_basic_tools_only(tmp_path) -> None:
    ours = [Builtin(name, tmp_path, full=True) for name in SERVERS]
    async with Catalog([add, *ours]) as catalog:
        assert len(catalog.specs) > 15
        chosen = catalog.choose("Find the walrus by a pattern, move it and undo that", 12)
        assert {spec.identity for spec in chosen.specs} == {*BASIC, "python.add"}
