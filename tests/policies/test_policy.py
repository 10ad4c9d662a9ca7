import time
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeyman.errors import PolicyError
from journeyman.home import config_dir, trust
from journeyman.policies.decision import Decision
from journeyman.policies.labels import STRANGE
from journeyman.policies.load import PRESETS, Layer
from journeyman.policies.policy import STRICTNESS, Policy
from journeyman.policies.rule import Call, Rule
from journeyman.traces.messages import ToolSpec


def spec(identity: str, **fields) -> ToolSpec:
    server, tool = identity.split(".", 1)
    return ToolSpec(name="x", server=server, tool=tool, **fields)


def effects(policy: Policy, *identities: str) -> list[str]:
    return [policy.decide(spec(identity), {}).effect for identity in identities]


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path / "home"))
    config_dir().mkdir(parents=True)
    project = tmp_path / "project"
    project.mkdir()
    return project


KINDS = (
    "calculator.calculate",
    "files.read",
    "agent.update_plan",
    "python.add",
    "files.write",
    "code.python",
    "time.now",
)


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("ask", ["allow", "allow", "allow", "allow", "ask", "ask", "ask"]),
        ("readonly", ["allow", "allow", "allow", "deny", "deny", "deny", "deny"]),
        ("auto", ["allow", "allow", "allow", "allow", "allow", "allow", "ask"]),
        ("headless", ["allow", "allow", "allow", "allow", "deny", "deny", "deny"]),
        ("yolo", ["allow"] * 7),
    ],
)
def test_presets(preset, expected):
    assert effects(Policy.preset(preset), *KINDS) == expected


@pytest.mark.parametrize("preset", ["ask", "readonly", "headless", "auto"])
def test_a_stranger_s_word_that_it_only_reads_changes_nothing(preset):
    policy = Policy.preset(preset)
    assert policy.decide(spec("time.now", read_only=True), {}) == policy.decide(spec("time.now"), {})


def test_readonly_lets_functions_run_whose_author_says_they_only_read():
    policy = Policy.preset("readonly")
    assert policy.decide(spec("python.look", read_only=True), {}).effect == "allow"
    assert policy.decide(spec("python.poke"), {}).effect == "deny"


def test_a_decision_names_its_rules_strictest_first_and_says_why():
    policy = Policy.allow("files.*").deny("files.write", why="not on a Sunday")
    assert policy.decide(spec("files.write"), {"path": "a"}) == Decision(
        effect="deny",
        rules=("session:deny files.write", "session:allow files.*"),
        reason="not on a Sunday",
    )
    assert policy.decide(spec("time.now"), {}) == Decision(effect="ask", reason="no rule allows time.now")
    assert Policy.allow("time.now").decide(spec("time.now"), {}).reason == "the rule 'allow time.now' allows time.now"


def test_an_allow_lifts_the_default_and_nothing_that_a_rule_says():
    assert effects(Policy.allow("code.*"), "code.python", "files.write") == ["allow", "ask"]
    assert effects(Policy.preset("readonly").allow("code.*"), "code.python") == ["deny"]
    assert effects(Policy.preset("headless").allow("code.*"), "code.python") == ["allow"]
    assert effects(Policy.allow("code.*").ask("code.*"), "code.python") == ["ask"]


def test_a_policy_is_not_changed_by_what_is_built_on_it():
    base = Policy.preset("ask")
    before = base.digest
    other = base.deny("*")
    assert (base.digest, effects(base, "python.add"), effects(other, "python.add")) == (before, ["allow"], ["deny"])
    assert other.digest != before


def test_conditions_on_arguments_and_their_exceptions():
    policy = Policy.allow(
        "files.write", where={"path": {"under": "notes"}}, unless=[{"where": {"path": {"under": "notes/private"}}}]
    )
    write = spec("files.write")
    paths = ["notes/a", "notes/private/b", "src/c", 7]
    assert [policy.decide(write, {"path": path}).effect for path in paths] == ["allow", "ask", "ask", "ask"]
    assert policy.decide(write, {}).effect == "ask"


def test_doubt_counts_against_the_call():
    deny = Policy.preset("yolo").deny("x.*", where={"n": {"max": 5}}, unless=[{"where": {"who": {"host": "ok.org"}}}])
    tool = spec("x.y")
    calls = [{"n": 1}, {"n": 9}, {"n": "1"}, {}, {"n": 1, "who": "http://ok.org"}, {"n": 1, "who": "http://a@ok.org"}]
    assert [deny.decide(tool, call).effect for call in calls] == ["deny", "allow", "deny", "allow", "allow", "deny"]


def test_a_default_of_the_tool_s_schema_counts_as_given():
    policy = Policy.preset("yolo").deny("x.*", where={"path": {"under": "."}})
    schema = {"type": "object", "properties": {"path": {"type": "string", "default": "."}, "odd": True}}
    assert policy.decide(spec("x.list", parameters=schema), {}).effect == "deny"
    assert policy.decide(spec("x.list"), {}).effect == "allow"


def test_a_stranger_s_default_can_forbid_a_call_and_not_allow_it():
    schema = {"type": "object", "properties": {"path": {"default": "notes/secret"}}}
    where = {"path": {"under": "notes"}}
    stranger = spec("fs.read", parameters=schema)
    assert Policy.allow("fs.read", where=where).decide(stranger, {}).effect == "ask"
    assert Policy.preset("yolo").deny("fs.read", where=where).decide(stranger, {}).effect == "deny"
    hole = Policy.allow("fs.read", unless=[{"where": {"path": {"under": "notes/secret"}}}])
    assert [hole.decide(stranger, each).effect for each in ({}, {"path": "notes/a"})] == ["ask", "allow"]
    ours = spec("files.write", parameters=schema)
    assert Policy.allow("files.write", where=where).decide(ours, {}).effect == "allow"


def test_a_project_that_is_not_trusted_has_no_word_in_the_question(home):
    path = home / "journeyman.policy.toml"
    path.write_text(
        '[[rule]]\neffect = "ask"\ntool = ["code.*", "add"]\nwhy = "signed by your admin: say y"\n', "utf-8"
    )
    policy = Policy.assemble(project=home)
    assert policy.decide(spec("code.python"), {}).reason == "the project's untrusted policy file asks about code.python"
    assert policy.decide(spec("python.add"), {}).reason == "the project's untrusted policy file asks about python.add"
    trust(path, path.read_bytes())
    assert Policy.assemble(project=home).decide(spec("python.add"), {}).reason == "signed by your admin: say y"


def test_no_pattern_takes_longer_than_it_is_long():
    pattern = f"x{'*a' * 40}*b.{'*a' * 40}*b"
    rule = Rule(effect="deny", tool=(pattern,))
    started = time.process_time()
    assert not rule.fits(spec(f"x{'a' * 60}.{'a' * 60}"), STRANGE)
    assert time.process_time() - started < 5


def test_auto_asks_before_files_that_others_obey_are_changed(tmp_path):
    policy = Policy.preset("auto").within(tmp_path)
    paths = ("a.md", ".git/hooks/pre-commit", ".mcp.json", "sub/.env", "journeyman.toml", "journeyman.policy.toml")
    assert [policy.decide(spec("files.write"), {"path": path}).effect for path in paths] == ["allow", *["ask"] * 5]
    assert policy.decide(spec("files.read"), {"path": ".env"}).effect == "allow"


def test_links_are_seen_through_where_the_root_is_known(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "door").symlink_to("secret")
    policy = Policy.deny("files.*", where={"path": {"under": "secret"}})
    assert policy.decide(spec("files.read"), {"path": "door/key"}).effect == "allow"
    assert policy.within(tmp_path).decide(spec("files.read"), {"path": "door/key"}).effect == "deny"


@pytest.mark.parametrize(
    ("pattern", "met", "unmet"),
    [
        ("add", ["python.add"], ["python.adder", "x.add"]),
        ("files.*", ["files.read"], ["file.read", "myfiles.read"]),
        ("*.read", ["files.read"], ["files.reader", "a.b.reads"]),
        ("*", ["a.b", "a.b.c"], []),
        ("a.b.*", ["a.b.c"], ["a.bxc"]),
        ("a.[bc]", ["a.[bc]"], ["a.b"]),
        ("git-*.st*us", ["git-hub.status"], ["git.status"]),
    ],
)
def test_names_and_stars(pattern, met, unmet):
    rule = Rule(effect="deny", tool=(pattern,))
    assert [name for name in met + unmet if rule.fits(spec(name), STRANGE)] == met


@pytest.mark.parametrize(
    ("names", "condition", "problem"),
    [
        (("files__write",), {}, "a policy says 'files.write'"),
        (("a b",), {}, "names no tool"),
        ((), {}, "at least 1"),
        (("x.y",), {"where": {"path": {"undr": "x"}}}, "unknown key 'undr'"),
        (("x.y",), {"where": {"path": {}}}, "a matcher needs one of"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(names, condition, problem):
    with pytest.raises(PolicyError, match=problem) as caught:
        Policy.allow(*names, **condition)

    assert caught.value.fix


def test_patterns_that_meet_no_tool_are_told():
    policy = Policy.allow("add", "file.*").deny("files.write").ask("file.*")
    assert policy.unmet([spec("python.add"), spec("files.write")]) == ("file.*",)


def test_files_of_the_user_and_the_project_and_the_flags_stand_on_each_other(home):
    (config_dir() / "policy.toml").write_text('allow = ["code.*", "time.*", "web.*"]\n', "utf-8")
    (home / "journeyman.policy.toml").write_text('allow = ["mail.*"]\nask = ["time.*", "web.*"]\n', "utf-8")
    tools = ("code.python", "time.now", "mail.send", "web.get", "files.write")
    assert effects(Policy.assemble(), *tools) == ["allow", "allow", "ask", "allow", "ask"]
    assert effects(Policy.assemble(project=home), *tools) == ["allow", "ask", "ask", "ask", "ask"]
    flags = Policy.assemble(project=home, allow=["web.*"], deny=["code.*"])
    assert effects(flags, *tools) == ["deny", "ask", "ask", "ask", "ask"]
    project_file = home / "journeyman.policy.toml"
    trust(project_file, project_file.read_bytes())
    assert effects(Policy.assemble(project=home), *tools) == ["allow", "ask", "allow", "ask", "ask"]


def test_a_project_cannot_turn_a_default_denial_into_a_question(home):
    (home / "journeyman.policy.toml").write_text('default = "allow"\nask = ["*"]\n', "utf-8")
    assert effects(Policy.assemble("headless", project=home), "time.now", "files.write") == ["deny", "deny"]


def test_a_file_named_with_the_run_stands_on_the_preset_it_extends_and_under_the_flags(home):
    house = home / "house.toml"
    house.write_text('extends = "readonly"\nask = ["calculator.*"]\n', "utf-8")
    assert effects(Policy.load(house), "calculator.calculate", "files.write") == ["ask", "deny"]
    assert effects(Policy.assemble(str(house), allow=["calculator.*"]), "calculator.calculate") == ["ask"]
    assert Policy.assemble(str(house), allow=["calculator.*"]).name == "readonly + file + session"


def test_the_same_policy_has_the_same_digest_wherever_it_is_kept(home):
    one, other = home / "one.toml", home / "other.toml"
    one.write_text('allow = ["code.*"]', "utf-8")
    other.write_text('# a copy\nallow = "code.*"\n', "utf-8")
    assert Policy.load(one).digest == Policy.load(other).digest != Policy.preset("ask").digest


def test_extends_has_no_place_in_a_user_s_file(home):
    (config_dir() / "policy.toml").write_text('extends = "yolo"', "utf-8")
    with pytest.raises(PolicyError, match="extends has no place"):
        Policy.assemble()


def test_a_name_that_is_neither_preset_nor_file_is_told_with_what_there_is(home):
    with pytest.raises(PolicyError) as caught:
        Policy.assemble("reedonly")

    assert (str(caught.value), caught.value.fix) == (
        "there is no policy 'reedonly'",
        "presets: readonly, ask, auto, headless, yolo; did you mean 'readonly'?",
    )
    with pytest.raises(PolicyError, match="does not exist"):
        Policy.assemble("missing.toml")


def test_the_truth_table_of_two_layers():
    def decide(lower, upper, *, trusted):
        layers = [
            Layer(
                tier=tier,
                origin=tier,
                trusted=tier == "user" or trusted,
                rules=(Rule(id="r", effect=effect, tool=("*",)),) if effect else (),
            )
            for tier, effect in (("user", lower), ("project", upper))
        ]
        return Policy(layers).decide(spec("a.b"), {}).effect

    said = (None, "allow", "ask", "deny")
    trusted = {pair: decide(*pair, trusted=True) for pair in product(said, said)}
    untrusted = {pair: decide(*pair, trusted=False) for pair in product(said, said)}
    assert trusted == {
        (lower, upper): max((lower, upper), key=lambda e: STRICTNESS.get(e, -1)) or "ask"
        for lower, upper in product(said, said)
    }
    assert untrusted == {
        (lower, upper): max(lower or "ask", upper or "allow", key=STRICTNESS.__getitem__)
        for lower, upper in product(said, said)
    }


EFFECTS = st.sampled_from(["allow", "ask", "deny"])
PATTERNS = st.sampled_from(["*", "a.*", "a.b", "b.*", "*.c", "a.c"])
WHERE = st.sampled_from([{}, {"n": {"max": 5}}, {"n": {"eq": "x"}}, {"m": {"in": [1]}}])
RULES = st.builds(
    lambda effect, tool, where, exception: Rule.model_validate(
        {
            "id": "r",
            "effect": effect,
            "tool": tool,
            "where": where,
            "unless": [{"where": exception}] if exception else [],
        }
    ),
    EFFECTS,
    PATTERNS,
    WHERE,
    WHERE,
)
LAYERS = st.lists(
    st.builds(
        lambda tier, rules, trusted, default: Layer(
            tier=tier, origin="t", trusted=trusted, default=default, rules=tuple(rules)
        ),
        st.sampled_from(["preset", "user", "project", "file", "session"]),
        st.lists(RULES, max_size=4),
        st.booleans(),
        st.none() | EFFECTS,
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda layer: layer.tier,
)
CALLS = st.tuples(
    st.sampled_from(["a.b", "a.c", "b.b"]), st.dictionaries(st.sampled_from("nm"), st.sampled_from([1, 9, "x", None]))
)


@given(LAYERS, CALLS, st.randoms())
def test_the_order_of_rules_and_layers_never_matters(layers, call, random):
    shuffled = [
        layer.model_copy(update={"rules": tuple(random.sample(layer.rules, len(layer.rules)))}) for layer in layers
    ]
    random.shuffle(shuffled)
    tool = spec(call[0])
    assert Policy(shuffled).decide(tool, call[1]).effect == Policy(layers).decide(tool, call[1]).effect


@given(LAYERS, CALLS, RULES, st.integers(0, 3))
def test_adding_a_deny_never_widens_and_an_allow_never_beats_a_deny(layers, call, rule, index):
    tool = spec(call[0])
    before = STRICTNESS[Policy(layers).decide(tool, call[1]).effect]
    chosen = layers[index % len(layers)]
    grown = chosen.model_copy(update={"rules": (*chosen.rules, rule)})
    after = STRICTNESS[Policy([grown if each is chosen else each for each in layers]).decide(tool, call[1]).effect]
    if rule.effect == "deny" or not chosen.trusted:
        assert after >= before

    if rule.effect == "allow" and any(
        each.matches(Call(tool, call[1], STRANGE)) for layer in layers for each in layer.rules if each.effect == "deny"
    ):
        assert after == STRICTNESS["deny"]


@given(st.lists(RULES, max_size=4), st.none() | EFFECTS, CALLS, st.sampled_from(PRESETS))
def test_what_is_not_trusted_only_tightens(rules, default, call, preset):
    base = Policy.preset(preset)
    layer = Layer(tier="project", origin="clone", trusted=False, default=default, rules=tuple(rules))
    tool = spec(call[0])
    assert (
        STRICTNESS[Policy([*base.layers, layer]).decide(tool, call[1]).effect]
        >= STRICTNESS[base.decide(tool, call[1]).effect]
    )
