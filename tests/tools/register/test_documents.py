import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeyman.tools.register import jsonc
from journeyman.tools.register.documents import WRITERS, changed

ZED = """\
// Zed settings
{
  "theme": "One Dark", // mine
  /* servers */
  "context_servers": {
    "time": {"command": "uvx", "args": ["mcp-server-time"]}, // keep
  },
}
"""
CODEX = """\
# my settings
model = "o9"   # the big one

[mcp_servers.time]
command = "uvx"
args = ["mcp-server-time"] # zone?

[profiles.fast]
model = "o9-mini"
"""
GOOSE = """\
# goose
GOOSE_MODEL: 'big'  # quoted
extensions:
  developer:   # built in
    type: builtin
    enabled: true
slash:
    - a
    - b
"""
ENTRY = {"command": "/py", "args": ["-m", "x"]}


def test_jsonc_keeps_comments_and_commas_as_they_are() -> None:
    added = changed("json", ZED, ["context_servers", "ours"], {"command": "/py"})
    assert added == ZED.replace("// keep\n", '// keep\n    "ours": {\n      "command": "/py"\n    },\n')
    assert changed("json", added, ["context_servers", "ours"], None) == ZED
    assert jsonc.parse(changed("json", ZED, ["context_servers", "time"], None)) == {
        "theme": "One Dark",
        "context_servers": {},
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '{\n  "a": {\n    "b": 1\n  }\n}\n'),
        ("{}", '{\n  "a": {\n    "b": 1\n  }\n}'),
        ('{"x":{}}', '{"x":{},\n  "a": {\n    "b": 1\n  }\n}'),
        ('{"a":{"c":2}}', '{"a":{"c":2,\n    "b": 1\n  }}'),
        ('{\n\t"a": {\n\t\t"c": 2\n\t}\n}\n', '{\n\t"a": {\n\t\t"c": 2,\n\t\t"b": 1\n\t}\n}\n'),
        ('{\r\n  "x": 1\r\n}\r\n', '{\r\n  "x": 1,\r\n  "a": {\r\n    "b": 1\r\n  }\r\n}\r\n'),
        ('{\n  "x": 1 // last\n}', '{\n  "x": 1, // last\n  "a": {\n    "b": 1\n  }\n}'),
        ("{\n  // nothing yet\n}", '{\n  // nothing yet\n  "a": {\n    "b": 1\n  }\n}'),
        ('{"a": {"b": [1, 2]}}', '{"a": {"b": 1}}'),
    ],
)
def test_a_member_is_added_in_the_way_the_file_is_written(before: str, after: str) -> None:
    assert changed("json", before, ["a", "b"], 1) == after


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1,, }', "line 1: ', }' is not expected"),
        ('{\n"a" 1}', "line 2: '1}' is not expected"),
        ('{"a": {}} x', "is not expected"),
        ('{"a": 1, "a": 2}', "'a' is there twice"),
        ('{"a": []}', "a is no object"),
        ("[" * 5000, "nested too deeply"),
        ("{'a': 1}", "is not expected"),
    ],
)
def test_what_is_no_such_text_is_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("[", r"\[")):
        changed("json", text, ["a", "b"], 1)


def test_toml_and_yaml_keep_their_comments_too() -> None:
    toml = changed("toml", CODEX, ["mcp_servers", "ours"], ENTRY)
    assert all(line in toml for line in CODEX.splitlines())
    assert WRITERS["toml"].parse(toml)["mcp_servers"]["ours"] == ENTRY
    yaml = changed("yaml", GOOSE, ["extensions", "ours"], ENTRY)
    assert all(line in yaml for line in GOOSE.splitlines())
    assert changed("yaml", yaml, ["extensions", "ours"], None) == GOOSE
    assert changed("toml", "", ["mcp_servers", "ours"], ENTRY).startswith("[mcp_servers.ours]\n")


@pytest.mark.parametrize(("kind", "text"), [("toml", "a = ["), ("yaml", "a: [1"), ("yaml", "- 1"), ("toml", "s = 1\n")])
def test_what_is_no_toml_or_yaml_or_no_table_is_refused(kind: Any, text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        changed(kind, text, ["s", "ours"], ENTRY)


names = st.text(max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(names, values, max_size=4),
    st.dictionaries(names, values, max_size=4),
    names,
    st.sampled_from([None, 1, 2, "\t"]),
    st.booleans(),
)
def test_only_the_one_entry_changes_and_taking_it_out_gives_the_rest_back(
    others: dict[str, Any], section: dict[str, Any], name: str, indent: int | str | None, comments: bool
) -> None:
    document = {**others, "servers": section}
    text = json.dumps(document, indent=indent)
    if comments:
        text = f"// {name!r}\n" + text.replace("\n", " // a , } comment\n") + "/* end */\n"

    added = jsonc.put(text, ["servers", name], {"command": "x"})
    assert jsonc.parse(added) == {**document, "servers": {**section, name: {"command": "x"}}}
    removed = jsonc.drop(added, ["servers", name])
    assert jsonc.parse(removed) == {**document, "servers": {k: v for k, v in section.items() if k != name}}
