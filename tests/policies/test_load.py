import pytest

from journeyman.errors import PolicyError
from journeyman.policies.load import PRESETS, preset_layer, read_layer
from journeyman.policies.policy import Policy

GOOD = """\
default = "deny"
allow = "calculator.*"

[[rule]]
effect = "allow"
tool = ["files.write", "files.edit"]
where.path = { under = "notes" }
why = "notes are mine to change"
match = [{ tool = "files.write", arguments = { path = "notes/a.md" } }]
not_match = ["files.write", { tool = "files.write", arguments = { path = "src/a.py" } }]

[[rule.unless]]
where.path = { under = "notes/private" }
"""


def test_a_file_becomes_a_layer(tmp_path):
    path = tmp_path / "house.toml"
    path.write_text(GOOD, "utf-8")
    layer, content = read_layer(path, "user")
    assert (layer.tier, layer.origin, layer.default, content.default) == ("user", str(path), "deny", "deny")
    assert [(rule.id, rule.effect, rule.tool) for rule in layer.rules] == [
        ("allow", "allow", ("calculator.*",)),
        ("allow files.write, files.edit", "allow", ("files.write", "files.edit")),
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem", "fix"),
    [
        ("default", "defualt", ":1: unknown key 'defualt'", "did you mean 'default'?"),
        ("tool = [", "tools = [", ":6: unknown key 'tools'", "did you mean 'tool'?"),
        ('under = "notes"', 'undr = "notes"', ":7: unknown key 'undr'", "did you mean 'under'?"),
        ("why =", "reason =", ":8: unknown key 'reason'", "known keys"),
        ('effect = "allow"', 'effect = "permit"', ":5: rule.effect: Input should be 'allow', 'ask' or 'deny'", "mend"),
        ('effect = "allow"', "", ":4: rule.effect: Field required", "mend"),
        ("notes/a.md", "other/a.md", ":4: rule 'allow files.write, files.edit': it does not match its example", "mend"),
        ("src/a.py", "notes/b.md", ":4: rule 'allow files.write, files.edit': it matches files.write", "mend"),
        ('"deny"', '"deny', " is not valid TOML: Illegal character", "mend"),
        ('"deny"', '"deny"\ndefault = "ask"', " is not valid TOML: Cannot overwrite a value", "mend"),
        ('["files.write", {', '["*", {', ":6: rule.not_match.tool: an example names one tool", "mend"),
        (
            'under = "notes" }\nwhy',
            "max = nan }\nwhy",
            ":7: rule.where.path.max",
            "mend",
        ),
        ("calculator.*", "calculator__*", ":2: allow: 'calculator__*' is how a model writes it", "mend"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_to_do(tmp_path, old, new, problem, fix):
    path = tmp_path / "house.toml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1), "utf-8")
    with pytest.raises(PolicyError) as caught:
        Policy.load(path)

    assert str(caught.value).removeprefix(str(path)).startswith(problem)
    assert fix in caught.value.fix


def test_two_rules_of_one_name_are_refused(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text('[[rule]]\nid="a"\neffect="ask"\ntool="x.y"\n' * 2, "utf-8")
    with pytest.raises(PolicyError, match=r":5: rule 'a': a second rule is called 'a'"):
        Policy.load(path)


def test_a_folder_and_nothing_are_no_policies(tmp_path):
    with pytest.raises(PolicyError, match="is a folder"):
        Policy.load(tmp_path)

    with pytest.raises(PolicyError, match="does not exist"):
        Policy.load(tmp_path / "none.toml")


def test_what_a_stranger_wrote_is_shown_without_its_control_characters(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text('"\\u001b[31m" = 5', "utf-8")
    with pytest.raises(PolicyError) as caught:
        Policy.load(path)

    assert str(caught.value).endswith("unknown key '⟪U+001B⟫[31m'")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_loads_and_bears_its_name(name):
    assert preset_layer(name).origin == name
    assert Policy.preset(name).name == name
